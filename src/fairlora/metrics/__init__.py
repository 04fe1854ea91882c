"""Room `metrics`: group metrics from counts, with NumPy; results as pydantic models.

Importing this package loads nothing: each name below brings what it needs when it is first used,
and `fairlora.metrics.settings` does without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlora.metrics.auditing import audit, audit_predictions, audit_table
    from fairlora.metrics.comparison.compare import PairedResult, compare
    from fairlora.metrics.comparison.numeric import compare_numeric
    from fairlora.metrics.counts.tally import Membership, Tally, membership, tally
    from fairlora.metrics.gate.check import GateResult, check
    from fairlora.metrics.logs import EvaluationLog, read_log
    from fairlora.metrics.numeric.audit import NumericResult, audit_numeric
    from fairlora.metrics.result import AuditResult, ScoreResult
    from fairlora.metrics.scoring import audit_scores
    from fairlora.metrics.selection.audit import SelectionResult, audit_counts, audit_decisions
    from fairlora.metrics.settings import Settings
    from fairlora.metrics.targets import TargetsResult, audit_targets
    from fairlora.metrics.trainer import TrainerMetrics
else:
    _HOMES = {
        "AuditResult": "result",
        "EvaluationLog": "logs",
        "GateResult": "gate.check",
        "Membership": "counts.tally",
        "NumericResult": "numeric.audit",
        "PairedResult": "comparison.compare",
        "ScoreResult": "result",
        "SelectionResult": "selection.audit",
        "Settings": "settings",
        "Tally": "counts.tally",
        "TargetsResult": "targets",
        "TrainerMetrics": "trainer",
        "audit": "auditing",
        "audit_counts": "selection.audit",
        "audit_decisions": "selection.audit",
        "audit_numeric": "numeric.audit",
        "audit_predictions": "auditing",
        "audit_scores": "scoring",
        "audit_table": "auditing",
        "audit_targets": "targets",
        "check": "gate.check",
        "compare": "comparison.compare",
        "compare_numeric": "comparison.numeric",
        "membership": "counts.tally",
        "read_log": "logs",
        "tally": "counts.tally",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "AuditResult",
    "EvaluationLog",
    "GateResult",
    "Membership",
    "NumericResult",
    "PairedResult",
    "ScoreResult",
    "SelectionResult",
    "Settings",
    "Tally",
    "TargetsResult",
    "TrainerMetrics",
    "audit",
    "audit_counts",
    "audit_decisions",
    "audit_numeric",
    "audit_predictions",
    "audit_scores",
    "audit_table",
    "audit_targets",
    "check",
    "compare",
    "compare_numeric",
    "membership",
    "read_log",
    "tally",
]
