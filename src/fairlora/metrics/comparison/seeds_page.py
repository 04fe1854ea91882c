"""A comparison over seeds as a page, and the answers of many comparisons as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fairlora.errors import InputError
from fairlora.metrics.comparison.verdict_parts import (
    VERDICT_MARKS,
    difference_parts,
    difference_text,
    number_text,
    paired_lead,
    percent_text,
)
from fairlora.metrics.labels import DISPARITY, NOT_PERCENT, positive_fact, rows_words
from fairlora.report.page import Page, Table, check_page


def seeds_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables of differences with verdicts, and a forest of the disparities with every seed's mark.

    `content` is what `compare_over_seeds` gives.
    """
    first, second = content["first"], content["second"]
    seeds, settings = content["seeds"], content["settings"]
    percent = percent_text(content)
    tables, dots = difference_parts(
        content,
        f"Means over seeds ± standard deviation, and {first} minus {second}, in percentage "
        f"points, losses as they are, with {percent} intervals. Verdicts are {first}'s and "
        "hold for all rows of the table together",
        f"Means over seeds with {percent} intervals, one by one; the small marks are the seeds. "
        "Hollow: inconclusive.",
        _sides,
    )
    varied = settings["ratio"] is not None
    of_rows = "test rows that vary with the seed" if varied else "the same test rows"
    many = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return check_page(
        {
            "title": title,
            "lead": paired_lead(content, f"{of_rows} ({content['n']:,}) and over {many} each"),
            "facts": [
                {"name": "First", "value": first},
                {"name": "Second", "value": second},
                {"name": "Seeds", "value": ", ".join(str(seed) for seed in seeds)},
                {"name": "Rows", "value": f"{content['n']:,}"},
                *positive_fact(content),
                {"name": "Margin of equivalence", "value": _margins(settings)},
            ],
            "tables": tables,
            "dots": dots,
            "notes": [
                "Equivalent: the 90 % interval lies within the margin. Inconclusive: neither a "
                'difference nor equivalence was shown; "could show" is the smallest difference '
                "that these rows and so many seeds find four times out of five. It is not evidence "
                "of equality.",
                _interval_note(varied),
                *([] if varied else [rows_words(content)]),
                *content["warnings"],
            ],
        }
    )


class Compared(NamedTuple):
    """One comparison of a study: of which model, on which data, and what it found."""

    model: str
    data: str
    content: Mapping[str, Any]


def verdict_table(compared: Sequence[Compared], metrics: Sequence[str] | None = None) -> Table:
    """The answers to "is the first less fair than the second?" by model, data set and disparity.

    A row a disparity. "less fair" and "fairer" are verdicts on a difference, after Holm's
    correction within its comparison; "equivalent" names the margin, and "not shown" the smallest
    difference that could have been found. For want of evidence nothing is called fair.

    Parameters
    ----------
    compared : contents of `compare_over_seeds` (or `compare_predictions`), all of the same two.
    metrics : the disparities to show, all by default.

    Raises
    ------
    InputError : nothing to show, or comparisons of others than the first one's two.
    """
    if not compared:
        raise InputError("nothing compared", where="compared", expected="at least one comparison")
    sides = [(one.content["first"], one.content["second"]) for one in compared]
    for one, names in zip(compared, sides, strict=True):
        if names != sides[0]:
            raise InputError(
                "comparisons of other ways",
                where=f"{one.model}, {one.data}",
                found=" and ".join(names),
                expected=" and ".join(sides[0]),
            )
    first, second = sides[0]
    columns = ("Model", "Data", "Attribute", "Metric", "Difference", "Answer")
    rows = []
    for one in compared:
        for attribute, found in one.content["disparities"].items():
            for name, row in found.items():
                if metrics is not None and name not in metrics:
                    continue
                label = DISPARITY.get(name, name)
                texts = [one.model, one.data, attribute, label, difference_text(name, row)]
                mark = VERDICT_MARKS.get(row["verdict"])
                cells = [*({"text": t} for t in texts), {"text": answer(name, row), "mark": mark}]
                rows.append({"header": True, "cells": cells})
    table = {
        "title": f"Is {first} less fair than {second}?",
        "caption": f"{first} minus {second}, in percentage points, losses as they are. Not shown: "
        "neither a difference nor equivalence; it is not evidence of equality.",
        "columns": [
            {"name": name, "align": "right" if name == "Difference" else "left"} for name in columns
        ],
        "rows": rows,
    }
    return check_page({"title": "Verdicts", "tables": [table]})["tables"][0]


def answer(name: str, row: Mapping[str, Any]) -> str:
    """A disparity's verdict as an answer to "is the first less fair than the second?".

    >>> answer("dpd", {"verdict": "inconclusive", "detectable": 0.031})
    'not shown (could have found 3.1 points)'
    """
    verdict = row["verdict"]
    if verdict == "undefined":
        return f"undefined: {row['reason']}"
    words = {"better": "fairer", "worse": "less fair"}
    if verdict in words:
        return words[verdict]
    unit = "" if name in NOT_PERCENT else " points"
    if verdict == "equivalent":
        return f"equivalent (within {number_text(name, row['margin'])}{unit})"
    if verdict == "inconclusive":
        return f"not shown (could have found {number_text(name, row['detectable'])}{unit})"
    return str(verdict)


def _margins(settings: Mapping[str, Any]) -> str:
    given = [f"{name} {number_text(name, margin)}" for name, margin in settings["margins"].items()]
    return ", ".join([f"{100 * settings['margin']:g} points", *given])


def _interval_note(varied: bool) -> str:
    if varied:
        return (
            "The test rows vary with the seed. The intervals are those of Nadeau and Bengio, who "
            "account for training and test rows that the seeds have in common."
        )
    return (
        "The intervals are for other training runs and other test rows of the same kind. The rows "
        "are the same for all seeds, so more seeds do not make their part smaller. An interval "
        "reaches further on the side where the difference lies if the two differ in noise alone."
    )


def _sides(name: str, row: Mapping[str, Any]) -> list[str]:
    """Mean ± standard deviation of both sides."""
    texts = []
    for key in ("first", "second"):
        mean, deviation = (number_text(name, row[k]) for k in (key, f"{key}_sd"))
        texts.append(f"{mean} ± {deviation}" if mean and deviation else mean)
    return texts
