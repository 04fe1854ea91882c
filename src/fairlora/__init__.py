"""fairlora: fine-tune pretrained models, and say how fair each result is to every subgroup.

    import fairlora
    result = fairlora.audit(labels, predictions, groups={"race": race})

Importing fairlora and auditing need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlora.metrics import (
        AuditResult,
        EvaluationLog,
        GateResult,
        NumericResult,
        PairedResult,
        ScoreResult,
        SelectionResult,
        TargetsResult,
        TrainerMetrics,
        audit,
        audit_counts,
        audit_decisions,
        audit_numeric,
        audit_scores,
        audit_targets,
        check,
        compare,
        compare_numeric,
        read_log,
    )
    from fairlora.study.runs.loaded import LoadedRun, load_run

__version__ = "0.1.0"
__all__ = [
    "AuditResult",
    "EvaluationLog",
    "GateResult",
    "LoadedRun",
    "NumericResult",
    "PairedResult",
    "ScoreResult",
    "SelectionResult",
    "TargetsResult",
    "TrainerMetrics",
    "__version__",
    "audit",
    "audit_counts",
    "audit_decisions",
    "audit_numeric",
    "audit_scores",
    "audit_targets",
    "check",
    "compare",
    "compare_numeric",
    "load_run",
    "read_log",
]


def __getattr__(name: str) -> Any:
    # Only when asked for: `import fairlora` and `fairlora --help` answer at once.
    if name in ("LoadedRun", "load_run"):
        from fairlora.study.runs import loaded

        return getattr(loaded, name)
    if name in __all__:
        from fairlora import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module 'fairlora' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
