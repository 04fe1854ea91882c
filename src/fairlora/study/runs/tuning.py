"""Run a study's searches: which arms share one, and how their choice changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fairlora.errors import InputError, require_known
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.search import search_arm
from fairlora.study.runs.trials import forget
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.search import SearchSpec
from fairlora.study.spec.study import StudySpec

# The rank that stands for the others where they share a search.
USUAL_RANK = 8


class Tuned(NamedTuple):
    """The arms with what was chosen; each search as plain values; and why some found nothing."""

    arms: list[Arm]
    searches: dict[str, dict[str, Any]]
    failed: dict[str, str]


RunSpecs = Callable[[Sequence[RunSpec]], list[RunFolder | None]]


def tune(
    study: StudySpec,
    arms: Sequence[Arm],
    run: RunSpecs,
    root: Path,
    inputs: Callable[[Arm], str] = lambda arm: "",
) -> Tuned:
    """Search for every group of arms, and give each its settings.

    Parameters
    ----------
    run : runs what is missing of some runs; a folder each, None where it failed.
    root : the study's folder, where the searches keep their history.
    inputs : fingerprints of an arm's data and weights; trials of others are not compared.

    A search whose trials all failed stops no other; its arms are left out.

    Raises `InputError` for a search that does not fit the study.
    """
    assert study.search is not None
    groups = search_groups(study, arms)
    seeds = study.search.seeds_for(study.seeds, arms[0].spec.data.shares.mode)
    _run_grids(groups, seeds, run)
    results, failed = {}, {}
    for name, (search, members) in groups.items():
        base = _stands_for(members)
        record = _record(study, name)
        result = search_arm(record, base.at(seeds[0]), search, run, root, inputs=inputs(base))
        if result.chosen:
            results[name] = result.to_dict()
        else:
            failed[name] = "no trial of this search succeeded"
    left = [arm for arm in arms if _search_of(groups, arm) not in failed]
    return Tuned(chosen_arms(study, left, results), results, failed)


def forget_searches(study: StudySpec, arms: Sequence[Arm], root: Path) -> int:
    """Remove the record of every search of a study; how many there were. Runs stay where they are.

    The next `tune` finds the finished ones, tries anew what failed, and goes on from there.

    Parameters
    ----------
    study : one with a search.
    arms : all of the study, as expanded.
    root : the study's folder, where the searches keep their history.

    Raises
    ------
    InputError : as `search_groups` and `fairlora.study.runs.trials.forget`.
    """
    groups = search_groups(study, arms)
    return sum(forget(_record(study, name), search, root) for name, (search, _) in groups.items())


def _record(study: StudySpec, name: str) -> str:
    """What a search is called in its storage: on a server the studies of many lie side by side."""
    return f"{study.name}: {name}"


def _search_of(groups: Mapping[str, tuple[SearchSpec, list[Arm]]], arm: Arm) -> str | None:
    return next((name for name, (_, members) in groups.items() if arm in members), None)


def search_groups(study: StudySpec, arms: Sequence[Arm]) -> dict[str, tuple[SearchSpec, list[Arm]]]:
    """The arms that share a search, by the search's name; arms with nothing to search are in none.

    Raises `InputError` for axes and methods that the study does not have.
    """
    assert study.search is not None
    study.search.check_methods([name for arm in arms for name in _names(arm)])
    return _grouped(study, study.search, arms)


def _grouped(
    study: StudySpec, spec: SearchSpec, arms: Sequence[Arm]
) -> dict[str, tuple[SearchSpec, list[Arm]]]:
    known = ("data", "model", "method", "rank", "strength", "epsilon", *study.vary)
    require_known(spec.per, known, "axis", "search.per")
    groups: dict[str, tuple[SearchSpec, list[Arm]]] = {}
    for arm in arms:
        search = spec.for_method(*_names(arm))
        if not search.space:
            continue
        name = ", ".join(arm.place[axis] for axis in spec.per if axis in arm.place)
        groups.setdefault(name or "all", (search, []))[1].append(arm)
    return groups


def chosen_arms(
    study: StudySpec, arms: Sequence[Arm], searches: Mapping[str, Mapping[str, Any]]
) -> list[Arm]:
    """The arms with the settings that their searches chose.

    With ``choose: front`` an arm becomes one for every point of the front.

    Parameters
    ----------
    study : one with a search.
    arms : as expanded.
    searches : name of a search -> what it found (`SearchResult.to_dict`).

    Raises
    ------
    InputError : a search is not among them, or what it chose makes no run; and as `search_groups`.
    """
    assert study.search is not None
    settings: dict[str, Sequence[Mapping[str, Any]]] = {}
    # Methods are named that have no arm any more, where their search found nothing.
    for name, (_, members) in _grouped(study, study.search, arms).items():
        if name not in searches:
            raise InputError("the search has not ended", where=name)
        for arm in members:
            settings[arm.name] = searches[name]["chosen"]
    out = []
    for arm in arms:
        chosen = settings.get(arm.name)
        if chosen is None:
            out.append(arm)
            continue
        for number, point in enumerate(chosen):
            new = arm.with_settings(point)
            if "objective.strength" in point:
                # A result of the search, and no axis: arms of two data sets may differ in it.
                new = replace(new, strength=None)
            if "adapter.rank" in point:
                new = replace(new, rank=None)
            if len(chosen) > 1:
                new = replace(new, method=f"{arm.method}, front {number + 1}")
            out.append(new)
    return out


def count_trials(study: StudySpec, arms: Sequence[Arm]) -> tuple[int, int]:
    """How many runs the searches take at most, and how many searches there are."""
    assert study.search is not None
    groups = search_groups(study, arms)
    seeds = study.search.seeds_for(study.seeds, arms[0].spec.data.shares.mode)
    trials = 0
    for search, _ in groups.values():
        size = search.size
        wanted = search.trials if search.sampler != "grid" else size or 0
        trials += min(wanted, size) if size is not None else wanted
    return trials * len(seeds), len(groups)


def _run_grids(
    groups: Mapping[str, tuple[SearchSpec, list[Arm]]], seeds: Sequence[int], run: RunSpecs
) -> None:
    """Run the trials of all grids together: no grid learns from another, and engines like many."""
    specs = [
        _stands_for(members).with_settings(point).at(seed)
        for search, members in groups.values()
        if search.sampler == "grid"
        for point in search.settings()
        for seed in seeds
    ]
    if specs:
        run(specs)


def _stands_for(members: Sequence[Arm]) -> Arm:
    """The arm whose search serves all: of the usual rank if there is one, else the first."""
    return next((arm for arm in members if arm.rank == USUAL_RANK), members[0])


def _names(arm: Arm) -> tuple[str, ...]:
    """What a search may call the arm's method."""
    return arm.method, arm.spec.method, arm.spec.adapter.kind
