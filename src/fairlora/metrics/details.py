"""What a page says of the rows beyond an audit's content: confusion, classes, thresholds, examples.

It is made of the rows when a page is asked for, and stands in no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fairlora.metrics.charts import compared
from fairlora.metrics.content import AuditContent, GroupNumbers
from fairlora.metrics.counts.sums import Int
from fairlora.metrics.counts.tally import membership, tally
from fairlora.metrics.findings import lowest_groups
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.report.tables import make_table

# A page has so many counts of confusion an attribute at most: of more groups the largest.
_MOST_COUNTS = 1500
# More rows than this are folded away until they are asked for.
_FOLDED_ROWS = 12
# Counts are kept at every hundredth.
_STEPS = 100
_MOST_GROUPS = 40
RISK = (
    "These rows name people or texts by their ids: whoever has the data finds them. Do not hand on "
    "a page with examples where the audit alone would do."
)


@dataclass(frozen=True)
class Rows:
    """The rows of an audit, and how many examples of each failed group its page is to show."""

    predictions: Predictions
    settings: Settings
    examples: int = 0

    @cached_property
    def columns(self) -> dict[str, GroupColumn]:
        """The attributes and the combinations that were asked for."""
        return columns_of(self.predictions.groups, len(self.predictions), self.settings)

    def tables(self, attribute: str, content: AuditContent) -> list[dict[str, Any]]:
        """The confusion of every group of an attribute; of many classes the recall of each.

        Parameters
        ----------
        attribute : whose groups they are.
        content : of the audit of these rows.
        """
        kept = self._kept(content.by_group[attribute], len(content.classes) ** 2)
        if not kept:
            return []
        counted = self._counts(attribute)
        counts = {group: counted[group] for group in kept if group in counted}
        more = len(content.by_group[attribute]) - len(counts)
        out = [_confusion(attribute, content.classes, counts, more)]
        if len(content.classes) > 2:
            out.insert(0, _recalls(attribute, content.classes, counts))
        if self.examples:
            out += self._examples(attribute, content)
        return out

    def thresholds(self, content: AuditContent) -> Iterator[tuple[str, dict[str, Any]]]:
        """Attribute and counts by threshold, of two classes with probabilities and no weights."""
        predictions = self.predictions
        if content.positive is None or predictions.probs is None or predictions.weights is not None:
            return
        positive = content.classes.index(content.positive)
        steps = np.arange(_STEPS + 1) / _STEPS
        # Thresholds in the probabilities' own precision: 0.7 is at 0.7.
        scores = predictions.probs[:, positive]
        place = np.searchsorted(steps.astype(scores.dtype), scores, side="right") - 1
        true = predictions.labels == positive
        for attribute, column in self.columns.items():
            kept = self._kept(content.by_group[attribute], _MOST_COUNTS // _MOST_GROUPS)
            _, rows, codes = membership(column)
            width = len(steps)
            flat = (codes * 2 + true[rows]) * width + place[rows]
            shape = (len(column.names), 2, width)
            found = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
            # How many lie at or above each threshold.
            above = found[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
            groups = [
                {
                    "name": group,
                    "positives": above[column.names.index(group), 1].tolist(),
                    "negatives": above[column.names.index(group), 0].tolist(),
                }
                for group in kept
                if group in column.names
            ]
            yield (
                attribute,
                {
                    "title": f"Rates by {attribute} at other thresholds",
                    "caption": f"A row is taken for {content.positive} from the threshold on. "
                    "Rates in percent, without intervals: a threshold that is chosen here, on "
                    "these rows, looks better than it is.",
                    "selects": content.positive,
                    "thresholds": steps.tolist(),
                    "panels": [{"name": attribute, "groups": groups}],
                },
            )

    def _kept(self, groups: Mapping[str, GroupNumbers], each: int) -> list[str]:
        """The groups that a page has room for, in their order; with `each` so many numbers."""
        most = max(_MOST_COUNTS // each, 0)
        chosen = set(sorted(groups, key=lambda group: -groups[group].n)[:most])
        return [group for group in groups if group in chosen]

    def _counts(self, attribute: str) -> dict[str, Int]:
        predictions, column = self.predictions, self.columns[attribute]
        y, h = predictions.labels, predictions.predictions
        found = tally(y, h, len(predictions.classes), column)
        return dict(zip(found.names, found.row_counts, strict=True))

    def _examples(self, attribute: str, content: AuditContent) -> list[dict[str, Any]]:
        """The rows of the worst group that are wrong, the surest of them first."""
        groups = compared(content.by_group[attribute])
        worst = lowest_groups(content.disparities[attribute].accuracy_worst)
        if len(groups) < 2 or not worst:
            return []
        predictions, column = self.predictions, self.columns[attribute]
        names, rows, codes = membership(column)
        y, h = predictions.labels, predictions.predictions
        wrong = rows[(codes == names.index(worst[0])) & (y[rows] != h[rows])]
        sure = None if predictions.probs is None else predictions.probs[wrong, h[wrong]]
        order = np.arange(len(wrong)) if sure is None else np.argsort(-sure, kind="stable")
        texts = [
            [
                str(predictions.ids[wrong[k]]),
                predictions.classes[y[wrong[k]]],
                predictions.classes[h[wrong[k]]],
                "" if sure is None else f"{100 * float(sure[k]):.1f}",
            ]
            for k in order[: self.examples]
        ]
        return [
            make_table(
                f"Examples that {attribute} {worst[0]} is failed on",
                f"{len(texts)} of {len(wrong):,} rows that are predicted wrongly, the surest "
                f"first. {RISK}",
                ["<Row", "<Label", "<Predicted", "Probability (%)"],
                texts,
            )
        ]


def _confusion(
    attribute: str, classes: Sequence[str], counts: Mapping[str, Int], more: int
) -> dict[str, Any]:
    texts = []
    for group, found in counts.items():
        for true, row in zip(classes, found, strict=True):
            whole = int(row.sum())
            shares = [f"{int(n):,} ({100 * n / whole:.1f})" if whole else "0" for n in row]
            texts.append([group, true, f"{whole:,}", *shares])
    left = f" The {len(counts)} largest groups." if more > 0 else ""
    table = make_table(
        f"Confusion by {attribute}",
        "Rows by true class and prediction, in brackets the percentage of the true class's rows."
        + left,
        [
            f"<{attribute}",
            "<True class",
            "n",
            *({"name": f"Predicted {name}", "align": "right"} for name in classes),
        ],
        texts,
    )
    return {**table, "folded": len(texts) > _FOLDED_ROWS}


def _recalls(attribute: str, classes: Sequence[str], counts: Mapping[str, Int]) -> dict[str, Any]:
    """A row a class, a column a group: how often the class is found in it."""
    texts = []
    for c, name in enumerate(classes):
        cells = []
        for table in counts.values():
            rows = int(table[c].sum())
            cells.append(f"{100 * table[c, c] / rows:.1f} (n {rows:,})" if rows else "no rows")
        texts.append([name, *cells])
    return make_table(
        f"Recall of each class by {attribute}",
        "The percentage of a class's rows in a group that are predicted as it; n is their number.",
        ["<Class", *({"name": group, "align": "right"} for group in counts)],
        texts,
    )
