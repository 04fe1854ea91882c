"""Whether what moved from one model to another fell on one group more than on all others."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fairlora.errors import require_known
from fairlora.metrics.comparison.align import runs_of
from fairlora.metrics.comparison.noise import noise_of_influences, sums_by_unit
from fairlora.metrics.comparison.variance import degrees_of, variance_of
from fairlora.metrics.comparison.verdicts import MARGIN, Difference
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions


def uneven_change(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    attribute: str,
    group: str,
    settings: Settings | None = None,
    *,
    names: tuple[str, str] = ("first", "second"),
    margin: float = MARGIN,
    ratio: float | None = None,
) -> Difference:
    """A group's change of accuracy minus that of all other rows, from `second` to `first`.

    The difference's two sides are the group's change and the others', a pair a seed; below 0 the
    group lost more. `judge` makes verdicts of a family of them. Its variance is that of every
    comparison: test rows (or their clusters), which seeds share, and seeds.

    Parameters
    ----------
    first, second : seed -> predictions of the same rows, as of `compare_over_seeds`.
    attribute, group : whose change is set against the others'; a row in several groups that is in
        this one is no other.
    settings : as of an audit.
    names : of the two, for messages.
    margin : changes that differ by less count as alike.
    ratio : as of `compare_over_seeds`.

    Raises
    ------
    InputError : as of `compare_over_seeds`, or no such attribute or group.
    """
    settings = Settings() if settings is None else settings
    runs = runs_of(first, second, names, settings, [], same_rows=ratio is None)
    require_known([attribute], runs.attributes, "group column", "attribute")
    runs = runs.compared(attribute, settings)
    column = runs.blocks[0].columns[attribute]
    require_known([group], column.names, "group", attribute)
    each, influences, units = [], [], 0
    for block in runs.blocks:
        inside = block.columns[attribute].contains(group)
        parts = inside / max(inside.sum(), 1), ~inside / max((~inside).sum(), 1)
        for a, b in block.tables:
            moved = (a.predictions == a.labels).astype(float) - (b.predictions == b.labels)
            changes = [float(part @ moved) for part in parts]
            each.append(changes if inside.any() and not inside.all() else [math.nan] * 2)
            own, other = (part * (moved - c) for part, c in zip(parts, changes, strict=True))
            influences.append(own - other)
        units = len(np.unique(block.clusters)) if block.clusters is not None else len(inside)
    values = np.array(each)
    place = (attribute, group)
    if not np.isfinite(values).all():
        reason = "no row of the group, or of no other"
        return Difference("accuracy", values, +1, margin, None, reason, place, 1.0)
    noise = None
    if ratio is None:
        rows = sums_by_unit(np.stack(influences), runs.blocks[0].clusters)
        noise = noise_of_influences(rows)
    # As of a rate: half a row either way in each of the two (Agresti and Min 2005).
    least = math.hypot(*(1 / (n + 2) for n in (inside.sum(), (~inside).sum())))
    degrees = None if runs.blocks[0].clusters is None else degrees_of(units)
    variance = variance_of(
        values[:, 0] - values[:, 1], noise, least=least, degrees=degrees, ratio=ratio
    )
    alone = None if variance is not None else "one seed alone"
    return Difference("accuracy", values, +1, margin, variance, alone, place, 1.0)
