"""An audit as the page that the `report` room turns into texts, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
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
    DisparityNumbers,
    GroupNumbers,
    Number,
    PowerRow,
    Subgroups,
)
from fairlora.metrics.curves.page import curve_charts, curve_tables
from fairlora.metrics.details import RISK, Rows
from fairlora.metrics.findings import lead, lowest_groups
from fairlora.metrics.first_screen import first_screen
from fairlora.metrics.labels import (
    DISPARITY,
    EFFECTIVE,
    GROUP,
    OVERALL,
    calibration_words,
    left_out_fact,
    positive_fact,
    rows_words,
    weight_fact,
    weight_words,
)
from fairlora.metrics.opening import topic_of
from fairlora.metrics.selection.page import ratio_table
from fairlora.metrics.tables import gap_table, metric_text, where, with_interval
from fairlora.metrics.terms import terms_of
from fairlora.report.page import Page, check_page
from fairlora.report.tables import asked, cell, in_topic, make_table

# The table of a search has so many rows at most; the rest is in the JSON.
_MOST_SUBGROUPS = 15
_ALL_ROWS = "All rows"


def audit_page(content: AuditContent, title: str, rows: Rows | None = None) -> Page:
    """Tables overall, by group and of disparities, dots with intervals, reliability diagrams.

    Parameters
    ----------
    content : what was found.
    title : of the page.
    rows : that it was found on, for confusion by group and rates at other thresholds.
    """
    percent = f"{100 * content.settings.level:g} %"
    settings, overall = content.settings, content.overall
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *weight_fact(settings.weight, content.effective),
        *left_out_fact(content.left_out),
        {"name": "Classes", "value": _few(content.classes)},
        *positive_fact(content.positive),
    ]
    whole = _metrics(
        "Overall",
        f"In percent, losses and scores as they are; in brackets {percent} intervals."
        + calibration_words(overall.ece, settings.confidence, settings.bins, content.positive),
        OVERALL,
        overall.numbers(),
    )
    tables, dots = in_topic(_ALL_ROWS, whole), []
    for attribute, groups in content.by_group.items():
        disparity = content.disparities[attribute]
        topic = topic_of(attribute)
        gaps = gap_table(
            f"Disparities by {attribute}",
            "In percentage points, ratios in percent, variances as they are; in brackets "
            f"{percent} intervals, which take account of the many pairs of groups.",
            DISPARITY,
            disparity.numbers(),
        )
        tables += in_topic(topic, _groups(attribute, groups, disparity), gaps)
        if rows is not None:
            tables += in_topic(topic, *rows.tables(attribute, content))
        dots += in_topic(topic, accuracy_dots(attribute, groups, percent))
        if len(compared(groups)) > 1:
            dots += in_topic(topic, difference_dots(attribute, groups, percent))
    forest = disparity_dots(content.disparities, percent)
    if forest["panels"]:
        dots += in_topic(_ALL_ROWS, forest)
    for attribute, needed in (content.power or {}).items():
        tables += in_topic(topic_of(attribute), asked(_power(attribute, needed, content)))
    for attribute, ratios in (content.impact_ratios or {}).items():
        ratio = asked(ratio_table(attribute, ratios, percent))
        tables += in_topic(topic_of(attribute), ratio)
    curves = curve_tables(content.curves, content.operating_points or [], percent)
    tables += in_topic("Curves and operating points", *map(asked, curves))
    if content.subgroups is not None:
        tables += in_topic("Subgroups", asked(_subgroups(content.subgroups, percent)))
    page: dict[str, Any] = {
        "title": title,
        **first_screen(content),
        "facts": facts,
        "tables": tables,
        "dots": dots,
        "terms": terms_of(tables),
        "notes": [
            "A gap between groups is a maximum: noise alone makes it larger than 0, the more so "
            'the smaller the groups. "By chance" is its mean without any disparity, for groups of '
            "these sizes. Its interval is of the gap itself, and leaves out 0 only where two "
            'groups differ beyond noise, so it may begin below the value "by chance". No evidence '
            "of unfairness is not evidence of fairness.",
            rows_words(settings.clusters),
            *weight_words(settings.weight),
            *content.warnings,
        ],
    }
    if rows is not None:
        page["thresholds"] = [
            part
            for attribute, one in rows.thresholds(content)
            for part in in_topic(topic_of(attribute), one)
        ]
        if rows.examples:
            page["notes"] = [RISK, *page["notes"]]
            page["limits"] = [RISK, *page["limits"]]
    sentence = lead(content)
    if sentence:
        page["lead"] = sentence
    diagrams = zip(content.disparities, reliability_charts(content), strict=False)
    if content.reliability is not None:
        page["reliability"] = [
            part for attribute, one in diagrams for part in in_topic(topic_of(attribute), one)
        ]
    charts = curve_charts(content.curves, percent)
    if charts:
        page["charts"] = in_topic("Curves and operating points", *charts)
    return check_page(page)


def _few(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


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
        place = where(number)
        if isinstance(number, CalibrationError) and number.expected_if_calibrated is not None:
            expected = metric_text(name, number.expected_if_calibrated)
            place = f"{expected} by noise if the confidences were true"
        cells = [cell(label), cell(with_interval(number, partial(metric_text, name))), cell(place)]
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
        cells = [cell(label, mark), cell(f"{one.n:,}")]
        if one.effective is not None:
            cells.append(cell(f"{one.effective:,.1f}"))
        # One interval a row keeps the table readable; the rest are in the JSON.
        cells += [
            cell(
                with_interval(
                    by_name[group][name],
                    partial(metric_text, name),
                    interval=name == "accuracy",
                    undefined="undefined",
                )
            )
            for name in shown
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"By {attribute}",
        "caption": "In percent; losses as they are.",
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "n", "align": "right"},
            *([EFFECTIVE] if any(one.effective is not None for one in groups.values()) else []),
            *({"name": GROUP[name], "align": "right"} for name in shown),
        ],
        "rows": rows,
    }


def _power(attribute: str, rows: Sequence[PowerRow], content: AuditContent) -> dict[str, Any]:
    def count(value: int | None) -> str:
        return "no number" if value is None else f"{value:,}"

    points = f"{100 * (content.power_difference or 0):g} points"
    size = f"{100 * (1 - content.settings.level):g} %"
    return make_table(
        f"Examples needed by {attribute}",
        f"To show a difference in accuracy of {points} to everyone outside the group, "
        f'with 80 % power at the {size} level. "No number": those outside are too few themselves.',
        [
            f"<{attribute}",
            "n",
            "Smallest difference it can show",
            f"n needed for {points}",
            "n needed in each of two groups",
        ],
        [
            [
                row.group,
                f"{row.n:,}",
                "" if row.detectable is None else f"{100 * row.detectable:.1f}",
                count(row.needed),
                count(row.needed_each),
            ]
            for row in rows
        ],
    )


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
    rows: list[list[str | dict[str, Any]]] = [
        [
            one.name,
            f"{one.n:,}",
            f"{100 * one.rate:.1f}",
            cell(
                f"{100 * one.difference:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]",
                "beyond" if one.q < 0.05 else None,
            ),
            f"{one.z:.1f}",
            f"{one.q:.3g}",
        ]
        for one in found.ranked[:_MOST_SUBGROUPS]
    ]
    names = ("<Subgroup", "n", name, "Difference", "z", "q")
    return make_table("Subgroups, most different first", caption, names, rows)
