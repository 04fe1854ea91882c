"""Room `metrics`: group metrics from counts, with NumPy alone."""

from __future__ import annotations

from fairlora.metrics.audit import audit, audit_predictions, audit_table
from fairlora.metrics.audit_scores import audit_scores
from fairlora.metrics.comparison.compare import PairedResult, compare
from fairlora.metrics.counts.tally import Membership, Tally, membership, tally
from fairlora.metrics.logs import EvaluationLog, read_log
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.trainer import TrainerMetrics

__all__ = [
    "AuditResult",
    "EvaluationLog",
    "Membership",
    "PairedResult",
    "Settings",
    "Tally",
    "TrainerMetrics",
    "audit",
    "audit_predictions",
    "audit_scores",
    "audit_table",
    "compare",
    "membership",
    "read_log",
    "tally",
]
