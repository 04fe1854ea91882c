"""An audit of decisions as a page: rates by group, impact ratios with verdicts, gaps by chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.charts import group_dots
from fairlora.metrics.content import Disparity, Number, SelectedGroup
from fairlora.metrics.labels import (
    EFFECTIVE,
    left_out_fact,
    rows_words,
    weight_fact,
    weight_words,
)
from fairlora.metrics.opening import Told, opening, topic_of, with_first
from fairlora.metrics.selection.content import BoundedRatio, DecidedGroup, SelectionContent
from fairlora.metrics.selection.standards import STANDARDS
from fairlora.metrics.tables import gap_table, with_interval
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, in_topic

Groups = Mapping[str, SelectedGroup] | Mapping[str, DecidedGroup]
FOUR_FIFTHS_WORDS = {
    "below": "below 0.8",
    "not below": "at least 0.8",
    "not shown": "cannot tell",
    "undefined": "",
}
_FIFTHS = {
    "below": "this is below four fifths, and the data show it",
    "not below": "the data show that this is not below four fifths",
    "not shown": "whether this is below four fifths the data cannot tell",
    "undefined": "the ratio is not defined",
}
EQUAL_WORDS = {
    "below": "below 1",
    "not below": "the highest",
    "not shown": "cannot tell",
    "undefined": "",
}
_DISPARITY = {"dpd": "Demographic parity difference", "dp_ratio": "Demographic parity ratio"}
# More groups than this would make a picture that nobody reads.
_MOST_ROWS = 40


def selection_page(content: SelectionContent, title: str) -> Page:
    """Tables and dots of an audit of decisions, from its content."""
    level = f"{100 * content.settings.level:g} %"
    standard = STANDARDS.get(content.standard or "")
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *weight_fact(content.settings.weight, content.effective),
        *left_out_fact(content.left_out),
        {"name": "Selected", "value": f"{content.selected:,} ({content.positive})"},
        {"name": "Selection rate", "value": _rate_text(content.overall.selection_rate)},
        *([{"name": "Standard", "value": standard.source}] if standard else []),
    ]
    tables: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    clusters = content.settings.clusters
    for attribute, groups in content.by_group.items():
        topic = topic_of(attribute)
        tables += in_topic(
            topic,
            _groups_table(attribute, groups, level, standard is not None),
            gap_table(
                f"Gaps by {attribute}",
                f"Differences in percentage points; {level} intervals, which take account of the "
                "many pairs of groups.",
                _DISPARITY,
                content.disparities[attribute].numbers(),
                _gap_text,
                _ends,
            ),
        )
        dots += in_topic(topic, _dots(attribute, groups, level))
    first = _first_screen(content, dots)
    page: dict[str, Any] = {
        "title": title,
        **first,
        "facts": facts,
        "tables": with_first(first, tables),
        "dots": dots,
        "notes": [
            _UNLABELLED,
            "An impact ratio is a group's selection rate over the highest group's. Its interval "
            "knows that the highest is estimated too, and its upper ends hold for all groups at "
            'once. "Cannot tell" means that the interval holds the limit.',
            *([rows_words(clusters)] if clusters else []),
            *weight_words(content.settings.weight),
            *content.warnings,
        ],
    }
    sentence = lead(content)
    if sentence:
        page["lead"] = sentence
    return check_page(page)


_UNLABELLED = (
    "There are no labels: whether those selected are the right ones, and whom errors hit, cannot "
    "be said. Name the column of labels for that (--label)."
)


def _first_screen(content: SelectionContent, dots: list[dict[str, Any]]) -> dict[str, Any]:
    """The lowest impact ratio of every attribute, and whether it is shown to be below 1."""
    told, ratios = [], []
    for attribute, groups in content.by_group.items():
        found = {
            group: one
            for group, one in groups.items()
            if one.impact_ratio.value is not None and one.impact_ratio.value < 1
        }
        ratios += [one.impact_ratio for one in found.values()]
        if not found:
            continue
        group = min(found, key=lambda g: (found[g].impact_ratio.value or 0.0, g))
        ratio = found[group].impact_ratio
        highest = groups[ratio.highest or ""]
        text = (
            f"{attribute} {group} are selected least: {_rate(found[group])}, against "
            f"{_rate(highest)} for {ratio.highest}."
        )
        fifths = FOUR_FIFTHS_WORDS[ratio.four_fifths]
        known = ratio.low is not None and ratio.high is not None
        told.append(
            Told(
                text,
                f"impact ratio {ratio_text(ratio)} ({fifths}); below 1:",
                ratio.equal == "below",
                (1 - (ratio.high if ratio.high is not None else 1.0), 1 - (ratio.value or 0.0)),
                topic_of(attribute),
                None if known else ratio.reason or "no interval",
            )
        )
    open_ones = sum(ratio.four_fifths == "not shown" for ratio in ratios)
    limits = [_UNLABELLED]
    if open_ones:
        limits.insert(
            0,
            f"Whether {open_ones} of {len(ratios)} impact ratios under 1 "
            f"{'is' if open_ones == 1 else 'are'} below 0.8, these rows cannot tell.",
        )
    return opening(
        "Who is selected less often, by how much, and is that more than chance?",
        told,
        dots,
        "Selection rate of each group",
        [*limits, *content.warnings],
    )


def _rate(group: DecidedGroup) -> str:
    return f"{_percent(group.selection_rate.value)} %"


def lead(content: SelectionContent) -> str:
    """The lowest impact ratio, what the data tell of it, and how many others are below 0.8."""
    below_one = [
        (attribute, group, numbers)
        for attribute, groups in content.by_group.items()
        for group, numbers in groups.items()
        if numbers.impact_ratio.value is not None and numbers.impact_ratio.value < 1
    ]
    if not below_one:
        return ""

    def order(entry: tuple[str, str, DecidedGroup]) -> tuple[bool, float]:
        ratio = entry[2].impact_ratio
        return ratio.four_fifths != "below", ratio.value or 0.0

    attribute, group, numbers = min(below_one, key=order)
    ratio = numbers.impact_ratio
    highest = content.by_group[attribute][ratio.highest or ""]
    sentence = (
        f"{attribute}: {group} are selected at {_percent(numbers.selection_rate.value)} %, "
        f"{ratio.highest} at {_percent(highest.selection_rate.value)} %: an impact ratio "
        f"of {ratio_text(ratio)}; {_FIFTHS[ratio.four_fifths]}."
    )
    below = sum(n.impact_ratio.four_fifths == "below" for _, _, n in below_one)
    unlike = sum(n.impact_ratio.equal == "below" for _, _, n in below_one)
    return sentence + (
        f" Of {len(below_one)} ratios under 1, {below} {'is' if below == 1 else 'are'} shown to be "
        f"below 0.8 and {unlike} below 1."
    )


def ratio_text(number: Number) -> str:
    """A ratio with its interval, three digits."""
    return with_interval(number, "{:.3f}".format)


def _rate_text(number: Number) -> str:
    return with_interval(number, _percent, unit=" %", undefined="undefined")


def _ends(gap: Number) -> str:
    if gap.value is None or not isinstance(gap, Disparity):
        return gap.reason or ""
    return "all alike" if gap.smallest is None else f"{gap.smallest} against {gap.largest}"


def _gap_text(name: str, value: float) -> str:
    return _percent(value) if name == "dpd" else f"{value:.3f}"


def ratio_table(attribute: str, groups: Groups, level: str) -> dict[str, Any]:
    """Impact ratios of an audit with labels: the groups, their rates, ratios and verdicts.

    Parameters
    ----------
    attribute : its name.
    groups : name -> rates.
    level : of the intervals as text, "95 %".
    """
    return _groups_table(attribute, groups, level, False)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _groups_table(attribute: str, groups: Groups, level: str, by_standard: bool) -> dict[str, Any]:
    bounds = {
        group: numbers.impact_ratio.if_unknown_were_known
        for group, numbers in groups.items()
        if isinstance(numbers.impact_ratio, BoundedRatio)
    }
    bounded = any(ends is not None for ends in bounds.values())
    rows = []
    for group, numbers in groups.items():
        ratio = numbers.impact_ratio
        few = "small" if numbers.small and not numbers.missing else None
        why = " (under 2 %, not compared)" if few and by_standard else ""
        label = f"{group}, not compared" if numbers.missing else group + why
        below = ratio.four_fifths == "below"
        cells = [
            cell(label, few or ("worst" if below else None)),
            cell(f"{numbers.selected:,} / {numbers.n:,}"),
            *([] if numbers.effective is None else [cell(f"{numbers.effective:,.1f}")]),
            cell(_rate_text(numbers.selection_rate)),
            cell(ratio_text(ratio), "beyond" if ratio.equal == "below" else None),
            cell(FOUR_FIFTHS_WORDS[ratio.four_fifths]),
            cell(EQUAL_WORDS[ratio.equal]),
        ]
        if bounded:
            ends = bounds[group]
            cells.append(cell("" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"))
        rows.append({"header": True, "cells": cells})
    weighed = any(numbers.effective is not None for numbers in groups.values())
    names = ["Selection rate", "Impact ratio", "vs 0.8", "vs 1"]
    if bounded:
        names.append("Unknowns placed")
    return {
        "title": f"Selection by {attribute}",
        "caption": f"In brackets {level} intervals."
        + (
            " The last column: the smallest and largest ratio that any assignment of those of "
            "unknown group to groups allows."
            if bounded
            else ""
        ),
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "Selected / n", "align": "right"},
            *([EFFECTIVE] if weighed else []),
            *({"name": name, "align": "right"} for name in names),
        ],
        "rows": rows,
    }


def _dots(attribute: str, groups: Mapping[str, DecidedGroup], level: str) -> dict[str, Any]:
    shown = sorted(
        ((group, row) for group, row in groups.items() if not row.missing),
        key=lambda item: item[1].selection_rate.value or 0.0,
    )
    more = f" The {_MOST_ROWS} lowest of {len(shown)} groups." if len(shown) > _MOST_ROWS else ""
    numbers = {group: (row.n, row.selection_rate) for group, row in shown[:_MOST_ROWS]}
    return group_dots("Selection rate", attribute, numbers, level, more)
