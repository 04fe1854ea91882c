"""Verdicts of a study: which ways of fine-tuning differ from which, over seeds and examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fairlora
from fairlora.errors import InputError
from fairlora.io import write_text
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.report.measures import ratio_of_rows
from fairlora.study.report.results import ArmResult, Axes, Results
from fairlora.study.runs.folder import dump_json
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.study import StudySpec

CACHE = "verdicts"


@dataclass(frozen=True)
class Comparison:
    """Two arms of one setting, and what `compare_over_seeds` says of them."""

    setting: str
    first: str
    second: str
    content: dict[str, Any]


def compare_study(
    study: StudySpec,
    results: Results,
    folder: Path,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[Comparison]:
    """Every comparison that the study asks for; each is computed once and kept in `folder`.

    Parameters
    ----------
    study : says which pairs are compared, with what bootstrap and margins.
    results : its arms with their finished runs.
    folder : the report's; the verdicts are kept in a folder of it.
    tell : gets (done, total).

    Raises `InputError` for a pair that names no method.
    """
    wanted = [
        (name, a, b)
        for name, members in results.settings()
        for a, b in pairs_of(study, members, results.axes)
    ]
    axes, loaded, found = results.axes, _Loaded(), []
    for number, (name, a, b) in enumerate(wanted):
        tell(number, len(wanted))
        names = tuple(axes.name_within(x.arm) for x in (a, b))
        content = _cached(study, a, b, (names[0], names[1]), folder / CACHE, loaded)
        found.append(Comparison(name, names[0], names[1], content))
    tell(len(wanted), len(wanted))
    return found


def pairs_of(
    study: StudySpec, members: Sequence[ArmResult], axes: Axes
) -> list[tuple[ArmResult, ArmResult]]:
    """The pairs to compare among arms of one setting.

    Those that the study names (by method; of a sweep every arm of that method, at the same rank and
    strength where both have them); or every adapter against full fine-tuning with the same
    objective, and every objective against plain training with the same adapter.

    Parameters
    ----------
    study : may name the pairs.
    members : the arms of the setting.
    axes : the study's.

    Raises
    ------
    InputError : a pair names a method that no arm of the setting has.
    """
    if study.compare.pairs is not None:
        return _named_pairs(study, members)
    return [
        (one, other)
        for one in members
        for other in members
        if asks_something(one.arm.spec, _alike_in_strength(one.arm, other.arm))
    ]


def asks_something(first: RunSpec, second: RunSpec) -> bool:
    """Whether two ways are compared unless a study says which: an adapter against full fine-tuning
    with the same objective, or an objective against plain training with the same adapter."""
    one, other = first.objective, second.objective
    if second.adapter.kind == "full" != first.adapter.kind:
        return one == other
    return one.fair and not other.fair and first.adapter == second.adapter


def _alike_in_strength(first: Arm, second: Arm) -> RunSpec:
    """The second's run, with the first's strength where a search chose both."""
    spec = second.spec
    if first.strength is not None or second.strength is not None or not spec.objective.fair:
        return spec
    strength = {"strength": first.spec.objective.strength}
    return spec.model_copy(update={"objective": spec.objective.model_copy(update=strength)})


def comparison_settings(spec: RunSpec, bootstrap: int) -> Settings:
    """How runs are compared: as their audits were made."""
    return Settings(**spec.audit.model_dump(exclude={"suggests"}), bootstrap=bootstrap)


def _named_pairs(
    study: StudySpec, members: Sequence[ArmResult]
) -> list[tuple[ArmResult, ArmResult]]:
    known = sorted({m.arm.method for m in members})
    pairs = []
    for first, second in study.compare.pairs or ():
        for name in (first, second):
            if name not in known:
                raise InputError(
                    "no such method",
                    where="compare.pairs",
                    found=repr(name),
                    expected="one of " + ", ".join(known),
                )
        for a in (m for m in members if m.arm.method == first):
            for b in (m for m in members if m.arm.method == second):
                if _alike(a.arm.rank, b.arm.rank) and _alike(a.arm.strength, b.arm.strength):
                    pairs.append((a, b))
    return pairs


def _alike(first: float | None, second: float | None) -> bool:
    """Whether two coordinates go together: equal, or one of them has no value to speak of."""
    return first == second or not first or not second


class _Loaded:
    """Test predictions by cell, read once."""

    def __init__(self) -> None:
        self._tables: dict[Path, Predictions] = {}

    def of(self, one: ArmResult) -> dict[int, Predictions]:
        tables = {}
        for run in one.runs:
            path = run.folder.predictions
            if path not in self._tables:
                self._tables[path] = read_predictions(path).select("test")
            tables[run.spec.seed] = self._tables[path]
        return tables


def _cached(
    study: StudySpec,
    first: ArmResult,
    second: ArmResult,
    names: tuple[str, str],
    folder: Path,
    loaded: _Loaded,
) -> dict[str, Any]:
    settings = comparison_settings(first.arm.spec, study.compare.bootstrap)
    ratio = ratio_of_rows(first.runs[0])
    key = hashlib.blake2b(
        json.dumps(
            [
                fairlora.__version__,
                [[run.folder.status() for run in one.runs] for one in (first, second)],
                settings.shown(),
                study.margins,
                names,
                ratio,
            ],
            sort_keys=True,
        ).encode(),
        digest_size=12,
    ).hexdigest()
    path = folder / f"{key}.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
    except (OSError, ValueError):
        pass
    content = compare_over_seeds(
        loaded.of(first),
        loaded.of(second),
        settings,
        margins=study.margins,
        names=names,
        ratio=ratio,
    )
    write_text(path, dump_json(content))
    return content
