"""`roc`: how well an attack's scores tell members from non-members, overall and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.content import Number
from fairlora.metrics.counts.auc import Auc, auc_of_rows
from fairlora.metrics.curves.permutation import units_of
from fairlora.metrics.curves.roc_intervals import BAND
from fairlora.metrics.curves.roc_scores import Codes, Ordered, Sides, grouped, ordered, sides_of
from fairlora.metrics.groups.intersections import check_groups, rows_column
from fairlora.metrics.groups.missing import missing_warning, rows_without, settled
from fairlora.metrics.inference.design import seed_of
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.attributes import named_columns
from fairlora.privacy.attack_inputs import Bool, Float, floats, mask, mean_over_queries, require
from fairlora.privacy.content import (
    AttackContent,
    BalancedAccuracy,
    GroupNumbers,
    OperatingPoint,
    OverallNumbers,
    PrivacyContent,
    SettingsRecord,
    Sizes,
)
from fairlora.privacy.epsilon import DELTA, above_promise, bound_of
from fairlora.privacy.gaps import correct_aucs, correct_gaps, gaps_of
from fairlora.privacy.operating_points import (
    absent,
    auc_of,
    balanced_best,
    balanced_crossed,
    best_threshold,
    curve,
    effective_units,
    rates_at,
    tpr_at,
)
from fairlora.privacy.resistance import resistance
from fairlora.privacy.result import PrivacyResult
from fairlora.privacy.settings import FPRS, PrivacySettings, fpr_key

_ALL = "all"


class Rows(NamedTuple):
    """The examples that attacks are judged on.

    Attributes
    ----------
    member : (n,) whether each was trained on.
    columns : attribute -> its groups.
    clusters : (n,) codes of what was drawn together, or None.
    """

    member: Bool
    columns: dict[str, GroupColumn]
    clusters: Codes | None


def roc(
    scores: Any,
    member: Any,
    groups: Any = None,
    *,
    ids: Any = None,
    clusters: Any = None,
    fprs: Sequence[float] = FPRS,
    level: float = 0.95,
    min_group: int = 10,
    permutations: int = 1000,
    seed: int = 0,
    max_groups: int | None = None,
    epsilon: float | None = None,
    delta: float = DELTA,
) -> PrivacyResult:
    """Judge the scores of one attack, or of several on the same examples.

    Parameters
    ----------
    scores : (n,) of one attack, larger for a likelier member, or attack -> (n,).
    member : (n,) whether the target model trained on the example.
    groups : attribute -> (n,) group names, or lists of names for overlapping groups; or a frame;
        one column alone is the attribute of its name, or "group".
    ids : (n,) names of the examples, if it is to be checked that none stands twice.
    clusters : (n,) what was drawn together, and is resampled and permuted together: the example,
        where each of several models is the target in turn; the person, where pictures share one.
    fprs : false positive rates at which the TPR is given.
    level : of all intervals.
    min_group : groups of fewer members, or fewer non-members, are left out of gaps and spreads.
    permutations : of the groups, for p-values of gaps. Of many rows fewer are made: the result says
        how many.
    seed : of permutations and of the halves that balanced accuracy is crossed over.
    max_groups : more groups than this are taken for ids or measurements; default as of an audit.
    epsilon : what training with differential privacy promised, if it did.
    delta : of the promise, and of the lower bounds of epsilon.

    Returns
    -------
    A `PrivacyResult`; docs/privacy.md says what each of its numbers is.

    Raises
    ------
    InputError : lengths that differ; a score that is missing or infinite; no members or no
        non-members; an id that stands twice, among members and non-members above all.

    >>> generator = np.random.default_rng(0)
    >>> member = np.repeat([True, False], 500)
    >>> result = roc(generator.normal(size=1000) + member, member)
    >>> round(result.overall()["auc"]["value"], 2)
    0.78
    """
    settings = PrivacySettings(
        fprs=tuple(fprs),
        level=level,
        min_group=min_group,
        permutations=permutations,
        seed=seed,
        max_groups=max_groups,
        epsilon=epsilon,
        delta=delta,
    )
    named = dict(scores) if isinstance(scores, Mapping) else {"attack": scores}
    if not named:
        raise InputError("no attack", where="scores")
    values = {str(name): score_column(own, str(name)) for name, own in named.items()}
    n = len(next(iter(values.values())))
    for name, own in values.items():
        if len(own) != n:
            raise InputError(
                "another length", where=f"scores[{name!r}]", found=len(own), expected=n
            )
    rows = rows_of(member, groups, n, ids, clusters, max_groups)
    warnings = missing_warnings(rows)
    attacks = {name: _attack(one, rows, settings, name, warnings) for name, one in values.items()}
    # Of several attacks the best is looked at.
    correct_aucs([one.overall.auc for one in attacks.values()])
    for name, one in attacks.items():
        warnings += above_promise(name, one, epsilon)
    content = PrivacyContent(
        n=n,
        members=int(rows.member.sum()),
        non_members=int((~rows.member).sum()),
        settings=SettingsRecord(**settings.shown(), band=BAND, clusters=rows.clusters is not None),
        groups={name: group_sizes(c, rows.member) for name, c in rows.columns.items()},
        attacks=attacks,
        warnings=warnings,
    )
    return PrivacyResult(content)


def rows_of(
    member: Any, groups: Any, n: int, ids: Any, clusters: Any, max_groups: int | None
) -> Rows:
    """The examples, checked; see `roc`.

    Parameters
    ----------
    member, groups, ids, clusters, max_groups : as of `roc`.
    n : how many examples there must be.

    Raises
    ------
    InputError : as `roc`, but for the scores.
    """
    inside = mask(member, "member", (n,))
    for count, name in ((int(inside.sum()), "members"), (int((~inside).sum()), "non-members")):
        if count == 0:
            raise InputError(f"no {name}", where="member", found=f"{n:,} rows, none of them")
    if ids is not None:
        require_apart(ids, inside)
    named = {} if groups is None else named_columns(groups, n)
    columns = {a: rows_column(v, f"groups[{a!r}]", n) for a, v in named.items()}
    columns = {attribute: settled(column) for attribute, column in columns.items()}
    for attribute, column in columns.items():
        check_groups(attribute, column.names, n, max_groups)
    codes = None
    if clusters is not None:
        codes = np.unique(rows_column(clusters, "clusters", n).codes, return_inverse=True)[1]
    return Rows(inside, columns, codes)


def require_apart(ids: Any, member: Bool) -> None:
    """Raise `InputError` for an id among members and non-members, or twice among either."""
    column = rows_column(ids, "ids", len(member))
    inside = np.bincount(column.codes[member], minlength=len(column.names))
    outside = np.bincount(column.codes[~member], minlength=len(column.names))
    both = np.flatnonzero((inside > 0) & (outside > 0))
    if len(both):
        raise InputError(
            "a member among the non-members",
            where="ids",
            found=f"{column.names[both[0]]!r} is both, {len(both):,} such ids",
            expected="each example once; clusters name what stands for several models",
        )
    twice = np.flatnonzero(inside + outside > 1)
    if len(twice):
        raise InputError(
            "an id stands twice", where="ids", found=f"{column.names[twice[0]]!r}", expected="once"
        )


def missing_warnings(rows: Rows) -> list[str]:
    """Warnings about examples without a group value."""
    n = len(rows.member)
    without = ((attribute, rows_without(column)) for attribute, column in rows.columns.items())
    return [missing_warning(a, int(some.sum()), n) for a, some in without if some is not None]


def group_sizes(column: GroupColumn, member: Bool) -> dict[str, Sizes]:
    """Group -> its rows, members and non-members."""
    out = {}
    for name in column.names:
        inside = column.contains(name)
        m = int((inside & member).sum())
        n = int(inside.sum())
        out[name] = Sizes(n=n, members=m, non_members=n - m)
    return out


def score_column(values: Any, name: str) -> Float:
    """(n,) finite scores; `InputError` that names the attack and the row otherwise."""
    where = "scores" if name == "attack" else f"scores[{name!r}]"
    array = floats(values, where)
    if array.ndim != 1 or not len(array):
        raise InputError(
            "not one number a row" if array.size else "no rows",
            where=where,
            found=f"shape {array.shape}",
            expected="(n,)",
        )
    require(np.isfinite(array), array, where, "not a finite number")
    return mean_over_queries(array)


def _attack(
    scores: Float, rows: Rows, settings: PrivacySettings, name: str, warnings: list[str]
) -> AttackContent:
    """One attack's numbers: overall, by group, gaps, resistance against size."""
    order = ordered(scores, rows.member)
    whole = sides_of(order, np.arange(len(scores)), rows.clusters)
    halves = _halves(rows, settings.seed)[order.rows]
    auc = _auc(scores, rows, GroupColumn((_ALL,), np.zeros(len(scores), dtype=np.int32)))
    both = _split(order, np.arange(len(scores)), halves, rows.clusters)
    shared = _Shared(tpr_at(whole, settings.fprs, settings.level), _crossed(both))
    overall = OverallNumbers(**_numbers(whole, auc, 0, rows, settings, both, shared.crossed))
    value, high = overall.auc.value, overall.auc.high
    if value is not None and high is not None and high < 0.5:
        warnings.append(
            f"{name}: the scores of non-members are the larger ones (AUC {value:.3f}). Larger must "
            "mean member: is the sign right?"
        )
    content = AttackContent(overall=overall, by_group={}, gaps={}, resistance={})
    for attribute, column in rows.columns.items():
        read = grouped(column.codes[order.rows], len(column.names), column.patterns())
        auc = _auc(scores, rows, column)
        sides = []
        found: dict[str, GroupNumbers] = {}
        for g, group in enumerate(column.names):
            here = read.of(g)
            own = sides_of(order, here, rows.clusters)
            sides.append(own)
            both = _split(order, here, halves, rows.clusters)
            numbers = _numbers(own, auc, g, rows, settings, both, _crossed(both))
            found[group] = GroupNumbers(**numbers, **_at_shared(own, both, shared, settings))
        shown = {group: one for group, one in found.items() if group != MISSING}
        correct_aucs([one.auc for one in shown.values()])
        if MISSING in found:
            found[MISSING].auc.p_corrected = None
        content.by_group[attribute] = found
        content.gaps[attribute] = gaps_of(
            order,
            column,
            units_of(rows.member, rows.clusters),
            auc,
            sides,
            found,
            shared.points,
            settings,
            seed_of(settings.seed, attribute, "privacy"),
        )
        content.resistance[attribute] = resistance(shown, settings)
    correct_gaps(content.gaps)
    return content


