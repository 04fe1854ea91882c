"""Noise of the rows in a comparison: from draws of them, or from each unit's influence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import Float


@dataclass(frozen=True)
class Noise:
    """What resampling the rows does to the differences D_s (first - second) of one metric.

    Attributes
    ----------
    whole : variance of the mean over seeds.
    unshared : variance of one seed's difference around the mean over seeds, (S - 1) / S divided
        out: the noise of rows that is the seed's own.
    shift : mean of the draws minus the value: a gap of resampled rows is larger.
    lost : share of the draws in which the metric was undefined for some table.
    """

    whole: float
    unshared: float = 0.0
    shift: float = 0.0
    lost: float = 0.0


class Moments:
    """Sums over draws of several metrics' differences, so that no draw is kept.

    Parameters
    ----------
    centre : (S, K) the differences on the data, around which the sums are taken.
    """

    def __init__(self, centre: Float) -> None:
        self.centre = centre
        seeds, keys = centre.shape
        self.drawn = 0
        self.known = np.zeros(keys)
        self.sums, self.squares = np.zeros(keys), np.zeros(keys)
        self.own, self.own_squares = np.zeros((seeds, keys)), np.zeros((seeds, keys))

    def add(self, differences: Float) -> None:
        """Count draws (S, K, b); one that is undefined for a seed is lost for all."""
        off = differences - self.centre[..., None]
        known = np.asarray(np.isfinite(off).all(axis=0))
        off = np.where(known, off, 0.0)
        mean = off.mean(axis=0)
        own = off - mean
        self.drawn += off.shape[2]
        self.known += known.sum(axis=1)
        self.sums += mean.sum(axis=1)
        self.squares += (mean**2).sum(axis=1)
        self.own += own.sum(axis=2)
        self.own_squares += (own**2).sum(axis=2)

    def noise(self, key: int) -> Noise:
        """Of one metric."""
        n, seeds = self.known[key], len(self.centre)
        lost = (self.drawn - n) / max(self.drawn, 1)
        if n < 2:
            return Noise(float("nan"), float("nan"), 0.0, lost)
        shift = self.sums[key] / n
        whole = max(self.squares[key] / n - shift**2, 0.0) * n / (n - 1)
        unshared = 0.0
        if seeds > 1:
            each = self.own_squares[:, key] / n - (self.own[:, key] / n) ** 2
            unshared = float(each.mean()) * n / (n - 1) * seeds / (seeds - 1)
        return Noise(float(whole), max(unshared, 0.0), float(shift), float(lost))


def noise_of_draws(values: Float, drawn: Float) -> Noise:
    """The noise of one metric from its values (S, 2) and its draws (B, S, 2)."""
    moments = Moments((values[:, 0] - values[:, 1])[:, None])
    moments.add((drawn[..., 0] - drawn[..., 1]).T[:, None])
    return moments.noise(0)


def noise_of_influences(influences: Float) -> Noise | None:
    """The noise of a sum over independent units; None below two of them.

    Parameters
    ----------
    influences : (S, K) how much each of K units moves each seed's difference; they add up to 0.
    """
    seeds, units = influences.shape
    if units < 2:
        return None
    scale = units / (units - 1)
    together = influences.mean(axis=0)
    own = float(((influences - together) ** 2).sum()) * scale / max(seeds - 1, 1)
    return Noise(float((together**2).sum()) * scale, own if seeds > 1 else 0.0)


def sums_by_unit(rows: Float, units: NDArray[Any] | None) -> Float:
    """(S, K) sums of the rows' numbers (S, n) over their units (n,), or the rows for None."""
    if units is None:
        return rows
    names, place = np.unique(units, return_inverse=True)
    return np.stack([np.bincount(place, weights=row, minlength=len(names)) for row in rows])
