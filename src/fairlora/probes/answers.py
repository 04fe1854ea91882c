"""Answers of several models to one probe: means over seeds, and comparisons of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairlora.errors import InputError
from fairlora.probes.estimates import (
    BOUNDS,
    LEVEL,
    Estimate,
    MeasureVerdict,
    compare,
    influence_over,
    variance_over,
)
from fairlora.probes.rows import Asked
from fairlora.probes.run import PROBES
from fairlora.probes.settings import UNASKED

Role = Literal["base", "full", "adapter"]


@dataclass(frozen=True)
class Answers:
    """The answers of one model, or of one way of fine-tuning: one a seed.

    Attributes
    ----------
    name : what it is called.
    asked : the same probe of each seed's model, in the order of the seeds.
    role : base, full or adapter; says who is compared with whom.
    rank : of an adapter, for figures against the rank.
    seeds : of the runs; methods are paired by them.
    """

    name: str
    asked: tuple[Asked, ...]
    role: Role = "adapter"
    rank: int | None = None
    seeds: tuple[int, ...] = (0,)

    @cached_property
    def estimates(self) -> list[list[Estimate]]:
        """Each seed's estimates of everything that the probe measures."""
        return [PROBES[asked.name].estimates(asked.rows) for asked in self.asked]

    def point(self, name: str) -> dict[str, Any]:
        """The mean over seeds of an estimate, its interval, and the seeds' own values.

        Of one seed the interval is over scenes or texts; of several, over these and the seeds.
        """
        estimates = [e for some in self.estimates for e in some if e.name == name]
        values = [e.value for e in estimates if e.value is not None]
        if not estimates or len(values) < len(estimates):
            return {"value": None, "low": None, "high": None}
        mean = float(np.mean(values))
        if len(estimates) == 1:
            ends = estimates[0].interval()
        else:
            names = np.unique(np.concatenate([e.clusters for e in estimates]))
            influences = np.stack([influence_over(names, e) for e in estimates])
            variance = variance_over(influences, np.array(values), max(e.floor for e in estimates))
            ends = None
            if variance is not None:
                low, high = variance.ends(mean, LEVEL)
                least, most = BOUNDS.get(estimates[0].kind, (-np.inf, np.inf))
                ends = min(max(least, low), mean), max(min(most, high), mean)
        point: dict[str, Any] = {"value": mean, "low": None, "high": None}
        if ends is not None:
            point["low"], point["high"] = ends
        return {**point, "marks": values} if len(values) > 1 else point


def check_alike(answers: Sequence[Answers]) -> None:
    """Raise `InputError` unless all were asked the same: settings, templates, data.

    The rows may differ, as training rows do from seed to seed: what both were asked about is then
    compared in pairs, and the rest is not.
    """
    first = _asked(answers[0].asked[0])
    for answer in answers:
        for asked in answer.asked:
            for key, value in _asked(asked).items():
                if value != first.get(key):
                    raise InputError(
                        f"not asked the same {asked.name} probe: {key} differs",
                        where=answer.name,
                        found=str(value)[:60],
                        expected=str(first.get(key))[:60],
                    )


def _asked(asked: Asked) -> dict[str, Any]:
    settings = {k: v for k, v in asked.summary["settings"].items() if k not in UNASKED}
    settings["questions"] = asked.summary.get("questions")
    return {**settings, "data": asked.summary.get("data", {}).get("fingerprint")}


def pairs_of(answers: Sequence[Answers]) -> list[tuple[Answers, Answers]]:
    """The pairs that are compared: every model with the base model, every adapter with full.

    Where there is neither, the first with each of the others.
    """
    pairs = [
        (answer, other)
        for answer in answers
        for other in answers
        if answer is not other
        and (
            (other.role == "base" and answer.role != "base")
            or (other.role == "full" and answer.role == "adapter")
        )
    ]
    return pairs or [(answers[0], other) for other in answers[1:]]


def verdicts(
    answers: Sequence[Answers], pairs: Sequence[tuple[Answers, Answers]] | None = None
) -> tuple[list[MeasureVerdict], list[str]]:
    """Verdicts of all pairs, a row a pair and measure; and notes on pairs that have none.

    `pairs` says who is compared with whom; None is as `pairs_of` has it.
    """
    rows: list[MeasureVerdict] = []
    notes: list[str] = []
    for first, second in pairs_of(answers) if pairs is None else pairs:
        shared = [seed for seed in first.seeds if seed in second.seeds]
        if len(first.seeds) == len(second.seeds) == 1:
            lists = first.estimates, second.estimates
        elif second.role == "base" and len(second.seeds) == 1:
            # A model that is not trained answers the same whatever the seed.
            lists = first.estimates, second.estimates * len(first.seeds)
        elif shared:
            lists = (
                [first.estimates[first.seeds.index(seed)] for seed in shared],
                [second.estimates[second.seeds.index(seed)] for seed in shared],
            )
        else:
            notes.append(f"{first.name} and {second.name} share no seed: they are not compared")
            continue
        names = {"first_name": first.name, "second_name": second.name}
        rows += [row.model_copy(update=names) for row in compare(*lists)]
    return rows, notes
