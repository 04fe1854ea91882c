"""Verdict table: is one way of fine-tuning less fair than another, and what was shown?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fairlora.metrics.comparison.content import ComparisonContent, Verdict
from fairlora.metrics.comparison.verdict_parts import (
    FAIRER,
    answer,
    answers_table,
    most_of,
    verdict_cell,
    verdict_row,
)
from fairlora.metrics.labels import DISPARITY, NOT_PERCENT, OVERALL
from fairlora.metrics.tables import with_interval, without_minus_zero
from fairlora.report.tables import make_table


def verdict_table(
    contents: Sequence[tuple[str, ComparisonContent]], question: str | None = None
) -> dict[str, Any]:
    """One row a comparison and measure, from what `compare_over_seeds` gives.

    Parameters
    ----------
    contents : name of the setting (data, model; "" where there is one), and the comparison.
    question : what is asked, for the title.
    """
    rows = []
    settings = any(setting for setting, _ in contents)
    for setting, content in contents:
        pair = f"{content.first} against {content.second}"
        rows += [
            _row([setting] if settings else [], pair, "", name, row)
            for name, row in content.overall.items()
            if name in ("accuracy", "f1_min")
        ]
        for attribute, measures in content.disparities.items():
            rows += [
                _row([setting] if settings else [], pair, attribute, name, row)
                for name, row in measures.items()
            ]
    return answers_table(
        "Verdicts" if question is None else f"Verdicts: {question}",
        "Difference of the means over seeds, first minus second, in percentage points "
        "(variances as they are), with its interval over seeds and test rows; p is corrected over "
        'the disparities of one comparison (Holm). "Not shown" is no evidence of fairness: it '
        "says the smallest difference that such a study finds four times out of five.",
        [*(["Setting"] if settings else []), "First against second", "Groups", "Measure"],
        rows,
    )


# The columns of the summary, of each attribute.
_SUMMARY = {
    "accuracy_worst": "Worst accuracy",
    "accuracy_gap": "Accuracy gap",
    "dpd": "DPD",
    "eod": "EOD",
    "eopp_max": "EOpp max",
    "f1_gap": "F1 gap",
    "loss_variance": "Loss variance",
}


def verdict_summary(
    contents: Sequence[tuple[str, ComparisonContent]], question: str | None = None
) -> dict[str, Any]:
    """One row a comparison and attribute, its measures side by side: the answers alone.

    The parameters are those of `verdict_table`, which has the intervals too.
    """
    settings = any(setting for setting, _ in contents)
    several = len({name for _, content in contents for name in content.disparities}) > 1
    rows, counts = [], Counter[str]()
    for setting, content in contents:
        for attribute, measures in content.disparities.items():
            counts.update(measures[name].verdict for name in _SUMMARY if name in measures)
            cells: list[str | dict[str, Any]] = [setting] if settings else []
            cells.append(f"{content.first} against {content.second}")
            cells += [attribute] if several else []
            cells += [verdict_cell(name, measures.get(name)) for name in _SUMMARY]
            rows.append(cells)
    names = [*(["Setting"] if settings else []), "First against second"]
    names += [*(["Groups"] if several else []), *_SUMMARY.values()]
    return make_table(
        question or "Is the first less fair than the second?",
        f"{_counted(counts)}First minus second, means over seeds, in percentage points "
        '(variances as they are). "Not shown" is no evidence of fairness: the number after it is '
        "the smallest difference that such a study finds four times out of five (none: more than "
        "there can be). Intervals over seeds and test rows, and p corrected over the disparities "
        "of one comparison (Holm), stand in the table of verdicts (of a study: "
        "tables/verdicts.csv).",
        [f"<{name}" for name in names],
        rows,
    )


def _counted(counts: Counter[str]) -> str:
    """How many of each: "616 answers: 3 less fair, 20 equivalent, 593 not shown"."""
    said = {"inconclusive": "not shown", **FAIRER}
    order = ("worse", "better", "different", "equivalent", "inconclusive", "undefined")
    words = [f"{counts[word]} {said.get(word, word)}" for word in order if counts[word]]
    return f"{counts.total()} answers: {', '.join(words)}. " if words else ""


def _row(head: list[str], pair: str, attribute: str, name: str, row: Verdict) -> dict[str, Any]:
    def text(value: float) -> str:
        return without_minus_zero(f"{value:.3g}" if name in NOT_PERCENT else f"{100 * value:.1f}")

    label = (DISPARITY if attribute else OVERALL).get(name, name)
    difference = with_interval(row, text) or "undefined"
    words = FAIRER if attribute else {}
    said = answer(row, text, words, "could find ", most_of(name))
    return verdict_row([*head, pair, attribute or "all rows", label, difference], row, said)
