"""Correct gaps for noise: how much larger they are than the groups' true differences.

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

from fairlora.metrics.inference.intervals import Float

# Counts (T, P, C, C) or labels (T, P, C, 1), to what they were if groups were alike.
_Alike = Callable[[Float], Float]


class Shrunken:
    """Tables' counts with their groups as alike as the noise of draws lets one think.

    How often a label occurs, and how often a class is predicted given the label, move towards the
    average of all groups by the positive part of James and Stein's shrinkage (Efron and Morris
    1973, JASA 68:117): what is left is what resampling does not explain. Of one group alone the
    classes take the groups' place: as frequent as each other, and right as often.

    Parameters
    ----------
    counts : (T, P, C, C) rows by pattern of groups, label and prediction.
    holds : (P, G) which groups a pattern holds, or None where a pattern is a group.
    """

    def __init__(self, counts: Float, holds: Float | None) -> None:
        self.counts, self.holds = counts, holds
        self.labels = counts.sum(axis=3, keepdims=True)
        one = counts.shape[1] == 1
        self.even: _Alike = _evenly_frequent if one else _as_frequent
        self.alike: _Alike = _right_as_often if one else _predicted_alike
        self.drawn = 0
        self.of_labels, self.of_predictions = np.zeros(len(counts)), np.zeros(len(counts))

    def add(self, draws: Float) -> None:
        """Learn the noise from draws (b, T, P, C, C)."""
        # All draws at once: a draw of all tables is so many tables.
        flat = draws.reshape(-1, *draws.shape[2:])
        labels = flat.sum(axis=3, keepdims=True)
        shape = draws.shape[:2]
        self.drawn += len(draws)
        self.of_labels += self._chi_square(labels, self.even).reshape(shape).sum(axis=0)
        self.of_predictions += self._chi_square(flat, self.alike).reshape(shape).sum(axis=0)

    def tables(self) -> Float:
        """The counts (T, P, C, C) with what noise explains taken out."""

        def moved(counts: Float, alike: _Alike, drawn: Float) -> Float:
            found = self._chi_square(counts, alike)
            kept = kept_of(found, drawn / max(self.drawn, 1) - found)[:, None, None, None]
            return np.asarray(kept * counts + (1 - kept) * alike(counts))

        labels = moved(self.labels, self.even, self.of_labels)
        mixed = moved(self.counts, self.alike, self.of_predictions)
        rows = mixed.sum(axis=3, keepdims=True)
        scale = np.divide(labels, rows, out=np.zeros_like(rows), where=rows > 0)
        return np.asarray(mixed * scale)

    def _chi_square(self, counts: Float, alike: _Alike) -> Float:
        """(T,) Pearson's, of counts against what they would be if groups were alike."""
        expected = alike(counts)
        if self.holds is not None:
            fold = "tpyh,pg->tgyh"
            counts, expected = (np.einsum(fold, v, self.holds) for v in (counts, expected))
        off = (counts - expected) ** 2
        each = np.divide(off, expected, out=np.zeros_like(off), where=expected > 0)
        return np.asarray(each.sum(axis=(1, 2, 3)))


def kept_of(found: Float, noise: Float) -> Float:
    """How much is kept of differences whose chi-squares are to be expected so large by noise.

    A chi-square of noise alone is above its expectation as often as not. With one standard
    deviation more it rarely is, and what noise adds to groups that are alike is found in full.
    """
    noise = noise + np.sqrt(2 * np.maximum(noise, 0))
    kept = 1 - np.divide(noise, found, out=np.ones_like(found), where=found > 0)
    return np.asarray(np.clip(kept, 0, 1))


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
