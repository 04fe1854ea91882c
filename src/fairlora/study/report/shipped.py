"""What shipping changed: size, logits, flips by group, and whether scarce groups lose more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlora.metrics.comparison.content import ComparisonContent, Verdict
from fairlora.metrics.comparison.first_screen import findings
from fairlora.metrics.comparison.verdicts import Difference
from fairlora.metrics.tables import without_minus_zero
from fairlora.predictions.pairing import paired_rows
from fairlora.report.tables import make_table
from fairlora.study.report.comparisons import shipped_pairs
from fairlora.study.report.flips import Flips, count_flips
from fairlora.study.report.measures import Run, mean_and_spread
from fairlora.study.report.results import ArmResult, Setting
from fairlora.study.report.scarce import (
    Change,
    scarce_findings,
    scarce_table,
    scarcest_change,
    tested,
)

TOPIC = "Shipped"
QUESTION = "Does what is shipped answer otherwise than what was trained, and for whom?"
_ALL = ("", "")


@dataclass(frozen=True)
class Shipped:
    """One form of one method.

    Attributes
    ----------
    setting : its name.
    trained, shipped : the method as it was trained, and in the form.
    flips : of each seed that both have, by attribute and group.
    uneven : attribute -> the scarcest group's change of accuracy against the others'.
    rows : attribute -> group -> training rows, the mean over seeds.
    """

    setting: str
    trained: ArmResult
    shipped: ArmResult
    flips: tuple[dict[tuple[str, str], Flips], ...]
    uneven: dict[str, Difference]
    rows: dict[str, dict[str, float]]

    @property
    def form(self) -> str:
        return self.shipped.arm.deploy or ""


def find_shipped(settings: Sequence[Setting]) -> list[Shipped]:
    """What shipping changed, of every form with its trained runs at hand.

    Parameters
    ----------
    settings : of a study, with their named methods.
    """
    return [
        _found(setting, *pair[1:])
        for setting in settings
        for pair in shipped_pairs(setting)
        if {run.spec.seed for run in pair[1].runs} & {run.spec.seed for run in pair[2].runs}
    ]


def _found(setting: Setting, shipped: ArmResult, trained: ArmResult) -> Shipped:
    before = {run.spec.seed: run for run in trained.runs}
    seeds = {run.spec.seed: run for run in shipped.runs if run.spec.seed in before}
    first = {seed: tested(run) for seed, run in seeds.items()}
    second = {seed: tested(before[seed]) for seed in seeds}
    places = {seed: (run.folder.path, before[seed].folder.path) for seed, run in seeds.items()}
    flips = []
    for seed, table in first.items():
        after, was = paired_rows(table, second[seed], *places[seed])
        flips.append(count_flips(was, after))
    rows = {name: _training_rows(list(seeds.values()), name) for name in setting.attributes}
    uneven = {}
    for attribute, counts in rows.items():
        change = scarcest_change(shipped, trained, attribute, counts)
        if change is not None:
            uneven[attribute] = change
    return Shipped(setting.name, trained, shipped, tuple(flips), uneven, rows)


def _training_rows(runs: Sequence[Run], attribute: str) -> dict[str, float]:
    each = [run.metrics["shipped"]["train_rows"].get(attribute, {}) for run in runs]
    names = dict.fromkeys(name for counts in each for name in counts)
    return {name: float(np.mean([counts.get(name, 0) for counts in each])) for name in names}


def shipped_tables(found: Sequence[Shipped]) -> list[dict[str, Any]]:
    """The forms side by side, flips by group, and whether scarce groups lose more."""
    if not found:
        return []
    several = len({one.setting for one in found}) > 1
    attributes = dict.fromkeys(name for one in found for name in one.rows)
    tables = [_overview(found, several)]
    tables += [_flips(found, attribute, several) for attribute in attributes]
    contrasts = _uneven(found, several)
    return [*tables, *([contrasts] if contrasts["rows"] else [])]


def _head(one: Shipped, several: bool) -> list[str]:
    return [*([one.setting] if several else []), one.trained.name, one.form]


def _columns(several: bool) -> list[str]:
    return [*(["<Setting"] if several else []), "<Method", "<Shipped as"]


def _overview(found: Sequence[Shipped], several: bool) -> dict[str, Any]:
    rows = []
    for one in found:
        said = [run.metrics["shipped"] for run in one.shipped.runs]
        flips = [by[_ALL] for by in one.flips]
        moved = [part["proof"]["overall"]["mean"] for part in said]
        changes = [(f.gained - f.lost) / max(f.rows, 1) for f in flips]
        rows.append(
            [
                *_head(one, several),
                one.shipped.seeds,
                f"{np.mean([part['bytes'] for part in said]) / 1e6:,.1f} MB",
                f"{np.mean(moved):.2g}",
                mean_and_spread([f.share for f in flips], "percent"),
                mean_and_spread([f.lost / max(f.rows, 1) for f in flips], "percent"),
                mean_and_spread([f.gained / max(f.rows, 1) for f in flips], "percent"),
                mean_and_spread(changes, "percent"),
            ]
        )
    return make_table(
        "What shipping changed",
        "Test rows, mean over seeds ± standard deviation, in percent. Flips are rows whose "
        "predicted class is another than that of the run as it was trained; gaps, calibration and "
        "accuracy of every form stand in the tables of methods.",
        [
            *_columns(several),
            "Seeds",
            ("Size", "of the weights as they are stored"),
            ("Logits moved", "the mean over rows and classes, at most 256 rows"),
            "Flips",
            "Right to wrong",
            "Wrong to right",
            ("Accuracy", "its change, in points"),
        ],
        rows,
    )


def _flips(found: Sequence[Shipped], attribute: str, several: bool) -> dict[str, Any]:
    counts = {name: n for one in found for name, n in one.rows.get(attribute, {}).items()}
    names = sorted(counts, key=counts.__getitem__)
    rows = []
    for one in found:
        cells = []
        for name in names:
            each = [by[attribute, name] for by in one.flips if (attribute, name) in by]
            text = mean_and_spread([f.share for f in each if f.rows], "percent")
            lost = sum(f.lost for f in each) - sum(f.gained for f in each)
            net = 100 * lost / max(sum(f.rows for f in each), 1)
            cells.append(f"{text} ({without_minus_zero(f'{-net:+.1f}')})" if each else "")
        rows.append([*_head(one, several), *cells])
    return make_table(
        f"Predictions that flip, by {attribute}",
        "Percent of a group's test rows, mean over seeds ± standard deviation; in brackets what "
        "that did to its accuracy, in points. The group with the fewest training rows comes first.",
        [*_columns(several), *((name, f"{counts[name]:,.0f} training rows") for name in names)],
        rows,
    )


def _uneven(found: Sequence[Shipped], several: bool) -> dict[str, Any]:
    heads = [*(["Setting"] if several else []), "Method", "Shipped as"]
    rows = _changes(found, several)
    return scarce_table("Do scarce groups lose more?", "by what is shipped", heads, rows)


def _changes(found: Sequence[Shipped], several: bool) -> list[Change]:
    return [(_head(one, several), change) for one in found for change in one.uneven.values()]


def shipped_findings(
    found: Sequence[Shipped], verdicts: Sequence[tuple[str, ComparisonContent]]
) -> list[dict[str, Any]]:
    """Whether scarce groups lose more, and what differs from the models as they were trained.

    Parameters
    ----------
    found, verdicts : as of `shipped_charts`.
    """
    names = {(one.setting, one.shipped.name) for one in found}
    own = [content for setting, content in verdicts if (setting, content.first) in names]
    several = len({one.setting for one in found}) > 1
    return [*scarce_findings(_changes(found, several), "form"), *findings(own)]


def shipped_charts(
    found: Sequence[Shipped], verdicts: Sequence[tuple[str, ComparisonContent]]
) -> list[dict[str, Any]]:
    """Change of accuracy by group, a chart a method and attribute, a series a form.

    Parameters
    ----------
    found : of `find_shipped`.
    verdicts : (setting, comparison) of `shipped_pairs`, whose intervals are drawn.
    """
    contents = {(setting, content.first): content for setting, content in verdicts}
    charts = []
    methods = dict.fromkeys((one.setting, one.trained.name) for one in found)
    for setting, name in methods:
        forms = [o for o in found if (o.setting, o.trained.name) == (setting, name)]
        for attribute in forms[0].rows:
            chart = _chart(forms, attribute, contents)
            where = ", ".join(word for word in (setting, name) if word)
            if chart["series"]:
                chart["title"] = f"Change of accuracy by {attribute} ({where})"
                charts.append(chart)
    return charts


def _chart(
    forms: Sequence[Shipped], attribute: str, contents: Mapping[tuple[str, str], ComparisonContent]
) -> dict[str, Any]:
    counts = forms[0].rows[attribute]
    names = sorted(counts, key=counts.__getitem__)
    series = []
    for one in forms:
        content = contents.get((one.setting, one.shipped.name))
        groups = {} if content is None else content.by_group.get(attribute, {})
        points = [
            {"x": k, **_point(groups[name]["accuracy"])}
            for k, name in enumerate(names)
            if "accuracy" in groups.get(name, {})
        ]
        if points:
            series.append({"name": one.form, "points": points})
    return {
        "title": "",
        "caption": "Accuracy as it is shipped minus accuracy as it was trained, mean over seeds, "
        "with 95 % intervals over seeds and test rows, one by one. The group with the fewest "
        "training rows, of which n is the number, comes first.",
        "kind": "bars",
        "x": {"label": attribute},
        "y": {"label": "Change of accuracy", "unit": "share", "better": "higher"},
        "categories": [{"label": name, "n": round(counts[name])} for name in names],
        "series": series,
    }


def _point(verdict: Verdict) -> dict[str, Any]:
    seeds = [value for value in verdict.per_seed or () if value is not None]
    point: dict[str, Any] = {"y": verdict.value, "low": verdict.low, "high": verdict.high}
    return {**point, "marks": seeds} if len(seeds) > 1 else point
