"""Room `metrics`: group metrics from counts, with NumPy alone."""

from __future__ import annotations

from fairlora.metrics.audit import audit, audit_predictions
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.tally import Membership, Tally, membership, tally

__all__ = [
    "AuditResult",
    "Membership",
    "Settings",
    "Tally",
    "audit",
    "audit_predictions",
    "membership",
    "tally",
]
