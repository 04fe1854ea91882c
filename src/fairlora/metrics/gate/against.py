"""The differences from a baseline that rules ask for, on the same rows."""

from __future__ import annotations

from fairlora.errors import InputError
from fairlora.metrics.comparison.align import one_pair
from fairlora.metrics.comparison.differences import Differences, group_sizes
from fairlora.metrics.comparison.verdicts import Difference
from fairlora.metrics.content import Number
from fairlora.metrics.counting import positive_class
from fairlora.metrics.gate.absolute import Found, Part
from fairlora.metrics.gate.names import require
from fairlora.metrics.gate.policy import Policy, Rule
from fairlora.metrics.inference.intervals import shared_level
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions

_TOO_FEW = "too few rows, or no probabilities of both"


class Compared:
    """Some predictions against a baseline's: each difference with its variance.

    Parameters
    ----------
    first, second : the predictions and the baseline's, of the same rows.
    policy : that is asked.
    settings : of the audit; its level is the policy's.
    names : of the two, for messages.

    Raises
    ------
    InputError : as `fairlora.compare`, or an attribute or group that the rows do not have.
    """

    def __init__(
        self,
        first: Predictions,
        second: Predictions,
        policy: Policy,
        settings: Settings,
        names: tuple[str, str],
    ) -> None:
        self.level = settings.level
        runs = one_pair(first, second, names, settings)
        self.n = len(runs.blocks[0])
        positive = positive_class(runs.classes, settings.positive, [])
        maker = Differences(runs, positive, settings, {}, None)
        self.overall = {one.name: one for one in maker.overall()}
        self.between: dict[str, dict[str, Difference]] = {}
        self.groups: dict[str, dict[str, dict[str, Difference]]] = {}
        self.sizes: dict[str, dict[str, int]] = {}
        self.small: dict[str, list[str]] = {}
        for k, rule in enumerate(policy.rules, 1):
            attribute = rule.attribute
            if not rule.paired or attribute is None:
                continue
            require(attribute, runs.attributes, "group column", f"rule {k}: attribute")
            if attribute not in self.between:
                some = runs.compared(attribute, settings)
                names_of = some.blocks[0].columns[attribute].names
                sizes = [int(n) for n in group_sizes(some, attribute)]
                gaps, by_group = maker.over(some).attribute(attribute)
                self.between[attribute] = {one.name: one for one in gaps}
                self.sizes[attribute] = dict(zip(names_of, sizes, strict=True))
                least = max(1, settings.min_group)
                self.small[attribute] = [g for g, n in self.sizes[attribute].items() if n < least]
                self.groups[attribute] = {g: {} for g in names_of}
                for one in by_group:
                    self.groups[attribute][one.place[1]][one.name] = one
            if rule.group is not None:
                of = f"group of {attribute}"
                require(rule.group, self.sizes[attribute], of, f"rule {k}: group")

    def find(self, rule: Rule) -> Found:
        """The difference, or every group's, that a rule is about."""
        place, name, attribute = rule.about.place, rule.about.name, rule.attribute or ""
        if place == "every group":
            groups = self.groups[attribute]
            known = [g for g, of in groups.items() if name in of and _known(of[name])]
            level = 2 * shared_level((1 + self.level) / 2, max(len(known), 1)) - 1
            parts = [
                Part(g, self.sizes[attribute][g], _number(of.get(name), self.level),
                     _number(of.get(name), level))
                for g, of in groups.items()
            ]  # fmt: skip
            return Found(None, {}, parts, [])
        rows: dict[str | None, int] = {None: self.n}
        left: list[str] = []
        if place == "overall":
            one = self.overall.get(name)
        elif place == "group":
            assert rule.group is not None
            one = self.groups[attribute][rule.group].get(name)
            rows = {rule.group: self.sizes[attribute][rule.group]}
        else:
            one, left = self.between[attribute].get(name), self.small[attribute]
        sides = (None, None) if one is None else one.sides
        return Found(_number(one, self.level), rows, [], left, sides)


def _known(one: Difference) -> bool:
    return one.value is not None and one.variance is not None


def _number(one: Difference | None, level: float) -> Number:
    """The difference with its interval at a level."""
    if one is None or one.value is None or one.variance is None:
        return Number.undefined((one and one.reason) or _TOO_FEW)
    low, high = one.variance.ends(one.value, level)
    if one.most is not None:
        low, high = max(low, -one.most), min(high, one.most)
    return Number(value=one.value, low=low, high=high)


def check_baseline(policy: Policy, given: bool) -> None:
    """Raise `InputError` for a rule against a baseline without one, or one without a rule."""
    paired = [k for k, rule in enumerate(policy.rules, 1) if rule.paired]
    if paired and not given:
        raise InputError(
            "a rule against a baseline, and none is given",
            where=f"rule {paired[0]}: not_worse_by",
            expected="the baseline's predictions: --against, or against=",
        )
    if given and not paired:
        raise InputError(
            "a baseline, and no rule is against it", where="against",
            expected="a rule with not_worse_by",
        )  # fmt: skip
