"""The figures of a study, as plain charts for the report room: data first, drawing later.

Each figure is a function of the results of one setting (one data set, model and further axes); it
returns charts, or none where the study's axes have nothing to show. Adding a figure is one function
and one row of `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fairlora.metrics.charts import reliability_charts
from fairlora.metrics.content import AuditContent
from fairlora.metrics.groups.disparity import AGAINST_REST
from fairlora.study.report.dp import private_epsilon
from fairlora.study.report.measures import (
    Column,
    class_loss_variance,
    disparity_columns,
    group_column,
    interval_words,
    mean_of,
    overall_columns,
    seeds_words,
)
from fairlora.study.report.pareto import pareto_front
from fairlora.study.report.results import (
    ArmResult,
    Setting,
    attributes_of,
    by_series,
    over_common_seeds,
)
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.run import ObjectiveSpec

_PLAIN = ObjectiveSpec()
_MOST_SERIES = 8


Figure = Callable[[Setting], list[dict[str, Any]]]


_GROUP_MEASURES = (
    ("accuracy", "Accuracy", +1),
    ("f1", "F1", +1),
    ("dpd", "Demographic parity difference to the rest", -1),
    ("eod", "Equalized odds difference to the rest", -1),
)


def _by_group(*names: str, by_size: bool = False) -> Figure:
    """A figure of bars by group with 95 % intervals, a chart an attribute and measure.

    With `by_size` the smallest group comes first: do small groups fare worse?
    """

    def draw(setting: Setting) -> list[dict[str, Any]]:
        return [
            _group_bars(setting, attribute, *measure, by_size=by_size)
            for attribute in setting.attributes
            for measure in _GROUP_MEASURES
            if measure[0] in names
        ]

    return draw


def _group_bars(
    setting: Setting, attribute: str, name: str, title: str, better: int, *, by_size: bool
) -> dict[str, Any]:
    members = few_arms(setting)
    known = members[0].runs[0].audit["by_group"][attribute]
    if name in AGAINST_REST:
        known = {group: numbers for group, numbers in known.items() if not numbers["missing"]}
    labels = sorted(known, key=lambda g: known[g].get("n") or 0) if by_size else list(known)
    series = []
    for member in members:
        points = []
        for number, group in enumerate(labels):
            column = group_column(attribute, group, name, title, better)
            point = member.point(column)
            if len(member.runs) == 1:
                node = member.runs[0].audit["by_group"][attribute].get(group, {}).get(name) or {}
                point |= {"low": node.get("low"), "high": node.get("high")}
            points.append({"x": number, **point})
        series.append({"name": member.name, "points": points})
    order = ", smallest group first" if by_size else ""
    return {
        "title": setting.titled(f"{title} by {attribute}{order}"),
        "caption": f"{_interval_words(members)} n is the number of test rows.{_cut(setting)}",
        "kind": "bars",
        "x": {"label": attribute},
        "y": {"label": title, "unit": "share", "better": "higher" if better > 0 else "lower"},
        "categories": [{"label": g, "n": known[g].get("n")} for g in labels],
        "series": series,
    }


def metrics(setting: Setting) -> list[dict[str, Any]]:
    """All metrics on one axis: of each, the best method's mean is 1 and the worst method's 0."""
    members = few_arms(setting)
    if len(members) < 2:
        return []
    columns = [c for c in overall_columns() if c.better] + [class_loss_variance()]
    for attribute in setting.attributes:
        columns += [
            replace(c, name=f"{c.name}, {attribute}") if len(setting.attributes) > 1 else c
            for c in disparity_columns(attribute)
        ]
    series: list[dict[str, Any]] = [{"name": member.name, "points": []} for member in members]
    categories: list[dict[str, Any]] = []
    for column in columns:
        means = [mean_of(column.values(m.runs)) for m in over_common_seeds(members, [column])]
        known = [m * column.better for m in means if m is not None]
        if len(known) < 2 or max(known) == min(known):
            continue  # nothing to tell the methods apart by
        low, high = min(known), max(known)
        for line, mean in zip(series, means, strict=True):
            y = None if mean is None else (mean * column.better - low) / (high - low)
            line["points"].append({"x": len(categories), "y": y})
        categories.append({"label": column.name})
    if not categories:
        return []
    return [
        {
            "title": setting.titled("All metrics on one axis"),
            "caption": "Of each metric the best method's mean over seeds is 1 and the worst's 0, "
            "whatever the distance between them: this shows who is best at what, and not by how "
            f"much, nor whether it is more than chance.{_cut(setting)}",
            "kind": "bars",
            "x": {"label": "metric"},
            "y": {"label": "from worst to best", "better": "higher", "zero": False},
            "categories": categories,
            "series": series,
        }
    ]


def loss_variance(setting: Setting) -> list[dict[str, Any]]:
    """The variance of the classes' mean test losses, a bar a method."""
    members = few_arms(setting)
    column = class_loss_variance()
    points = [member.point(column) for member in members]
    if len(members) < 2 or all(p["y"] is None for p in points):
        return []
    return [
        {
            "title": setting.titled("Variance of the classes' losses"),
            "caption": f"On the test split: {column.help}. {_interval_words(members)}"
            f"{_cut(setting)}",
            "kind": "bars",
            "x": {"label": "method"},
            "y": {"label": column.name, "better": "lower"},
            "categories": [{"label": member.name} for member in members],
            "series": [
                {"name": "test split", "points": [{"x": k, **p} for k, p in enumerate(points)]}
            ],
        }
    ]


