"""Room `probes`: what must ask a model itself, beyond its predictions: its features, its words."""

from __future__ import annotations
