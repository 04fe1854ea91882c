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
from fairlora.metrics.inference.design import seed_of
from fairlora.metrics.inference.verdicts import MARGIN, Difference, judge
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.curves import Rows, group_sizes, missing_warnings, rows_of, score_column
from fairlora.privacy.disparity import Units, units_of
from fairlora.privacy.gaps import PRIMARY
from fairlora.privacy.operating_points import ALL_EQUAL, COARSE, absent, curve, resolution
from fairlora.privacy.paired_draws import Values, drawn, reading, values_of
from fairlora.privacy.roc_intervals import BAND, allowed
from fairlora.privacy.roc_scores import ordered, sides_of
from fairlora.privacy.settings import FPRS, PrivacySettings, fpr_key, percent
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = "all"
# More draws than this without a value, and there is no interval.
_UNDEFINED = 0.05


@dataclass(frozen=True, repr=False)
class PairedPrivacyResult(Result):
    """What a comparison of two models' attacks found (`to_dict`), and its views."""

    title: ClassVar[str] = "Membership inference, compared"

    def page(self, title: str) -> Page:
        """Return the comparison as a page."""
        from fairlora.privacy.paired_page import paired_privacy_page

        return paired_privacy_page(self.content, title)

    def about(self) -> list[str]:
        """Return who is compared, and the attributes."""
        return [
            f"{self.content['first']} against {self.content['second']}",
            *self.content["by_group"],
        ]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the ROCs of both; written to a .png, .svg or .pdf file where a path is given.

        Raises `InputError` where there is nothing to draw.
        """
        from fairlora.privacy.charts import draw_roc

        level = percent(self.content["settings"]["level"])
        return draw_roc("ROC of both", self.content["curves"], level, path)


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
    if not 0 < margin < 1:
        raise InputError(
            "no margin of rates", where="margin", found=margin, expected="above 0, below 1"
        )
    a, b = score_column(first, names[0]), score_column(second, names[1])
    if len(a) != len(b):
        raise InputError("another length", where=names[1], found=len(b), expected=len(a))
    rows = rows_of(member, groups, len(a), ids, clusters, max_groups)
    work = _Work((a, b), rows, settings, margin, max(200, int(bootstrap)))
    column = GroupColumn((_ALL,), np.zeros(len(a), dtype=np.int32))
    overall, _ = work.attribute(_ALL, column, ())
    content: dict[str, Any] = {
        "n": len(a),
        "members": int(rows.member.sum()),
        "non_members": int((~rows.member).sum()),
        "first": names[0],
        "second": names[1],
        "settings": {
            "fprs": list(settings.fprs),
            "level": level,
            "min_group": min_group,
            "bootstrap": work.draws,
            "seed": seed,
            "margin": margin,
            "band": BAND,
            "clusters": rows.clusters is not None,
        },
        "groups": {name: group_sizes(c, rows.member) for name, c in rows.columns.items()},
        "overall": {
            d.name: row for d, row in zip(overall, judge(overall, level=level), strict=True)
        },
        "disparities": {attribute: {} for attribute in rows.columns},
        "by_group": {attribute: {} for attribute in rows.columns},
        "curves": {name: work.curve(one) for name, one in zip(names, (a, b), strict=True)},
        "warnings": missing_warnings(rows),
    }
    primary: list[Difference] = []
    exploratory: list[Difference] = []
    for attribute, column in rows.columns.items():
        mine, gaps = work.attribute(attribute, column, (("attribute", attribute),))
        exploratory += mine
        primary += gaps
    for one, row in zip(primary, judge(primary, level=level), strict=True):
        content["disparities"][row.pop("attribute")][one.name] = row
    found = judge(exploratory, "bh", level)
    for one, row in zip(exploratory, found, strict=True):
        group = content["by_group"][row.pop("attribute")].setdefault(row.pop("group"), {})
        group[one.name] = row
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

    def curve(self, scores: Float) -> list[dict[str, float]]:
        order = ordered(scores, self.rows.member)
        sides = sides_of(order, np.arange(len(scores)), self.rows.clusters)
        if absent(len(sides.members), len(sides.others), sides.constant) is not None:
            return []
        return curve(sides, self.settings.level)

    def attribute(
        self, attribute: str, column: GroupColumn, place: tuple[tuple[str, Any], ...]
    ) -> tuple[list[Difference], list[Difference]]:
        """Differences of each group's numbers, and of the gaps between groups."""
        fprs = np.array(self.settings.fprs)
        pair = tuple(reading(order, column) for order in self.orders)
        ones = np.ones(len(self.rows.member), dtype=np.int64)
        values = tuple(values_of(one, ones, fprs) for one in pair)
        rng = seed_of(self.settings.seed, attribute, "privacy", "paired")
        draws = drawn(pair, column, self.units, fprs, self.draws, rng)
        inside = [np.flatnonzero(column.contains(name)) for name in column.names]
        m = np.array([int(self.rows.member[rows].sum()) for rows in inside])
        n = np.array([len(rows) for rows in inside]) - m
        groups, usable = [], []
        for g, group in enumerate(column.names):
            if place and group == MISSING:  # shown in the sizes, and not compared
                usable.append(False)
                continue
            where = (*place, ("group", group)) if place else ()
            reason = self._absent(inside[g], int(m[g]), int(n[g]))
            small = place and min(m[g], n[g]) < self.settings.min_group
            if reason is None and small:
                # A normal approximation is not for a handful of rows.
                reason = f"fewer than {self.settings.min_group} members or non-members"
            usable.append(reason is None)
            groups.append(self._auc(values, g, inside[g], where, reason))
            for k, fpr in enumerate(self.settings.fprs):
                groups.append(
                    self._tpr(values, draws, g, k, fpr, int(m[g]), int(n[g]), where, reason)
                )
        gaps = self._gaps(values, draws, np.array(usable), m, n, place) if place else []
        return groups, gaps

    def _absent(self, rows: NDArray[np.intp], m: int, n: int) -> str | None:
        for scores in self.scores:
            reason = absent(m, n, len(rows) > 0 and bool(np.ptp(scores[rows]) == 0))
            if reason is not None:
                return reason if reason != ALL_EQUAL else f"{ALL_EQUAL} of one of the two"
        return None

    def _auc(
        self,
        values: tuple[Values, ...],
        g: int,
        rows: NDArray[np.intp],
        place: tuple[tuple[str, Any], ...],
        reason: str | None,
    ) -> Difference:
        """Paired DeLong: the rows' placements under both models, one less the other."""
        if reason is not None:
            return Difference("auc", None, None, None, -1, self.margin, reason=reason, place=place)
        ends = [float(one.auc[g]) for one in values]
        member = self.rows.member[rows]
        off = np.zeros(len(rows))
        for sign, scores, auc in zip((1, -1), self.scores, ends, strict=True):
            off += sign * _influence(scores[rows], member, auc)
        degrees = None
        if self.rows.clusters is None:
            variance = sum(
                float((off[side] ** 2).sum()) * side.sum() / (side.sum() - 1)
                for side in (member, ~member)
            )
        else:
            found, code = np.unique(self.rows.clusters[rows], return_inverse=True)
            sums = np.bincount(code, weights=off)
            k = len(found)
            variance = float((sums**2).sum()) * k / max(k - 1, 1)
            degrees = float(k - 1) if 1 < k < 200 else None
        # Where both models part all pairs alike nothing is left of the variance but half a row.
        error = max(float(np.sqrt(variance)), 0.5 / float(min(member.sum(), (~member).sum())))
        return Difference("auc", ends[0], ends[1], error, -1, self.margin, degrees, place=place)

    def _tpr(
        self,
        values: tuple[Values, ...],
        draws: tuple[Values, ...],
        g: int,
        k: int,
        fpr: float,
        m: int,
        n: int,
        place: tuple[tuple[str, Any], ...],
        reason: str | None,
    ) -> Difference:
        name, margin = f"tpr@{fpr_key(fpr)}", min(self.margin, fpr)
        kind = resolution(fpr, n)
        if reason is None and kind["resolution"] != "fine":
            reason = f"{n:,} non-members are too few: it takes {int(np.ceil(COARSE / fpr)):,}"
        if reason is not None:
            return Difference(name, None, None, None, -1, margin, reason=reason, place=place)
        first, second = (float(one.tpr[g, k]) for one in values)
        off = draws[0].tpr[:, g, k] - draws[1].tpr[:, g, k]
        # Where the two differ on few rows the draws have little spread: half a row either way.
        error, reason = _error(off, 1 / (m + 2))
        return Difference(name, first, second, error, -1, margin, reason=reason, place=place)

    def _gaps(
        self,
        values: tuple[Values, ...],
        draws: tuple[Values, ...],
        usable: NDArray[np.bool_],
        m: NDArray[np.int64],
        n: NDArray[np.int64],
        place: tuple[tuple[str, Any], ...],
    ) -> list[Difference]:
        """Differences of the primary gaps; their errors from the draws."""
        wanted: list[tuple[str, Any, Any, NDArray[np.bool_], float]] = [
            ("auc_gap", lambda v: v.auc, _half_a_row(np.minimum(m, n)[usable]), usable, self.margin)
        ]
        for k, fpr in enumerate(self.settings.fprs):
            if f"tpr_gap@{fpr_key(fpr)}" in PRIMARY:
                here = usable & (allowed(fpr, n) >= COARSE)
                name = f"tpr_gap@{fpr_key(fpr)}"
                least, margin = 2 * _half_a_row(m[here]), min(self.margin, fpr)
                wanted.append((name, lambda v, k=k: v.tpr[..., k], least, here, margin))
        out = []
        for name, pick, least, here, margin in wanted:
            if here.sum() < 2:
                why = "fewer than two groups are large enough"
                out.append(Difference(name, None, None, None, -1, margin, reason=why, place=place))
                continue
            ends = [float(np.ptp(pick(one)[..., here], axis=-1)) for one in values]
            off = np.ptp(pick(draws[0])[..., here], axis=-1)
            off = off - np.ptp(pick(draws[1])[..., here], axis=-1)
            error, reason = _error(off, least)
            out.append(
                Difference(name, ends[0], ends[1], error, -1, margin, reason=reason, place=place)
            )
        return out


def _half_a_row(sizes: NDArray[np.int64]) -> float:
    """Half a row of each of two groups of the usual size, as an error of the gap between them."""
    return float(np.sqrt(0.5) / (np.median(sizes) + 2)) if len(sizes) else 0.0


def _error(off: Float, least: float) -> tuple[float | None, str | None]:
    """The standard error of (B,) draws, at least `least`; or why there is none.

    A draw in which a group has no member, or no non-member, says nothing: of clusters that happens.
    """
    known = off[np.isfinite(off)]
    if len(known) < (1 - _UNDEFINED) * len(off) or len(known) < 2:
        gone = len(off) - len(known)
        return None, f"a group has no member or no non-member in {gone:,} of {len(off):,} draws"
    return float(np.hypot(known.std(ddof=1), least)), None


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