class _Shared(NamedTuple):
    """Thresholds of all rows: at each FPR, of the best balanced accuracy, and crossed over."""

    points: dict[float, OperatingPoint]
    crossed: tuple[float, float]


def _numbers(
    sides: Sides,
    auc: Auc,
    g: int,
    rows: Rows,
    settings: PrivacySettings,
    halves: tuple[Sides, Sides],
    crossed: tuple[float, float],
) -> dict[str, Any]:
    """Of one group, or of all rows; `crossed` are thresholds of the halves."""
    m, n = len(sides.positives), len(sides.negatives)
    out: dict[str, Any] = {"n": m + n, "members": m, "non_members": n, "examples": sides.examples}
    out["small"] = min(m, n) < settings.min_group
    reason = absent(m, n, sides.constant)
    if reason is not None:
        nothing = Number.undefined(reason)
        return {
            **out,
            "auc": {**nothing.to_dict(), "p": None},
            "balanced_accuracy": nothing,
            "balanced_accuracy_best": BalancedAccuracy.undefined(reason),
            "tpr_at_fpr": _unresolvable(reason, settings),
            "curve": [],
        }
    out["auc"] = auc_of(
        auc,
        g,
        settings.level,
        sides,
        clustered=rows.clusters is not None,
        small=out["small"],
    )
    out["balanced_accuracy"] = balanced_crossed(halves, crossed, settings.level)
    out["epsilon"] = bound_of(halves, settings.level, settings.delta)
    out["balanced_accuracy_best"] = balanced_best(sides)
    own = tpr_at(sides, settings.fprs, settings.level)
    out["tpr_at_fpr"] = {fpr_key(fpr): point for fpr, point in own.items()}
    return {**out, "curve": curve(sides, settings.level)}


