"""Two models' attacks on the same examples: which model tells less, by how much, how surely.

Rows are resampled together for both, so what makes an example easy to tell under both cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.comparison.compare import ComparisonResult
from fairlora.metrics.comparison.noise import (
    Noise,
    noise_of_draws,
    noise_of_influences,
    sums_by_unit,
)
from fairlora.metrics.comparison.variance import degrees_of, variance_of
from fairlora.metrics.comparison.verdicts import MARGIN, Difference, check_margin, judged_rows
from fairlora.metrics.content import CurvePoint
from fairlora.metrics.curves.permutation import Units, units_of
from fairlora.metrics.curves.roc_intervals import BAND, allowed
from fairlora.metrics.curves.roc_scores import ordered, sides_of
from fairlora.metrics.groups.pairs import MOST_UNDEFINED
from fairlora.metrics.inference.design import seed_of
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.content import PairedPrivacyContent, PairedSettings
from fairlora.privacy.curves import Rows, group_sizes, missing_warnings, rows_of, score_column
from fairlora.privacy.gaps import PRIMARY
from fairlora.privacy.operating_points import ALL_EQUAL, COARSE, absent, curve, resolution
from fairlora.privacy.paired_draws import Values, drawn, of_both, reading
from fairlora.privacy.settings import FPRS, PrivacySettings, fpr_key, percent
from fairlora.report.page import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = "all"
# What is undefined of both.
_NONE = ((np.nan, np.nan),)


@dataclass(frozen=True, repr=False)
class PairedPrivacyResult(ComparisonResult[PairedPrivacyContent]):
    """What a comparison of two models' attacks found (`to_dict`), and its views."""

    title: ClassVar[str] = "Membership inference, compared"

    def page(self, title: str) -> Page:
        """Return the comparison as a page."""
        from fairlora.privacy.paired_page import paired_privacy_page

        return paired_privacy_page(self.content, title)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the ROCs of both; written to a .png, .svg or .pdf file where a path is given.

        Raises `InputError` where there is nothing to draw.
        """
        from fairlora.privacy.charts import draw_roc

        level = percent(self.content.settings.level)
        return draw_roc("ROC of both", self.content.curves, level, path)


def compare_attacks(
    first: Any,
    second: Any,
    member: Any,
    groups: Any = None,
    *,
    names: tuple[str, str] = ("first", "second"),
    ids: Any = None,
    clusters: Any = None,
    fprs: Sequence[float] = FPRS,
    level: float = 0.95,
    min_group: int = 10,
    bootstrap: int = 1000,
    seed: int = 0,
    margin: float = MARGIN,
    max_groups: int | None = None,
) -> PairedPrivacyResult:
    """Compare the same attack on two models that trained on the same members.

    Differences are first less second, of the AUC and of the TPR at each FPR (each model at its own
    threshold), overall and by group, and of their gaps between groups. Smaller is better: the
    verdict "better" says that the first model tells less.

    Parameters
    ----------
    first, second : (n,) scores under the two models, larger for a likelier member.
    member, groups, ids, clusters, fprs, level, min_group, max_groups : as of `roc`.
    names : what to call the two.
    bootstrap, seed : draws of the rows, at least 200; of many rows fewer are made.
    margin : differences below it count as equivalent; of a TPR at a lower FPR than that the margin
        is the FPR, which is what chance gives.

    Returns
    -------
    A `PairedPrivacyResult`. Verdicts are those of `metrics.verdict`: Holm's correction over the
    overall differences and over the primary gaps, Benjamini-Hochberg over the groups' rows. TPRs at
    FPRs that the non-members do not resolve with ten or more are undefined.

    Raises
    ------
    InputError : as `roc`, and a margin that is none.

    >>> generator = np.random.default_rng(0)
    >>> member = np.repeat([True, False], 500)
    >>> noise = generator.normal(size=1000)
    >>> found = compare_attacks(noise, noise + 2 * member, member)
    >>> found.to_dict()["overall"]["auc"]["verdict"]
    'better'
    """
    settings = PrivacySettings(
        fprs=tuple(fprs),
        level=level,
        min_group=min_group,
        permutations=0,
        seed=seed,
        max_groups=max_groups,
    )
    check_margin(margin)
    a, b = score_column(first, names[0]), score_column(second, names[1])
    if len(a) != len(b):
        raise InputError("another length", where=names[1], found=len(b), expected=len(a))
    rows = rows_of(member, groups, len(a), ids, clusters, max_groups)
    work = _Work((a, b), rows, settings, margin, max(200, int(bootstrap)))
    overall, _ = work.attribute(_ALL, GroupColumn((_ALL,), np.zeros(len(a), dtype=np.int32)), ())
    disparities: list[Difference] = []
    by_group: list[Difference] = []
    for attribute, column in rows.columns.items():
        groups_rows, gaps = work.attribute(attribute, column, (attribute,))
        by_group += groups_rows
        disparities += gaps
    content = PairedPrivacyContent(
        n=len(a),
        members=int(rows.member.sum()),
        non_members=int((~rows.member).sum()),
        first=names[0],
        second=names[1],
        settings=PairedSettings(
            fprs=list(settings.fprs),
            level=level,
            min_group=min_group,
            bootstrap=work.draws,
            seed=seed,
            margin=margin,
            band=BAND,
            clusters=rows.clusters is not None,
        ),
        groups={name: group_sizes(c, rows.member) for name, c in rows.columns.items()},
        **judged_rows((overall, disparities, by_group), list(rows.columns), level),
        curves={name: work.curve(scores) for name, scores in zip(names, (a, b), strict=True)},
        warnings=missing_warnings(rows),
    )
    return PairedPrivacyResult(content)


@dataclass
class _Work:
    scores: tuple[Float, Float]
    rows: Rows
    settings: PrivacySettings
    margin: float
    draws: int

    def __post_init__(self) -> None:
        self.orders = tuple(ordered(one, self.rows.member) for one in self.scores)
        self.units: Units = units_of(self.rows.member, self.rows.clusters)
        # As many as twenty-five million weights, or two hundred draws of however many rows.
        self.draws = min(self.draws, max(200, 25_000_000 // len(self.scores[0])))

    def curve(self, scores: Float) -> list[CurvePoint]:
        order = ordered(scores, self.rows.member)
        sides = sides_of(order, np.arange(len(scores)), self.rows.clusters)
        if absent(len(sides.positives), len(sides.negatives), sides.constant) is not None:
            return []
        return curve(sides, self.settings.level)

    def attribute(
        self, attribute: str, column: GroupColumn, place: tuple[str, ...]
    ) -> tuple[list[Difference], list[Difference]]:
        """Differences of each group's numbers, and of the gaps between groups."""
        fprs = np.array(self.settings.fprs)
        pair = [reading(order, column) for order in self.orders]
        values = of_both(pair, np.ones(len(self.rows.member), dtype=np.int64), fprs)
        rng = seed_of(self.settings.seed, attribute, "privacy", "paired")
        draws = drawn(pair, column, self.units, fprs, self.draws, rng)
        inside = [np.flatnonzero(column.contains(name)) for name in column.names]
        m = np.array([int(self.rows.member[rows].sum()) for rows in inside])
        n = np.array([len(rows) for rows in inside]) - m
        groups, usable = [], np.zeros(len(inside), dtype=np.bool_)
        for g, group in enumerate(column.names):
            if place and group == MISSING:  # shown in the sizes, and not compared
                continue
            where = (*place, group) if place else ()
            reason = self._absent(inside[g], int(m[g]), int(n[g]))
            small = place and min(m[g], n[g]) < self.settings.min_group
            if reason is None and small:
                # A normal approximation is not for a handful of rows.
                reason = f"fewer than {self.settings.min_group} members or non-members"
            usable[g] = reason is None
            groups.append(self._auc(values.auc[:, g], inside[g], where, reason))
            for k, fpr in enumerate(self.settings.fprs):
                why = reason
                if why is None and resolution(fpr, int(n[g]))["resolution"] != "fine":
                    takes = int(np.ceil(COARSE / fpr))
                    why = f"{n[g]:,} non-members are too few: it takes {takes:,}"
                # Where the two differ on few rows the draws have little spread: half a row either
                # way.
                least, name = 1 / (int(m[g]) + 2), f"tpr@{fpr_key(fpr)}"
                both = values.tpr[:, g, k], draws.tpr[..., g, k]
                groups.append(self._drawn(name, *both, least, where, why, fpr))
        return groups, self._gaps(values, draws, usable, m, n, place) if place else []

    def _absent(self, rows: NDArray[np.intp], m: int, n: int) -> str | None:
        for scores in self.scores:
            reason = absent(m, n, len(rows) > 0 and bool(np.ptp(scores[rows]) == 0))
            if reason is not None:
                return reason if reason != ALL_EQUAL else f"{ALL_EQUAL} of one of the two"
        return None

    def _auc(
        self, ends: Float, rows: NDArray[np.intp], place: tuple[str, ...], reason: str | None
    ) -> Difference:
        """Paired DeLong: the rows' placements under both models, one less the other."""
        if reason is not None:
            return Difference("auc", _NONE, -1, self.margin, reason=reason, place=place)
        member = self.rows.member[rows]
        first, second = (
            _influence(scores[rows], member, float(auc))
            for scores, auc in zip(self.scores, ends, strict=True)
        )
        off, clusters, degrees = first - second, self.rows.clusters, None
        if clusters is None:
            # Members and non-members are two samples.
            m, n = (noise_of_influences(off[None, side]) for side in (member, ~member))
            noise = None if m is None or n is None else Noise(m.whole + n.whole)
        else:
            sums = sums_by_unit(off[None], clusters[rows])
            noise, degrees = noise_of_influences(sums), degrees_of(sums.shape[1])
        variance = variance_of([ends[0] - ends[1]], noise, degrees=degrees)
        if variance is not None:
            # Where both models part all pairs alike nothing is left of it but half a row.
            variance = variance.at_least((0.5 / min(member.sum(), (~member).sum())) ** 2)
        alone = "one cluster, or one row of a side, alone has no interval"
        return Difference("auc", ends[None], -1, self.margin, variance, alone, place, 1.0)

    def _drawn(
        self,
        name: str,
        ends: Float,
        draws: Float,
        least: float,
        place: tuple[str, ...],
        reason: str | None,
        most: float = 1.0,
    ) -> Difference:
        """A difference of two (2,) numbers by their draws (B, 2); `most` is of its margin."""
        margin = min(self.margin, most)
        if reason is not None:
            return Difference(name, _NONE, -1, margin, reason=reason, place=place)
        noise, variance = noise_of_draws(ends[None], draws[:, None]), None
        # A draw in which a group has no side says nothing: of clusters that happens.
        if noise.lost > MOST_UNDEFINED or not np.isfinite(noise.whole):
            gone = round(noise.lost * len(draws))
            reason = f"a group has no member or no non-member in {gone:,} of {len(draws):,} draws"
        else:
            variance = variance_of([ends[0] - ends[1]], noise, least=least)
        return Difference(name, ends[None], -1, margin, variance, reason, place, 1.0)

    def _gaps(
        self,
        values: Values,
        draws: Values,
        usable: NDArray[np.bool_],
        m: NDArray[np.int64],
        n: NDArray[np.int64],
        place: tuple[str, ...],
    ) -> list[Difference]:
        """Differences of the primary gaps; their errors from the draws."""
        wanted = [
            ("auc_gap", values.auc, draws.auc, usable, _half_a_row(np.minimum(m, n)[usable]), 1.0)
        ]
        for k, fpr in enumerate(self.settings.fprs):
            name, here = f"tpr_gap@{fpr_key(fpr)}", usable & (allowed(fpr, n) >= COARSE)
            if name in PRIMARY:
                both = values.tpr[..., k], draws.tpr[..., k]
                wanted.append((name, *both, here, 2 * _half_a_row(m[here]), fpr))
        few = "fewer than two groups are large enough"
        return [
            self._drawn(
                name, *_gap_of(both, here), least, place, few if here.sum() < 2 else None, most
            )
            for name, *both, here, least, most in wanted
        ]


def _half_a_row(sizes: NDArray[np.int64]) -> float:
    """Half a row of each of two groups of the usual size, as an error of the gap between them."""
    return float(np.sqrt(0.5) / (np.median(sizes) + 2)) if len(sizes) else 0.0


def _gap_of(both: Sequence[Float], here: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Largest less smallest of the groups that count, of values (2, G) and of draws (B, 2, G)."""
    if not here.any():
        return np.full(2, np.nan), np.full((1, 2), np.nan)
    values, draws = (np.ptp(one[..., here], axis=-1) for one in both)
    return values, draws


def _influence(scores: Float, member: NDArray[np.bool_], auc: float) -> Float:
    """(n,) of each row on the AUC: its placement among the other side, less the AUC, over its side.

    DeLong et al. 1988 (Biometrics 44:837), eq. 5 and 6.
    """
    out = np.empty(len(scores))
    for side, sign in ((member, 1), (~member, -1)):
        other = np.sort(scores[~side])
        below = np.searchsorted(other, scores[side], side="left")
        upto = np.searchsorted(other, scores[side], side="right")
        share = (below + upto) / 2 / len(other)
        placed = share if sign == 1 else 1 - share
        out[side] = (placed - auc) / side.sum()
    return out
