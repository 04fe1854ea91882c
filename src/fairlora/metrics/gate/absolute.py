"""The numbers of an audit that rules ask for: of all rows, of groups, and between groups."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from fairlora.metrics.assemble import SCORES, assemble, score_number
from fairlora.metrics.content import Disparity, Number
from fairlora.metrics.counting import OVERALL, Tables
from fairlora.metrics.counts.auc import auc_estimates
from fairlora.metrics.counts.rates import EMPTY, GroupRates
from fairlora.metrics.gate.names import require
from fairlora.metrics.gate.policy import Policy, Rule
from fairlora.metrics.groups.disparity import AGAINST_REST, against_rest
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.inference.design import Kind
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    shared_level,
    z_of,
    zero_for_nan,
)
from fairlora.metrics.settings import Settings

_RATES: tuple[Kind, ...] = ("accuracy", "selection_rate", "tpr", "fpr", "precision", "f1")
_KINDS = {"recall": "tpr"}
# A number of every group, and whether the group is of `min_group` rows.
_Groups = tuple[list[Number], list[bool]]
_ENDS = ("best", "worst", "largest", "smallest", "group")


class Part(NamedTuple):
    """A group's number by itself, and the same held for all groups at once."""

    group: str
    n: int
    alone: Number
    together: Number


class Found(NamedTuple):
    """What a rule asked for.

    Attributes
    ----------
    number : of one place; None where the rule is about each of several groups.
    rows : whose rows the number is of: group or None for all -> how many.
    parts : the groups that are each held to the rule.
    left_out : groups that are too small to be in it.
    sides : the number now and that of the baseline.
    """

    number: Number | None
    rows: dict[str | None, int]
    parts: list[Part]
    left_out: list[str]
    sides: tuple[float | None, float | None] | None = None


