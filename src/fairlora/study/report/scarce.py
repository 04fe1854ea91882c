"""Whether a change from one method to another fell on the scarcest group more than on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlora.metrics.comparison.contrast import uneven_change
from fairlora.metrics.comparison.verdict_parts import (
    VERDICT_MARKS,
    answer,
    answers_table,
    size_of,
    verdict_row,
)
from fairlora.metrics.comparison.verdicts import Difference, judge
from fairlora.metrics.tables import with_interval, without_minus_zero
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.report.comparisons import comparison_settings
from fairlora.study.report.measures import Run, ratio_of_rows
from fairlora.study.report.results import ArmResult

# A method in words, and the change of its scarcest group against the others'.
Change = tuple[Sequence[str], Difference]
_MOST_NAMED = 3
_DRAWS = 200  # as few as settings allow: none are made


def tested(run: Run) -> Predictions:
    """The run's predictions of its test rows."""
    return read_predictions(run.folder.predictions).select("test")


def scarcest_change(
    first: ArmResult, second: ArmResult, attribute: str, training_rows: Mapping[str, float]
) -> Difference | None:
    """The change of accuracy from `second` to `first` in the scarcest group, against all others.

    None where fewer than two groups have enough test rows.

    Parameters
    ----------
    first, second : methods with their runs, of which those of common seeds are compared.
    attribute : of the groups.
    training_rows : group -> how many training rows it has.
    """
    runs = [{run.spec.seed: run for run in method.runs} for method in (first, second)]
    seeds = sorted(set(runs[0]) & set(runs[1]))
    some = runs[0][seeds[0]]
    settings = comparison_settings(some.spec, _DRAWS)
    known = some.audit["by_group"][attribute]
    least = max(1, settings.min_group)
    large = [
        group
        for group in training_rows
        if group in known and not known[group]["missing"] and (known[group].get("n") or 0) >= least
    ]
    if len(large) < 2:
        return None
    tables = [{seed: tested(each[seed]) for seed in seeds} for each in runs]
    return uneven_change(
        tables[0],
        tables[1],
        attribute,
        min(large, key=training_rows.__getitem__),
        settings,
        names=(first.name, second.name),
        ratio=ratio_of_rows(some),
    )


def scarce_table(
    title: str, changed: str, heads: Sequence[str], rows: Sequence[Change]
) -> dict[str, Any]:
    """A row a change: the scarcest group's, the others', and the verdict on their difference.

    Parameters
    ----------
    title : of the table.
    changed : what changed, for the caption.
    heads : columns before the group's.
    rows : their texts, and the difference of `scarcest_change`.
    """

    def text(value: float) -> str:
        return without_minus_zero(f"{100 * value:.1f}")

    words = {"worse": "the scarce group loses more", "better": "it loses less"}
    verdicts = judge([difference for _, difference in rows])
    made = []
    for (head, difference), verdict in zip(rows, verdicts, strict=True):
        attribute, group = difference.place
        sides = ["" if v is None else text(v) for v in (verdict.first, verdict.second)]
        said = answer(verdict, text, words, "could find ", 1.0)
        shown = with_interval(verdict, text) or ""
        made.append(verdict_row([*head, f"{attribute}: {group}", *sides, shown], verdict, said))
    return answers_table(
        title,
        f"The change of accuracy {changed} in the group with the fewest training rows, that of all "
        "other rows, and the first minus the second with its interval over seeds and test rows, in "
        "points; verdicts hold for the table together (Holm).",
        [*heads, "Scarcest group", "Its change", "Others'"],
        made,
    )


def scarce_findings(rows: Sequence[Change], what: str) -> list[dict[str, Any]]:
    """Whose scarcest group is shown to lose more, for the head of a page; or that nobody's is.

    Parameters
    ----------
    rows : as of `scarce_table`.
    what : one of the methods, in a word.
    """
    verdicts = judge([difference for _, difference in rows])
    shown = [
        {
            "text": f"{', '.join(head)}: {change.place[1]} loses more accuracy than all others.",
            "size": size_of("accuracy", verdict),
            "verdict": "shown",
            "mark": VERDICT_MARKS["worse"],
        }
        for (head, change), verdict in zip(rows, verdicts, strict=True)
        if verdict.verdict == "worse"
    ]
    if shown or not rows:
        return shown[:_MOST_NAMED]
    alike = sum(verdict.verdict in ("equivalent", "better") for verdict in verdicts)
    word = "equivalent" if alike == len(rows) else "inconclusive"
    text = f"No {what} is shown to cost the scarcest group more than others"
    text += f"; {alike} of {len(rows)} are shown not to." if alike else "."
    said = "equivalent" if alike == len(rows) else "not shown"
    return [{"text": text, "verdict": said, "mark": VERDICT_MARKS[word]}]