def ranks(setting: Setting) -> list[dict[str, Any]]:
    """Each measure against the rank, full fine-tuning as a line."""
    return _sweep(setting, "rank", lambda arm: arm.rank, "Rank", "(0 is the head alone)")


def strengths(setting: Setting) -> list[dict[str, Any]]:
    """Each measure against the objective's strength; 0 is plain training."""
    return _sweep(
        setting, "strength", lambda arm: arm.strength, "Strength", "(0 is plain training)"
    )


def epsilons(setting: Setting) -> list[dict[str, Any]]:
    """Each measure against the epsilon of differential privacy, and each group's accuracy."""
    charts = _sweep(setting, "epsilon", private_epsilon, "Epsilon", "(smaller is more private)")
    for name, members in by_series(
        setting.members, lambda arm: setting.axes.name_within(arm, without=("epsilon",))
    ):
        if all(private_epsilon(member.arm) is None for member in members):
            continue
        named = [replace(m, name=f"epsilon {m.arm.place['epsilon']}") for m in members]
        for attribute in setting.attributes:
            own = replace(setting, members=named)
            chart = _group_bars(own, attribute, *_GROUP_MEASURES[0], by_size=False)
            chart["title"] = setting.titled(f"Accuracy by {attribute} against epsilon: {name}")
            charts.append(chart)
    return charts


def _sweep(
    setting: Setting, key: str, value: Callable[[Arm], float | None], label: str, aside: str
) -> list[dict[str, Any]]:
    if key not in setting.axes.names:
        return []
    swept: list[tuple[str, list[ArmResult]]] = []
    still: list[ArmResult] = []
    # The head alone is rank 0 of every adapter, and plain training strength 0 of every objective.
    zeros = [m for m in setting.members if value(m.arm) == 0]
    for name, members in by_series(setting.members, lambda arm: _series_name(setting, arm, key)):
        own = [m for m in members if value(m.arm) is not None]
        joined = {value(z.arm): z for z in zeros if _may_join(z, members, key)}
        joined |= {value(m.arm): m for m in own}
        if len(joined) > 1 and any(value(m.arm) for m in own):
            swept.append((name, [m for _, m in sorted(joined.items(), key=lambda i: i[0] or 0)]))
            still += [m for m in members if value(m.arm) is None]
        else:
            still += [m for m in members if value(m.arm) != 0]
    charts = []
    for column in _shown(setting):
        series = []
        for name, members in swept:
            points = [{"x": float(value(m.arm) or 0), **m.point(column)} for m in members]
            series.append({"name": name, "points": points})
        if not series:
            return []
        references: dict[str, dict[str, Any]] = {}
        for member in still:
            point = member.point(column)
            if point["y"] is not None:
                ends = {end: point.get(end) for end in ("low", "high")}
                aside = f", {point['label']}" if "label" in point else ""
                line = {"name": f"{member.name}{aside}", "value": point["y"], **ends}
                references.setdefault(member.name, line)
        charts.append(
            {
                "title": setting.titled(f"{column.name} against {label.lower()}"),
                "caption": seeds_words(setting.runs),
                "kind": "lines",
                "x": {"label": f"{label} {aside}", "scale": "rank"},
                "y": _axis(column),
                "series": series,
                "references": list(references.values()),
            }
        )
    return charts


