"""Room `metrics`: group metrics from counts, with NumPy; results as pydantic models.

Importing this package loads nothing: each name below brings what it needs when it is first used,
and `fairlora.metrics.settings` does without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlora.metrics.auditing import audit, audit_predictions
    from fairlora.metrics.comparison.compare import PairedResult, compare
    from fairlora.metrics.counts.tally import Membership, Tally, membership, tally
    from fairlora.metrics.result import AuditResult
    from fairlora.metrics.settings import Settings
    from fairlora.metrics.trainer import TrainerMetrics
else:
    _HOMES = {
        "AuditResult": "result",
        "Membership": "counts.tally",
        "PairedResult": "comparison.compare",
        "Settings": "settings",
        "Tally": "counts.tally",
        "TrainerMetrics": "trainer",
        "audit": "auditing",
        "audit_predictions": "auditing",
        "compare": "comparison.compare",
        "membership": "counts.tally",
        "tally": "counts.tally",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "AuditResult",
    "Membership",
    "PairedResult",
    "Settings",
    "Tally",
    "TrainerMetrics",
    "audit",
    "audit_predictions",
    "compare",
    "membership",
    "tally",
]
