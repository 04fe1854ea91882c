"""Settings of `roc`: what a result depends on besides the scores."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from fairlora.settings import SettingsModel

FPRS = (0.1, 0.01, 0.001, 0.0001)
_SHOWN = ("fprs", "level", "min_group", "permutations", "seed")


class RocSettings(SettingsModel):
    """How ROC curves of attacks are read: the settings that a study file has too."""

    fprs: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=FPRS, min_length=1, description="false positive rates at which TPRs are given"
    )
    permutations: int = Field(
        default=1000, ge=0, description="of groups, for what a gap is by chance"
    )

    @field_validator("fprs")
    @classmethod
    def _each_once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a false positive rate twice")
        return tuple(sorted(value, reverse=True))


class PrivacySettings(RocSettings):
    """The options of `roc`, which documents them."""

    level: float = Field(default=0.95, ge=0.5, le=0.999999)
    min_group: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)
    max_groups: int | None = Field(default=None, ge=1)
    epsilon: float | None = Field(default=None, gt=0)
    delta: float = Field(default=1e-5, ge=0, lt=1)

    def shown(self) -> dict[str, Any]:
        """What a result's JSON repeats; of differential privacy where it was promised."""
        promised = () if self.epsilon is None else ("epsilon", "delta")
        return self.model_dump(mode="json", include={*_SHOWN, *promised})


def fpr_key(fpr: float) -> str:
    """The key of an FPR in a result: "0.1", "0.0001".

    >>> fpr_key(0.0001)
    '0.0001'
    """
    return f"{fpr:.10f}".rstrip("0")


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.0001)
    '0.01 %'
    """
    return f"{100 * share:.6g} %"
