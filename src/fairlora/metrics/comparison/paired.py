"""Compare two sets of predictions on the same rows, with intervals and verdicts.

It is a comparison over seeds (`fairlora.metrics.comparison.seeds`) of one seed: the rows are the
only source of chance, and are resampled together for both, so that what makes a row hard for both
cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.assemble import positive_class
from fairlora.metrics.comparison.align import one_pair
from fairlora.metrics.comparison.differences import Differences
from fairlora.metrics.comparison.seeds import judged, settings_of
from fairlora.metrics.inference.verdicts import MARGIN
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.missing_labels import left_out_note

# What a judged row of one seed has nothing to say of.
_OF_SEEDS = ("first_sd", "second_sd", "sd", "per_seed", "error_rows", "error_seeds", "allowance")


def compare_predictions(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] = ("first", "second"),
) -> dict[str, Any]:
    """Every metric of `first` minus that of `second`, with intervals and verdicts.

    The disparities, one an attribute and metric, are the family that Holm's correction is over; the
    overall metrics are another; the groups' rows are exploratory (Benjamini-Hochberg).

    Parameters
    ----------
    first, second : the same rows in the same order, with the same labels; the groups are the
        first's.
    settings : as of an audit; None is the defaults.
    margin : rates that differ by less count as equivalent; above 0, below 1.
    names : what to call the two.

    Returns
    -------
    A dict of n, left_out, first, second, positive, settings, overall, disparities, by_group and
    warnings.

    Raises
    ------
    InputError : the rows are not the same, a loss or probability is not finite, the margin is out
        of range, or a setting does not fit the tables or a comparison.
    """
    settings = Settings() if settings is None else settings
    settings.check_comparison()
    _check(first, second)
    if not 0 < margin < 1:
        raise InputError(
            "no margin of rates", where="margin", found=margin, expected="above 0, below 1"
        )
    runs = one_pair(first, second, names, settings)
    warnings = list(dict.fromkeys([*first.notes, *second.notes]))
    if first.left_out:
        warnings.append(left_out_note(first.left_out, len(first)))
    positive = positive_class(first.classes, settings.positive, warnings)
    found = judged(Differences(runs, positive, settings, {}, None, margin), warnings)
    return {
        "n": len(first),
        "left_out": dict(first.left_out),
        "first": names[0],
        "second": names[1],
        "positive": None if positive is None else first.classes[positive],
        "settings": {**settings_of(runs, settings), "margin": margin},
        **without_seeds(found),
        "warnings": warnings,
    }


def without_seeds(found: dict[str, Any]) -> dict[str, Any]:
    """Judged rows of one seed without what is said of several; changed in place."""
    for rows in (
        found["overall"],
        *found["disparities"].values(),
        *(row for groups in found["by_group"].values() for row in groups.values()),
    ):
        for row in rows.values():
            for key in _OF_SEEDS:
                row.pop(key, None)
    return found


def _check(first: Predictions, second: Predictions) -> None:
    if len(first) != len(second):
        raise InputError(
            "not the same rows",
            where="the second predictions",
            found=f"{len(second):,} rows",
            expected=f"{len(first):,}",
        )
    if first.classes != second.classes:
        raise InputError(
            "not the same classes",
            where="the second predictions",
            found=", ".join(second.classes[:8]),
            expected=", ".join(first.classes[:8]),
        )
    other = first.labels != second.labels
    if other.any():
        row = int(np.flatnonzero(other)[0])
        raise InputError(
            "not the same rows: another label",
            where=f"row {row + 1} of the second predictions",
            found=second.classes[int(second.labels[row])],
            expected=first.classes[int(first.labels[row])],
        )
