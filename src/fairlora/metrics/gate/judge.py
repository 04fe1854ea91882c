"""Decide the rules of a policy: each number's interval against its limit. The one engine.

Each of m rules is decided by an interval at the level 1 - (1 - level) / m, so that all intervals
hold their numbers together at `level`, however the numbers hang together (Bonferroni). A rule is
met where its interval lies on the good side of the limit, violated where it lies on the other, and
cannot be told where it holds the limit. So the chance that any decision of a gate is wrong, met or
violated, is at most 1 - level. Holm's steps would gain nothing: a rule can be wrong in two ways, of
which one stays open when the other is ruled out.

A rule on the worst group, or on every group, is one on a minimum (or maximum): it is met where
every group's own interval is, for one group alone must be misjudged to be wrong; it is violated
where any group is, by intervals that hold for all groups at once.
"""

from __future__ import annotations

import math
from typing import Any

from fairlora.metrics.content import Number
from fairlora.metrics.counting import Tables
from fairlora.metrics.gate.absolute import Audited, Found, Part
from fairlora.metrics.gate.against import Compared, check_baseline
from fairlora.metrics.gate.content import (
    GateContent,
    GateSettings,
    Needed,
    Outcome,
    RuleResult,
)
from fairlora.metrics.gate.policy import Action, Policy, Rule
from fairlora.metrics.inference.intervals import z_of
from fairlora.metrics.inference.power import detectable
from fairlora.metrics.settings import Settings

_WORST_FIRST: tuple[Outcome, ...] = ("violated", "undefined", "cannot be told")
EXIT: dict[Outcome, int] = {"met": 0, "violated": 3, "cannot be told": 4, "undefined": 4}


def judge(
    tables: Tables,
    policy: Policy,
    settings: Settings,
    compared: Compared | None = None,
    baseline: str | None = None,
) -> GateContent:
    """Decide every rule of a policy.

    Parameters
    ----------
    tables : of the rows.
    policy : what is asked.
    settings : of the audit, as of `gate_settings`.
    compared : the rows against the baseline's, where a rule is.
    baseline : what to call it.

    Raises
    ------
    InputError : an attribute or group that the rows do not have, or a baseline that no rule asks
        for, or none where one does.
    """
    check_baseline(policy, compared is not None)
    audited = Audited(tables, policy, settings)
    rules = []
    for rule in policy.rules:
        found = compared.find(rule) if rule.paired and compared else audited.find(rule)
        rules.append(_result(rule, found, policy, settings.level))
    outcome = _of_all(rules)
    code = EXIT[outcome] if any(r.action == "fail" for r in rules) else 0
    content = audited.content
    shown = {name: getattr(settings, name) for name in ("bootstrap", "seed", "min_group", "bins")}
    more = {name: getattr(content.settings, name) for name in ("weight", "clusters")}
    return GateContent(
        n=content.n,
        left_out=content.left_out,
        positive=content.positive,
        **({} if baseline is None else {"baseline": baseline}),
        settings=GateSettings(
            level=policy.level,
            interval_level=settings.level,
            cannot_be_told=policy.cannot_be_told,
            undefined=policy.undefined,
            **shown,
            **{name: value for name, value in more.items() if value is not None},
        ),
        outcome=outcome,
        exit_code=code,
        passed=code == 0,
        rules=rules,
        warnings=content.warnings,
    )


def _of_all(rules: list[RuleResult]) -> Outcome:
    """The outcome of a policy: a violated rule first, then what fails, then what is only said."""
    for some in ([r for r in rules if r.action == "fail"], rules):
        for outcome in _WORST_FIRST:
            if any(rule.outcome == outcome for rule in some):
                return outcome
    return "met"


