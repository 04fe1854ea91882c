"""The shadow models of a study: further cells, one a number of the design, for every arm and seed.

They are cells like any other: known by what can change their result, kept, and run on any engine.
Arms whose shadow models are of one method share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlora.data import Examples, MembershipPlan
from fairlora.data.membership import MembershipDesign
from fairlora.errors import InputError
from fairlora.study.runs.cells import Cell, CellMaker
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.privacy import PrivacySpec
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.study import StudySpec


@dataclass(frozen=True)
class Attacked:
    """One arm and seed, and the runs that an attack on it reads.

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
    target: RunSpec | None
    models: tuple[RunSpec, ...]
    shadows: tuple[RunSpec, ...] = ()

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        """The runs that are no run of the study's grid."""
        return (*self.models, *self.shadows)


def attacked_runs(study: StudySpec, arms: Sequence[Arm]) -> list[Attacked]:
    """What is attacked, and with which shadow models; nothing where the study names no attack.

    Raises `InputError` for a shadow method that the study does not have.
    """
    privacy = study.privacy
    if privacy is None:
        return []
    found = []
    for seed in study.seeds:
        for arm in arms:
            other = _shadow_arm(privacy, arm, arms)
            own = arm if privacy.design == "crossed" else other
            models = _models(privacy, own.at(seed))
            apart = privacy.design == "crossed" and other is not arm
            found.append(
                Attacked(
                    arm,
                    seed,
                    arm.at(seed) if privacy.design == "papers" else None,
                    models,
                    _models(privacy, other.at(seed)) if apart else (),
                )
            )
    return found


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
    same = [a for a in beside if (a.rank, a.strength) == (arm.rank, arm.strength)]
    chosen = same or beside
    if len(chosen) > 1:
        raise InputError(
            "several runs of the shadow method",
            where="privacy.shadow_method",
            found=", ".join(a.name for a in chosen),
            expected="one for each attacked run: a method with one rank and strength",
        )
    return chosen[0]


@dataclass(frozen=True)
class AttackedCells:
    """`Attacked` as cells; `data` is what they read, before it is split."""

    arm: Arm
    seed: int
    target: Cell | None
    models: tuple[Cell, ...]
    shadows: tuple[Cell, ...]
    data: Examples

    @property
    def own(self) -> tuple[Cell, ...]:
        """The models that are attacked."""
        return self.models if self.target is None else (self.target,)

    @property
    def others(self) -> tuple[Cell, ...]:
        """The models that are shadows of another."""
        return self.shadows or self.models

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (*(() if self.target is None else (self.target,)), *self.models, *self.shadows)


def attacked_cells(study: StudySpec, arms: Sequence[Arm], maker: CellMaker) -> list[AttackedCells]:
    """The cells of `attacked_runs`.

    Parameters
    ----------
    study : names the attacks; nothing is attacked where it names none.
    arms : all of the study.
    maker : makes the cells, in the study's folder.

    Raises `InputError` for anything wrong with them.
    """
    return [
        AttackedCells(
            one.arm,
            one.seed,
            None if one.target is None else maker.cell(one.target),
            tuple(maker.cell(spec) for spec in one.models),
            tuple(maker.cell(spec) for spec in one.shadows),
            maker.examples(one.arm.spec),
        )
        for one in attacked_runs(study, arms)
    ]
