"""Compare two ways of fine-tuning over seeds, with intervals and verdicts.

The value of a metric is the mean over seeds of the first's minus the second's. Two sources of
chance are told apart: the test rows, which all seeds share, and the training runs. `bootstrap`
resamples the rows, once for all seeds; `variance` says how the two are joined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import positive_class
from fairlora.metrics.comparison.align import Runs, runs_of
from fairlora.metrics.comparison.bootstrap import FEWEST_DRAWS
from fairlora.metrics.comparison.differences import NO_MARGIN, Differences, group_sizes
from fairlora.metrics.comparison.summary import check_ratio
from fairlora.metrics.comparison.values import BETTER
from fairlora.metrics.comparison.variance import SeedDifference, detectable_over_seeds
from fairlora.metrics.groups.intersections import crossed_name
from fairlora.metrics.groups.missing import missing_warning
from fairlora.metrics.inference.verdicts import MARGIN, judge
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.spellings import odd_groups


def compare_over_seeds(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    settings: Settings | None = None,
    *,
    margins: Mapping[str, float] | None = None,
    names: tuple[str, str] = ("first", "second"),
    ratio: float | None = None,
) -> dict[str, Any]:
    """Every metric of `first` minus that of `second`, mean over seeds, with intervals and verdicts.

    Runs of one seed are a pair; a seed that one of the two lacks is left out with a warning. All
    tables hold the same rows, which are aligned by id, and the groups are those of the first. Rows
    are resampled together for all seeds and both ways, so that what makes a row hard for all of
    them cancels.

    With `ratio` the test rows vary with the seed, and only the two tables of a seed hold the same
    ones. Then rows are not resampled: the variance is (1 / S + ratio) s^2, of S - 1 degrees of
    freedom (Nadeau and Bengio 2003, Machine Learning 52:239, the corrected resampled t test).

    Parameters
    ----------
    first, second : seed -> predictions.
    settings : as of an audit.
    margins : metric -> the difference below which the two count as equivalent; 0.02 for rates
        unless given here, none for losses, Brier scores and the variance of losses.
    names : what to call the two. Verdicts are the first's: `better` says that it is better.
    ratio : rows of the test split over rows that a run was trained on.

    Returns
    -------
    As `compare_predictions` (n, first, second, positive, settings, overall, disparities, by_group,
    warnings), and "seeds", those that both have. Every metric has besides: "per_seed", the
    differences; "first_sd", "second_sd" and "sd", standard deviations over seeds (null for one
    seed); "error", the standard error, with its parts "error_rows" and "error_seeds"; "allowance",
    how much of the difference unequal noise of the two may explain, with its sign (0 for what is no
    maximum). "detectable" is the smallest difference with 80 % power, at the uncorrected level,
    the seeds' degrees of freedom accounted for.

    Raises
    ------
    InputError : no seed in common; ids, labels, groups or attributes that differ (the line names
        the seed and the row); a margin for an unknown metric; a ratio that is not positive.
    """
    settings = Settings() if settings is None else settings
    settings.check_comparison()
    given = _checked(margins)
    check_ratio(ratio)
    warnings: list[str] = []
    runs = runs_of(first, second, names, settings, warnings, same_rows=ratio is None)
    positive = positive_class(runs.classes, settings.positive, warnings)
    found = judged(Differences(runs, positive, settings, given, ratio), warnings)
    _warn(runs, settings, ratio, warnings)
    rows = [len(block) for block in runs.blocks]
    return {
        "n": min(rows),
        "first": names[0],
        "second": names[1],
        "seeds": list(runs.seeds),
        "positive": None if positive is None else runs.classes[positive],
        "settings": {
            **settings_of(runs, settings),
            "margin": MARGIN,
            "margins": given,
            "ratio": ratio,
        },
        **found,
        "warnings": warnings,
    }


def judged(maker: Differences, warnings: list[str]) -> dict[str, Any]:
    """The differences with their verdicts: "overall", "disparities" and "by_group".

    Groups are compared over the rows that have a group value; `warnings` take what is left out.
    """
    runs, settings = maker.runs, maker.settings
    attributes, overall, level = runs.attributes, maker.overall(), settings.level
    primary: list[SeedDifference] = []
    exploratory: list[SeedDifference] = []
    for attribute in attributes:
        some = runs.compared(attribute, settings)
        _warn_groups(runs, some, attribute, settings, warnings)
        if not min(len(block) for block in some.blocks):
            continue
        disparities, groups = maker.over(some).attribute(attribute)
        primary += disparities
        exploratory += groups
    content: dict[str, Any] = {
        "overall": {},
        "disparities": {attribute: {} for attribute in attributes},
        "by_group": {attribute: {} for attribute in attributes},
    }
    for one, row in zip(overall, judge(overall, level=level), strict=True):
        content["overall"][one.name] = _completed(one, row, level)
    for one, row in zip(primary, judge(primary, level=level), strict=True):
        content["disparities"][row.pop("attribute")][one.name] = _completed(one, row, level)
    for one, row in zip(exploratory, judge(exploratory, "bh", level), strict=True):
        group = content["by_group"][row.pop("attribute")].setdefault(row.pop("group"), {})
        group[one.name] = _completed(one, row, level)
    return content


def settings_of(runs: Runs, settings: Settings) -> dict[str, Any]:
    """What a comparison's JSON repeats: with the draws that were made, and the clusters."""
    clusters = runs.blocks[0].clusters
    shown = {**settings.shown(), "bootstrap": max(settings.bootstrap, FEWEST_DRAWS)}
    return shown if clusters is None else {**shown, "clusters": int(clusters.max()) + 1}


