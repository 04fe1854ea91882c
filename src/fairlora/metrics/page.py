"""An audit as the plain dict that the `report` room turns into a page, a table or a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.charts import (
    accuracy_dots,
    compared,
    difference_dots,
    disparity_dots,
    reliability_charts,
)
from fairlora.metrics.findings import beyond_chance, lead, lowest_groups, place_texts
from fairlora.metrics.labels import (
    DISPARITY,
    GROUP,
    NOT_PERCENT,
    OVERALL,
    calibration_words,
    left_out_fact,
    positive_fact,
    rows_words,
)
from fairlora.metrics.selection.page import ratio_table
from fairlora.report.page import Page, check_page

# The table of a search has so many rows at most; the rest is in the JSON.
_MOST_SUBGROUPS = 15


def audit_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables overall, by group and of disparities, dots with intervals, reliability diagrams.

    `content` is an audit as `AuditResult.to_dict` gives it and as ``metrics.json`` holds it.
    """
    settings = content.get("settings", {})
    percent = f"{100 * settings.get('level', 0.95):g} %"
    facts = [
        {"name": "Rows", "value": f"{content['n']:,}"},
        *left_out_fact(content),
        {"name": "Classes", "value": _few(content["classes"])},
        *positive_fact(content),
    ]
    tables = [
        _metrics(
            "Overall",
            f"In percent, losses and scores as they are; in brackets {percent} intervals."
            + calibration_words(content),
            OVERALL,
            content["overall"],
        )
    ]
    dots = []
    for attribute, groups in content["by_group"].items():
        disparity = content["disparities"][attribute]
        tables.append(_groups(attribute, groups, disparity))
        tables.append(_disparities(attribute, disparity, percent))
        dots.append(accuracy_dots(attribute, groups, percent))
        if len(compared(groups)) > 1:
            dots.append(difference_dots(attribute, groups, percent))
    forest = disparity_dots(content["disparities"], percent)
    if forest["panels"]:
        dots.append(forest)
    for attribute, rows in content.get("power", {}).items():
        tables.append(_power(attribute, rows, content))
    for attribute, groups in content.get("impact_ratios", {}).items():
        tables.append(ratio_table(attribute, groups, percent))
    if "subgroups" in content:
        tables.append(_subgroups(content["subgroups"], percent))
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
            rows_words(content),
            *content["warnings"],
        ],
    }
    sentence = lead(content)
    if sentence:
        page["lead"] = sentence
    charts = reliability_charts(content)
    if charts:
        page["reliability"] = charts
    return check_page(page)


def number_text(number: Mapping[str, Any], name: str, *, interval: bool = True) -> str:
    """A statistic as people read it: percent where it is a share, with its interval.

    Parameters
    ----------
    number : its value, low and high, as the audit has them.
    name : of the metric, which says whether it is a share.
    interval : whether to write the interval too, where there is one.
    """
    value = number["value"]
    if value is None:
        return "undefined"
    text = _scaled(value, name)
    if interval and number["low"] is not None:
        text += f" [{_scaled(number['low'], name)}, {_scaled(number['high'], name)}]"
    return text


def _scaled(value: float, name: str) -> str:
    scale, digits = (1.0, 4) if name in NOT_PERCENT else (100.0, 1)
    text = f"{scale * value:.{digits}f}"
    return text[1:] if text.startswith("-") and not float(text) else text


