"""The ``privacy`` section of a study file: which shadow models are trained, and who attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from fairlora.data.membership import Design, MembershipDesign
from fairlora.metrics.comparison.verdicts import MARGIN
from fairlora.privacy.attacks import ATTACKS
from fairlora.privacy.settings import RocSettings

if TYPE_CHECKING:
    AttackName = str
else:
    AttackName = Literal[tuple(ATTACKS)]
_OFFLINE: tuple[AttackName, ...] = ("lira-offline-fixed", "lira-offline", "rmia", "difference")
_USUAL: dict[str, tuple[AttackName, ...]] = {
    "papers": (*_OFFLINE, "loss"),
    "crossed": ("lira-online-fixed", "lira-online", *_OFFLINE, "loss"),
}


class PrivacySpec(MembershipDesign, RocSettings):
    """Membership inference on every method of the study: its design, and how it is judged.

    Attributes
    ----------
    design : "papers": the study's own runs are attacked; a share `members` of their training rows
        and a share `non_members` of their test rows are the targets, and each shadow model trains
        on a random half of all other rows. "crossed": `shadows` + 1 models each train on half of
        the rows, each row is in half of them, and each model in turn is attacked with the others
        as its shadows.
    shadows : how many shadow models a run has; of "crossed" an odd number. 0 for attacks that need
        none (LOSS): all training and test rows are then attacked.
    shadow_method : the method that shadow models are trained with; None is the attacked run's own.
    attacks : by name; the first is the one that groups and verdicts are about.
    queries : further views of each example that all models predict.
    rows : of "crossed": how many training and test rows take part; None is all of them.
    targets : of "crossed": how many of the models are attacked in turn; None is all of them.
    fprs, permutations, bootstrap, margin : as of `fairlora.privacy.roc` and `compare_attacks`.
    """

    design: Design = "papers"
    shadows: int = Field(default=16, ge=0)
    shadow_method: str | None = None
    attacks: tuple[AttackName, ...] | None = None
    queries: tuple[Literal["flip"], ...] = ()
    targets: int | None = Field(default=None, ge=1)
    bootstrap: int = Field(default=1000, ge=200)
    margin: float = Field(default=MARGIN, gt=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> PrivacySpec:
        crossed = self.design == "crossed"
        if crossed and self.shadows % 2 == 0:
            raise ValueError(
                f"shadows: {self.shadows}; every row is to be in half of shadows + 1 models: an "
                "odd number"
            )
        if not crossed and (self.rows is not None or self.targets is not None):
            raise ValueError("rows and targets are settings of the crossed design")
        if self.attacks is not None and len(set(self.attacks)) < max(1, len(self.attacks)):
            raise ValueError("attacks: one or more, each once")
        for name in self.names:
            attack = ATTACKS[name]
            if attack.inside and not crossed:
                raise ValueError(
                    f"{name} needs shadow models that trained on the targets: design: crossed"
                )
            # Of shadows + 1 models half train on a row; the target is one of them.
            known = (self.shadows - 1) // 2 if crossed else self.shadows
            least = max(attack.outside, attack.inside)
            if known < least:
                raise ValueError(
                    f"{name} needs {least} shadow models of a kind for each row; {self.shadows} "
                    f"shadows leave {known}"
                )
        return self

    @property
    def names(self) -> tuple[AttackName, ...]:
        """The attacks, the one that groups and verdicts are about first."""
        return _USUAL[self.design] if self.attacks is None else self.attacks
