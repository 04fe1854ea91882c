"""Check predictions against the probabilities beside them, up to thresholds and ties.

A list of probabilities says nothing of which class each is of. Predictions do: where they disagree
with the probabilities more than any threshold explains, the order is another, or the two belong to
different rows or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.spellings import whole_number

# Rows looked at, evenly spread: an order is wrong everywhere or nowhere.
SAMPLE = 20_000
_MOST_VALUES = 4_000_000
_TIE = 1e-6
# A larger share of rows that no threshold explains is refused.
UNEXPLAINED = 0.05
# A swap of classes is refused where it explains this share of rows more.
_SWAPPED = 0.005
_MOST_CLASSES = 300
_REMEDY = "name the column (or Series) after its class, as in p_{0}, or take {0} as --positive"


def sampled(n: int, classes: int) -> NDArray[np.intp]:
    """Row numbers to look at, evenly spread over n rows."""
    most = max(100, min(SAMPLE, _MOST_VALUES // max(classes, 1)))
    if n <= most:
        return np.arange(n)
    return np.linspace(0, n - 1, most).astype(np.intp)


def check_agreement(
    predictions: NDArray[Any],
    probs: NDArray[np.floating[Any]],
    names: Sequence[str],
    where: str,
    groups: Mapping[str, NDArray[Any]] | None = None,
    of: int | None = None,
) -> list[str]:
    """Notes on how predictions and probabilities disagree; empty where they agree.

    Parameters
    ----------
    predictions : (n,) indices into `names`.
    probs : (n, c) probabilities in the order of `names`.
    where : what to call them in the message.
    groups : attribute -> (n,) codes of the rows' groups: a threshold a group explains them too.
    of : the class that a single column was taken to be of, or None.

    Raises `InputError` with the share of rows and a likely cause where another order of the classes
    fits the predictions better, or where no threshold explains them.
    """
    rows = sampled(len(predictions), probs.shape[1])
    h, p = np.asarray(predictions)[rows], np.asarray(probs)[rows]
    n = len(h)
    own = p[np.arange(n), h]
    off = own < p.max(axis=1) - _TIE
    if not off.any():
        return []
    share = f"{100 * off.mean():.1f} % of {n:,} rows"
    problem = "predictions and probabilities disagree"
    order = _better_order(h, p, off, names)
    if order is not None and of is not None:
        other = names[1 - of]
        raise InputError(
            problem,
            where=where,
            found=f"another class predicted than the likeliest in {share}, taken as probabilities "
            f"of {names[of]!r}",
            expected=f"they fit those of {other!r}: {_REMEDY.format(other)}",
        )
    if order is not None:
        raise InputError(
            problem,
            where=where,
            found=f"another class predicted than the likeliest in {share}",
            expected="probabilities in the order of the classes ("
            + ", ".join(names)
            + "); they fit the order --classes "
            + ",".join(order)
            + " (classes= in Python)",
        )
    left = _unexplained(h, p, off, names, {k: v[rows] for k, v in (groups or {}).items()})
    if left > max(1.0, UNEXPLAINED * n):
        raise InputError(
            problem,
            where=where,
            found=f"another class predicted than the likeliest in {share}, and no threshold "
            f"explains {100 * left / n:.1f} %",
            expected="probabilities and predictions of one model, for the same rows in the same "
            "order; audit them apart if they are of two",
        )
    note = f"predictions are another class than the likeliest in {share}"
    if left:
        return [f"{note}; no threshold explains {100 * left / n:.1f} %"]
    return [f"{note}, as another threshold than the largest probability would give"]


def order_notes(
    labels: NDArray[Any],
    probs: NDArray[np.floating[Any]],
    names: Sequence[str],
    assumed: bool,
    of: int | None = None,
) -> list[str]:
    """What to say of an order of probabilities that no name and no prediction confirms.

    Parameters
    ----------
    labels : (n,) indices into `names`.
    probs : (n, c) probabilities in the order of `names`.
    names : class names in order.
    assumed : whether the order was assumed; if not, nothing is said.
    of : the class that a single column was taken to be of, or None.
    """
    if not assumed or len(names) < 2:
        return []
    notes = []
    if of is None and any(whole_number(name) is None for name in names):
        few = ", ".join(names[:12]) + ("" if len(names) <= 12 else ", ...")
        notes.append(f"probabilities are taken in the order {few} (--classes states another)")
    rows = sampled(len(labels), len(names))
    y, p = np.asarray(labels)[rows], np.asarray(probs)[rows]
    order = _better_order(y, p, p.argmax(axis=1) != y, names)
    if order is not None and of is not None:
        other = names[1 - of]
        notes.append(
            f"the labels fit the probabilities better as those of {other!r}: "
            + _REMEDY.format(other)
        )
    elif order is not None:
        notes.append(
            "the labels fit the probabilities better in the order "
            + ",".join(order[:12])
            + ": is this the order of the model's classes (--classes)?"
        )
    return notes


def _better_order(
    h: NDArray[Any], p: NDArray[Any], off: NDArray[np.bool_], names: Sequence[str]
) -> list[str] | None:
    """The order of classes that fits the predictions far better than the one taken, or None."""
    c, n = len(names), len(h)
    least = max(1.0, _SWAPPED * n)
    if c == 2:
        straight, turned = _errors(p[:, 1], h == 1), _errors(-p[:, 1], h == 1)
        better = straight - turned > least and turned <= straight / 2
        return [names[1], names[0]] if better else None
    if c > _MOST_CLASSES:
        return None
    from scipy.optimize import linear_sum_assignment

    top = np.where(off, p.argmax(axis=1), h)
    counts = np.zeros((c, c))  # predicted class x column of the largest probability
    np.add.at(counts, (h, top), 1)
    # Of columns that nothing tells apart each keeps its name.
    predicted, column = linear_sum_assignment(-(counts + 1e-6 * np.eye(c)))
    moved = predicted != column
    own, other = np.trace(counts[moved][:, moved]), counts[predicted, column][moved].sum()
    # By luck some order always fits a little better: a true one explains most of what it moves.
    if other - own <= least or counts[moved].sum() - other > (counts[moved].sum() - own) / 2:
        return None
    order = [""] * c
    for k, j in zip(predicted, column, strict=True):
        order[int(j)] = names[int(k)]
    return order


def _unexplained(
    h: NDArray[Any],
    p: NDArray[Any],
    off: NDArray[np.bool_],
    names: Sequence[str],
    groups: Mapping[str, NDArray[Any]],
) -> float:
    """Rows that no threshold a class, or a threshold a group, explains."""
    c = len(names)
    if c == 2:
        found = [_errors(p[:, 1], h == 1)]
        for codes in groups.values():
            parts = [codes == code for code in np.unique(codes)]
            found.append(sum(_errors(p[part, 1], h[part] == 1) for part in parts))
        return min(found)
    # A weight a class: of rows predicted a, the ratio of p_a to p_b is above what it is of rows
    # predicted b. Each pair by itself is explained at least as well as all together.
    left = np.zeros(len(h), dtype=bool)
    logs = np.log(np.maximum(p, 1e-12))
    for a, b in {(int(a), int(b)) for a, b in zip(h[off], p[off].argmax(axis=1), strict=True)}:
        either = np.flatnonzero((h == a) | (h == b))
        ratio, first = logs[either, a] - logs[either, b], h[either] == a
        threshold = _threshold(ratio, first)
        wrong = np.where(first, ratio < threshold, ratio > threshold)
        left[either[wrong]] = True
    return float(min(left.sum(), off.sum()))


def _errors(score: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    """Rows that the best threshold on the score, above which rows are chosen, gets wrong."""
    if not len(score):
        return 0.0
    threshold = _threshold(score, chosen)
    return float((chosen & (score < threshold)).sum() + (~chosen & (score > threshold)).sum())


def _threshold(score: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    """The threshold with the fewest rows on the wrong side; those at it are on either."""
    values, place = np.unique(score, return_inverse=True)
    inside = np.bincount(place, weights=chosen, minlength=len(values))
    outside = np.bincount(place, weights=~chosen, minlength=len(values))
    below = np.cumsum(inside) - inside
    above = outside.sum() - np.cumsum(outside)
    return float(values[int((below + above).argmin())])
