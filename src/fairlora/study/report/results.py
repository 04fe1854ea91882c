"""Results: the finished runs of each arm, their places on the axes, and which are comparable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fairlora.errors import InputError
from fairlora.study.report.measures import Column, Run, mean_of, seeds_text
from fairlora.study.runs.cells import Cell
from fairlora.study.spec.expand import SAID_ALONE, Arm

# Coordinates along which arms stay comparable.
_OF_METHODS = ("method", "rank", "strength", "epsilon", "deploy")


@dataclass(frozen=True)
class ArmResult:
    """A method of one setting: an arm and its finished runs, one a seed, in the order of the seeds.

    `name` tells it from the others of its setting; `planned` is how many seeds it was to have,
    where that is known.
    """

    arm: Arm
    runs: tuple[Run, ...]
    name: str = ""
    planned: int = 0

    @property
    def seeds(self) -> str:
        """How many seeds there are: "5", or "4 of 5"."""
        return seeds_text(len(self.runs), self.planned)

    def point(self, column: Column) -> dict[str, Any]:
        """The mean over seeds with its 95 % interval and the seeds' own values.

        Of one run alone the interval is that of its examples, where the audit has one. A mean over
        fewer seeds than planned has a label that says so.
        """
        values = column.values(self.runs)
        point: dict[str, Any] = {"y": mean_of(values)}
        planned = max(self.planned, len(self.runs))
        if 0 < len(values) < planned:
            point["label"] = f"{seeds_text(len(values), planned)} seeds"
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
            words.append(_word(key, place[key]))
        return ", ".join(words) or place["method"]

    def name_within(self, arm: Arm, *, without: Iterable[str] = ()) -> str:
        """What tells the arm from the others of its setting."""
        return self.name(arm, without=("data", "model", *arm.varied, *without))


def _word(key: str, value: str) -> str:
    """A coordinate as a name has it: "rank 8"; data and models are called by their value alone."""
    return value if key in SAID_ALONE else f"{key.rsplit('.', 1)[-1]} {value}"


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
    def runs(self) -> list[Run]:
        """All finished runs."""
        return [run for result in self.arms for run in result.runs]

    @property
    def finished(self) -> tuple[ArmResult, ...]:
        """The arms with at least one finished run."""
        return tuple(a for a in self.arms if a.runs)

    def settings(self) -> list[Setting]:
        """Arms that are comparable: the same data, model and further axes."""
        axes = self.axes
        members: dict[tuple[Any, ...], list[ArmResult]] = {}
        for result in self.finished:
            arm = result.arm
            key = (arm.data, arm.model, *sorted(arm.varied.items()))
            named = replace(result, name=axes.name_within(arm))
            members.setdefault(key, []).append(named)
        said = [name for name in axes.names if name not in _OF_METHODS]
        settings = []
        for results in members.values():
            coordinates = results[0].arm.place
            name = ", ".join(_word(key, coordinates[key]) for key in said)
            settings.append(Setting(name, results, axes, tuple(attributes_of(results))))
        return settings


@dataclass(frozen=True)
class Setting:
    """Comparable arms, the study's axes, and the group attributes to show; what a figure is of."""

    name: str
    members: Sequence[ArmResult]
    axes: Axes
    attributes: tuple[str, ...]

    @property
    def runs(self) -> list[Run]:
        return [run for member in self.members for run in member.runs]

    def titled(self, title: str) -> str:
        """A title that says which setting it is, where a study has several."""
        return f"{title} ({self.name})" if self.name else title


def results_of(
    arms: Sequence[Arm], cells: Mapping[str, Sequence[Cell]], broken: dict[str, str] | None = None
) -> Results:
    """The arms with what is finished of them.

    Parameters
    ----------
    arms : all of a study.
    cells : name of an arm -> its cells, one a seed.
    broken : where given, a cell that is not whole is left out, and the reason put here by its
        name.

    Raises
    ------
    InputError : a cell is not whole, and `broken` is None.
    """
    results = []
    for arm in arms:
        runs = []
        for cell in cells[arm.name]:
            try:
                if cell.folder.whole(cell.identity) is not None:
                    runs.append(Run(cell.folder, cell.spec, cell.folder.metrics()))
            except InputError as error:
                if broken is None:
                    raise
                broken[cell.name] = str(error)
        results.append(ArmResult(arm, tuple(runs), planned=len(cells[arm.name])))
    return Results(tuple(results))


def over_common_seeds(members: Sequence[ArmResult], columns: Sequence[Column]) -> list[ArmResult]:
    """The members with their runs of those seeds at which all of them have these measures.

    Members that have them at no seed are left without a run, and take no seed from the others.
    """
    runs = [[r for r in m.runs if all(c.defined(r) for c in columns)] for m in members]
    seeds = [{run.spec.seed for run in some} for some in runs if some]
    common = set.intersection(*seeds) if seeds else set()
    return [
        replace(member, runs=tuple(run for run in some if run.spec.seed in common))
        for member, some in zip(members, runs, strict=True)
    ]


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
