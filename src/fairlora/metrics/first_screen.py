"""The first screen of an audit's page: whom it fails, a picture of it, what cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import NormalDist
from typing import Any, NamedTuple

from fairlora.metrics.charts import compared, lowest, point
from fairlora.metrics.content import AuditContent, Disparity, GroupNumbers, Number, Rate
from fairlora.metrics.findings import beyond_chance, lowest_groups, named, search_finding
from fairlora.metrics.inference.power import detectable
from fairlora.metrics.labels import GAPS, GROUP
from fairlora.metrics.opening import MOST_FINDINGS, not_shown, topic_of, verdict_words
from fairlora.metrics.tables import metric_text, with_interval

QUESTION = "Whom does it fail, by how much, and is that more than chance?"
_RATES = {
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "selection_rate": "selection rate",
}
_OVERALL = {"tpr": "recall"}
# One picture shows so many groups at most of all attributes together.
_MOST_ROWS = 16


class _Of(NamedTuple):
    """What a finding is of: a metric of the groups of an attribute, of a class."""

    attribute: str
    metric: str
    class_name: str | None


class _Ranked(NamedTuple):
    finding: dict[str, Any]
    rank: tuple[bool, float, float]
    of: _Of | None


def first_screen(content: AuditContent) -> dict[str, Any]:
    """The question, the findings with the weightiest first, the picture and the limits of a page.

    Of every attribute its gap of accuracy is a finding, and the largest of its other gaps; so is
    the worst subgroup of a search.
    """
    found = sorted(_findings(content), key=lambda one: one.rank, reverse=True)
    page: dict[str, Any] = {"question": QUESTION, "limits": limits(content)}
    if found:
        page["findings"] = [one.finding for one in found[:MOST_FINDINGS]]
    picture = _picture(content, next((one.of for one in found if one.of), None))
    if picture is not None:
        page["picture"] = picture
    return page


def gap_words(number: Number) -> str:
    """A gap's size and its interval, in points.

    >>> gap_words(Disparity(value=0.2, low=0.15, high=0.25))
    '20.0 points [15.0, 25.0]'
    """
    return with_interval(number, partial(metric_text, ""), unit=" points")


def _findings(content: AuditContent) -> Iterator[_Ranked]:
    for attribute, disparities in content.disparities.items():
        numbers = disparities.numbers()
        gaps = {
            name: number
            for name in GAPS
            if isinstance(number := numbers.get(name), Disparity) and number.value is not None
        }
        others = [
            made
            for name, number in gaps.items()
            if name in ("dpd", "eod", "f1_gap", "auc_gap")
            and (made := _of_gap(content, attribute, name, number))
        ]
        if "accuracy_gap" in gaps:
            made = _of_gap(content, attribute, "accuracy_gap", gaps["accuracy_gap"])
            yield made or _alike(attribute)
        if others:
            yield max(others, key=lambda one: one.rank)
    searched = search_finding(content)
    if searched is not None:
        finding = {"text": searched.short, "size": searched.size, **verdict_words(searched.shown)}
        yield _Ranked(finding, searched.rank, None)


def _alike(attribute: str) -> _Ranked:
    text = f"Accuracy is the same for every group of {attribute}."
    return _Ranked({"text": text, "verdict": "no gap"}, (False, 0.0, 0.0), None)


def _of_gap(content: AuditContent, attribute: str, name: str, number: Disparity) -> _Ranked | None:
    """A gap in plain words; None where all groups are alike."""
    metric = number.rate or name.removesuffix("_gap")
    rate = number.rate is not None
    high, low = (number.largest, number.smallest) if rate else (number.best, number.worst)
    if high is None or low is None or not number.value:
        return None
    groups = content.by_group[attribute]
    ends = [_value(groups[group], metric, number.class_name).value for group in (high, low)]
    worst = [low, *((number.also_smallest if rate else number.also_worst) or [])]
    if metric == "accuracy":
        worst = lowest_groups(content.disparities[attribute].accuracy_worst) or worst
    top, bottom = (f"{metric_text('', end)}\u00a0%" for end in ends)
    of_class = f" (class {number.class_name})" if rate else ""
    if metric == "fpr":
        best = [high, *(number.also_largest or [])]
        text = (
            f"The {_RATES[metric]}{of_class} is highest for {attribute} {named(best)}: {top}, "
            f"against {bottom} for {low}."
        )
    else:
        what = f"The {_RATES[metric]}" if metric in _RATES else GROUP[metric]
        text = (
            f"{what}{of_class} is lowest for {attribute} {named(worst)}: {bottom}, "
            f"against {top} for {high}."
        )
    shown = beyond_chance(name, number)
    finding = {"text": text, "size": gap_words(number), "topic": topic_of(attribute)}
    if number.low is None:
        finding |= {"verdict": f"not known: {number.reason}"}
    else:
        finding |= verdict_words(shown)
    rank = (shown, number.low or 0.0, number.value)
    return _Ranked(finding, rank, _Of(attribute, metric, number.class_name))


def _value(group: GroupNumbers, metric: str, class_name: str | None) -> Number:
    number = group.numbers().get(metric) or Number.undefined("not measured")
    if class_name is not None and isinstance(number, Rate) and number.by_class:
        return number.by_class[class_name]
    return number


def _picture(content: AuditContent, of: _Of | None) -> dict[str, Any] | None:
    """Every group's number of the first finding's metric, beside that of all rows."""
    if of is None:
        if not content.by_group:
            return None
        of = _Of(next(iter(content.by_group)), "accuracy", None)
    attributes = [of.attribute, *(name for name in content.by_group if name != of.attribute)]
    panels: list[dict[str, Any]] = []
    drawn, more = 0, ""
    for attribute in attributes:
        groups = compared(content.by_group[attribute])
        if panels and drawn + len(groups) > _MOST_ROWS:
            more = " Further attributes stand below."
            continue
        shown, left = lowest(groups, "accuracy", 2 * _MOST_ROWS)
        drawn, more = drawn + len(shown), more + left
        rows = [
            {
                "label": group,
                "n": one.n,
                "points": [point("the group", _value(one, of.metric, of.class_name))],
            }
            for group, one in shown.items()
        ]
        panels.append({"name": attribute, "rows": rows})
    name = _RATES.get(of.metric, GROUP[of.metric])
    title = f"{name[0].upper()}{name[1:]} of each group, beside all rows"
    several = len(content.classes) > 2 and of.class_name is not None
    whole = content.overall.numbers().get(_OVERALL.get(of.metric, of.metric))
    percent = f"{100 * content.settings.level:g} %"
    picture: dict[str, Any] = {
        "title": title + (f", class {of.class_name}" if several else ""),
        "caption": f"With {percent} intervals, one by one; n is the number of rows.{more}",
        "unit": "share",
        "panels": panels,
    }
    if whole is not None and whole.value is not None and not several:
        picture |= {"reference": whole.value, "reference_name": "all rows"}
    return picture


def limits(content: AuditContent) -> list[str]:
    """What these rows cannot tell: gaps not shown, what may be missed, and the warnings."""
    gaps = [
        beyond_chance(name, number)
        for disparities in content.disparities.values()
        for name, number in disparities.numbers().items()
        if name in GAPS and number.value is not None
    ]
    out = not_shown(gaps)
    if len(gaps) > 1:
        out.append(
            f"Each of the {len(gaps)} gaps is judged by itself: where there is no disparity, up to "
            f"{100 * (1 - content.settings.level):.2g} % of them are marked all the same."
        )
    out += _could_miss(content)
    out.append("Whether the labels are right, and why groups differ, these rows do not say.")
    return [*out, *content.warnings]


def _could_miss(content: AuditContent) -> list[str]:
    """The largest difference of accuracy that could have been missed, and of which group."""
    z = NormalDist().inv_cdf(0.5 + content.settings.level / 2)
    found = []
    for attribute, groups in content.by_group.items():
        for group, one in groups.items():
            number = one.accuracy_difference
            if one.small or one.missing or number.low is None or number.high is None:
                continue
            error = (number.high - number.low) / (2 * z)
            size = detectable(error**2, content.settings.level)
            found.append((round(size, 3), -one.n, f"{attribute} {group}"))
    if not found:
        return []
    size, n, group = max(found)
    return [
        f"Of {group} ({-n:,} rows), a difference in accuracy to everyone else of less than about "
        f"{metric_text('', size)} points is missed more often than one time in five."
    ]
