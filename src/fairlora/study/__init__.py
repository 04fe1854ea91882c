"""Room `study`: what a run is, the cells of a study, and runs on disk."""

from __future__ import annotations

from fairlora.study.spec import RunSpec, parse_spec, read_spec
from fairlora.study.store import RunFolder

__all__ = ["RunFolder", "RunSpec", "parse_spec", "read_spec"]
