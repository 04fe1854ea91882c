"""A score's audit as the plain dict that the room `report` draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.charts import compared, score_dots
from fairlora.metrics.content import Number, Pair, ScoreContent, ScoreGroup
from fairlora.metrics.findings import beyond_chance
from fairlora.metrics.labels import (
    DISPARITY,
    EFFECTIVE,
    left_out_fact,
    rows_words,
    weight_fact,
    weight_words,
)
from fairlora.metrics.opening import Told, not_shown, opening, topic_of, with_first
from fairlora.metrics.tables import gap_table, with_interval
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, in_topic

# More pairs than this are for the JSON alone.
_MOST_PAIRS = 36


def score_page(content: ScoreContent, title: str) -> Page:
    """Means overall and by group, gaps beside what chance gives, and dots with intervals.

    `content` is that of a score's audit.
    """
    percent = f"{100 * content.settings.level:g} %"
    kind = "shares of 1" if content.score == "rate" else "means"
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *weight_fact(content.settings.weight, content.effective),
        *left_out_fact(content.left_out),
        {"name": "Mean score", "value": _text(content.overall.score)},
    ]
    tables: list[dict[str, Any]] = []
    plots: dict[str, dict[str, Any]] = {}
    for attribute, groups in content.by_group.items():
        topic = topic_of(attribute)
        found = [
            _groups(attribute, groups, f"The scores' {kind}; in brackets {percent}"),
            gap_table(
                f"Gaps by {attribute}",
                f"In brackets {percent} intervals, which take account of the many pairs of groups.",
                DISPARITY,
                content.disparities[attribute].numbers(),
            ),
        ]
        pairs = content.pairwise[attribute]
        if 1 < len(pairs) <= _MOST_PAIRS:
            found.append(_pairs(attribute, pairs, percent))
        tables += in_topic(topic, *found)
        (plots[attribute],) = in_topic(topic, score_dots(attribute, groups, percent))
    first = _first_screen(content, plots)
    page: dict[str, Any] = {
        "title": title,
        **first,
        "facts": facts,
        "tables": with_first(first, tables),
        "dots": list(plots.values()),
        "notes": [
            'A gap between groups is a maximum: noise alone makes it larger than 0. "By chance" is '
            "its mean where the groups are alike. Its interval leaves out 0 only where two groups "
            "differ beyond noise. Whether more is better depends on the score.",
            rows_words(content.settings.clusters),
            *weight_words(content.settings.weight),
            *content.warnings,
        ],
    }
    sentence = score_lead(content)
    if sentence:
        page["lead"] = sentence
    return check_page(page)


def _first_screen(content: ScoreContent, plots: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The gap of every attribute, the means of its groups, and what was not shown."""
    told = []
    for attribute, disparities in content.disparities.items():
        gap, topic = disparities.score_gap, topic_of(attribute)
        if not gap.value or gap.smallest is None or gap.largest is None:
            if gap.value is not None:
                text = f"The mean score is the same for every group of {attribute}."
                told.append(Told(text, "", None, (0.0, 0.0), topic))
            continue
        low, high = (
            content.by_group[attribute][g].score.value for g in (gap.smallest, gap.largest)
        )
        text = (
            f"The mean score is lowest for {attribute} {gap.smallest}: {low:.4f}, against "
            f"{high:.4f} for {gap.largest}."
        )
        shown = beyond_chance("score_gap", gap)
        unknown = gap.reason or "no interval" if gap.low is None else None
        told.append(Told(text, _text(gap), shown, (gap.low or 0.0, gap.value), topic, unknown))
    gaps = [one.shown for one in told if one.shown is not None]
    return opening(
        "Whose scores are lower, by how much, and is that more than chance?",
        told,
        list(plots.values()),
        "Mean score of each group",
        [*not_shown(gaps), *content.warnings],
    )


def score_lead(content: ScoreContent) -> str:
    """Say the largest gap first, and whether chance explains it; empty without two groups."""
    gaps = [
        (beyond_chance("score_gap", gap), gap.low or 0.0, gap.value, attribute)
        for attribute, numbers in content.disparities.items()
        if (gap := numbers.score_gap).value is not None
    ]
    if not gaps:
        return ""
    shown, _, value, attribute = max(gaps)
    gap = content.disparities[attribute].score_gap
    if not value:
        return f"By {attribute}, the mean score is the same for every group."
    smallest, largest = gap.smallest or "", gap.largest
    lowest = content.by_group[attribute][smallest].score.value
    text = (
        f"By {attribute}, the mean score is lowest for {smallest} "
        f"({lowest:.4f}), {value:.4f} below {largest}"
    )
    if gap.low is not None:
        percent = f"{100 * content.settings.level:g} %"
        text += f" ({percent} interval {gap.low:.4f} to {gap.high:.4f})"
    expected = gap.expected_by_chance
    by_chance = "" if expected is None else f"; without any disparity it would be {expected:.4f}"
    does = "does not" if shown else "may"
    reach = "leaves out" if shown else "reaches"
    return f"{text}. Chance {does} explain it: the interval {reach} 0{by_chance}."


def _text(number: Number) -> str:
    return with_interval(number, "{:.4f}".format, undefined="undefined")


def _away(number: Number) -> bool:
    """Whether the interval leaves out 0."""
    return number.low is not None and number.high is not None and not number.low <= 0 <= number.high


def _groups(attribute: str, groups: Mapping[str, ScoreGroup], caption: str) -> dict[str, Any]:
    several = len(compared(groups)) > 1
    rows = []
    for group, numbers in groups.items():
        label = f"{group}, not compared" if numbers.missing else group
        off = numbers.score_difference
        cells = [
            cell(label, "small" if numbers.small else None),
            cell(f"{numbers.n:,}"),
            *([] if numbers.effective is None else [cell(f"{numbers.effective:,.1f}")]),
            cell(_text(numbers.score)),
        ]
        if several:
            cells.append(
                cell("" if off.value is None else _text(off), "beyond" if _away(off) else None)
            )
        rows.append({"header": True, "cells": cells})
    weighed = any(numbers.effective is not None for numbers in groups.values())
    names = ["Mean score", *(["Minus everyone outside"] if several else [])]
    return {
        "title": f"By {attribute}",
        "caption": f"{caption} intervals, one by one.",
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "n", "align": "right"},
            *([EFFECTIVE] if weighed else []),
            *({"name": name, "align": "right"} for name in names),
        ],
        "rows": rows,
    }


def _pairs(attribute: str, pairs: list[Pair], percent: str) -> dict[str, Any]:
    rows = []
    for pair in pairs:
        name = f"{pair.group} minus {pair.other}"
        cells = [cell(name), cell(_text(pair), "beyond" if _away(pair) else None)]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"Pairs of {attribute}",
        "caption": f"Differences of mean scores; the {percent} intervals hold for all together.",
        "columns": [
            {"name": "Pair", "align": "left"},
            {"name": "Difference", "align": "right"},
        ],
        "rows": rows,
    }
