"""Compare two models on the same rows, or two ways of fine-tuning over seeds: the one engine.

The value of a metric is the mean over seeds of the first's minus the second's; of one seed it is
the difference of two tables. Two sources of chance are told apart: the test rows, which all seeds
share, and the training runs. The rows are resampled together for all seeds and both ways, so that
what makes a row hard for all of them cancels; `variance` says how the two sources are joined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.comparison.align import Runs, one_pair, runs_of
from fairlora.metrics.comparison.bootstrap import FEWEST_DRAWS
from fairlora.metrics.comparison.content import ComparisonContent, ComparisonSettings
from fairlora.metrics.comparison.differences import NO_MARGIN, Differences, group_sizes
from fairlora.metrics.comparison.summary import check_ratio
from fairlora.metrics.comparison.values import BETTER
from fairlora.metrics.comparison.verdicts import MARGIN, check_margin, judged_rows
from fairlora.metrics.counting import positive_class
from fairlora.metrics.groups.intersections import crossed_name
from fairlora.metrics.groups.missing import missing_warning
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.spellings import odd_groups


def compare_predictions(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] = ("first", "second"),
) -> ComparisonContent:
    """Every metric of `first` minus that of `second`, with intervals and verdicts.

    The disparities, one an attribute and metric, are the family that Holm's correction is over; the
    overall metrics are another; the groups' rows are exploratory (Benjamini-Hochberg).

    Parameters
    ----------
    first, second : the same rows, paired by id, with the same labels; the groups are the first's.
    settings : as of an audit; None is the defaults.
    margin : rates that differ by less count as equivalent; above 0, below 1.
    names : what to call the two.

    Raises
    ------
    InputError : the rows are not the same, a loss or probability is not finite, the margin is out
        of range, or a setting does not fit the tables or a comparison.
    """
    settings = Settings() if settings is None else settings
    settings.check_comparison()
    check_margin(margin)
    runs = one_pair(first, second, names, settings)
    warnings = notes_of(runs)
    positive = positive_class(runs.classes, settings.positive, warnings)
    maker = Differences(runs, positive, settings, {}, None, margin)
    return compared(maker, names, warnings, margin=margin)


def compare_over_seeds(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    settings: Settings | None = None,
    *,
    margins: Mapping[str, float] | None = None,
    names: tuple[str, str] = ("first", "second"),
    ratio: float | None = None,
) -> ComparisonContent:
    """Every metric of `first` minus that of `second`, mean over seeds, with intervals and verdicts.

    Runs of one seed are a pair; a seed that one of the two lacks is left out with a warning. All
    tables hold the same rows, which are aligned by id, and the groups are those of the first.

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
    As `compare_predictions`, with the seeds that both have, and what the seeds give apart in every
    verdict (standard deviations are null for one seed; the allowance is 0 for what is no maximum).
    The smallest difference that is found accounts for the seeds' degrees of freedom.

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
    warnings += notes_of(runs)
    positive = positive_class(runs.classes, settings.positive, warnings)
    maker = Differences(runs, positive, settings, given, ratio)
    extra = {"margins": given, "ratio": ratio}
    seen = compared(maker, names, warnings, margin=MARGIN, over_seeds=extra)
    _warn_of_seeds(runs, ratio, seen.warnings)
    return seen


def known_metrics() -> list[str]:
    """The names of the metrics that a comparison over seeds may have, and so of the margins."""
    return list(BETTER)


def notes_of(runs: Runs) -> list[str]:
    """What the tables say of themselves, and the rows that were left out."""
    tables = [table for block in runs.blocks for table in block.flat]
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    if tables[0].left_out:
        notes.append(left_out_note(tables[0].left_out, len(tables[0])))
    return notes


def compared(
    maker: Differences,
    names: tuple[str, str],
    warnings: list[str],
    *,
    margin: float | None,
    over_seeds: Mapping[str, Any] | None = None,
) -> ComparisonContent:
    """What all comparisons have: the settings, and the rows with their verdicts.

    Groups are compared over the rows that have a group value.

    Parameters
    ----------
    maker : of the differences.
    names : of the two.
    warnings : of the comparison; they take what is left out.
    margin : the default, to be shown.
    over_seeds : the settings of a comparison over seeds.
    """
    runs, settings, positive = maker.runs, maker.settings, maker.positive
    overall, disparities, by_group = maker.overall(), [], []
    for attribute in runs.attributes:
        some = runs.compared(attribute, settings)
        _warn_of_groups(runs, some, attribute, settings, warnings)
        if min(len(block) for block in some.blocks):
            gaps, groups = maker.over(some).attribute(attribute)
            disparities += gaps
            by_group += groups
    clusters = runs.blocks[0].clusters
    shown = {
        **settings.shown(),
        "bootstrap": max(settings.bootstrap, FEWEST_DRAWS),
        **({} if clusters is None else {"clusters": int(clusters.max()) + 1}),
    }
    rows: dict[str, Any] = {"left_out": dict(runs.blocks[0].tables[0][0].left_out)}
    if over_seeds is not None:
        rows = {"seeds": list(runs.seeds)}
    return ComparisonContent(
        **rows,
        n=min(len(block) for block in runs.blocks),
        first=names[0],
        second=names[1],
        positive=None if positive is None else runs.classes[positive],
        settings=ComparisonSettings(**shown, margin=margin, **(over_seeds or {})),
        **judged_rows(
            (overall, disparities, by_group),
            runs.attributes,
            settings.level,
            over_seeds=over_seeds is not None,
        ),
        warnings=warnings,
    )


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
        if name not in NO_MARGIN:
            check_margin(margin, where)
    return given


def _warn_of_seeds(runs: Runs, ratio: float | None, warnings: list[str]) -> None:
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


def _warn_of_groups(
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
