"""Differences and their verdicts as parts of a page: texts, rows, tables, forests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlora.metrics.labels import (
    DISPARITY,
    GROUP,
    NOT_PERCENT,
    OVERALL,
    calibration_words,
    in_sentence,
)

VERDICT_MARKS = {"better": "best", "worse": "worst", "different": "beyond"}
_REST = {
    "equivalent": "equivalent",
    "inconclusive": "inconclusive, which is no evidence of equality",
    "undefined": "undefined",
}
# So many differences in which one of the two is better are named in the lead.
_MOST_NAMED = 3

Row = Mapping[str, Any]
# What a difference is of, its metric, its row.
_Named = tuple[str, str, Row]
# A metric's name and row, as the two sides' texts.
Sides = Callable[[str, Row], Sequence[str]]


def difference_parts(
    content: Mapping[str, Any], overall: str, forest: str, sides: Sides
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tables of differences with verdicts, and a forest of each attribute's disparities.

    Parameters
    ----------
    content : of `compare_predictions` or `compare_over_seeds`.
    overall, forest : captions of the first table and of the forests.
    sides : how a row's two sides are written.
    """
    tables = [
        _table(
            "Overall",
            f"{overall} (Holm).{calibration_words(content)}",
            "Metric",
            {OVERALL.get(name, name): (name, row) for name, row in content["overall"].items()},
            content,
            sides,
        )
    ]
    dots = []
    for attribute, rows in content["disparities"].items():
        named = {DISPARITY.get(name, name): (name, row) for name, row in rows.items()}
        groups = {
            f"{group}: {GROUP.get(name, name)}": (name, row)
            for group, metrics in content["by_group"][attribute].items()
            for name, row in metrics.items()
        }
        tables += [
            _table(
                f"Disparities by {attribute}",
                "Verdicts hold for the disparities of all attributes together (Holm).",
                "Metric",
                named,
                content,
                sides,
            ),
            _table(
                f"Groups of {attribute}",
                "Exploratory: of the verdicts better and worse, one in twenty is expected to be "
                "false (Benjamini-Hochberg).",
                "Group and metric",
                groups,
                content,
                sides,
            ),
        ]
        dots.append(_forest(attribute, named, content, forest))
    return tables, dots


def paired_lead(content: Mapping[str, Any], rows: str) -> str:
    """Say which differences were shown: overall first, then disparities, then how many were not.

    Each with its size, its interval, and which of the two is better. `rows` says on what rows.
    """
    overall = [
        (in_sentence(OVERALL.get(name, name)), name, row)
        for name, row in content["overall"].items()
    ]
    disparities = [
        (f"{in_sentence(DISPARITY.get(name, name))} by {attribute}", name, row)
        for attribute, found in content["disparities"].items()
        for name, row in found.items()
    ]
    first = _shown(overall, content) or _not_shown(overall, content)
    # The largest first; losses, which are not in points, last.
    disparities.sort(key=lambda one: (one[1] in NOT_PERCENT, -abs(one[2]["value"] or 0.0)))
    counted = Counter(row["verdict"] for _, _, row in disparities)
    parts = [_shown(disparities, content, count=True)]
    parts += [
        f"{counted[verdict]} {'is' if counted[verdict] == 1 else 'are'} {words}"
        for verdict, words in _REST.items()
        if counted[verdict]
    ]
    second = "; ".join(part for part in parts if part)
    return (
        f"On {rows}, {first}. Of {len(disparities)} disparities, {second}. "
        f"In brackets {percent_text(content)} intervals."
    )


def _shown(rows: Sequence[_Named], content: Mapping[str, Any], *, count: bool = False) -> str:
    """The differences with a verdict of a direction, by who is better."""
    first, second = content["first"], content["second"]
    words = {
        "better": f"{first} is better than {second} in",
        "worse": f"{second} is better than {first} in",
        "different": f"{first} and {second} differ in",
    }
    parts = []
    for verdict, start in words.items():
        named = [one for one in rows if one[2]["verdict"] == verdict]
        if not named:
            continue
        texts = [f"{label} ({_size(name, row)})" for label, name, row in named[:_MOST_NAMED]]
        if len(named) > _MOST_NAMED:
            texts.append(f"{len(named) - _MOST_NAMED} more")
        listed = " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
        parts.append(f"{start} {f'{len(named)}: ' if count else ''}{listed}")
    return "; ".join(parts)


def _not_shown(rows: Sequence[_Named], content: Mapping[str, Any]) -> str:
    """What is said of the first overall metric with an interval where no difference was shown."""
    for label, name, row in rows:
        if row["verdict"] == "equivalent":
            within = number_text(name, row["margin"])
            both = f"{content['first']} and {content['second']}"
            points = "" if name in NOT_PERCENT else " points"
            return f"{both} are equivalent in {label}: within {within}{points} ({_size(name, row)})"
        if row["verdict"] == "inconclusive":
            sides = f"between {content['first']} and {content['second']}"
            return f"no difference {sides} was shown in {label} ({_size(name, row)})"
    return "no difference is defined"


