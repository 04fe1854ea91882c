"""Power of a study before it runs: from its test rows, its seeds and stated assumptions.

The assumptions stand in the rows; none of them is known before the runs, and the true differences
that a study can find are as good as they are. `fairlora.metrics.comparison.paired` says afterwards,
from the data, what could have been found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.comparison.summary import check_ratio
from fairlora.metrics.comparison.variance import Variance
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.inference.power import POWER
from fairlora.predictions.arrow import MISSING

ACCURACY, CORRELATION, SEED_SD = 0.9, 0.5, 0.005


def power_of_study(
    rows: int,
    groups: Mapping[str, Tally | Mapping[str, int]],
    seeds: int,
    *,
    accuracy: float = ACCURACY,
    correlation: float = CORRELATION,
    seed_sd: float = SEED_SD,
    tests: int = 1,
    min_group: int = 10,
    ratio: float | None = None,
    level: float = 0.95,
    power: float = POWER,
) -> list[dict[str, Any]]:
    """The smallest differences of accuracy between two ways that a study finds with that power.

    Of a row, the difference of two ways' hits has the variance 2 p (1 - p) (1 - correlation), p the
    accuracy. All of it is taken as shared by the seeds, so more seeds do not make it smaller: right
    where a row that one way gets right and the other wrong is so with every seed, and pessimistic
    else. `seed_sd` is what is left: the standard deviation over seeds of the difference, with test
    rows without end; it is taken as that of every metric and group. The rule is that of
    `compare_over_seeds`, Student's t included.

    The gap's difference is that of two given groups, the smallest two that count; the worst group
    is taken as the smallest. Other groups are larger, and easier. Where several groups are alike,
    which is largest is chance too, which is not in here. Groups of fewer than `min_group` rows are
    left out, and so are rows without a group value.

    Parameters
    ----------
    rows : test rows.
    groups : attribute -> its tally, or group -> rows.
    seeds : how many runs each way has.
    accuracy, correlation, seed_sd : what is assumed; see above.
    tests : with how many the family is corrected for: Bonferroni's level, Holm's first step.
    ratio : test rows over training rows where the test rows vary with the seed, as of
        `compare_over_seeds`.

    Returns
    -------
    One row a metric: "attribute" (null overall), "metric", "groups" (the names it is about), "n"
    (rows of the smallest), "detectable" (null with a "reason" where nothing can be found),
    "detectable_with_more_seeds", what seeds without end would find on these rows, "error_rows" and
    "error_seeds", and "assumed".

    Raises
    ------
    InputError : a number out of range.

    >>> for row in power_of_study(2000, {"sex": {"f": 1000, "m": 1000}}, seeds=5):
    ...     print(row["metric"], round(row["detectable"], 3))
    accuracy 0.021
    accuracy_worst 0.028
    accuracy_gap 0.038
    """
    _check(rows, seeds, accuracy, correlation, seed_sd, tests)
    check_ratio(ratio)
    of_row = 2 * accuracy * (1 - accuracy) * (1 - correlation)
    level = 1 - (1 - level) / tests
    assumed = {"accuracy": accuracy, "correlation": correlation, "seed_sd": seed_sd, "tests": tests}

    def row(
        attribute: str | None, metric: str, names: list[str], sizes: list[int]
    ) -> dict[str, Any]:
        of_rows = of_row * sum(1 / n for n in sizes)
        variance = _variance(of_rows, seed_sd**2, seeds, ratio)
        out: dict[str, Any] = {
            "attribute": attribute,
            "metric": metric,
            "groups": names,
            "n": min(sizes),
            "detectable": None,
            "detectable_with_more_seeds": None,
            "error_rows": math.sqrt(variance.rows),
            "error_seeds": math.sqrt(variance.seeds) if variance.seed_degrees else None,
            "assumed": assumed,
        }
        if ratio is None:
            out["detectable_with_more_seeds"] = Variance(of_rows).detectable(level, power)
        if seeds > 1 or ratio is None:
            out["detectable"] = variance.detectable(level, power)
        if seeds == 1:
            out["reason"] = (
                "one seed: what varies with the training run is not in it"
                if ratio is None
                else "one seed alone, and test rows that vary with it"
            )
        return out

    found = [row(None, "accuracy", [], [rows])]
    for attribute, given in groups.items():
        sizes = _sizes(given, min_group)
        if not sizes:
            continue
        small, *others = sorted(sizes, key=lambda name: sizes[name])
        found.append(row(attribute, "accuracy_worst", [small], [sizes[small]]))
        if others:
            two = [small, others[0]]
            found.append(row(attribute, "accuracy_gap", two, [sizes[name] for name in two]))
    return found


def _variance(of_rows: float, of_seeds: float, seeds: int, ratio: float | None) -> Variance:
    if ratio is not None:
        varied = (1 / seeds + ratio) * (of_rows + of_seeds)
        return Variance(0.0, varied, seed_degrees=seeds - 1)
    if seeds == 1:
        return Variance(of_rows)
    return Variance(of_rows, of_seeds / seeds, seed_degrees=seeds - 1)


def _sizes(given: Tally | Mapping[str, int], min_group: int) -> dict[str, int]:
    if isinstance(given, Tally):
        given = {name: int(n) for name, n in zip(given.names, given.sizes, strict=True)}
    return {name: n for name, n in given.items() if n >= max(1, min_group) and name != MISSING}


def _check(
    rows: int, seeds: int, accuracy: float, correlation: float, seed_sd: float, tests: int
) -> None:
    for name, count in (("rows", rows), ("seeds", seeds), ("tests", tests)):
        if count < 1:
            raise InputError("too few", where=name, found=count, expected="1 or more")
    for name, value, good, expected in (
        ("accuracy", accuracy, 0 < accuracy < 1, "above 0, below 1"),
        ("correlation", correlation, -1 <= correlation < 1, "-1 to below 1"),
        ("seed_sd", seed_sd, math.isfinite(seed_sd) and seed_sd >= 0, "0 or more"),
    ):
        if not good:
            raise InputError("out of range", where=name, found=value, expected=expected)
