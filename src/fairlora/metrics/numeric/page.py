"""The audit of measurements as the plain dict that the room `report` draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from fairlora.metrics.charts import compared
from fairlora.metrics.content import Disparity, Number, Pair
from fairlora.metrics.labels import (
    DISPARITY,
    EFFECTIVE,
    GROUP,
    OVERALL,
    in_sentence,
    left_out_fact,
    measured_text,
    rows_words,
    weight_fact,
    weight_words,
)
from fairlora.metrics.numeric.content import NumericContent, NumericDisparities, NumericGroup
from fairlora.metrics.opening import Told, not_shown, opening, topic_of, with_first
from fairlora.metrics.tables import gap_table, with_interval
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, in_topic

# More pairs or groups than these are for the JSON alone.
_MOST_PAIRS, _MOST_ROWS = 36, 40
_ERRORS = ("mae", "rmse", "bias")
_LARGEST = "... largest of a group"
# That these differ between groups is not by itself a fault of a model.
_NO_FINDING = ("label_gap", "prediction_gap", "width_gap")


def numeric_page(content: NumericContent, title: str) -> Page:
    """Errors and coverage overall and by group, gaps beside what chance gives, dots.

    Parameters
    ----------
    content : of the audit.
    title : of the page.
    """
    percent = f"{100 * content.settings.level:g} %"
    overall = content.overall.numbers()
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *weight_fact(content.settings.weight, content.effective),
        *left_out_fact(content.left_out),
        *({"name": name_of(key), "value": _text(key, one)} for key, one in overall.items()),
    ]
    tables: list[dict[str, Any]] = []
    for attribute, groups in content.by_group.items():
        tables += in_topic(
            topic_of(attribute),
            *_groups(attribute, groups, content, percent),
            _gaps(attribute, content.disparities[attribute], percent),
            *_pairs(attribute, content.pairwise[attribute], percent),
        )
    notes = [
        'A gap between groups is a maximum: noise alone makes it larger than 0. "By chance" is its '
        "mean where the groups are alike. Its interval leaves out 0 only where two groups differ "
        "beyond noise. Groups whose labels spread wider have larger errors by that alone.",
        rows_words(content.settings.clusters),
        *weight_words(content.settings.weight),
        *content.warnings,
    ]
    dots = list(_dots(content, percent))
    first = _first_screen(content, dots)
    page: dict[str, Any] = {
        "title": title,
        **first,
        "facts": facts,
        "tables": with_first(first, tables),
        "dots": dots,
        "notes": notes,
    }
    sentence = numeric_lead(content)
    if sentence:
        page["lead"] = sentence
    return check_page(page)


class _Gap(NamedTuple):
    """A gap that a model answers for, by its attribute and name."""

    attribute: str
    name: str
    number: Disparity

    @property
    def shown(self) -> bool:
        return self.number.low is not None and self.number.low > 0


def _answered(content: NumericContent) -> list[_Gap]:
    """The gaps that are defined, without those that differ for no fault of a model."""
    return [
        _Gap(attribute, name, number)
        for attribute, one in content.disparities.items()
        for name, number in one.numbers().items()
        if name.partition(" ")[0].endswith("_gap")
        and name.partition(" ")[0] not in _NO_FINDING
        and isinstance(number, Disparity)
        and number.value is not None
    ]


def _first_screen(content: NumericContent, dots: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every attribute its gaps of MAE and bias, and the largest of coverage."""
    gaps = _answered(content)
    told = [_told(one, content) for one in gaps if one.name in ("mae_gap", "bias_gap")]
    for attribute in content.disparities:
        covers = [
            _told(one, content)
            for one in gaps
            if one.attribute == attribute and one.name.startswith("coverage_gap")
        ]
        told += sorted(covers, key=lambda one: one.rank)[-1:]
    errors = [plot for plot in dots if plot["unit"] == "number"]
    return opening(
        "Whose errors are larger, by how much, and is that more than chance?",
        told,
        errors or dots,
        "Errors of each group" if errors else "Coverage of each group",
        [*not_shown([one.shown for one in gaps]), *content.warnings],
    )


def _told(gap: _Gap, content: NumericContent) -> Told:
    """A gap in plain words."""
    number, key = gap.number, gap.name.replace("_gap", "")
    label, topic = in_sentence(name_of(key)), topic_of(gap.attribute)
    if not number.value or number.largest is None or number.smallest is None:
        text = f"The {label} is the same for every group of {gap.attribute}."
        return Told(text, "", None, (0.0, 0.0), topic)
    groups = content.by_group[gap.attribute]
    high, low = (
        _number(key, groups[name].numbers()[key].value or 0.0)
        for name in (number.largest, number.smallest)
    )
    # Coverage fails those who have too little of it.
    text = f"The {label} is largest for {gap.attribute} {number.largest}: {high}, against {low} for"
    text = f"{text} {number.smallest}."
    if key.startswith("coverage"):
        text = f"{name_of(key)} lie fewest labels of {gap.attribute} {number.smallest}: {low}, "
        text += f"against {high} for {number.largest}."
    unknown = (number.reason or "no interval") if number.low is None else None
    weight = (number.low or 0.0, number.value)
    return Told(text, _text(gap.name, number), gap.shown, weight, topic, unknown)


