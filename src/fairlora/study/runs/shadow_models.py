"""The shadow models of a study: further cells, one a number of the design, for every arm and seed.

They are cells like any other: known by what can change their result, kept, and run on any engine.
Arms whose shadow models are of one method share them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fairlora.data import MembershipPlan
from fairlora.data.membership import MembershipDesign
from fairlora.errors import InputError
from fairlora.privacy.attacks import ATTACKS
from fairlora.study.runs.cells import Cell
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.privacy import PrivacySpec
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.study import StudySpec

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Attacked(Generic[T]):
    """One arm and seed, and the runs that an attack on it reads: as specs, or as cells.

    Attributes
    ----------
    target : of the papers' design, the study's own run; of the crossed one None, since each of
        `models` is the target in turn.
    models : the shadow models (papers), or all models of the arm's own method (crossed).
    shadows : of the crossed design, the models of another method that stand in for the arm's own as
        shadows, in the same order; empty where they are the arm's own.
    """

    arm: Arm
    seed: int
    target: T | None
    models: tuple[T, ...]
    shadows: tuple[T, ...] = ()

    @property
    def extra(self) -> tuple[T, ...]:
        """The runs that are no run of the study's grid."""
        return (*self.models, *self.shadows)

    @property
    def runs(self) -> tuple[T, ...]:
        """All that is read, the target first where there is one."""
        return (*(() if self.target is None else (self.target,)), *self.extra)

    @property
    def own(self) -> tuple[T, ...]:
        """The models that are attacked."""
        return self.models if self.target is None else (self.target,)

    @property
    def others(self) -> tuple[T, ...]:
        """The models that are shadows of another."""
        return self.shadows or self.models

    def map(self, change: Callable[[T], U]) -> Attacked[U]:
        """The same of what `change` makes of each run."""
        target = None if self.target is None else change(self.target)
        models, shadows = tuple(map(change, self.models)), tuple(map(change, self.shadows))
        return Attacked(self.arm, self.seed, target, models, shadows)


def attacked_runs(study: StudySpec, arms: Sequence[Arm]) -> list[Attacked[RunSpec]]:
    """What is attacked, and with which shadow models; nothing where the study names no attack.

    Raises `InputError` for a shadow method that the study does not have.
    """
    privacy = study.privacy
    if privacy is None:
        return []
    attacked = []
    for seed in study.seeds:
        for arm in (arm for arm in arms if arm.deploy is None):
            other = _shadow_arm(privacy, arm, arms)
            shadows = _models(privacy, other.at(seed))
            if privacy.design == "papers":
                attacked.append(Attacked(arm, seed, arm.at(seed), shadows))
            elif other is arm:
                attacked.append(Attacked(arm, seed, None, shadows))
            else:
                models = _models(privacy, arm.at(seed))
                attacked.append(Attacked(arm, seed, None, models, shadows))
    return attacked


def _models(privacy: PrivacySpec, spec: RunSpec) -> tuple[RunSpec, ...]:
    design = {key: getattr(privacy, key) for key in MembershipDesign.model_fields}
    plans = [
        MembershipPlan(**design, model=number)
        for number in range(privacy.shadows + (privacy.design == "crossed"))
    ]
    return tuple(
        spec.model_copy(update={"data": spec.data.model_copy(update={"membership": plan})})
        for plan in plans
    )


def _shadow_arm(privacy: PrivacySpec, arm: Arm, arms: Sequence[Arm]) -> Arm:
    """The arm whose method trains the shadow models: the same data, model and further axes."""
    name = privacy.shadow_method
    if name is None or name == arm.method:
        return arm
    known = list(dict.fromkeys(a.method for a in arms))
    beside = [
        a
        for a in arms
        if (a.method, a.data, a.model, dict(a.varied))
        == (name, arm.data, arm.model, dict(arm.varied))
    ]
    if not beside:
        raise InputError(
            "no such method beside this run",
            where="privacy.shadow_method",
            found=f"{name!r} (for {arm.name})",
            expected="one of " + ", ".join(known),
        )
    at = (arm.rank, arm.strength, arm.epsilon)
    same = [a for a in beside if (a.rank, a.strength, a.epsilon) == at]
    chosen = same or beside
    if len(chosen) > 1:
        raise InputError(
            "several runs of the shadow method",
            where="privacy.shadow_method",
            found=", ".join(a.name for a in chosen),
            expected="one for each attacked run: a method with one rank and strength",
        )
    return chosen[0]


def check_attacks(study: StudySpec, cell: Cell) -> None:
    """Raise `InputError` for attacks on tokens where the cell keeps none, before it is run.

    Parameters
    ----------
    study : names the attacks.
    cell : one of its cells.
    """
    if study.privacy is None:
        return
    reading = [name for name in study.privacy.names if ATTACKS[name].tokens]
    language = cell.prepared.examples.language
    if reading and not language:
        raise InputError(
            "reads the tokens of texts, and the data are to be classified",
            where="privacy.attacks",
            found=", ".join(reading),
            expected="data to continue, such as plain-text",
        )
    if language and cell.spec.training.score_texts == "no":
        raise InputError(
            "attacks on a language model read its texts.parquet",
            where="training.score_texts",
            found="'no'",
            expected="'both' or 'model'",
        )