def _at_shared(
    sides: Sides, halves: tuple[Sides, Sides], shared: _Shared, settings: PrivacySettings
) -> dict[str, Any]:
    """A group's numbers at the thresholds of all rows."""
    reason = absent(len(sides.positives), len(sides.negatives), sides.constant)
    if reason is not None:
        balanced, points = Number.undefined(reason), _unresolvable(reason, settings)
    else:
        balanced = balanced_crossed(halves, shared.crossed, settings.level)
        fixed = rates_at(sides, shared.points, settings.level)
        points = {fpr_key(fpr): point for fpr, point in fixed.items()}
    return {"balanced_accuracy_global": balanced, "tpr_at_global_threshold": points}


def _unresolvable(reason: str, settings: PrivacySettings) -> dict[str, OperatingPoint]:
    nothing = Number.undefined(reason).to_dict()
    point = OperatingPoint(**nothing, resolution="unresolvable")
    return {fpr_key(fpr): point for fpr in settings.fprs}


def _auc(scores: Float, rows: Rows, column: GroupColumn) -> Auc:
    # Written for single precision, and right in any.
    auc = auc_of_rows(cast(Any, scores), rows.member, column, cast(Any, rows.clusters))
    return auc if auc.units is None else auc._replace(units=effective_units(auc))


def _halves(rows: Rows, seed: int) -> NDArray[np.intp]:
    """(n,) 0 or 1: halves of the members and of the non-members, clusters kept together."""
    rng = seed_of(seed, "halves")
    if rows.clusters is not None:
        return np.asarray(rng.permutation(int(rows.clusters.max()) + 1)[rows.clusters] % 2)
    out = np.empty(len(rows.member), dtype=np.intp)
    for side in (rows.member, ~rows.member):
        out[side] = rng.permutation(int(side.sum())) % 2
    return out


def _split(
    order: Ordered,
    places: NDArray[np.integer[Any]],
    halves: NDArray[np.intp],
    clusters: Codes | None,
) -> tuple[Sides, Sides]:
    half = halves[places]
    first, second = (sides_of(order, places[half == k], clusters) for k in (0, 1))
    return first, second


def _crossed(halves: tuple[Sides, Sides]) -> tuple[float, float]:
    """For each half the best threshold of the other; NaN where the other half lacks a side."""
    first, second = (
        best_threshold(side.positives, side.negatives)[0]
        if len(side.positives) and len(side.negatives)
        else float("nan")
        for side in halves
    )
    return second, first
