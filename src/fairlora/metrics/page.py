"""An audit as the page that the `report` room turns into texts, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlora.metrics.charts import (
    accuracy_dots,
    compared,
    difference_dots,
    disparity_dots,
    reliability_charts,
)
from fairlora.metrics.content import (
    AuditContent,
    CalibrationError,
    Disparity,
    DisparityNumbers,
    GroupNumbers,
    Number,
    PowerRow,
    Subgroups,
)
from fairlora.metrics.curves.page import curve_charts, curve_tables
from fairlora.metrics.findings import beyond_chance, lead, lowest_groups, place_texts
from fairlora.metrics.labels import (
    DISPARITY,
    GROUP,
    NOT_PERCENT,
    OVERALL,
    calibration_words,
    gap_columns,
    left_out_fact,
    positive_fact,
    rows_words,
)
from fairlora.metrics.selection.page import ratio_table
from fairlora.report.page import Page, check_page

# The table of a search has so many rows at most; the rest is in the JSON.
_MOST_SUBGROUPS = 15
_SHARED: dict[str, Any] = dict.fromkeys(("n", "left_out", "positive", "settings"), True)


def audit_page(content: AuditContent, title: str) -> Page:
    """Tables overall, by group and of disparities, dots with intervals, reliability diagrams."""
    percent = f"{100 * content.settings.level:g} %"
    # What a comparison says in the same words.
    shared = content.model_dump(include={**_SHARED, "overall": {"ece"}}, exclude_unset=True)
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *left_out_fact(shared),
        {"name": "Classes", "value": _few(content.classes)},
        *positive_fact(shared),
    ]
    tables = [
        _metrics(
            "Overall",
            f"In percent, losses and scores as they are; in brackets {percent} intervals."
            + calibration_words(shared),
            OVERALL,
            content.overall.numbers(),
        )
    ]
    dots = []
    for attribute, groups in content.by_group.items():
        disparity = content.disparities[attribute]
        tables.append(_groups(attribute, groups, disparity))
        tables.append(_disparities(attribute, disparity.numbers(), percent))
        dots.append(accuracy_dots(attribute, groups, percent))
        if len(compared(groups)) > 1:
            dots.append(difference_dots(attribute, groups, percent))
    forest = disparity_dots(content.disparities, percent)
    if forest["panels"]:
        dots.append(forest)
    for attribute, rows in (content.power or {}).items():
        tables.append(_power(attribute, rows, content))
    for attribute, ratios in (content.impact_ratios or {}).items():
        tables.append(
            ratio_table(attribute, {group: one.to_dict() for group, one in ratios.items()}, percent)
        )
    points = content.operating_points or []
    tables += curve_tables(content.curves, points, percent, share_text, where_text)
    if content.subgroups is not None:
        tables.append(_subgroups(content.subgroups, percent))
    page: dict[str, Any] = {
        "title": title,
        "facts": facts,
        "tables": tables,
        "dots": dots,
        "notes": [
            "A gap between groups is a maximum: noise alone makes it larger than 0, the more so "
            'the smaller the groups. "By chance" is its mean without any disparity, for groups of '
            "these sizes. Its interval is of the gap itself, and leaves out 0 only where two "
            'groups differ beyond noise, so it may begin below the value "by chance". No evidence '
            "of unfairness is not evidence of fairness.",
            rows_words(shared),
            *content.warnings,
        ],
    }
    sentence = lead(content)
    if sentence:
        page["lead"] = sentence
    diagrams = reliability_charts(content)
    if diagrams:
        page["reliability"] = diagrams
    charts = curve_charts(content.curves, percent)
    if charts:
        page["charts"] = charts
    return check_page(page)


def number_text(number: Number, name: str, *, interval: bool = True) -> str:
    """A statistic as people read it: percent where it is a share, with its interval.

    Parameters
    ----------
    number : the statistic.
    name : of the metric, which says whether it is a share.
    interval : whether to write the interval too, where there is one.
    """
    if number.value is None:
        return "undefined"
    text = _scaled(number.value, name)
    if interval and number.low is not None and number.high is not None:
        text += f" [{_scaled(number.low, name)}, {_scaled(number.high, name)}]"
    return text


def share_text(number: Number) -> str:
    """A share in percent, with its interval."""
    return number_text(number, "share")


def _scaled(value: float, name: str) -> str:
    scale, digits = (1.0, 4) if name in NOT_PERCENT else (100.0, 1)
    text = f"{scale * value:.{digits}f}"
    return text[1:] if text.startswith("-") and not float(text) else text


def _few(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def where_text(number: Number) -> str:
    """What names a statistic's place, or why it is undefined."""
    if number.value is None:
        return number.reason or ""
    parts = place_texts(number)
    if isinstance(number, Disparity) and number.no_chance_value is not None:
        parts.append(f"by chance: {number.no_chance_value}")
    if number.low is None:
        parts.append(f"no interval: {number.reason}")
    return ", ".join(parts)


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _metrics(
    title: str, caption: str, names: Mapping[str, str], numbers: Mapping[str, Number]
) -> dict[str, Any]:
    """A table of one row a metric: its name, its value, and where that was found."""
    rows = []
    for name, label in names.items():
        # A metric that nobody gave the columns for is left out of the table, not of the JSON.
        number = numbers.get(name)
        if number is None or number.value is None:
            continue
        where = where_text(number)
        if isinstance(number, CalibrationError) and number.expected_if_calibrated is not None:
            expected = _scaled(number.expected_if_calibrated, name)
            where = f"{expected} by noise if the confidences were true"
        cells = [_cell(label), _cell(number_text(number, name)), _cell(where)]
        rows.append({"header": True, "cells": cells})
    return {
        "title": title,
        "caption": caption,
        "columns": [
            {"name": "Metric", "align": "left"},
            {"name": "Value", "align": "right"},
            {"name": "Where", "align": "left"},
        ],
        "rows": rows,
    }


