"""Settings of `roc`: what a result depends on besides the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlora.errors import InputError

FPRS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class PrivacySettings:
    """The options of `roc`, which documents them. Raises `InputError` for one out of range."""

    fprs: Sequence[float] = FPRS
    level: float = 0.95
    min_group: int = 10
    permutations: int = 1000
    seed: int = 0
    max_groups: int | None = None

    def __post_init__(self) -> None:
        rates = [float(rate) for rate in self.fprs]
        if not rates or len(set(rates)) < len(rates) or not all(0 < rate < 1 for rate in rates):
            raise InputError(
                "no false positive rates",
                where="fprs",
                found=list(self.fprs),
                expected="one or more, each once, above 0, below 1",
            )
        object.__setattr__(self, "fprs", tuple(sorted(rates, reverse=True)))
        if not 0.5 <= self.level < 1:
            raise InputError(
                "no level of an interval",
                where="level",
                found=self.level,
                expected="0.5 to below 1",
            )
        for name, least in (("min_group", 1), ("permutations", 0), ("seed", 0), ("max_groups", 1)):
            value = getattr(self, name)
            if name == "max_groups" and value is None:
                continue
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least:
                raise InputError("too small", where=name, found=value, expected=f">= {least}")

    def shown(self) -> dict[str, Any]:
        """The settings as a result's JSON has them."""
        return {
            "fprs": list(self.fprs),
            "level": self.level,
            "min_group": self.min_group,
            "permutations": self.permutations,
            "seed": self.seed,
        }


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
