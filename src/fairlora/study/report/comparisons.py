"""Verdicts between methods: which are compared, and what differs over seeds and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache as remember
from functools import partial
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.comparison.content import ComparisonContent
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.report.measures import ratio_of_rows, seeds_text
from fairlora.study.report.results import ArmResult, Setting
from fairlora.study.runs.cache import Cache, record_form
from fairlora.study.spec.expand import Arm, compared_arms, expand
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.study import StudySpec

VERDICTS = record_form(ComparisonContent)
# A pair of methods of one setting: the setting's name, the first, the second.
Pair = tuple[str, ArmResult, ArmResult]


def compare_pairs(
    pairs: Sequence[Pair],
    bootstrap: int,
    *,
    margins: Mapping[str, float] | None = None,
    cache: Cache | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[tuple[str, ComparisonContent]], list[str]]:
    """What `compare_over_seeds` says of each pair, with its setting; notes on those it refuses.

    Parameters
    ----------
    pairs : methods with their runs.
    bootstrap, margins : as of `compare_over_seeds`.
    cache : where verdicts are kept; None keeps none.
    tell : gets (done, total).
    """

    read, contents, notes = remember(_test_rows), [], []
    for number, (setting, first, second) in enumerate(pairs):
        tell(number, len(pairs))
        how: dict[str, Any] = {
            "settings": comparison_settings(first.runs[0].spec, bootstrap),
            "margins": margins,
            "names": (first.name, second.name + _seeds_aside(first, second)),
            "ratio": ratio_of_rows(first.runs[0]),
        }
        make = partial(_compare, read, first, second, how)
        runs = [
            [[run.spec.seed, run.content("predictions.parquet")] for run in method.runs]
            for method in (first, second)
        ]
        made_from = [runs, {**how, "settings": how["settings"].shown()}]
        try:
            content = make() if cache is None else cache.get(made_from, make, VERDICTS)
        except InputError as error:
            notes.append(f"{first.name} and {second.name} have no verdict: {error}")
            continue
        contents.append((setting, content))
    tell(len(pairs), len(pairs))
    return contents, notes


def _seeds_aside(first: ArmResult, second: ArmResult) -> str:
    """That a comparison rests on fewer seeds than planned, since one of the two lacks some."""
    common = {run.spec.seed for run in first.runs} & {run.spec.seed for run in second.runs}
    planned = max(max(one.planned, len(one.runs)) for one in (first, second))
    return f", {seeds_text(len(common), planned)} seeds" if len(common) < planned else ""


def _test_rows(path: Path) -> Predictions:
    return read_predictions(path).select("test")


def _compare(
    read: Callable[[Path], Predictions], first: ArmResult, second: ArmResult, how: dict[str, Any]
) -> ComparisonContent:
    tables = [
        {run.spec.seed: read(run.folder.predictions) for run in method.runs}
        for method in (first, second)
    ]
    return compare_over_seeds(tables[0], tables[1], **how)


def pairs_of(study: StudySpec, setting: Setting) -> list[Pair]:
    """The pairs to compare among arms of one setting.

    Those that the study names (by method; of a sweep every arm of that method, at the same rank and
    strength where both have them), where both have finished runs; or every adapter against full
    fine-tuning with the same objective, and every objective against plain training with the same
    adapter. What is shipped is compared with the same as it was trained.
    """
    asked = usual_pairs(setting) if study.compare.pairs is None else _named_pairs(study, setting)
    return [*asked, *shipped_pairs(setting)]


def usual_pairs(setting: Setting) -> list[Pair]:
    """The pairs that are compared unless a study says which: of one model, see `asks_something`."""
    return [
        (setting.name, first, second)
        for first in setting.members
        for second in setting.members
        if first.arm.deploy is second.arm.deploy is None
        and first.arm.spec.model == second.arm.spec.model
        and asks_something(first.arm.spec, _alike_in_strength(first.arm, second.arm))
    ]


def shipped_pairs(setting: Setting) -> list[Pair]:
    """Every method as it is shipped against the same as it was trained."""
    trained = {m.arm.spec.model_dump_json(): m for m in setting.members if m.arm.deploy is None}
    pairs = []
    for member in setting.members:
        key = member.arm.spec.trained.model_dump_json()
        if member.arm.deploy is not None and key in trained:
            pairs.append((setting.name, member, trained[key]))
    return pairs


def asks_something(first: RunSpec, second: RunSpec) -> bool:
    """Whether two ways are compared unless a study says which: an adapter against full fine-tuning
    with the same objective and epsilon, an objective against plain training with the same adapter,
    or training with differential privacy against training without."""
    one, other = first.objective, second.objective
    if (first.dp and first.dp.epsilon) != (second.dp and second.dp.epsilon):
        return second.dp is None and first.adapter == second.adapter and one == other
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


def _named_pairs(study: StudySpec, setting: Setting) -> list[Pair]:
    arms = expand(study)
    pairs = []
    for names in study.compare.pairs or ():
        alike = {(a.name, b.name) for a, b in compared_arms(arms, *names)}
        pairs += [
            (setting.name, a, b)
            for a in setting.members
            for b in setting.members
            if (a.arm.name, b.arm.name) in alike
        ]
    return pairs
