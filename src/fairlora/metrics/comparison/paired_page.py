"""A comparison of two sets of predictions as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.comparison.verdict_parts import (
    difference_parts,
    number_text,
    paired_lead,
    percent_text,
)
from fairlora.metrics.labels import positive_fact, rows_words
from fairlora.report.page import Page, check_page


def paired_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables of differences with verdicts, and a forest of the disparities' differences.

    `content` is what `compare_predictions` gives.
    """
    first, second = content["first"], content["second"]
    margin = content["settings"]["margin"]
    percent = percent_text(content)
    scores = "score" in content["overall"]
    units = "scores as they are" if scores else "in percentage points, losses as they are"
    within = "none" if margin is None else f"{margin:g}" if scores else f"{100 * margin:g} points"
    tables, dots = difference_parts(
        content,
        f"{first} minus {second}, {units}, with {percent} intervals. Verdicts hold for all rows of "
        "the table together",
        f"With {percent} intervals, one by one. Hollow: inconclusive.",
        lambda name, row: [number_text(name, row[side]) for side in ("first", "second")],
    )
    return check_page(
        {
            "title": title,
            "lead": paired_lead(content, f"the same {content['n']:,} rows"),
            "facts": [
                {"name": "First", "value": first},
                {"name": "Second", "value": second},
                {"name": "Rows", "value": f"{content['n']:,}"},
                *positive_fact(content),
                {"name": "Margin of equivalence", "value": within},
            ],
            "tables": tables,
            "dots": dots,
            "notes": [
                "Equivalent: the 90 % interval lies within the margin. Inconclusive: neither a "
                'difference nor equivalence was shown; "could show" is the smallest difference '
                "that these rows find four times out of five. It is not evidence of equality.",
                "The rows are the only source of chance here. Another training run of the same "
                "method would differ too: comparing methods takes several seeds.",
                rows_words(content),
                *content["warnings"],
            ],
        }
    )
