"""The audit's figures as plain dicts: groups with intervals, forests of gaps, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fairlora.metrics.content import (
    AuditContent,
    Bin,
    CalibrationError,
    Disparity,
    DisparityNumbers,
    GroupNumbers,
    GroupRows,
    Number,
    ScoreGroup,
)
from fairlora.metrics.findings import beyond_chance, lowest_groups
from fairlora.metrics.labels import DISPARITY, GAPS

Rows = TypeVar("Rows", bound=GroupRows)
# More groups than this would make a picture that nobody reads: the lowest are shown.
_MOST_ROWS = 40


def compared(groups: Mapping[str, Rows]) -> dict[str, Rows]:
    """The groups but for the rows without a group value."""
    return {group: numbers for group, numbers in groups.items() if not numbers.missing}


def accuracy_dots(
    attribute: str, groups: Mapping[str, GroupNumbers], percent: str
) -> dict[str, Any]:
    """Accuracy of each group.

    Parameters
    ----------
    attribute : its name.
    groups : name -> numbers, as the audit's "by_group" has them; of many the lowest are drawn.
    percent : the level of the intervals as text, "95 %".
    """
    shown, more = lowest(groups, "accuracy")
    numbers = {group: (one.n, one.accuracy) for group, one in shown.items()}
    return group_dots("Accuracy", attribute, numbers, percent, more)


def score_dots(attribute: str, groups: Mapping[str, ScoreGroup], percent: str) -> dict[str, Any]:
    """Mean score of each group.

    Parameters
    ----------
    attribute : its name.
    groups : name -> numbers, as the audit's "by_group" has them; of many the lowest are drawn.
    percent : the level of the intervals as text, "95 %".
    """
    shown, more = lowest(groups, "score")
    numbers = {group: (one.n, one.score) for group, one in shown.items()}
    return group_dots("Mean score", attribute, numbers, percent, more, unit="number")


def group_dots(
    what: str,
    attribute: str,
    numbers: Mapping[str, tuple[int, Number]],
    percent: str,
    more: str = "",
    unit: str = "share",
) -> dict[str, Any]:
    """A number of each group.

    Parameters
    ----------
    what : the number's name.
    attribute : the groups'.
    numbers : group -> its rows, and the number.
    percent : the level of the intervals as text, "95 %".
    more : what is said of groups that are left out.
    unit : "share" or "number".
    """
    rows = [
        {"label": group, "n": n, "points": [point(what.lower(), number)]}
        for group, (n, number) in numbers.items()
    ]
    return {
        "title": f"{what} by {attribute}",
        "caption": f"With {percent} intervals; n is the number of rows of the group." + more,
        "unit": unit,
        "panels": [{"name": attribute, "rows": rows}],
    }


def difference_dots(
    attribute: str, groups: Mapping[str, GroupNumbers], percent: str
) -> dict[str, Any]:
    """Accuracy of each group minus that of everyone outside it.

    Parameters
    ----------
    attribute : its name.
    groups : name -> numbers, as the audit's "by_group" has them; of many the lowest are drawn.
    percent : the level of the intervals as text, "95 %".
    """
    shown, more = lowest(compared(groups), "accuracy_difference")
    rows = []
    for group, numbers in shown.items():
        number = numbers.accuracy_difference
        drawn = point("difference", number)
        low, high = number.low, number.high
        drawn["strong"] = low is not None and high is not None and not low <= 0 <= high
        rows.append({"label": group, "n": numbers.n, "points": [drawn]})
    return {
        "title": f"Accuracy by {attribute}, against everyone outside the group",
        "caption": f"Differences with {percent} intervals, one by one." + more,
        "unit": "share",
        "reference": 0.0,
        "panels": [{"name": attribute, "rows": rows}],
    }


def disparity_dots(disparities: Mapping[str, DisparityNumbers], percent: str) -> dict[str, Any]:
    """The forest of gaps of every attribute, beside what chance would give."""
    panels = []
    for attribute, one in disparities.items():
        rows, numbers = [], one.numbers()
        for name in GAPS:
            number = numbers.get(name)
            if number is None or number.value is None:
                continue
            found = point("found", number)
            found["strong"] = beyond_chance(name, number)
            points = [found]
            if isinstance(number, Disparity) and number.expected_by_chance is not None:
                points.append({"series": "expected by chance", "value": number.expected_by_chance})
            rows.append({"label": DISPARITY[name], "points": points})
        if rows:
            panels.append({"name": attribute, "rows": rows})
    return {
        "title": "Disparities",
        "caption": f"Gaps with {percent} intervals beside what they would be without disparity.",
        "unit": "share",
        "reference": 0.0,
        "panels": panels,
    }


def reliability_charts(content: AuditContent) -> list[dict[str, Any]]:
    """Confidence histogram above reliability diagram, overall beside each worst group."""
    diagrams, settings = content.reliability, content.settings
    if diagrams is None:
        return []
    chosen = "the predicted class" if settings.confidence == "top" else f"class {content.positive}"
    overall = _panel("all", content.n, diagrams.overall, content.overall.ece)
    charts = []
    for attribute, numbers in content.disparities.items():
        panels = [overall]
        worst = lowest_groups(numbers.accuracy_worst)
        bins = diagrams.by_group[attribute].get(worst[0]) if worst else None
        if bins is not None and len(compared(content.by_group[attribute])) > 1:
            group = content.by_group[attribute][worst[0]]
            tied = "" if len(worst) == 1 else f", as of {len(worst) - 1} more"
            name = f"{worst[0]}: lowest accuracy{tied}"
            panels.append(_panel(name, group.n, bins, group.ece))
        charts.append(
            {
                "title": f"Calibration, overall and worst by {attribute}",
                "caption": "Above: where the confidences lie. Below: how often they come true; on "
                "the diagonal, as often as stated.",
                "confidence": f"Confidence in {chosen}",
                "level": settings.level,
                "panels": panels,
            }
        )
    return charts


def _panel(name: str, n: int, bins: Sequence[Bin], ece: CalibrationError) -> dict[str, Any]:
    panel: dict[str, Any] = {"name": name, "n": n, "bins": [one.to_dict() for one in bins]}
    if ece.value is not None:
        panel["summary"] = f"ECE {100 * ece.value:.1f}%"
        expected = ece.expected_if_calibrated
        if expected is not None:
            panel["summary"] += f" ({100 * expected:.1f}% by noise if the confidences were true)"
    return panel


def point(series: str, number: Number) -> dict[str, Any]:
    """A number with its interval as a point of a dot plot."""
    ends = {"value": number.value, "low": number.low, "high": number.high}
    return {"series": series, **ends, "marks": []}


def lowest(
    groups: Mapping[str, Rows], name: str, most: int = _MOST_ROWS
) -> tuple[dict[str, Rows], str]:
    """The groups to draw, and a word on those left out.

    Parameters
    ----------
    groups : name -> numbers.
    name : of the metric by which the lowest are chosen.
    most : groups that are drawn.
    """
    if len(groups) <= most:
        return dict(groups), ""

    def value(group: str) -> float:
        found = groups[group].numbers()[name].value
        return float("inf") if found is None or groups[group].small else found

    chosen = set(sorted(groups, key=value)[:most])
    more = f" The {most} lowest of {len(groups)} groups."
    return {group: numbers for group, numbers in groups.items() if group in chosen}, more
