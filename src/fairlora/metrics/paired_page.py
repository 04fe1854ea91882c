"""A comparison of two sets of predictions as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlora.metrics.names import DISPARITY, GROUP, NOT_PERCENT, OVERALL
from fairlora.report.page import Page, check_page

VERDICT_MARKS = {"better": "best", "worse": "worst", "different": "beyond"}


def paired_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables of differences with verdicts, and a forest of the disparities' differences.

    `content` is what `compare_predictions` gives.
    """
    first, second = content["first"], content["second"]
    margin = content["settings"]["margin"]
    percent = f"{100 * content['settings']['level']:g} %"
    tables = [
        _table(
            "Overall",
            f"{first} minus {second}, in percentage points, losses as they are, with {percent} "
            "intervals. Verdicts hold for all rows of the table together (Holm).",
            "Metric",
            {OVERALL.get(name, name): (name, row) for name, row in content["overall"].items()},
            content,
        )
    ]
    dots = []
    for attribute, rows in content["disparities"].items():
        named = {DISPARITY.get(name, name): (name, row) for name, row in rows.items()}
        tables.append(
            _table(
                f"Disparities by {attribute}",
                "Verdicts hold for the disparities of all attributes together (Holm).",
                "Metric",
                named,
                content,
            )
        )
        dots.append(_forest(attribute, named, first, second, percent))
        groups = {
            f"{group}: {GROUP.get(name, name)}": (name, row)
            for group, metrics in content["by_group"][attribute].items()
            for name, row in metrics.items()
        }
        tables.append(
            _table(
                f"Groups of {attribute}",
                "Exploratory: of the verdicts better and worse, one in twenty is expected to be "
                "false (Benjamini-Hochberg).",
                "Group and metric",
                groups,
                content,
            )
        )
    words = [row["verdict"] for rows in content["disparities"].values() for row in rows.values()]
    counted = ", ".join(
        f"{words.count(word)} {word}"
        for word in ("better", "worse", "equivalent", "inconclusive", "undefined")
        if word in words
    )
    return check_page(
        {
            "title": title,
            "lead": f"{first} against {second} on the same {content['n']:,} rows. Disparities: "
            f"{counted or 'none'}.",
            "facts": [
                {"name": "First", "value": first},
                {"name": "Second", "value": second},
                {"name": "Rows", "value": f"{content['n']:,}"},
                {"name": "Margin of equivalence", "value": f"{100 * margin:g} points"},
            ],
            "tables": tables,
            "dots": dots,
            "notes": [
                "Equivalent: the 90 % interval lies within the margin. Inconclusive: neither a "
                'difference nor equivalence was shown; "could show" is the smallest difference '
                "that these rows find four times out of five. It is not evidence of equality.",
                "The rows are the only source of chance here. Another training run of the same "
                "method would differ too: comparing methods takes several seeds.",
                *content["warnings"],
            ],
        }
    )


def _table(
    title: str,
    caption: str,
    head: str,
    rows: Mapping[str, tuple[str, Mapping[str, Any]]],
    content: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "title": title,
        "caption": caption,
        "columns": verdict_columns(head, content["first"], content["second"]),
        "rows": [_row(label, name, row) for label, (name, row) in rows.items()],
    }


def _row(label: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    sides = [number_text(name, row[side]) for side in ("first", "second")]
    return row_cells(label, name, row, sides)


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
    """A row of a table of verdicts: both sides, difference, p, what could be shown, the word."""
    detectable = number_text(name, row["detectable"])
    return verdict_row([label, *sides, difference_text(name, row)], row, detectable)


def verdict_columns(head: str, first: str, second: str) -> list[dict[str, Any]]:
    """The columns of a table of verdicts on `first` less `second`."""
    names = (head, first, second, "Difference", "p", "Could show", "Verdict")
    return [
        {"name": name, "align": "left" if k in (0, len(names) - 1) else "right"}
        for k, name in enumerate(names)
    ]


def verdict_row(texts: Sequence[str], row: Mapping[str, Any], detectable: str) -> dict[str, Any]:
    """A row of `verdict_columns`: the texts up to the difference, then what was made of it."""
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
    rows: Mapping[str, tuple[str, Mapping[str, Any]]],
    first: str,
    second: str,
    percent: str,
) -> dict[str, Any]:
    shown = []
    for label, (name, row) in rows.items():
        if name in NOT_PERCENT or row["low"] is None:
            continue
        point = {"series": "difference", "marks": [], "strong": row["verdict"] != "inconclusive"}
        point |= {key: row[key] for key in ("value", "low", "high")}
        shown.append({"label": label, "points": [point]})
    return {
        "title": f"Disparities by {attribute}: {first} minus {second}",
        "caption": f"With {percent} intervals, one by one. Hollow: inconclusive.",
        "unit": "share",
        "reference": 0.0,
        "panels": [{"name": attribute, "rows": shown}],
    }