def _few(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _where(number: Mapping[str, Any]) -> str:
    """What names a statistic's place, or why it is undefined."""
    if number["value"] is None:
        return str(number.get("reason", ""))
    parts = place_texts(number)
    if "no_chance_value" in number:
        parts.append(f"by chance: {number['no_chance_value']}")
    if number["low"] is None and "reason" in number:
        parts.append(f"no interval: {number['reason']}")
    return ", ".join(parts)


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _metrics(
    title: str, caption: str, names: Mapping[str, str], numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """A table of one row a metric: its name, its value, and where that was found."""
    rows = []
    for name, label in names.items():
        # A metric that nobody gave the columns for is left out of the table, not of the JSON.
        if name not in numbers or numbers[name]["value"] is None:
            continue
        where = _where(numbers[name])
        expected = numbers[name].get("expected_if_calibrated")
        if expected is not None:
            where = f"{_scaled(expected, name)} by noise if the confidences were true"
        cells = [_cell(label), _cell(number_text(numbers[name], name)), _cell(where)]
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


def _disparities(attribute: str, numbers: Mapping[str, Any], percent: str) -> dict[str, Any]:
    rows = []
    for name, label in DISPARITY.items():
        if name not in numbers:
            continue
        number = numbers[name]
        mark = "beyond" if beyond_chance(name, number) else None
        expected = number.get("expected_by_chance")
        cells = [
            _cell(label),
            _cell(number_text(number, name), mark),
            _cell("" if expected is None else _scaled(expected, name)),
            _cell(_where(number)),
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"Disparities by {attribute}",
        "caption": "In percentage points, ratios in percent, variances as they are; in brackets "
        f"{percent} intervals, which take account of the many pairs of groups.",
        "columns": [
            {"name": "Metric", "align": "left"},
            {"name": "Value", "align": "right"},
            {
                "name": "By chance",
                "align": "right",
                "help": "What to expect if there were no disparity: the groups' sizes alone.",
            },
            {"name": "Where", "align": "left"},
        ],
        "rows": rows,
    }


def _groups(
    attribute: str, groups: Mapping[str, Any], disparity: Mapping[str, Any]
) -> dict[str, Any]:
    shown = [
        name
        for name in GROUP
        if any(g.get(name, {"value": None})["value"] is not None for g in groups.values())
    ]
    worst = lowest_groups(disparity["accuracy_worst"]) if len(compared(groups)) > 1 else []
    rows = []
    for group, numbers in groups.items():
        mark = "small" if numbers["small"] else "worst" if group in worst else None
        label = f"{group}, not compared" if numbers.get("missing") else group
        cells = [_cell(label, mark), _cell(f"{numbers['n']:,}")]
        # One interval a row keeps the table readable; the rest are in the JSON.
        cells += [
            _cell(number_text(numbers[name], name, interval=name == "accuracy")) for name in shown
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


def _power(
    attribute: str, rows: list[dict[str, Any]], content: Mapping[str, Any]
) -> dict[str, Any]:
    def count(value: int | None) -> str:
        return "no number" if value is None else f"{value:,}"

    points = f"{100 * content['power_difference']:g} points"
    size = f"{100 * (1 - content['settings']['level']):g} %"
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
                    _cell(row["group"]),
                    _cell(f"{row['n']:,}"),
                    _cell("" if row["detectable"] is None else f"{100 * row['detectable']:.1f}"),
                    _cell(count(row["needed"])),
                    _cell(count(row["needed_each"])),
                ],
            }
            for row in rows
        ],
    }


def _subgroups(found: Mapping[str, Any], percent: str) -> dict[str, Any]:
    worst, name = found["worst"], GROUP[found["metric"]]
    caption = (
        f"Conjunctions of up to {found['depth']} attributes with at least {found['min_size']} rows "
        f"inside and outside: {found['tested']:,} tested, {found['too_small']:,} too small. "
        f"{name} against everyone outside, in percentage points, with {percent} intervals "
        "one by one; q: Benjamini-Hochberg over all tested."
    )
    if worst is not None:
        caption += (
            f" The search as a whole: its worst subgroup has p = {worst['p']:.3g} against "
            f"{found['draws']:,} searches of permuted rows, whose worst lies "
            f"{worst['expected_z']:.1f} standard errors off on average; this "
            f"one, {worst['name']}, {abs(worst['z']):.1f}."
        )
    rows = []
    for one in found["ranked"][:_MOST_SUBGROUPS]:
        mark = "beyond" if one["q"] < 0.05 else None
        ends = f"[{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
        rows.append(
            {
                "header": True,
                "cells": [
                    _cell(one["name"]),
                    _cell(f"{one['n']:,}"),
                    _cell(f"{100 * one['rate']:.1f}"),
                    _cell(f"{100 * one['difference']:.1f} {ends}", mark),
                    _cell(f"{one['z']:.1f}"),
                    _cell(f"{one['q']:.3g}"),
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
