"""Room `probes`: measure a model by its features and its words, beyond its predictions."""

from __future__ import annotations
