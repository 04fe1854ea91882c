"""Numbers of a probe with their uncertainty, and differences of them between models.

Whatever a probe measures is here a value and how much each cluster (a scene, a text) moves it: its
influence. The variance of the value is that of a sum of clusters, and two models asked the same are
compared cluster by cluster. Of several seeds of one method the mean is taken, with the rule of
`fairlora.metrics.comparison.variance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlora.metrics.comparison.noise import noise_of_influences, sums_by_unit
from fairlora.metrics.comparison.variance import Variance, variance_of
from fairlora.metrics.comparison.verdicts import MARGIN, Correction, Difference, judge
from fairlora.metrics.inference.intervals import t_of, wilson

Float = NDArray[np.float64]
Kind = Literal["share", "signed share", "log odds", "score"]
LEVEL = 0.95
BOUNDS: dict[str, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "signed share": (-1.0, 1.0),
    "score": (0.0, 100.0),  # BLEU and chrF
}
_SHARES = ("share", "signed share")


@dataclass(frozen=True)
class Estimate:
    """A number that a probe measured.

    Attributes
    ----------
    name, title : in files, and for people.
    kind : "share" (0 to 1), "signed share" (-1 to 1), "log odds" or "score".
    value : None where undefined, with the `reason`.
    clusters : (C,) names of what is drawn anew together.
    influence : (C,) how much each moves the value; they add up to 0.
    better : +1 where larger is better, -1 where smaller is, 0 where neither.
    more, less : words for a model whose value is larger or smaller, where neither is better.
    primary : one of the family that verdicts are corrected over.
    least : a variance that is known to be there, such as the model's own where clusters agree.
    """

    name: str
    title: str
    kind: Kind
    value: float | None
    clusters: NDArray[np.str_]
    influence: Float
    better: int = 0
    more: str = "higher"
    less: str = "lower"
    primary: bool = False
    least: float = 0.0
    reason: str | None = None

    @property
    def margin(self) -> float | None:
        """Differences below it count as none; only shares have one."""
        return MARGIN if self.kind in _SHARES else None

    @property
    def degrees(self) -> int:
        return max(1, len(self.clusters) - 1)

    @property
    def variance(self) -> float | None:
        """Of the value over clusters; None where there is but one cluster."""
        noise = noise_of_influences(self.influence[None])
        return None if noise is None else max(noise.whole, self.floor)

    @property
    def floor(self) -> float:
        """The least variance, which counts where every cluster says the same.

        A share or a score has that of two more clusters of either kind (Agresti and Coull): 40
        scenes that agree do not say that the next one must.
        """
        count = len(self.clusters)
        if self.kind not in BOUNDS or self.value is None or not count:
            return self.least
        low, high = BOUNDS[self.kind]
        share = ((self.value - low) / (high - low) * count + 2) / (count + 4)
        unsure = (high - low) ** 2 * share * (1 - share) / (count + 4)
        same = float((self.influence**2).sum()) < 1e-18
        return max(self.least, unsure if same else 0.0)

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The interval over clusters; a share has Wilson's, at the size that they amount to."""
        variance = self.variance
        if self.value is None or variance is None:
            return None
        c = t_of(level, self.degrees)
        if self.kind == "share":
            spread = self.value * (1 - self.value)
            same = float((self.influence**2).sum()) < 1e-18
            size = len(self.clusters) if same or spread == 0 else spread / variance
            return wilson(self.value * size, size, c)
        half = c * math.sqrt(variance)
        low, high = BOUNDS.get(self.kind, (-math.inf, math.inf))
        ends = max(low, self.value - half), min(high, self.value + half)
        return min(ends[0], self.value), max(ends[1], self.value)

    def to_dict(self) -> dict[str, Any]:
        """The value with its interval, for a summary."""
        ends = self.interval()
        out: dict[str, Any] = {"value": self.value, "low": None, "high": None}
        if ends is not None:
            out["low"], out["high"] = ends
        if self.reason is not None:
            out["reason"] = self.reason
        elif ends is None:
            out["reason"] = "one cluster alone has no interval"
        return out