def _may_join(one: ArmResult, members: Sequence[ArmResult], key: str) -> bool:
    """Whether a zero belongs to a sweep: it has the same objective, or the same adapter."""
    first = members[0].arm
    same = first.spec.objective if key == "rank" else first.spec.adapter
    own = one.arm.spec.objective if key == "rank" else one.arm.spec.adapter
    return own == same and one.arm.epsilon == first.epsilon


def _series_name(setting: Setting, arm: Arm, key: str) -> str:
    if key == "strength":
        # Along the strengths a method has two names, plain and fair: the adapter's is the line's.
        words = [arm.spec.model_copy(update={"objective": _PLAIN}).method]
        if arm.strength is None:
            return setting.axes.name_within(arm)
        if "rank" in setting.axes.own.get(arm.method, ()) and arm.rank:
            words.append(f"rank {arm.rank}")
        if private_epsilon(arm) is not None:
            words.append(f"epsilon {arm.epsilon:g}")
        return ", ".join(words)
    return setting.axes.name_within(arm, without=(key,))


def pareto(setting: Setting) -> list[dict[str, Any]]:
    """Accuracy against each disparity, an arm a point, with the front that they attain."""
    accuracy = overall_columns()[0]
    if len(setting.members) < 2:
        return []
    charts = []
    for attribute in setting.attributes:
        for column in disparity_columns(attribute):
            if column.key not in ("accuracy_gap", "eod", "accuracy_worst"):
                continue
            placed = []
            for member in over_common_seeds(setting.members, [column, accuracy]):
                x, y = member.point(column), member.point(accuracy)
                if x["y"] is not None and y["y"] is not None:
                    placed.append((member, x, y))
            if len(placed) < 2:
                continue
            values = [[x["y"], y["y"]] for _, x, y in placed]
            front = pareto_front(values, (column.better, +1))
            series: list[dict[str, Any]] = []
            for name, members in by_series([m for m, _, _ in placed], lambda arm: arm.method):
                points = []
                for member, x, y in placed:
                    if member in members:
                        words = setting.axes.name_within(member.arm, without=("method",))
                        points.append(_both(x, y, words if words != name else ""))
                series.append({"name": name, "points": points})
            ends = [{"x": values[k][0], "y": values[k][1]} for k in front]
            ends.sort(key=lambda p: p["x"])
            series.append({"name": "Pareto front", "points": ends, "connected": "stairs"})
            charts.append(
                {
                    "title": setting.titled(f"Accuracy against {column.name}, {attribute}"),
                    "caption": f"Means over seeds with {interval_words(setting.runs)}, on the "
                    "test split. Which points are on the front is itself uncertain where "
                    "intervals overlap.",
                    "kind": "scatter",
                    "x": _axis(column, f"{column.name} by {attribute}"),
                    "y": _axis(accuracy),
                    "series": series,
                }
            )
    return charts


