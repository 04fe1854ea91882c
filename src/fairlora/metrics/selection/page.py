"""An audit of decisions as a page: rates by group, impact ratios with verdicts, gaps by chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.labels import (
    EFFECTIVE,
    gap_columns,
    left_out_fact,
    weight_fact,
    weight_words,
)
from fairlora.metrics.selection.standards import STANDARDS
from fairlora.report.page import Page, check_page

FOUR_FIFTHS_WORDS = {
    "below": "below 0.8",
    "not below": "at least 0.8",
    "not shown": "cannot tell",
    "undefined": "",
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


def selection_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables and dots of an audit of decisions, from its content.

    Parameters
    ----------
    content : as `SelectionResult.to_dict` gives it.
    title : of the page.
    """
    level = f"{100 * content['settings']['level']:g} %"
    standard = STANDARDS.get(content.get("standard") or "")
    facts = [
        {"name": "Rows", "value": f"{content['n']:,}"},
        *weight_fact(content),
        *left_out_fact(content),
        {"name": "Selected", "value": f"{content['selected']:,} ({content['positive']})"},
        {"name": "Selection rate", "value": rate_text(content["overall"]["selection_rate"])},
        *([{"name": "Standard", "value": standard.source}] if standard else []),
    ]
    tables, dots = [], []
    for attribute, groups in content["by_group"].items():
        tables.append(_groups_table(attribute, groups, level, standard is not None))
        tables.append(_disparities_table(attribute, content["disparities"][attribute], level))
        dots.append(_dots(attribute, groups, level))
    page: dict[str, Any] = {
        "title": title,
        "facts": facts,
        "tables": tables,
        "dots": dots,
        "notes": [
            "There are no labels: whether those selected are the right ones, and whom errors hit, "
            "cannot be said. Name the column of labels for that (--label).",
            "An impact ratio is a group's selection rate over the highest group's. Its interval "
            "knows that the highest is estimated too, and its upper ends hold for all groups at "
            'once. "Cannot tell" means that the interval holds the limit.',
            *(_clusters_note(content)),
            *weight_words(content),
            *content["warnings"],
        ],
    }
    sentence = lead(content)
    if sentence:
        page["lead"] = sentence
    return check_page(page)


def _clusters_note(content: Mapping[str, Any]) -> list[str]:
    if content["settings"].get("clusters"):
        return ["Rows of one cluster count as drawn together; intervals are of so drawn clusters."]
    return []


def lead(content: Mapping[str, Any]) -> str:
    """The lowest impact ratio, what the data tell of it, and how many others are below 0.8."""
    found = [
        (attribute, group, numbers)
        for attribute, groups in content["by_group"].items()
        for group, numbers in groups.items()
        if numbers["impact_ratio"]["value"] is not None and numbers["impact_ratio"]["value"] < 1
    ]
    if not found:
        return ""

    def order(entry: tuple[str, str, Mapping[str, Any]]) -> tuple[bool, float]:
        ratio = entry[2]["impact_ratio"]
        return ratio["four_fifths"] != "below", ratio["value"]

    attribute, group, numbers = min(found, key=order)
    ratio = numbers["impact_ratio"]
    highest = content["by_group"][attribute][ratio["highest"]]
    words = {
        "below": "this is below four fifths, and the data show it",
        "not below": "the data show that this is not below four fifths",
        "not shown": "whether this is below four fifths the data cannot tell",
    }[ratio["four_fifths"]]
    sentence = (
        f"{attribute}: {group} are selected at {_percent(numbers['selection_rate']['value'])} %, "
        f"{ratio['highest']} at {_percent(highest['selection_rate']['value'])} %: an impact ratio "
        f"of {ratio_text(ratio)}; {words}."
    )
    below = sum(n["impact_ratio"]["four_fifths"] == "below" for _, _, n in found)
    unlike = sum(n["impact_ratio"]["equal"] == "below" for _, _, n in found)
    return sentence + (
        f" Of {len(found)} ratios under 1, {below} {'is' if below == 1 else 'are'} shown to be "
        f"below 0.8 and {unlike} below 1."
    )


def rate_text(number: Mapping[str, Any], unit: str = " %") -> str:
    """A rate in percent, or a difference in points, with its interval."""
    if number["value"] is None:
        return "undefined"
    text = f"{_percent(number['value'])}{unit}"
    if number["low"] is not None:
        text += f" [{_percent(number['low'])}, {_percent(number['high'])}]"
    return text


