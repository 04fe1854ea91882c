"""Rates by group at an operating point: a threshold, or a sensitivity or specificity reached."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.content import Disparity, GroupRatesAt, Number, OperatingPoint, RatesAt
from fairlora.metrics.counting import OVERALL, Table, Tables, tables_of
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.curves.estimates import CommonThreshold, common_estimates, own_estimates
from fairlora.metrics.curves.permutation import Known, layout, permute, units_of
from fairlora.metrics.curves.roc_intervals import allowed
from fairlora.metrics.curves.roc_scores import Ordered, Side, Sides, ordered
from fairlora.metrics.curves.rows import Attribute, BinaryRows
from fairlora.metrics.groups.disparity import disparities
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import gap
from fairlora.metrics.inference.design import seed_of
from fairlora.metrics.inference.intervals import Limits
from fairlora.metrics.settings import RateName, Settings
from fairlora.metrics.thresholds import rates_of, reaching
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.thresholds import Thresholds, apply_thresholds

# As many as serve a mean; rows times draws is bounded too.
_DRAWS, _ROWS, _FEWEST = 200, 50_000_000, 20
_OTHER: dict[RateName, RateName] = {"sensitivity": "specificity", "specificity": "sensitivity"}
_CHOSEN_FOR_IT = "the threshold was chosen for it on these rows"


def operating_points(
    predictions: Predictions,
    rows: BinaryRows,
    settings: Settings,
    positive: int,
) -> list[OperatingPoint]:
    """Sensitivity and specificity by group at each of the settings' `at`, and their gaps.

    Parameters
    ----------
    predictions : of two classes, with probabilities.
    rows : `binary_rows` of them.
    settings : of the audit.
    positive : index of the positive class.

    Raises
    ------
    InputError : a sensitivity or specificity where there are no rows of a class.
    """
    out = []
    for of, value in settings.at:
        if of == "threshold":
            limit = Thresholds(positive=predictions.classes[positive], default=value)
            tables = tables_of(apply_thresholds(predictions, limit), settings)
            out.append(_at_threshold(value, tables, rows, settings, positive))
            continue
        if not rows.both:
            raise InputError("needs rows of both classes", where=f"at {of}={value:g}")
        out.append(_at_rate(of, value, rows, settings))
    return out


def _at_threshold(
    value: float, tables: Tables, rows: BinaryRows, settings: Settings, positive: int
) -> OperatingPoint:
    """A threshold that is given: the rates and gaps of an audit of the decisions by it."""

    def rates(table: Table, attribute: str, c: int) -> GroupRates:
        design = table.design(settings, attribute)
        return GroupRates(table.tally, tables.classes, c, settings.min_group, design)

    def both(table: Table, attribute: str, g: int) -> RatesAt:
        sensitivity, specificity = (
            number(rates(table, attribute, c).rate("tpr", c), g, settings.level, EMPTY["tpr"])
            for c in (positive, 1 - positive)
        )
        return RatesAt(threshold=value, sensitivity=sensitivity, specificity=specificity)

    by_group: dict[str, dict[str, GroupRatesAt]] = {}
    gaps: dict[str, dict[str, Disparity]] = {}
    for name, attribute in rows.attributes.items():
        table = tables.attributes[name]
        by_group[name] = {}
        for g, group in enumerate(attribute.column.names):
            part, place = table, table.tally.names.index(group) if attribute.known[g] else 0
            if not attribute.known[g]:
                assert table.missing is not None
                part = table.missing
            sizes = attribute.sizes(g, settings.min_group)
            by_group[name][group] = GroupRatesAt(**sizes, common=both(part, name, place))
        gaps[name] = {
            f"{rate}_gap": disparities(
                rates(table, name, c),
                draws=settings.bootstrap,
                seed=settings.seed,
                level=settings.level,
                attribute=name,
            ).summary.tpr_gap
            for rate, c in (("sensitivity", positive), ("specificity", 1 - positive))
        }
    return OperatingPoint(
        of="threshold",
        value=value,
        overall=both(tables.everyone, OVERALL, 0),
        by_group=by_group,
        gaps=gaps,
    )


@dataclass(frozen=True, eq=False)
class _View:
    """A ROC read so that the rate that is given is 1 minus its FPR, and the other its TPR.

    Of a specificity the rows are as they are; of a sensitivity the classes change places, and
    scores their sign.
    """

    of: RateName
    fpr: float
    order: Ordered

    @staticmethod
    def read(of: RateName, value: float, rows: BinaryRows) -> _View:
        turned = of == "sensitivity"
        order = ordered(-rows.scores, ~rows.labels) if turned else rows.order
        return _View(of, 1 - value, order)

    def sides(self, sides: Sides) -> Sides:
        return sides.swapped() if self.of == "sensitivity" else sides

    def rates(self, threshold: float, other: Number, own: Number) -> RatesAt:
        """The rates by name: the one that is given, and the other."""
        named = {_OTHER[self.of]: other, self.of: own}
        return RatesAt(
            threshold=threshold,
            sensitivity=named["sensitivity"],
            specificity=named["specificity"],
        )


def _at_rate(of: RateName, value: float, rows: BinaryRows, settings: Settings) -> OperatingPoint:
    """A rate that is given: at the threshold of all rows that reaches it, and at each group's."""
    view = _View.read(of, value, rows)
    whole = view.sides(rows.whole)
    common = CommonThreshold.of(whole, view.fpr)
    limit = reaching(rates_of(rows.scores, rows.labels), of, value)
    level = settings.level
    by_group: dict[str, dict[str, GroupRatesAt]] = {}
    gaps: dict[str, dict[str, Disparity]] = {}
    for name, attribute in rows.attributes.items():
        sides = [view.sides(one) for one in attribute.sides]
        by_group[name] = {}
        for g, group in enumerate(attribute.column.names):
            other, own = (
                _shared(common, sides[g], side, level) for side in ("positives", "negatives")
            )
            by_group[name][group] = GroupRatesAt(
                **attribute.sizes(g, settings.min_group),
                common=view.rates(limit, other, _complement(own)),
                own=_own(view, value, sides[g], rows, attribute, g, level),
            )
        gaps[name] = _gaps(view, common, attribute, sides, rows, settings, name)
    at = np.array([view.fpr])
    found, band = whole.band(at, level)
    other = _number(float(found[0]), band)
    if not allowed(at, len(whole.negatives))[0]:
        other = _unresolved(view.of, value, whole)
    realised = 1 - float((whole.negatives > common.value).mean())
    return OperatingPoint(
        of=of,
        value=value,
        overall=view.rates(limit, other, _chosen(realised)),
        by_group=by_group,
        gaps=gaps,
    )