def _size(name: str, row: Row) -> str:
    """How far apart the two are, without a sign: the words say which is better."""
    turned = -1 if row["value"] < 0 else 1
    value, *ends = (turned * row[key] for key in ("value", "low", "high"))
    low, high = (number_text(name, end) for end in sorted(ends))
    unit = "" if name in NOT_PERCENT else " points"
    return f"{number_text(name, value)}{unit} [{low}, {high}]"


def percent_text(content: Mapping[str, Any]) -> str:
    """The level of the intervals."""
    return f"{100 * content['settings']['level']:g} %"


def _table(
    title: str,
    caption: str,
    head: str,
    rows: Mapping[str, tuple[str, Row]],
    content: Mapping[str, Any],
    sides: Sides,
) -> dict[str, Any]:
    return {
        "title": title,
        "caption": caption,
        "columns": verdict_columns(head, content["first"], content["second"]),
        "rows": [
            row_cells(label, name, row, sides(name, row)) for label, (name, row) in rows.items()
        ],
    }


def number_text(name: str, value: float | None) -> str:
    """A metric's number as it is shown: a rate in points, a loss as it is."""
    if value is None:
        return ""
    scale, digits = (1.0, 4) if name in NOT_PERCENT else (100.0, 1)
    shown = f"{scale * value:.{digits}f}"
    return shown[1:] if shown.startswith("-") and not float(shown) else shown


def difference_text(name: str, row: Mapping[str, Any]) -> str:
    """A difference with its interval, as far as it has them."""
    text = number_text(name, row["value"])
    if row["low"] is not None:
        text += f" [{number_text(name, row['low'])}, {number_text(name, row['high'])}]"
    return text


def row_cells(
    label: str, name: str, row: Mapping[str, Any], sides: Sequence[str]
) -> dict[str, Any]:
    """A row of a table of verdicts: both sides, difference, p, what could be shown, the word.

    Parameters
    ----------
    label : what stands at the head of the row.
    name : of the metric.
    row : its difference and verdict, as `compare_predictions` has them.
    sides : texts of the two sides.
    """
    detectable = number_text(name, row["detectable"])
    return verdict_row([label, *sides, difference_text(name, row)], row, detectable)


def verdict_columns(head: str, first: str, second: str) -> list[dict[str, Any]]:
    """The columns of a table of verdicts on `first` less `second`.

    Parameters
    ----------
    head : of the column of the rows' labels.
    first, second : names of the two.
    """
    names = (head, first, second, "Difference", "p", "Could show", "Verdict")
    return [
        {"name": name, "align": "left" if k in (0, len(names) - 1) else "right"}
        for k, name in enumerate(names)
    ]


def verdict_row(texts: Sequence[str], row: Mapping[str, Any], detectable: str) -> dict[str, Any]:
    """A row of `verdict_columns`: the texts up to the difference, then what was made of it.

    Parameters
    ----------
    texts : of the label, the two sides and the difference.
    row : with "verdict" and "p_corrected", and a "reason" where it has one.
    detectable : text of the smallest difference that could have been shown.
    """
    verdict = row["verdict"] if "reason" not in row else f"{row['verdict']}: {row['reason']}"
    cells = [*texts, p_text(row["p_corrected"]), detectable]
    marked = {"text": verdict, "mark": VERDICT_MARKS.get(row["verdict"])}
    return {"header": True, "cells": [*({"text": cell} for cell in cells), marked]}


def p_text(p: float | None) -> str:
    """A p-value as it is shown.

    >>> p_text(0.0004), p_text(0.0123)
    ('<0.001', '0.012')
    """
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _forest(
    attribute: str,
    rows: Mapping[str, tuple[str, Row]],
    content: Mapping[str, Any],
    caption: str,
) -> dict[str, Any]:
    shown = []
    scores = "score" in content["overall"]
    for label, (name, row) in rows.items():
        # Losses do not fit the axis of rates; a comparison of scores has nothing else.
        if (name in NOT_PERCENT and not scores) or row["low"] is None:
            continue
        seeds = row.get("per_seed", ())
        point = {"series": "difference", "marks": list(seeds) if len(seeds) > 1 else []}
        point |= {key: row[key] for key in ("value", "low", "high")}
        point["strong"] = row["verdict"] != "inconclusive"
        shown.append({"label": label, "points": [point]})
    return {
        "title": f"Disparities by {attribute}: {content['first']} minus {content['second']}",
        "caption": caption,
        "unit": "number" if scores else "share",
        "reference": 0.0,
        "panels": [{"name": attribute, "rows": shown}],
    }