def ratio_text(number: Mapping[str, Any]) -> str:
    """A ratio with its interval, three digits."""
    if number["value"] is None:
        return ""
    text = f"{number['value']:.3f}"
    if number["low"] is not None:
        text += f" [{number['low']:.3f}, {number['high']:.3f}]"
    return text


def ratio_table(attribute: str, groups: Mapping[str, Any], level: str) -> dict[str, Any]:
    """Impact ratios of an audit with labels: the groups, their rates, ratios and verdicts.

    Parameters
    ----------
    attribute : its name.
    groups : name -> "n", "selection_rate" and "impact_ratio".
    level : of the intervals as text, "95 %".
    """
    return _groups_table(attribute, groups, level, False)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _groups_table(
    attribute: str, groups: Mapping[str, Any], level: str, by_standard: bool
) -> dict[str, Any]:
    bounded = any("if_unknown_were_known" in one["impact_ratio"] for one in groups.values())
    rows = []
    for group, numbers in groups.items():
        ratio = numbers["impact_ratio"]
        few = "small" if numbers["small"] and not numbers["missing"] else None
        why = " (under 2 %, not compared)" if few and by_standard else ""
        label = f"{group}, not compared" if numbers["missing"] else group + why
        below = ratio["four_fifths"] == "below"
        cells = [
            _cell(label, few or ("worst" if below else None)),
            _cell(f"{numbers['selected']:,} / {numbers['n']:,}"),
            *([_cell(f"{numbers['effective']:,.1f}")] if "effective" in numbers else []),
            _cell(rate_text(numbers["selection_rate"])),
            _cell(ratio_text(ratio), "beyond" if ratio["equal"] == "below" else None),
            _cell(FOUR_FIFTHS_WORDS[ratio["four_fifths"]]),
            _cell(EQUAL_WORDS[ratio["equal"]]),
        ]
        if bounded:
            ends = ratio.get("if_unknown_were_known")
            cells.append(_cell("" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"))
        rows.append({"header": True, "cells": cells})
    weighed = any("effective" in one for one in groups.values())
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


def _disparities_table(attribute: str, numbers: Mapping[str, Any], level: str) -> dict[str, Any]:
    rows = []
    for name, label in _DISPARITY.items():
        number = numbers[name]
        chance = number.get("expected_by_chance")
        difference = name == "dpd"
        text = rate_text(number, "") if difference else ratio_text(number) or "undefined"
        chance_text = "" if chance is None else _percent(chance) if difference else f"{chance:.3f}"
        ends = number.get("smallest"), number.get("largest")
        where = (
            str(number.get("reason", ""))
            if number["value"] is None
            else "all alike"
            if ends[0] is None
            else f"{ends[0]} against {ends[1]}"
        )
        shown = number["low"] is not None and (
            number["low"] > 0 if difference else number["high"] < 1
        )
        cells = [_cell(label), _cell(text, "beyond" if shown else None), _cell(chance_text)]
        rows.append({"header": True, "cells": [*cells, _cell(where)]})
    return {
        "title": f"Gaps by {attribute}",
        "caption": f"Differences in percentage points; {level} intervals, which take account of "
        "the many pairs of groups.",
        "columns": gap_columns("Metric"),
        "rows": rows,
    }


def _dots(attribute: str, groups: Mapping[str, Any], level: str) -> dict[str, Any]:
    shown = sorted(
        ((group, row) for group, row in groups.items() if not row["missing"]),
        key=lambda item: item[1]["selection_rate"]["value"] or 0.0,
    )
    more = f" The {_MOST_ROWS} lowest of {len(shown)} groups." if len(shown) > _MOST_ROWS else ""
    return {
        "title": f"Selection rate by {attribute}",
        "caption": f"With {level} intervals; n is the number of rows of the group." + more,
        "unit": "share",
        "panels": [
            {
                "name": attribute,
                "rows": [
                    {
                        "label": group,
                        "n": numbers["n"],
                        "points": [
                            {
                                "series": "selection rate",
                                **{
                                    key: numbers["selection_rate"][key]
                                    for key in ("value", "low", "high")
                                },
                                "marks": [],
                            }
                        ],
                    }
                    for group, numbers in shown[:_MOST_ROWS]
                ],
            }
        ],
    }
