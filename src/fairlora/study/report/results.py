"""Results of a study: its arms with their finished runs, and their places on its axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlora.study.report.measures import Column, Run
from fairlora.study.spec.expand import Arm


@dataclass(frozen=True)
class ArmResult:
    """An arm and its finished runs, one a seed, in the order of the seeds."""

    arm: Arm
    runs: tuple[Run, ...]

    def point(self, column: Column) -> dict[str, Any]:
        """The mean over seeds with its 95 % interval and the seeds' own values.

        Of one run alone the interval is that of its examples, where the audit has one.
        """
        values = column.values(self.runs)
        if not values:
            return {"y": None}
        mean = sum(values) / len(values)
        point: dict[str, Any] = {"y": mean}
        interval = column.interval(self.runs)
        if interval is not None:
            point |= {"low": interval[0], "high": interval[1], "marks": values}
        return point


@dataclass(frozen=True)
class Axes:
    """Which coordinates differ between the arms of a study, and are therefore said.

    Attributes
    ----------
    names : coordinates with more than one value in the study.
    own : method -> those with more than one value among its arms. The others follow from its name:
        plain training has strength 0, and a linear probe rank 0.
    """

    names: tuple[str, ...]
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, arms: Sequence[Arm]) -> Axes:
        """The coordinates that have more than one value."""
        methods: dict[str, list[Arm]] = {}
        for arm in arms:
            methods.setdefault(arm.method, []).append(arm)
        return cls(_differing(arms), {name: _differing(own) for name, own in methods.items()})

    def name(self, arm: Arm, *, without: Iterable[str] = ()) -> str:
        """What tells the arm from the others: "FairLoRA, rank 8, strength 1"."""
        left_out = {"method", *without}
        place = arm.place
        words = [] if "method" in set(without) else [place["method"]]
        for key in self.own.get(arm.method, self.names):
            if key in left_out or key not in place:
                continue
            value = place[key]
            words.append(value if key in ("data", "model") else f"{key.rsplit('.', 1)[-1]} {value}")
        return ", ".join(words) or place["method"]

    def name_within(self, arm: Arm, *, without: Iterable[str] = ()) -> str:
        """What tells the arm from the others of its setting."""
        return self.name(arm, without=("data", "model", *arm.varied, *without))


def _differing(arms: Sequence[Arm]) -> tuple[str, ...]:
    places = [arm.place for arm in arms]
    keys = dict.fromkeys(key for place in places for key in place)
    return tuple(k for k in keys if len({p[k] for p in places if k in p}) > 1)


@dataclass(frozen=True)
class Results:
    """All arms of a study with what has been run of them."""

    arms: tuple[ArmResult, ...]

    @property
    def axes(self) -> Axes:
        return Axes.of([a.arm for a in self.arms])

    @property
    def finished(self) -> tuple[ArmResult, ...]:
        """The arms with at least one finished run."""
        return tuple(a for a in self.arms if a.runs)

    def settings(self) -> list[tuple[str, list[ArmResult]]]:
        """Arms that are comparable: the same data, model and further axes; with a name for each."""
        axes = self.axes
        found: dict[tuple[Any, ...], list[ArmResult]] = {}
        for one in self.finished:
            arm = one.arm
            key = (arm.data, arm.model, *sorted(arm.varied.items()))
            found.setdefault(key, []).append(one)
        named = []
        for members in found.values():
            said = [name for name in axes.names if name not in ("method", "rank", "strength")]
            place = members[0].arm.place
            words = [
                place[k] if k in ("data", "model") else f"{k.rsplit('.', 1)[-1]} {place[k]}"
                for k in said
            ]
            named.append((", ".join(words), members))
        return named


def attributes_of(members: Sequence[ArmResult]) -> list[str]:
    """The group attributes of one setting, the same in all of its runs; one group alone is none."""
    groups = members[0].runs[0].audit["by_group"]
    return [
        name
        for name, found in groups.items()
        if sum(not numbers["missing"] for numbers in found.values()) > 1
    ]


def by_series(
    members: Sequence[ArmResult], key: Callable[[Arm], Any]
) -> list[tuple[Any, list[ArmResult]]]:
    """Arms grouped by a key, in order of first appearance."""
    found: dict[Any, list[ArmResult]] = {}
    for one in members:
        found.setdefault(key(one.arm), []).append(one)
    return list(found.items())
