"""Room `objectives`: fairness objectives as functions of per-example losses and groups.

Adding one is one file with a class in it and one row in `OBJECTIVES`.

>>> sorted(OBJECTIVES)
['erm', 'loss-variance']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlora.errors import InputError
from fairlora.objectives.base import GroupLosses, Objective, group_losses
from fairlora.objectives.erm import ERM
from fairlora.objectives.loss_variance import LossVariance

OBJECTIVES: dict[str, Callable[..., Objective]] = {"erm": ERM, "loss-variance": LossVariance}

__all__ = [
    "ERM",
    "OBJECTIVES",
    "GroupLosses",
    "LossVariance",
    "Objective",
    "group_losses",
    "make_objective",
]


def make_objective(name: str, **settings: Any) -> Objective:
    """The objective of this name; `InputError` names those there are and settings it lacks."""
    if name not in OBJECTIVES:
        raise InputError(
            "unknown objective",
            where="objective.name",
            found=repr(name),
            expected="one of " + ", ".join(OBJECTIVES),
        )
    return OBJECTIVES[name](**settings)