def numeric_lead(content: NumericContent) -> str:
    """Say the largest gap of the MAE, or of coverage, and how many gaps are beyond chance."""
    gaps = _answered(content)
    if not gaps:
        return ""
    main = [one for one in gaps if one.name == "mae_gap"]
    main = main or [one for one in gaps if one.name.startswith("coverage_gap")]
    first = max(main, key=lambda one: (one.shown, one.number.low or 0.0, one.number.value or 0.0))
    name, gap = first.name, first.number
    label = in_sentence(name_of(name.replace("_gap", "")))
    if not gap.value or gap.largest is None:
        text = f"By {first.attribute}, the {label} is the same for every group."
    else:
        size = _number(name, gap.value)
        interval = "" if gap.low is None else f" ({_percent(content)} interval {_ends(name, gap)})"
        text = (
            f"By {first.attribute}, the {label} is largest for {gap.largest}, {size} above "
            f"{gap.smallest}{interval}. Chance {'does not' if first.shown else 'may'} explain it: "
            f"the interval {'leaves out' if first.shown else 'reaches'} 0."
        )
        if gap.low is None:
            text = text.partition(" Chance ")[0]
    shown = sum(one.shown for one in gaps)
    are = "are" if shown > 1 else "is"
    text += f" In all, {shown or 'none'} of {len(gaps)} gaps {are} beyond chance"
    return f"{text}{'' if shown else ', which does not show that there is no disparity'}."


def _percent(content: NumericContent) -> str:
    return f"{100 * content.settings.level:g} %"


def name_of(key: str) -> str:
    """A number's name as people read it.

    >>> name_of("mae"), name_of("coverage 0.1"), name_of("coverage_gap 0.1-0.9")
    ('Mean absolute error (MAE)', 'Up to quantile 0.1', 'Within 0.1-0.9: gap')
    """
    if key in OVERALL or key in DISPARITY:
        return OVERALL.get(key) or DISPARITY[key]
    name, _, level = key.partition(" ")
    what, _, kind = name.partition("_")
    if kind == "worst":
        return f"... farthest from {_stated_text(level)}" if what == "coverage" else _LARGEST
    words = {
        "coverage": f"Within {level}" if "-" in level else f"Up to quantile {level}",
        "pinball": f"Pinball loss, {level}",
        "width": f"Width of {level}",
    }[what]
    return words + (": gap" if kind else "")


def _number(key: str, value: float) -> str:
    if key.startswith("coverage"):
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if key.startswith("rank_correlation") else measured_text(value)


def _ends(key: str, number: Number) -> str:
    low, high = number.low or 0.0, number.high or 0.0
    return f"{_number(key, low)} to {_number(key, high)}"


def _text(key: str, number: Number) -> str:
    undefined = f"undefined: {number.reason}"
    return with_interval(number, partial(_number, key), undefined=undefined)


def _off(key: str, number: Number, content: NumericContent) -> bool:
    """Whether a group's bias leaves out 0, or its coverage what is stated, beyond noise."""
    target = 0.0 if key == "bias" else stated(key, content)
    if target is None or number.low is None or number.high is None:
        return False
    return not number.low <= target <= number.high


def stated(key: str, content: NumericContent) -> float | None:
    """What a coverage should be; None for other numbers."""
    name, _, level = key.partition(" ")
    return _stated(level) if name == "coverage" else None


def _stated(level: str) -> float:
    ends = [float(end) for end in level.split("-")]
    return ends[-1] if len(ends) == 1 else round(ends[1] - ends[0], 12)


def _stated_text(level: str) -> str:
    return f"{100 * _stated(level):g} %"


