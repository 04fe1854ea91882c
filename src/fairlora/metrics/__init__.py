"""Room `metrics`: group metrics from counts, with NumPy alone."""

from __future__ import annotations

from fairlora.metrics.audit import audit, audit_predictions, audit_table
from fairlora.metrics.comparison.compare import PairedResult, compare
from fairlora.metrics.counts.tally import Membership, Tally, membership, tally
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.trainer import TrainerMetrics

__all__ = [
    "AuditResult",
    "Membership",
    "PairedResult",
    "Settings",
    "Tally",
    "TrainerMetrics",
    "audit",
    "audit_predictions",
    "audit_table",
    "compare",
    "membership",
    "tally",
]
