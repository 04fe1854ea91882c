"""How much larger noise makes gaps, when what groups really differ by is not known either.

A gap is a maximum, and noise makes it larger. The difference of two ways' gaps is off by the
difference of what noise adds to each: nothing where both are as noisy, much where one is right more
often and so less noisy, or where its groups are alike and the other's are not. More seeds do not
make that smaller, while they make the interval narrower.

Resampling the rows shows only a part of it: of groups that are alike the data differ by noise, and
a draw adds noise to that, sqrt(2) - 1 of what there is. So the draws are taken around counts in
which the groups are as alike as the noise lets one think, where they show nearly all of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairlora.metrics.intervals import Float

# Counts (T, P, C, C) or labels (T, P, C, 1), to what they were if groups were alike.
_Alike = Callable[[Float], Float]


def shrunken(counts: Float, draws: Float, holds: Float | None) -> Float:
    """Tables' counts with their groups as alike as the noise of the draws lets one think.

    How often a label occurs, and how often a class is predicted given the label, move towards the
    average of all groups by the positive part of James and Stein's shrinkage (Efron and Morris
    1973, JASA 68:117): what is left is what resampling does not explain. Of one group alone the
    classes take the groups' place: as frequent as each other, and right as often.

    Parameters
    ----------
    counts : (T, P, C, C) rows by pattern of groups, label and prediction.
    draws : (b, T, P, C, C) the same of resampled rows.
    holds : (P, G) which groups a pattern holds, or None where a pattern is a group.
    """
    labels = counts.sum(axis=3, keepdims=True)
    one = counts.shape[1] == 1
    even, alike = (_evenly_frequent, _right_as_often) if one else (_as_frequent, _predicted_alike)
    kept = _kept(labels, draws.sum(axis=4, keepdims=True), holds, even)
    labels = _towards(labels, even(labels), kept)
    mixed = _towards(counts, alike(counts), _kept(counts, draws, holds, alike))
    rows = mixed.sum(axis=3, keepdims=True)
    return np.asarray(mixed * np.divide(labels, rows, out=np.zeros_like(rows), where=rows > 0))


def _kept(counts: Float, draws: Float, holds: Float | None, alike: _Alike) -> Float:
    """(T, 1, 1, 1) how much of what groups differ by is no noise."""

    def chi_square(counts: Float) -> Float:
        expected = alike(counts)
        if holds is not None:
            fold = "tpyh,pg->tgyh"
            counts, expected = (np.einsum(fold, v, holds) for v in (counts, expected))
        off = (counts - expected) ** 2
        each = np.divide(off, expected, out=np.zeros_like(off), where=expected > 0)
        return np.asarray(each.sum(axis=(1, 2, 3)))

    found = chi_square(counts)
    # All draws at once: a draw of all tables is so many tables.
    several = chi_square(draws.reshape(-1, *draws.shape[2:])).reshape(draws.shape[:2])
    noise = several.mean(axis=0) - found
    kept = 1 - np.divide(noise, found, out=np.ones_like(found), where=found > 0)
    return np.asarray(np.clip(kept, 0, 1)[:, None, None, None])


def _towards(counts: Float, alike: Float, kept: Float) -> Float:
    return np.asarray(kept * counts + (1 - kept) * alike)


def _evenly_frequent(labels: Float) -> Float:
    """Labels (T, P, C, 1) if all classes were as frequent."""
    return np.asarray(np.broadcast_to(labels.mean(axis=2, keepdims=True), labels.shape))


def _as_frequent(labels: Float) -> Float:
    """Labels (T, P, C, 1) if they were as frequent in all groups."""
    total = labels.sum(axis=1, keepdims=True)
    share = total / np.maximum(total.sum(axis=2, keepdims=True), 1)
    return np.asarray(labels.sum(axis=2, keepdims=True) * share)


def _predicted_alike(counts: Float) -> Float:
    """Counts (T, P, C, C) if every group's labels were predicted as those of all rows are."""
    total = counts.sum(axis=1, keepdims=True)
    rows = total.sum(axis=3, keepdims=True)
    share = np.divide(total, rows, out=np.zeros_like(total), where=rows > 0)
    return np.asarray(counts.sum(axis=3, keepdims=True) * share)


def _right_as_often(counts: Float) -> Float:
    """Counts (T, P, C, C) if every class were right as often; what is wrong is so as it was."""
    right, rows = np.einsum("tpcc->tpc", counts), counts.sum(axis=3)
    share = right.sum(axis=2, keepdims=True) / np.maximum(rows.sum(axis=2, keepdims=True), 1)
    wrong = rows - right
    scale = np.divide(rows * (1 - share), wrong, out=np.zeros_like(wrong), where=wrong > 0)
    out = counts * scale[..., None]
    every = np.arange(counts.shape[-1])
    out[..., every, every] = np.where(wrong > 0, rows * share, right)
    return np.asarray(out)