def _groups(
    attribute: str, groups: Mapping[str, NumericGroup], content: NumericContent, percent: str
) -> list[dict[str, Any]]:
    """Labels and errors by group, and what is predicted of their spread."""
    keys = [key for key in content.overall.numbers() if " " not in key]
    spread = [key for key in content.overall.numbers() if " " in key]
    caption = f"In the label's unit; in brackets {percent} intervals, one by one."
    parts = [(f"Errors by {attribute}", caption, keys)] if len(keys) > 1 else []
    if spread:
        said = (
            f"Shares of labels, losses and widths, with {percent} intervals, one by one; marked: "
            "the interval leaves out what is stated."
        )
        parts.append((f"Quantiles by {attribute}", said, spread))
    weighed = any(numbers.effective is not None for numbers in groups.values())
    return [
        {
            "title": title,
            "caption": said,
            "columns": [
                {"name": attribute, "align": "left"},
                {"name": "n", "align": "right"},
                *([EFFECTIVE] if weighed else []),
                *({"name": GROUP.get(key, name_of(key)), "align": "right"} for key in some),
            ],
            "rows": [
                {"header": True, "cells": _group_cells(group, numbers, some, content)}
                for group, numbers in groups.items()
            ],
        }
        for title, said, some in parts
    ]


def _group_cells(
    group: str, numbers: NumericGroup, keys: list[str], content: NumericContent
) -> list[dict[str, Any]]:
    every = numbers.numbers()
    label = f"{group}, not compared" if numbers.missing else group
    return [
        cell(label, "small" if numbers.small else None),
        cell(f"{numbers.n:,}"),
        *([] if numbers.effective is None else [cell(f"{numbers.effective:,.1f}")]),
        *(
            cell(_text(key, every[key]), "beyond" if _off(key, every[key], content) else None)
            for key in keys
        ),
    ]


def _gaps(attribute: str, disparities: NumericDisparities, percent: str) -> dict[str, Any]:
    numbers = disparities.numbers()
    return gap_table(
        f"Gaps by {attribute}",
        f"Largest minus smallest; in brackets {percent} intervals, which take account of the many "
        "pairs of groups.",
        {key: name_of(key) for key in numbers},
        numbers,
        _number,
    )


def _pairs(attribute: str, pairs: list[Pair], percent: str) -> list[dict[str, Any]]:
    keys = list(dict.fromkeys(pair.metric for pair in pairs))
    rows: dict[str, list[dict[str, Any]]] = {}
    for pair in pairs:
        off = pair.low is not None and pair.high is not None and not pair.low <= 0 <= pair.high
        cells = rows.setdefault(f"{pair.group} minus {pair.other}", [])
        cells.append(cell(_text(pair.metric, pair), "beyond" if off else None))
    if not 1 < len(rows) <= _MOST_PAIRS or any(len(cells) < len(keys) for cells in rows.values()):
        return []
    table = {
        "title": f"Pairs of {attribute}",
        "caption": f"Differences; the {percent} intervals of a measure hold for all together.",
        "columns": [
            {"name": "Pair", "align": "left"},
            *({"name": GROUP.get(key, OVERALL[key]), "align": "right"} for key in keys),
        ],
        "rows": [{"header": True, "cells": [cell(name), *cells]} for name, cells in rows.items()],
    }
    return [table]


def _dots(content: NumericContent, percent: str) -> Iterator[dict[str, Any]]:
    """A plot of errors for each attribute, then one of coverage; coverage alone without errors."""
    caption = f"With {percent} intervals; n is the number of rows of the group."
    keys = content.overall.numbers()
    errors = [key for key in _ERRORS if key in keys]
    covers = [key for key in keys if key.startswith("coverage")]
    for attribute, groups in content.by_group.items() if errors else ():
        yield {
            "topic": topic_of(attribute),
            "title": f"Errors by {attribute}",
            "caption": caption,
            "unit": "number",
            "reference": 0.0,
            "panels": [_panel(key, groups) for key in errors],
        }
    for attribute, groups in content.by_group.items() if covers else ():
        yield {
            "topic": topic_of(attribute),
            "title": f"Coverage by {attribute}",
            "caption": caption + " Filled: off what is stated.",
            "unit": "share",
            "panels": [_panel(key, groups, stated(key, content)) for key in covers],
        }


def _panel(
    key: str, groups: Mapping[str, NumericGroup], target: float | None = None
) -> dict[str, Any]:
    """A row a group; of many those with the largest values."""
    found = {group: numbers.numbers()[key] for group, numbers in groups.items()}
    if len(found) > _MOST_ROWS:
        largest = sorted(compared(groups), key=lambda group: -abs(found[group].value or 0.0))
        found = {group: found[group] for group in largest[:_MOST_ROWS]}
    name = name_of(key)
    rows = []
    for group, number in found.items():
        point: dict[str, Any] = {"series": "value", "marks": []}
        point |= {end: getattr(number, end) for end in ("value", "low", "high")}
        if target is not None and number.low is not None and number.high is not None:
            point["strong"] = not number.low <= target <= number.high
        rows.append({"label": group, "n": groups[group].n, "points": [point]})
    if target is not None:
        name = f"{name}, stated {_stated_text(key.partition(' ')[2])}"
    return {"name": name, "rows": rows}