def ratio(
    name: str,
    title: str,
    kind: Kind,
    clusters: Sequence[str],
    top: ArrayLike,
    bottom: ArrayLike | None = None,
    **words: Any,
) -> Estimate:
    """The sum of `top` over the sum of `bottom`, over rows in clusters.

    Linearised: a cluster's influence is (top - value * bottom) over the sum of `bottom`.

    Parameters
    ----------
    name, title, kind : of the `Estimate`.
    clusters : (n,) each row's cluster.
    top : (n,) numbers.
    bottom : (n,) numbers, none below 0; None is 1 for each, a mean. Where they add up to 0 the
        estimate is undefined.
    words : other fields of the `Estimate`.
    """
    values = np.asarray(top, dtype=np.float64)
    weights = np.ones(len(values)) if bottom is None else np.asarray(bottom, dtype=np.float64)
    names, cluster = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    tops = np.bincount(cluster, weights=values, minlength=len(names))
    bottoms = np.bincount(cluster, weights=weights, minlength=len(names))
    total = float(bottoms.sum())
    if total == 0:
        none = np.zeros(0)
        return Estimate(
            name, title, kind, None, names[:0], none, reason="nothing to divide by", **words
        )
    value = float(tops.sum()) / total
    held = bottoms > 0  # a scene without a row that counts says nothing
    influence = (tops - value * bottoms)[held] / total
    return Estimate(name, title, kind, value, names[held], influence, **words)


def jackknifed(
    name: str, title: str, kind: Kind, clusters: NDArray[np.str_], value: float, without: Float,
    **words: Any,
) -> Estimate:  # fmt: skip
    """An estimate by the jackknife: from its values with each cluster left out.

    Parameters
    ----------
    name, title, kind : of the `Estimate`.
    clusters : (C,) names.
    value : of all clusters; put within the bounds of its kind.
    without : (C,) values with each cluster left out.
    words : other fields of the `Estimate`.
    """
    # A perfect BLEU is 100.00000000000004.
    low, high = BOUNDS.get(kind, (-math.inf, math.inf))
    value = min(max(value, low), high)
    count = len(without)
    influence = (without.mean() - without) * (count - 1) / count if count > 1 else np.zeros(count)
    return Estimate(name, title, kind, value, clusters, influence, **words)


@dataclass(frozen=True)
class Crossed:
    """A mean over texts and templates, with the interval of each source of chance.

    `texts` takes the templates as they are. `both` takes them too for a sample, of a few: another
    author's templates would give another mean.
    """

    value: float
    texts: tuple[float, float] | None
    both: tuple[float, float] | None
    spread: float | None
    by_template: dict[str, float]


def crossed_mean(values: Float, texts: Sequence[str], templates: Sequence[str]) -> Crossed:
    """The mean of values over texts and templates, each template counting the same.

    The standard deviation over templates, t of T - 1 degrees, is joined to the texts' variance as
    seeds are joined to rows in `fairlora.metrics.comparison.variance`.

    Parameters
    ----------
    values : (n, T) of n texts and T templates.
    texts : (n,) each text's cluster.
    templates : (T,) names.
    """
    count = values.shape[1]
    means = values.mean(axis=0)
    value = float(means.mean())
    sums = sums_by_unit((values - means).T / len(values), np.asarray(texts, dtype=np.str_))
    by_template = {name: float(mean) for name, mean in zip(templates, means, strict=True)}
    both = variance_over(sums, means)
    only = variance_over(sums.mean(axis=0, keepdims=True), means[:1])
    if both is None or only is None:
        return Crossed(value, None, None, None, by_template)
    ends = only.ends(value, LEVEL)
    if count < 2:
        return Crossed(value, ends, None, None, by_template)
    spread = float(means.std(ddof=1))
    return Crossed(value, ends, both.ends(value, LEVEL), spread, by_template)


