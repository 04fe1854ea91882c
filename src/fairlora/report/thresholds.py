"""Rates by group at thresholds, from counts: what a page shows, and its script at any threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairlora.report.threshold_counts import Thresholds

# So many of the thresholds stand in the page's table; its script has them all.
_SHOWN = 9


class RateRow(NamedTuple):
    """A group's counts, and its rates at each shown threshold, as texts."""

    group: str
    n: str
    cells: list[list[str]]


class RateTable(NamedTuple):
    """The rates of one attribute's groups: (selected, TPR, FPR) in percent at each threshold."""

    name: str
    thresholds: list[str]
    rows: list[RateRow]


def rate_rows(found: Thresholds) -> list[RateTable]:
    """Return the rates at a few thresholds, evenly taken, as tables: one an attribute.

    A rate without rows is a dash.
    """
    last = len(found["thresholds"]) - 1
    chosen = sorted({round(last * (k + 1) / (_SHOWN + 1)) for k in range(_SHOWN)}) if last else [0]
    heads = [f"{found['thresholds'][k]:g}" for k in chosen]
    return [
        RateTable(
            panel["name"],
            heads,
            [
                RateRow(
                    group["name"],
                    f"{_first(group['positives']) + _first(group['negatives']):,}",
                    [_rates(group["positives"], group["negatives"], k) for k in chosen],
                )
                for group in panel["groups"]
            ],
        )
        for panel in found["panels"]
    ]


def _first(counts: Sequence[int]) -> int:
    return counts[0] if counts else 0


def _rates(positives: Sequence[int], negatives: Sequence[int], k: int) -> list[str]:
    above, below = positives[k], negatives[k]
    parts = (
        (above + below, positives[0] + negatives[0]),
        (above, positives[0]),
        (below, negatives[0]),
    )
    return [f"{100 * part / whole:.1f}" if whole else "–" for part, whole in parts]