def _both(x: dict[str, Any], y: dict[str, Any], label: str) -> dict[str, Any]:
    point = {"x": x["y"], "y": y["y"]}
    label = ", ".join(word for word in (label, y.get("label")) if word)
    for key in ("low", "high"):
        if y.get(key) is not None:
            point[key] = y[key]
        if x.get(key) is not None:
            point[f"x_{key}"] = x[key]
    return {**point, "label": label} if label else point


def calibration(setting: Setting) -> list[dict[str, Any]]:
    """Confidence histogram above reliability diagram, overall and the worst group, a method each.

    Of the first seed: bins of several models do not add up to those of one.
    """
    charts = []
    for member in few_arms(setting, most=4):
        run = member.runs[0]
        for attribute, chart in zip(
            attributes_of([member]),
            reliability_charts(AuditContent.model_validate(run.audit)),
            strict=False,
        ):
            if attribute in setting.attributes:
                chart["title"] = setting.titled(f"{member.name}: {chart['title'].lower()}")
                chart["caption"] += f" Seed {run.spec.seed}."
                charts.append(chart)
    return charts


FIGURES: dict[str, Figure] = {
    "accuracy": _by_group("accuracy"),
    "groups": _by_group("accuracy", "f1", "dpd", "eod"),
    "metrics": metrics,
    "loss_variance": loss_variance,
    "ranks": ranks,
    "sizes": _by_group("accuracy", "eod", by_size=True),
    "strengths": strengths,
    "epsilons": epsilons,
    "pareto": pareto,
    "calibration": calibration,
}
# What a report shows unless its study says so: accuracy and sizes repeat groups.
USUAL = tuple(name for name in FIGURES if name not in ("accuracy", "sizes"))


def few_arms(setting: Setting, most: int = _MOST_SERIES) -> list[ArmResult]:
    """The arms of a figure with a series each: eight at most, for more cannot be told apart.

    One of each method first, then more of them: those of the middle rank and the weakest objective,
    so that what stands side by side differs in one thing.
    """
    members = list(setting.members)
    if len(members) <= most:
        return members
    ranks = sorted({m.arm.rank for m in members if m.arm.rank})
    strengths = sorted({m.arm.strength or 0.0 for m in members})

    def apart(one: ArmResult) -> tuple[int, int]:
        rank = ranks.index(one.arm.rank) if one.arm.rank else len(ranks) // 2
        return strengths.index(one.arm.strength or 0.0), abs(rank - len(ranks) // 2)

    firsts = [min(arms, key=apart) for _, arms in by_series(members, lambda arm: arm.method)]
    chosen = [*firsts, *sorted((m for m in members if m not in firsts), key=apart)][:most]
    return [m for m in members if m in chosen]


def _cut(setting: Setting) -> str:
    shown = len(few_arms(setting))
    if shown == len(setting.members):
        return ""
    return f" {shown} of {len(setting.members)} arms are shown; the tables hold all."


def _interval_words(members: Sequence[ArmResult]) -> str:
    if max(len(m.runs) for m in members) > 1:
        return seeds_words([run for one in members for run in one.runs])
    return "One seed; with the 95 % interval of its test rows where there is one."


def _shown(setting: Setting) -> list[Column]:
    """The measures that sweeps are drawn of."""
    chosen = [c for c in overall_columns() if c.key in ("accuracy", "f1_min", "ece")]
    chosen.append(class_loss_variance())
    for attribute in setting.attributes:
        for column in disparity_columns(attribute):
            if column.key in ("accuracy_worst", "accuracy_gap", "eod"):
                chosen.append(replace(column, name=f"{column.name} by {attribute}"))
    return [c for c in chosen if any(c.values(m.runs) for m in setting.members)]


def _axis(column: Column, label: str | None = None) -> dict[str, Any]:
    axis: dict[str, Any] = {"label": label or column.name}
    if column.kind == "percent":
        axis["unit"] = "share"
    if column.better:
        axis["better"] = "higher" if column.better > 0 else "lower"
    return axis