def _result(rule: Rule, found: Found, policy: Policy, level: float) -> RuleResult:
    number, outcome, groups, needed = (
        _one(rule, found, level) if found.number is not None else _each(rule, found.parts, level)
    )
    actions: dict[Outcome, Action] = {
        "met": "pass",
        "violated": "fail",
        "cannot be told": rule.cannot_be_told or policy.cannot_be_told,
        "undefined": rule.undefined or policy.undefined,
    }
    more: dict[str, Any] = {"groups": groups, "needed": needed, "left_out": found.left_out}
    if found.sides is not None and None not in found.sides:
        more |= {"current": found.sides[0], "baseline": found.sides[1]}
    if number.reason is not None:
        more["reason"] = number.reason
    return RuleResult(
        value=number.value,
        low=number.low,
        high=number.high,
        rule=rule.model_dump(exclude_unset=True),
        text=rule.text,
        limit=rule.limit,
        outcome=outcome,
        action=actions[outcome],
        **{name: value for name, value in more.items() if value not in (None, [])},
    )


def side_of(number: Number, limit: float, lower: bool) -> Outcome:
    """Where an interval lies.

    Parameters
    ----------
    number : with its interval.
    limit : that it is held against.
    lower : whether the limit is a lower one.
    """
    if number.value is None or number.low is None or number.high is None:
        return "undefined"
    if number.low >= limit if lower else number.high <= limit:
        return "met"
    if number.high < limit if lower else number.low > limit:
        return "violated"
    return "cannot be told"


_Judged = tuple[Number, Outcome, list[str], list[Needed]]


def _one(rule: Rule, found: Found, level: float) -> _Judged:
    number = found.number
    assert number is not None
    outcome = side_of(number, rule.limit, rule.lower)
    groups = [group for group in found.rows if group is not None]
    needed = []
    if outcome == "cannot be told":
        needed = [_needed(rule, group, n, number, level) for group, n in found.rows.items()]
    if outcome == "undefined" and number.reason is None:
        number = Number.undefined("no interval")
    return number, outcome, groups, needed


def _each(rule: Rule, parts: list[Part], level: float) -> _Judged:
    """A rule that every one of some groups is held to."""
    limit, lower = rule.limit, rule.lower
    known = [p for p in parts if side_of(p.alone, limit, lower) != "undefined"]
    unknown = [p for p in parts if p not in known]
    if not known:
        reason = unknown[0].alone.reason if unknown else "no group is large enough"
        return Number.undefined(reason or "no interval"), "undefined", [], []
    worst = min if lower else max
    near, far = ("low", "high") if lower else ("high", "low")
    ends = {
        near: worst(getattr(p.alone, near) for p in known),
        far: worst(getattr(p.together, far) for p in known),
    }
    number = Number(value=worst(p.alone.value or 0.0 for p in known), **ends)
    bad = [p for p in known if side_of(p.together, limit, lower) == "violated"]
    if bad:
        return number, "violated", [p.group for p in bad], []
    if unknown:
        several = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        number.reason = f"{unknown[0].group}{several}: {unknown[0].alone.reason or 'no interval'}"
        return number, "undefined", [p.group for p in unknown], []
    still = [p for p in known if side_of(p.alone, limit, lower) != "met"]
    if not still:
        return number, "met", [], []
    needed = []
    for p in still:
        good = (p.alone.value or 0.0) >= limit if lower else (p.alone.value or 0.0) <= limit
        own = p.alone if good else p.together
        needed.append(_needed(rule, p.group, p.n, own, level))
    return number, "cannot be told", [p.group for p in still], needed


def _needed(rule: Rule, group: str | None, n: int, number: Number, level: float) -> Needed:
    """The rows that would tell with 80 % power, the value staying as it is.

    The end that is short of the limit says how uncertain the value is; a standard error goes as
    one over the root of the rows.
    """
    assert number.value is not None
    assert number.low is not None
    assert number.high is not None
    away = abs(number.value - rule.limit)
    below = number.value < rule.limit
    half = number.high - number.value if below else number.value - number.low
    if away == 0:
        return Needed(group=group, n=n, needed=None)
    # The end stands so many standard errors away; detectable() says how many are needed.
    times = detectable(1.0, level) / z_of(level) * half / away
    return Needed(group=group, n=n, needed=max(n + 1, math.ceil(n * times**2)))