def _own(
    view: _View,
    value: float,
    sides: Sides,
    rows: BinaryRows,
    attribute: Attribute,
    g: int,
    level: float,
) -> RatesAt:
    """A group's rates at the threshold by which it reaches the rate itself."""
    if not len(sides.positives) or not len(sides.negatives):
        nothing = Number.undefined("needs rows of both classes")
        return RatesAt(threshold=None, sensitivity=nothing, specificity=nothing)
    at = np.array([view.fpr])
    count = allowed(at, len(sides.negatives))
    if not count[0]:
        nothing = _unresolved(view.of, value, sides)
        return RatesAt(threshold=None, sensitivity=nothing, specificity=nothing)
    here = attribute.column.contains(attribute.column.names[g])
    limit = reaching(rates_of(rows.scores[here], rows.labels[here]), view.of, value)
    found, band = sides.band(at, level)
    realised = 1 - float((sides.negatives > sides.thresholds(count)[0]).mean())
    return view.rates(limit, _number(float(found[0]), band), _chosen(realised))


def _unresolved(of: RateName, value: float, sides: Sides) -> Number:
    n = len(sides.negatives)
    rows = "positives" if of == "sensitivity" else "negatives"
    return Number.undefined(f"{100 * (1 - value):.4g} % of {n:,} {rows} is less than one of them")