def known_metrics() -> list[str]:
    """The names of the metrics that a comparison over seeds may have, and so of the margins."""
    return list(BETTER)


def _checked(margins: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(margins or {})
    for name, margin in given.items():
        where = f"margins, {name}"
        if name not in BETTER:
            known = ", ".join(known_metrics())
            raise InputError("no such metric", where="margins", found=name, expected=known)
        number = isinstance(margin, int | float) and not isinstance(margin, bool)
        if not number or not math.isfinite(margin) or margin <= 0:
            raise InputError("no margin", where=where, found=margin, expected="above 0")
        if name not in NO_MARGIN and margin >= 1:
            raise InputError(
                "no margin of rates", where=where, found=margin, expected="above 0, below 1"
            )
    return given


def _warn(runs: Runs, settings: Settings, ratio: float | None, warnings: list[str]) -> None:
    seeds = len(runs.seeds)
    if seeds == 1 and ratio is None:
        warnings.append(
            "one seed alone: another training run of the same way of fine-tuning would differ "
            "too, and by how much one seed does not say; intervals and verdicts are of these runs"
        )
    if seeds == 1 and ratio is not None:
        warnings.append("one seed alone, and test rows that vary with it: nothing to judge by")
    if seeds == 2:
        warnings.append(
            "two seeds: what varies with the seed is known so badly that only differences many "
            "times as large are found; three are far better, and five good"
        )
    rows = {len(block) for block in runs.blocks}
    if len(rows) > 1:
        warnings.append(f"the seeds have {min(rows):,} to {max(rows):,} test rows")


def _warn_groups(
    runs: Runs, some: Runs, attribute: str, settings: Settings, warnings: list[str]
) -> None:
    """Say which rows and groups of an attribute are not compared."""
    if some is not runs:
        # Where the test rows vary with the seed, of the seed that has the fewest rows left.
        left, n = min((len(b), len(a)) for a, b in zip(runs.blocks, some.blocks, strict=True))
        warnings.append(missing_warning(attribute, n - left, n))
    sizes = group_sizes(some, attribute)
    names = some.blocks[0].columns[attribute].names
    if attribute not in {crossed_name(one) for one in settings.intersect}:
        warnings += odd_groups(attribute, names)
    least = max(1, settings.min_group)
    small = [name for name, n in zip(names, sizes, strict=True) if n < least]
    if small:
        shown = ", ".join(small[:8]) + (" ..." if len(small) > 8 else "")
        warnings.append(
            f"{attribute}: fewer than {least} rows, so left out of maxima and spreads: {shown}"
        )


def _completed(one: SeedDifference, row: dict[str, Any], level: float) -> dict[str, Any]:
    """A judged row with what the seeds give apart."""
    values, chance = np.array(one.each), one.chance
    off = values[:, 0] - values[:, 1]

    def deviation(v: NDArray[np.float64]) -> float | None:
        return float(v.std(ddof=1)) if len(v) > 1 and np.isfinite(v).all() else None

    out = {
        **row,
        "first_sd": deviation(values[:, 0]),
        "second_sd": deviation(values[:, 1]),
        "sd": deviation(off),
        "per_seed": [float(v) if math.isfinite(v) else None for v in off],
    }
    if chance is None:
        parts = ("error", "error_rows", "error_seeds", "allowance")
        return {**out, **dict.fromkeys(parts)}
    of_seeds = math.sqrt(max(chance.seeds, chance.floor)) if chance.seed_degrees else None
    return {
        **out,
        "detectable": detectable_over_seeds(chance, level),
        "error": chance.error,
        "error_rows": math.sqrt(chance.rows),
        "error_seeds": of_seeds,
        "allowance": chance.bias,
    }