def variance_over(influences: Float, values: Float, least: float = 0.0) -> Variance | None:
    """Of a mean over S repeats, by clusters and repeats; None for one cluster.

    Parameters
    ----------
    influences : (S, C) how much each of C clusters moves each repeat's value.
    values : (S,) the repeats' values.
    least : a variance that the whole does not go below.
    """
    degrees = float(influences.shape[1] - 1)
    variance = variance_of(values, noise_of_influences(influences), degrees=degrees)
    return None if variance is None else variance.at_least(least)


def compare(
    first: Sequence[Sequence[Estimate]], second: Sequence[Sequence[Estimate]], level: float = LEVEL
) -> list[dict[str, Any]]:
    """Verdicts on the differences of two models, first minus second, with Holm's correction.

    Estimates that are not `primary` are judged beside the family, by themselves (Benjamini and
    Hochberg).

    Parameters
    ----------
    first, second : one list of estimates a seed, the seeds in the same order; every seed's clusters
        must be the same. Estimates that some list lacks are left out.
    level : of the intervals and verdicts.
    """
    names = [one.name for one in first[0] if _all_have(one.name, [*first, *second])]
    pairs = [_difference(name, first, second) for name in names]
    rows: dict[str, dict[str, Any]] = {}
    families: tuple[tuple[bool, Correction], ...] = ((True, "holm"), (False, "bh"))
    for primary, correction in families:
        family = [(e, d) for e, d in pairs if e.primary is primary]
        judged = judge([d for _, d in family], correction, level)
        for (estimate, _), verdict in zip(family, judged, strict=True):
            # "Different" says which way.
            ways = estimate.more if (verdict.value or 0.0) > 0 else estimate.less
            rows[estimate.name] = {
                **verdict.to_dict(),
                "name": estimate.name,
                "title": estimate.title,
                "kind": estimate.kind,
                "primary": primary,
                "answer": ways if verdict.verdict == "different" else verdict.verdict,
            }
    return [rows[name] for name in names]


def _all_have(name: str, lists: Sequence[Sequence[Estimate]]) -> bool:
    return all(any(estimate.name == name for estimate in some) for some in lists)


def _difference(
    name: str, first: Sequence[Sequence[Estimate]], second: Sequence[Sequence[Estimate]]
) -> tuple[Estimate, Difference]:
    pairs = [
        (next(e for e in a if e.name == name), next(e for e in b if e.name == name))
        for a, b in zip(first, second, strict=True)
    ]
    model = pairs[0][0]
    each = [tuple(math.nan if e.value is None else e.value for e in pair) for pair in pairs]
    values = np.array(each, dtype=np.float64)
    reason = next((e.reason for pair in pairs for e in pair if e.value is None), None)
    variance = None
    if reason is None:
        names = np.unique(np.concatenate([e.clusters for pair in pairs for e in pair]))
        influences = np.stack(
            [influence_over(names, a) - influence_over(names, b) for a, b in pairs]
        )
        least = max(a.floor + b.floor for a, b in pairs)
        differences = values[:, 0] - values[:, 1]
        same = float((influences**2).sum()) < 1e-18
        # Where no cluster moves either side, both must be alike in every one of them: not a gap.
        agree = same and bool((differences == 0).all())
        variance = variance_over(influences, differences, 0.0 if agree else least)
        reason = "one cluster alone has no interval" if variance is None else None
    least, most = BOUNDS.get(model.kind, (-math.inf, math.inf))
    widest = most - least if math.isfinite(most - least) else None
    return model, Difference(
        name, values, model.better, model.margin, variance, reason, most=widest
    )


def influence_over(names: NDArray[np.str_], estimate: Estimate) -> Float:
    """An estimate's influences by the clusters `names`, 0 for those that it does not have."""
    out = np.zeros(len(names))
    out[np.searchsorted(names, estimate.clusters)] = estimate.influence
    return out