def _number(value: float, limits: Limits) -> Number:
    return Number(value=value, low=float(limits.low[0]), high=float(limits.high[0]))


def _chosen(value: float) -> Number:
    return Number(value=value, low=None, high=None, reason=_CHOSEN_FOR_IT)


def _complement(one: Number) -> Number:
    if one.value is None or one.low is None or one.high is None:
        return one
    return Number(value=1 - one.value, low=1 - one.high, high=1 - one.low)


def _shared(common: CommonThreshold, sides: Sides, of: Side, level: float) -> Number:
    if not len(sides.side(of)[0]):
        return Number.undefined(EMPTY["tpr"])
    return _number(*common.rate(sides, of, level))


def _gaps(
    view: _View,
    common: CommonThreshold,
    attribute: Attribute,
    sides: list[Sides],
    rows: BinaryRows,
    settings: Settings,
    name: str,
) -> dict[str, Disparity]:
    """Gaps of the other rate at the groups' own thresholds, and of both at the common one."""
    least = max(1, settings.min_group)
    counts = np.array([(len(one.positives), len(one.negatives)) for one in sides])
    enough = attribute.known[:, None] & (counts >= least)
    resolved = allowed(np.full(len(sides), view.fpr), counts[:, 1]) > 0
    own = attribute.large(least) & resolved
    chance = _chance(
        view, attribute, Known(own, own[:, None], *enough.T[:, :, None]), settings, name, rows
    )
    other, names, level = _OTHER[view.of], attribute.column.names, settings.level
    families: dict[str, tuple[Estimates, str]] = {
        f"{other}_gap_own": (own_estimates(sides, view.fpr, own), "own"),
        f"{other}_gap": (common_estimates(sides, common, "positives", enough[:, 0]), "tpr"),
        f"{view.of}_gap": (
            _mirrored(common_estimates(sides, common, "negatives", enough[:, 1])),
            "fpr",
        ),
    }
    out = {}
    for key, (estimates, field) in families.items():
        found = gap([estimates], names, level, ends=True)
        if found.value is not None:
            found.expected_by_chance = chance.get(field)
            if field not in chance:
                found.no_chance_value = "not drawn: none asked for, or clusters span groups"
        out[key] = found
    return out


def _mirrored(estimates: Estimates) -> Estimates:
    """1 minus each."""

    def limits(z: float) -> Limits:
        found = estimates.limits(z)
        return Limits(1 - found.high, 1 - found.low)

    return replace(estimates, values=1 - estimates.values, limits=limits)


def _named(attribute: Attribute) -> GroupColumn:
    """The column, where rows without a group value are kept as a group under another name."""
    column = attribute.column
    if MISSING not in column.names or not attribute.known.all():
        return column

    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{MISSING}, kept" if name == MISSING else name for name in names)

    lists = None if column.lists is None else tuple(kept(names) for names in column.lists)
    return GroupColumn(kept(column.names), column.codes, lists)


def _chance(
    view: _View,
    attribute: Attribute,
    known: Known,
    settings: Settings,
    name: str,
    rows: BinaryRows,
) -> dict[str, float]:
    """Mean gaps over groups permuted within each class; empty where none are drawn."""
    n = len(rows.scores)
    draws = min(settings.bootstrap, _DRAWS, max(_FEWEST, _ROWS // n))
    found = permute(
        layout(view.order, np.array([view.fpr])),
        _named(attribute),
        units_of(~rows.labels if view.of == "sensitivity" else rows.labels, rows.clusters),
        known,
        draws,
        seed_of(settings.seed, name, view.of, "curves"),
    )
    return {field: one.expected for (field, _), one in found.items() if field != "auc"}