class Audited:
    """The audit of some tables at the level that a policy's intervals have.

    Parameters
    ----------
    tables : of the rows.
    policy : that is asked.
    settings : of the audit; its level is the policy's.
    """

    def __init__(self, tables: Tables, policy: Policy, settings: Settings) -> None:
        self.tables, self.settings = tables, settings
        self.content = assemble(tables, settings, chance=False)
        self._rates: dict[str | None, GroupRates] = {}
        for k, rule in enumerate(policy.rules, 1):
            self._check(rule, f"rule {k}")

    @cached_property
    def positive(self) -> int | None:
        named = self.content.positive
        return None if named is None else self.content.classes.index(named)

    def find(self, rule: Rule) -> Found:
        """The number, or the numbers, of a rule that is not against a baseline."""
        place, name, attribute = rule.about.place, rule.about.name, rule.attribute or ""
        if place == "overall":
            exact = self._exact(None, _KINDS.get(name, name), self.settings.level)
            number = exact[0][0] if exact else self.content.overall.numbers().get(name)
            return Found(number or self._several(name), {None: self.tables.n}, [], [])
        groups = self.content.by_group[attribute]
        if place == "group":
            assert rule.group is not None
            group, names = groups[rule.group], self.tables.attributes[attribute].tally.names
            exact = self._exact(attribute, name, self.settings.level)
            number = group.numbers()[name]
            if exact is not None and rule.group in names:  # not so where it is missing
                number = exact[0][names.index(rule.group)]
            return Found(number, {rule.group: group.n}, [], [])
        small = [label for label, one in groups.items() if one.small and not one.missing]
        if place == "between":
            number = self.content.disparities[attribute].numbers().get(name)
            number = number or Number.undefined(self.tables.attributes[attribute].no_auc)
            more = list(number.left_out or ()) if isinstance(number, Disparity) else []
            named = [g for g in _named(number) if g in groups]
            rows: dict[str | None, int] = {g: groups[g].n for g in named}
            return Found(number, rows or {None: self.tables.n}, [],
                         list(dict.fromkeys([*small, *more])))  # fmt: skip
        every = place == "every group"
        alone, known = self._of_groups(attribute, name, self.settings.level)
        names = self.tables.attributes[attribute].tally.names
        here = [g for g in range(len(names)) if every or known[g]]
        usable = sum(alone[g].value is not None for g in here)
        # As of the audit's worst group: the largest of so many ends needs the higher level.
        level = 2 * shared_level((1 + self.settings.level) / 2, max(usable, 1)) - 1
        together, _ = self._of_groups(attribute, name, level)
        parts = [Part(names[g], groups[names[g]].n, alone[g], together[g]) for g in here]
        left = [names[g] for g in range(len(names)) if g not in here]
        return Found(None, {}, parts, left)

    def _of_groups(self, attribute: str, name: str, level: float) -> _Groups:
        """A metric of every group at a level, and whether it is of `min_group` rows."""
        exact = self._exact(attribute, name, level)
        if exact is not None:
            return exact
        table, rates = self.tables.attributes[attribute], self._rates_of(attribute)
        count, large = len(table.tally.names), [bool(one) for one in rates.large]
        if name in AGAINST_REST:
            return [one[name] for one in against_rest(rates, level)], large
        if name == "auc" and table.auc is not None:
            one_class = "rows of one class alone"
            family = auc_estimates(table.auc, rates.least)
            return _as_groups(family, level, one_class)
        if name in SCORES:
            if level == self.settings.level:  # as the audit has them
                groups = self.content.by_group[attribute]
                return [groups[group].numbers()[name] for group in table.tally.names], large
            settings = self.settings.model_copy(update={"level": level})
            return [score_number(name, table, g, settings) for g in range(count)], large
        if self.positive is None and name == "selection_rate":
            return [self._several(name)] * count, large
        family = rates.f1() if name == "f1" else rates.over_classes(name)
        return _as_groups(family, level, "no rows")

    def _exact(self, attribute: str | None, name: str, level: float) -> _Groups | None:
        """A rate of every group, or of all rows, with exact intervals; None for what is no rate.

        A gate asks at levels near 1 and of rates near 1, where Wilson's interval, which the audit
        prints, misses more often than it says.
        """
        kind = next((kind for kind in _RATES if kind == name), None)
        if kind is None or (self.positive is None and kind != "accuracy"):
            return None
        rates, c = self._rates_of(attribute), self.positive or 0
        family = rates.rate(kind, c)
        effective = rates.design.extras(kind, c).effective
        sizes = rates.counts(kind, c)[1] if effective is None else effective
        values, n = family.values, np.asarray(sizes, np.float64)
        limits = clopper_pearson(zero_for_nan(values) * n, n, level)
        if kind == "f1":  # the share's interval, carried over
            values, limits = (2 * values / (1 + values), Limits(*(2 * e / (1 + e) for e in limits)))
            family = rates.f1()
        return _numbers(values, limits, EMPTY[kind]), [bool(one) for one in family.known]

    def _rates_of(self, attribute: str | None) -> GroupRates:
        if attribute not in self._rates:
            table = self.tables.attributes[attribute] if attribute else self.tables.everyone
            # Limits of single groups need no draws.
            settings = self.settings.model_copy(update={"bootstrap": 0})
            design, least = table.design(settings, attribute or OVERALL), settings.min_group
            self._rates[attribute] = GroupRates(
                table.tally, self.tables.classes, self.positive, least, design
            )
        return self._rates[attribute]

    def _several(self, name: str) -> Number:
        count = len(self.tables.classes)
        return Number.undefined(f"{name} is of two classes, and there are {count}")

    def _check(self, rule: Rule, where: str) -> None:
        """Raise `InputError` for an attribute or a group that the rows do not have."""
        if rule.attribute is None:
            return
        require(rule.attribute, self.content.by_group, "group column", f"{where}: attribute")
        if rule.group is not None:
            groups = self.content.by_group[rule.attribute]
            require(rule.group, groups, f"group of {rule.attribute}", f"{where}: group")


def gate_settings(policy: Policy, settings: Settings) -> Settings:
    """The settings of a policy's audit: its level, crossed attributes, and draws enough for both.

    Five draws or more lie beyond either end of an interval.
    """
    draws = settings.bootstrap
    if draws:
        draws = max(draws, int(np.ceil(10 / (1 - policy.interval_level))))
    return Settings(**{**settings.model_dump(), "level": policy.interval_level, "bootstrap": draws})


def _as_groups(family: Estimates, level: float, empty: str) -> _Groups:
    limits = family.limits(z_of(level))
    return _numbers(family.values, limits, empty), [bool(one) for one in family.known]


def _numbers(values: Float, limits: Limits, empty: str) -> list[Number]:
    return [
        Number(value=float(v), low=float(low), high=float(high))
        if np.isfinite(v)
        else Number.undefined(empty)
        for v, low, high in zip(values, limits.low, limits.high, strict=True)
    ]


def _named(number: Number) -> list[str]:
    """The groups that a number between groups is about."""
    ends = [getattr(number, end, None) for end in _ENDS]
    several = getattr(number, "groups", None) or []
    return list(dict.fromkeys([*(end for end in ends if end), *several]))
