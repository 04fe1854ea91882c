"""Room `study`: what a run is, the cells of a study, and runs on disk."""

from __future__ import annotations

from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec, parse_spec, read_spec

__all__ = ["RunFolder", "RunSpec", "parse_spec", "read_spec"]
