"""The section of docs/coverage.md on comparisons over seeds, from the results' rows."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

# False verdicts that are wanted at most.
FALSE = 0.05
SEEDS = """
## Over seeds

Two ways of fine-tuning with 2 to 10 seeds each, of which 2 to 20 groups of 30 to 1,000 test rows
are known: {scenarios} scenarios, {simulated:,} simulated comparisons, {minutes:.0f} minutes of one
core. The truth is the mean difference over seeds and over test rows without end. Rows are shared
between the runs as much as a scenario says: not at all ("rows apart"), or by four tenths between
all runs and six tenths between the runs of one way; seeds move accuracies by a point or two, or by
more ("seeds vary"). Ways are alike, or one is noisier (less accurate, its groups as alike), fairer,
or worse by the margin of equivalence. "Calibrated": neither's calibration error is above 0, and one
is surer. "The papers' split": classifiers trained and tested on parts of one pool of rows that the
seed draws, judged by Nadeau and Bengio's variance. 500 bootstrap draws.

False verdicts: the share of comparisons with a verdict of better or worse among those disparities
(or overall metrics) that do not differ, and the share of equivalences among metrics that differ by
the margin or more. Mean over the scenarios, and the highest of one. At most 5 % are wanted;
**bold** is more by two errors.

| seeds | verdict | scenarios | mean | highest | error | scenario of highest |
|---|---|---|---|---|---|---|
"""
SEEDS_COVERAGE = """
Coverage of the 95 % intervals, as above:

| interval | seeds | rows | scenarios | lowest | error | median | highest | of lowest | null |
|---|---|---|---|---|---|---|---|---|---|
"""


def seeds_markdown(rows: list[dict[str, Any]], coverage: list[dict[str, Any]]) -> str:
    """The section, from the scenarios' rows and what `coverage_rows` makes of them."""
    text = SEEDS.format(
        scenarios=len(rows),
        simulated=sum(row["sims"] for row in rows),
        minutes=sum(row["seconds"] for row in rows) / 60,
    )
    for (seeds, what), found in sorted(_false_verdicts(rows).items()):
        most = max(found)
        mark = "**" if most[0] - 2 * most[1] > FALSE else ""
        text += (
            f"| {seeds} | {what} | {len(found)} "
            f"| {100 * float(np.mean([one[0] for one in found])):.1f} % "
            f"| {mark}{100 * most[0]:.1f} %{mark} | {100 * most[1]:.1f} % | {most[2]} |\n"
        )
    text += SEEDS_COVERAGE

    def place(row: dict[str, Any]) -> tuple[str, int, str]:
        what, seeds = row["interval"].rsplit(", ", 1)
        return what, int(seeds.split()[0]), row["rows"]

    for row in sorted(coverage, key=place):
        what, seeds, size = place(row)
        if what.startswith("no false "):
            continue
        mark = "**" if row["short"] else ""
        text += (
            f"| {what} | {seeds} | {size} | {row['scenarios']} "
            f"| {mark}{100 * row['lowest']:.1f} %{mark} | {100 * row['error']:.1f} % "
            f"| {100 * row['median']:.1f} % | {100 * row['highest']:.1f} % "
            f"| {row['scenario']} | {100 * row['null']:.0f} % |\n"
        )
    return text


def _false_verdicts(
    rows: list[dict[str, Any]],
) -> dict[tuple[int, str], list[tuple[float, float, str]]]:
    """By seeds and kind of verdict: share of false ones, its error and the scenario, of each."""
    out: dict[tuple[int, str], list[tuple[float, float, str]]] = defaultdict(list)
    for row in rows:
        for kind, one in row["intervals"].items():
            what, seeds = kind.rsplit(", ", 1)
            if what.startswith("no false ") and one["coverage"] is not None:
                found = 1 - one["coverage"], one["error"], row["scenario"]
                out[int(seeds.split()[0]), what.removeprefix("no false ")].append(found)
    return out
