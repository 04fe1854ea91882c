"""Room `objectives`: fairness objectives as functions of per-example losses and groups.

Adding one is one file with a class in it and one row in `OBJECTIVES`.

>>> list(OBJECTIVES)[:4]
['erm', 'loss-variance', 'group-dro', 'reweight']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlora.errors import require_known
from fairlora.objectives.base import GroupObjective, GroupSums, Objective, Weights, group_sums
from fairlora.objectives.erm import ERM
from fairlora.objectives.group_dro import GroupDRO
from fairlora.objectives.loss_gap import LossGap
from fairlora.objectives.loss_variance import LossVariance
from fairlora.objectives.penalty import Penalised
from fairlora.objectives.reweight import Reweight

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "erm": ERM,
    "loss-variance": LossVariance,
    "group-dro": GroupDRO,
    "reweight": Reweight,
    "loss-gap": LossGap,
}

__all__ = [
    "ERM",
    "OBJECTIVES",
    "GroupDRO",
    "GroupObjective",
    "GroupSums",
    "LossGap",
    "LossVariance",
    "Objective",
    "Penalised",
    "Reweight",
    "Weights",
    "group_sums",
    "make_objective",
]


def make_objective(name: str, **settings: Any) -> Objective:
    """The objective of this name; `InputError` names those there are and settings it lacks."""
    require_known([name], OBJECTIVES, "objective", "objective.name")
    return OBJECTIVES[name](**settings)