def _disparities(attribute: str, numbers: Mapping[str, Number], percent: str) -> dict[str, Any]:
    rows = []
    for name, label in DISPARITY.items():
        if name not in numbers:
            continue
        number = numbers[name]
        mark = "beyond" if beyond_chance(name, number) else None
        expected = number.expected_by_chance if isinstance(number, Disparity) else None
        cells = [
            _cell(label),
            _cell(number_text(number, name), mark),
            _cell("" if expected is None else _scaled(expected, name)),
            _cell(where_text(number)),
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"Disparities by {attribute}",
        "caption": "In percentage points, ratios in percent, variances as they are; in brackets "
        f"{percent} intervals, which take account of the many pairs of groups.",
        "columns": gap_columns("Metric"),
        "rows": rows,
    }


def _groups(
    attribute: str, groups: Mapping[str, GroupNumbers], disparity: DisparityNumbers
) -> dict[str, Any]:
    by_name = {group: one.numbers() for group, one in groups.items()}
    known = {n for numbers in by_name.values() for n, v in numbers.items() if v.value is not None}
    shown = [name for name in GROUP if name in known]
    worst = lowest_groups(disparity.accuracy_worst) if len(compared(groups)) > 1 else []
    rows = []
    for group, one in groups.items():
        mark = "small" if one.small else "worst" if group in worst else None
        label = f"{group}, not compared" if one.missing else group
        cells = [_cell(label, mark), _cell(f"{one.n:,}")]
        # One interval a row keeps the table readable; the rest are in the JSON.
        cells += [
            _cell(number_text(by_name[group][name], name, interval=name == "accuracy"))
            for name in shown
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"By {attribute}",
        "caption": "In percent; losses as they are.",
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "n", "align": "right"},
            *({"name": GROUP[name], "align": "right"} for name in shown),
        ],
        "rows": rows,
    }


def _power(attribute: str, rows: Sequence[PowerRow], content: AuditContent) -> dict[str, Any]:
    def count(value: int | None) -> str:
        return "no number" if value is None else f"{value:,}"

    points = f"{100 * (content.power_difference or 0):g} points"
    size = f"{100 * (1 - content.settings.level):g} %"
    return {
        "title": f"Examples needed by {attribute}",
        "caption": f"To show a difference in accuracy of {points} to everyone outside the group, "
        f'with 80 % power at the {size} level. "No number": those outside are too few themselves.',
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "n", "align": "right"},
            {"name": "Smallest difference it can show", "align": "right"},
            {"name": f"n needed for {points}", "align": "right"},
            {"name": "n needed in each of two groups", "align": "right"},
        ],
        "rows": [
            {
                "header": True,
                "cells": [
                    _cell(row.group),
                    _cell(f"{row.n:,}"),
                    _cell("" if row.detectable is None else f"{100 * row.detectable:.1f}"),
                    _cell(count(row.needed)),
                    _cell(count(row.needed_each)),
                ],
            }
            for row in rows
        ],
    }


def _subgroups(found: Subgroups, percent: str) -> dict[str, Any]:
    worst, name = found.worst, GROUP[found.metric]
    caption = (
        f"Conjunctions of up to {found.depth} attributes with at least {found.min_size} rows "
        f"inside and outside: {found.tested:,} tested, {found.too_small:,} too small. "
        f"{name} against everyone outside, in percentage points, with {percent} intervals "
        "one by one; q: Benjamini-Hochberg over all tested."
    )
    if worst is not None:
        caption += (
            f" The search as a whole: its worst subgroup has p = {worst.p:.3g} against "
            f"{found.draws:,} searches of permuted rows, whose worst lies "
            f"{worst.expected_z:.1f} standard errors off on average; this "
            f"one, {worst.name}, {abs(worst.z):.1f}."
        )
    rows = []
    for one in found.ranked[:_MOST_SUBGROUPS]:
        mark = "beyond" if one.q < 0.05 else None
        ends = f"[{100 * one.low:.1f}, {100 * one.high:.1f}]"
        rows.append(
            {
                "header": True,
                "cells": [
                    _cell(one.name),
                    _cell(f"{one.n:,}"),
                    _cell(f"{100 * one.rate:.1f}"),
                    _cell(f"{100 * one.difference:.1f} {ends}", mark),
                    _cell(f"{one.z:.1f}"),
                    _cell(f"{one.q:.3g}"),
                ],
            }
        )
    names = ("Subgroup", "n", name, "Difference", "z", "q")
    return {
        "title": "Subgroups, most different first",
        "caption": caption,
        "columns": [
            {"name": name, "align": "right" if k else "left"} for k, name in enumerate(names)
        ],
        "rows": rows,
    }
