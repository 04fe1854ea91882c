"""One way of fine-tuning over its seeds: mean, spread, and the interval of the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from fairlora.errors import InputError
from fairlora.metrics.inference.intervals import t_of


class Summary(NamedTuple):
    """What so many values of one number come to.

    Attributes
    ----------
    mean : of the values.
    sd : standard deviation of a sample (divisor n - 1); None below two values.
    low, high : ends of the interval of the mean; None below two values.
    n : how many values there are.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def summarise_over_seeds(
    values: Sequence[float], *, ratio: float | None = None, level: float = 0.95
) -> Summary:
    """Mean, standard deviation and Student's t interval of a number that each seed has once.

    The interval is for the mean over seeds on these test rows: what varies from run to run is in
    it, and what other test rows would do is not. With `ratio` the test rows vary with the seed, and
    the variance of the mean is (1 / n + ratio) sd^2, since training and test sets of the seeds
    overlap (Nadeau and Bengio 2003, Machine Learning 52:239, corrected resampled t test).

    Parameters
    ----------
    values : one a seed, in the metric's unit.
    ratio : rows of the test split over rows that a run was trained on.
    level : of the interval.

    Raises
    ------
    InputError : no value, one that is not finite, or a ratio that is not positive.

    >>> summary = summarise_over_seeds([0.90, 0.92, 0.91])
    >>> round(summary.mean, 3), round(summary.sd, 3), round(summary.low, 3), round(summary.high, 3)
    (0.91, 0.01, 0.885, 0.935)
    >>> summarise_over_seeds([0.9])
    Summary(mean=0.9, sd=None, low=None, high=None, n=1)
    """
    n = len(values)
    if not n:
        raise InputError("no values", where="values", expected="one a seed")
    if not all(math.isfinite(value) for value in values):
        raise InputError("not a finite number", where="values", found=list(values))
    check_ratio(ratio)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, None, None, n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = t_of(level, n - 1) * math.sqrt((1 / n + (ratio or 0.0)) * variance)
    return Summary(mean, math.sqrt(variance), mean - half, mean + half, n)


def check_ratio(ratio: float | None) -> None:
    """Raise `InputError` for a ratio of test to training rows that is none."""
    if ratio is not None and not (math.isfinite(ratio) and ratio > 0):
        raise InputError(
            "no ratio of rows",
            where="ratio",
            found=ratio,
            expected="test rows over training rows, above 0",
        )
