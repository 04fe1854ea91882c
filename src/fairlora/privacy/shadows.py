"""Summarise shadow models' numbers row by row: counts, means, medians and spreads, in blocks.

A block of rows stays in the processor's cache while it is read several times, and nothing as large
as the input is made, which is most of what this costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import Bool, Float, Floats, floats, mask

Center = Literal["mean", "median"]
# Just under 128 KiB of float64: for larger arrays the C library maps fresh pages each time.
_BLOCK = 15_000
# Numbers that differ by less than this share of their size differ by rounding.
_ROUNDING = 1e-9


class Moments(NamedTuple):
    """Each row's number of shadow models, their center, and squared residuals about the mean.

    Each (rows,); center and squares are NaN without a model.
    """

    number: Float
    center: Float
    squares: Float


def require_center(center: str) -> None:
    """Raise `InputError` for a center other than "mean" and "median"."""
    if center not in ("mean", "median"):
        raise InputError(
            "unknown center", where="center", found=repr(center), expected="mean or median"
        )


def moments(values: Floats, center: Center, where: str, queries: int = 1) -> Moments:
    """Moments of each row of (rows, k) numbers.

    Parameters
    ----------
    values : (rows, k), NaN where a model has none.
    center : "mean" or "median".
    where : what an error calls the numbers.
    queries : of several an example has as many rows; errors name the example.

    Raises
    ------
    InputError : another center; numbers that are infinite, or too large to square.
    """
    require_center(center)
    rows, k = values.shape
    out = Moments(np.full(rows, float(k)), np.empty(rows), np.empty(rows))
    ones = np.ones(k)
    for part in blocks(rows, k):
        x = np.array(values[part], dtype=np.float64)
        there = ~np.isnan(x)
        kept = None if there.all() else _bits(there)
        number = out.number[part]
        if kept is not None:
            number[:] = there.astype(np.float64) @ ones
            _keep(x, kept)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mean = x @ ones / number
            x -= mean[:, None]
            if kept is not None:
                _keep(x, kept)
            squares = np.vecdot(x, x)
        _require_finite(squares, number, values[part], where, part.start, queries)
        squares[squares <= number * (_ROUNDING * mean) ** 2] = 0.0
        out.squares[part] = np.where(number > 0, squares, np.nan)
        out.center[part] = mean if center == "mean" else _median(values[part], None, number)
    return out


def both_moments(
    values: Floats, trained: Bool, center: Center, where: str, queries: int = 1
) -> tuple[Moments, Moments]:
    """Moments of each row under the models that trained on it, and under those that did not.

    Parameters
    ----------
    values, trained : (rows, k); where `values` is NaN the model counts on neither side.
    queries : as of `moments`.
    """
    require_center(center)
    rows, k = values.shape
    inside, outside = (
        Moments(np.empty(rows), np.empty(rows), np.empty(rows)) for _ in ("in", "out")
    )
    ones = np.ones(k)
    for part in blocks(rows, k):
        x = np.array(values[part], dtype=np.float64)
        there = ~np.isnan(x)
        here = trained[part]
        total = np.full(len(x), float(k))
        kept = None if there.all() else _bits(there)
        if kept is not None:
            here = here & there
            total = there.astype(np.float64) @ ones
            _keep(x, kept)
        weight = here.astype(np.float64)
        number = weight @ ones
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # About the mean of all: the sums of squares then lose no digits.
            mean = x @ ones / total
            x -= mean[:, None]
            if kept is not None:
                _keep(x, kept)
            sum_all, sum_in = x @ ones, np.vecdot(x, weight)
            np.multiply(x, x, out=x)
            raw_all, raw_in = x @ ones, np.vecdot(x, weight)
            _require_finite(raw_all, total, values[part], where, part.start, queries)
            for side, count, first, second, own in (
                (inside, number, sum_in, raw_in, here),
                (outside, total - number, sum_all - sum_in, raw_all - raw_in, ~here),
            ):
                squares = second - first * first / count
                small = 1e-14 * second + count * (_ROUNDING * mean) ** 2
                squares[squares <= small] = 0.0
                side.number[part] = count
                side.squares[part] = squares
                side.center[part] = (
                    mean + first / count if center == "mean" else _median(values[part], own, count)
                )
    return inside, outside


def equal_counts(shadows: Any, trained: Any, seed: int = 0) -> Floats:
    """Leave out shadow models at random, so that every row has as many in as any other, and out.

    Where each of N + 1 models is the target in turn and each row is in exactly half of them, a
    member is left with one model fewer that trained on it than a non-member. Scores of fewer models
    are noisier, so the number alone would tell who is a member, or hide it.

    Parameters
    ----------
    shadows : (n, k) or (n, q, k) numbers of the rows under the shadow models.
    trained : (n, k) whether a model trained on a row.
    seed : of which models are left out.

    Returns
    -------
    A copy of `shadows` with NaN where a model is left out of a row.

    Raises
    ------
    InputError : shapes that do not agree.

    >>> kept = equal_counts(np.ones((2, 4)), [[1, 0, 0, 0], [1, 1, 0, 0]])
    >>> np.isfinite(kept).sum(axis=1).tolist()
    [3, 3]
    """
    values = floats(shadows, "shadows").copy()
    if values.ndim not in (2, 3):
        raise InputError(
            "another shape",
            where="shadows",
            found=f"shape {values.shape}",
            expected="(n, models), or (n, queries, models)",
        )
    n, k = values.shape[0], values.shape[-1]
    inside = mask(trained, "trained", (n, k))
    there = ~np.isnan(values if values.ndim == 2 else values[:, 0])
    order = np.random.default_rng(seed).random((n, k))
    for side in (inside & there, ~inside & there):
        least = int(side.sum(axis=1).min()) if n else 0
        # Each model's place among the row's models of this side, in random order.
        rank = np.where(side, order, np.inf).argsort(axis=1).argsort(axis=1)
        surplus = side & (rank >= least)
        if values.ndim == 3:
            values[np.broadcast_to(surplus[:, None, :], values.shape)] = np.nan
        else:
            values[surplus] = np.nan
    return values


def require_absent(shadows: Floats, trained: Any) -> None:
    """Raise `InputError` where a shadow model has a number of a row that it trained on."""
    n, k = shadows.shape[0], shadows.shape[-1]
    inside = mask(trained, "trained", (n, k))
    there = ~np.isnan(shadows if shadows.ndim == 2 else shadows[:, 0])
    conflict = inside & there
    if conflict.any():
        row, column = (int(index[0]) for index in np.nonzero(conflict))
        raise InputError(
            "a shadow model trained on this target row",
            where=f"shadows, row {row + 1}, column {column + 1}",
            found=f"{int(conflict.any(axis=1).sum()):,} such rows",
            expected="NaN where a model trained on the row; the offline attack reads the others",
        )


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows that are about a hundred kilobytes of float64 each."""
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _require_finite(
    squares: Float, count: Float, values: Floats, where: str, start: int, queries: int
) -> None:
    bad = ~np.isfinite(squares) & (count > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        infinite = np.isinf(values[row])
        column = int(np.flatnonzero(infinite)[0]) if infinite.any() else 0
        raise InputError(
            "not a finite number" if infinite.any() else "numbers too large to square",
            where=f"{where}, row {(start + row) // queries + 1}, column {column + 1}",
            found=values[row, column],
        )


def _bits(true: Bool) -> NDArray[np.int64]:
    """-1, which has all bits set, where true, and 0 elsewhere."""
    return np.negative(true.astype(np.int64))


def _keep(x: Float, kept: NDArray[np.int64]) -> None:
    """Set x to 0 where not kept. By their bits: a branch a number would cost ten times as much."""
    bits = x.view(np.int64)
    np.bitwise_and(bits, kept, out=bits)


def _median(values: Floats, own: Bool | None, number: Float) -> Float:
    """Medians of each row's own numbers that are not NaN; NaN where there is none."""
    ordered = np.array(values, dtype=np.float64)
    if own is not None:
        # All bits set are a NaN, and NaN is sorted to the end.
        bits = ordered.view(np.int64)
        np.bitwise_or(bits, _bits(~own), out=bits)
    ordered.sort(axis=1)
    middle = number.astype(np.intp)
    row = np.arange(len(ordered))
    low = ordered[row, np.maximum(middle - 1, 0) // 2]
    high = ordered[row, np.minimum(middle // 2, ordered.shape[1] - 1)]
    return np.where(middle > 0, (low + high) / 2, np.nan)


def require_models(count: Float, least: int, where: str, expected: str | None = None) -> None:
    """Raise `InputError` where a row has fewer shadow models than it takes.

    Parameters
    ----------
    count : (n,) shadow models of each row.
    least : how many it takes.
    where : what the error calls them.
    expected : the error's words for what it takes; None says "at least" and the number.
    """
    few = count < least
    if few.any():
        row = int(np.flatnonzero(few)[0])
        raise InputError(
            "too few shadow models" if least > 1 else "no shadow model",
            where=f"{where}, row {row + 1}",
            found=f"{int(count[row])}, and {int(few.sum()):,} such rows",
            expected=expected or f"at least {least}",
        )
