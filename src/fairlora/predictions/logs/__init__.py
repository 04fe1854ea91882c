"""Logs of lm-evaluation-harness, inspect_ai, lighteval and HELM as tables of scores."""

from __future__ import annotations

from fairlora.predictions.logs.log import Log
from fairlora.predictions.logs.reading import log_format, read_log_table

__all__ = ["Log", "log_format", "read_log_table"]
