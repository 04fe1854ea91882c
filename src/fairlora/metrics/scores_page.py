"""A score's audit as the plain dict that the room `report` draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.charts import compared, score_dots
from fairlora.metrics.content import Number, Pair, ScoreContent, ScoreDisparities, ScoreGroup
from fairlora.metrics.findings import beyond_chance, place_texts
from fairlora.metrics.labels import (
    DISPARITY,
    EFFECTIVE,
    gap_columns,
    left_out_fact,
    rows_words,
    weight_fact,
    weight_words,
)
from fairlora.report.page import Page, check_page

# More pairs than this are for the JSON alone.
_MOST_PAIRS = 36


def score_page(content: ScoreContent, title: str) -> Page:
    """Means overall and by group, gaps beside what chance gives, and dots with intervals.

    `content` is that of a score's audit.
    """
    percent = f"{100 * content.settings.level:g} %"
    kind = "shares of 1" if content.score == "rate" else "means"
    shared = content.model_dump(include={"left_out", "settings", "effective"}, exclude_unset=True)
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *weight_fact(shared),
        *left_out_fact(shared),
        {"name": "Mean score", "value": _text(content.overall.score)},
    ]
    tables, dots = [], []
    for attribute, groups in content.by_group.items():
        tables.append(_groups(attribute, groups, f"The scores' {kind}; in brackets {percent}"))
        tables.append(_gaps(attribute, content.disparities[attribute], percent))
        pairs = content.pairwise[attribute]
        if 1 < len(pairs) <= _MOST_PAIRS:
            tables.append(_pairs(attribute, pairs, percent))
        dots.append(score_dots(attribute, groups, percent))
    page: dict[str, Any] = {
        "title": title,
        "facts": facts,
        "tables": tables,
        "dots": dots,
        "notes": [
            'A gap between groups is a maximum: noise alone makes it larger than 0. "By chance" is '
            "its mean where the groups are alike. Its interval leaves out 0 only where two groups "
            "differ beyond noise. Whether more is better depends on the score.",
            rows_words(shared),
            *weight_words(shared),
            *content.warnings,
        ],
    }
    sentence = score_lead(content)
    if sentence:
        page["lead"] = sentence
    return check_page(page)


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
    if number.value is None:
        return "undefined"
    text = f"{number.value:.4f}"
    if number.low is not None:
        text += f" [{number.low:.4f}, {number.high:.4f}]"
    return text


def _away(number: Number) -> bool:
    """Whether the interval leaves out 0."""
    return number.low is not None and number.high is not None and not number.low <= 0 <= number.high


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _groups(attribute: str, groups: Mapping[str, ScoreGroup], caption: str) -> dict[str, Any]:
    several = len(compared(groups)) > 1
    rows = []
    for group, numbers in groups.items():
        label = f"{group}, not compared" if numbers.missing else group
        off = numbers.score_difference
        cells = [
            _cell(label, "small" if numbers.small else None),
            _cell(f"{numbers.n:,}"),
            *([] if numbers.effective is None else [_cell(f"{numbers.effective:,.1f}")]),
            _cell(_text(numbers.score)),
        ]
        if several:
            cells.append(
                _cell("" if off.value is None else _text(off), "beyond" if _away(off) else None)
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
        cells = [_cell(name), _cell(_text(pair), "beyond" if _away(pair) else None)]
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


def _gaps(attribute: str, disparities: ScoreDisparities, percent: str) -> dict[str, Any]:
    rows = []
    for name, number in disparities.numbers().items():
        expected = getattr(number, "expected_by_chance", None)
        places = place_texts(number) if number.value is not None else [number.reason or ""]
        if number.value is not None and number.low is None and number.reason is not None:
            places.append(f"no interval: {number.reason}")
        cells = [
            _cell(DISPARITY[name]),
            _cell(_text(number), "beyond" if beyond_chance(name, number) else None),
            _cell("" if expected is None else f"{expected:.4f}"),
            _cell(", ".join(places)),
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"Gaps by {attribute}",
        "caption": f"In brackets {percent} intervals, which take account of the many pairs of "
        "groups.",
        "columns": gap_columns("Measure"),
        "rows": rows,
    }
