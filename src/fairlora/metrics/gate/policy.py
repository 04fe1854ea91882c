"""A policy: rules on the numbers of an audit, read from YAML or given as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fairlora.errors import InputError
from fairlora.io import parse_yaml
from fairlora.metrics.gate.names import (
    BETWEEN,
    GAPS,
    GROUP,
    OVERALL,
    PAIRED,
    PAIRED_WORST,
    RATIOS,
    require,
)
from fairlora.settings import SettingsModel

Action = Literal["fail", "warn", "pass"]
Of = Literal["overall", "group", "worst group", "every group", "gap", "ratio"]
Place = Literal["overall", "group", "worst group", "every group", "between"]
_LIMITS = ("at_least", "at_most", "not_worse_by")
_WORDS = ("at least", "at most", "not worse by more than")
_MOST_RULES = 1000


class About(NamedTuple):
    """What a rule is about: the place, the audit's name for the number, and its direction.

    `better` is +1 where more is better; `least` and `most` bound the values.
    """

    place: Place
    name: str
    better: int
    least: float
    most: float


class Rule(SettingsModel):
    """One rule: a number of the audit, and what it must be."""

    metric: str = Field(description="as the audit's JSON names it")
    of: Of | None = Field(
        default=None,
        description="whose number; default: overall, the `group` that is named, or, of a metric "
        "between groups such as eod, all groups of the attribute",
    )
    attribute: str | None = Field(default=None, description="column of the groups; a&b crosses two")
    group: str | None = Field(default=None, description="one group of the attribute")
    at_least: float | None = Field(default=None, description="the smallest value that is allowed")
    at_most: float | None = Field(default=None, description="the largest value that is allowed")
    not_worse_by: float | None = Field(
        default=None, description="by how much less good than the baseline it may be"
    )
    cannot_be_told: Action | None = Field(default=None, description="in place of the policy's")
    undefined: Action | None = Field(default=None, description="in place of the policy's")

    @cached_property
    def about(self) -> About:
        """The number that the rule asks for; see `checked`."""
        return self._found("rule")

    @property
    def paired(self) -> bool:
        """Whether the rule is against a baseline."""
        return self.not_worse_by is not None

    @property
    def limit(self) -> float:
        """The limit of the number, or of its difference from the baseline."""
        if self.not_worse_by is not None:
            return -self.not_worse_by if self.about.better > 0 else self.not_worse_by
        return next(v for v in (self.at_least, self.at_most) if v is not None)

    @property
    def lower(self) -> bool:
        """Whether the limit is a lower one."""
        return self.about.better > 0 if self.paired else self.at_least is not None

    @property
    def text(self) -> str:
        """The rule in words.

        >>> Rule(metric="tpr", of="worst group", attribute="race", at_least=0.7).text
        'tpr of the worst group of race at least 0.7'
        """
        name, place = self.about.name, self.about.place
        if place == "overall":
            whose = f"{self.metric} overall"
        elif place == "group":
            whose = f"{self.metric} of {self.attribute} {self.group}"
        elif place == "between":
            whose = f"{name} of {self.attribute}"
        else:
            article = "the " if place == "worst group" else ""
            whose = f"{self.metric} of {article}{place} of {self.attribute}"
        for key, words in zip(_LIMITS, _WORDS, strict=True):
            if getattr(self, key) is not None:
                return f"{whose} {words} {getattr(self, key):g}"
        raise AssertionError("a rule without a limit")

    def checked(self, where: str) -> Rule:
        """This rule, if it asks for something that there is.

        Parameters
        ----------
        where : what the rule is called in a message.

        Raises
        ------
        InputError : no such metric there, no limit or several, a limit that the metric cannot
            reach or that points the wrong way, an attribute or group that is missing or too much.
        """
        given = [key for key in _LIMITS if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise InputError("one limit", where=where, found=found, expected=" or ".join(_LIMITS))
        about = self._found(where)
        where, limit = f"{where}: {given[0]}", getattr(self, given[0])
        if not math.isfinite(limit):
            raise InputError("not a finite number", where=where, found=limit)
        if self.paired:
            most = about.most - max(about.least, -1.0)
            if not 0 < limit < most:
                expected = f"above 0 and below {most:g}" if math.isfinite(most) else "above 0"
                raise InputError(
                    f"no margin of {self.metric}", where=where, found=limit, expected=expected
                )
            return self
        if not about.least <= limit <= about.most:
            inside = f"{about.least:g} to {about.most:g}".replace("inf", "any number")
            hint = ", a share and not percent" if about.most == 1 < limit else ""
            raise InputError(
                f"outside what {about.name} can be", where=where, found=f"{limit:g}",
                expected=inside + hint,
            )  # fmt: skip
        if about.better and (about.better > 0) != (given[0] == "at_least"):
            right = "at_least" if about.better > 0 else "at_most"
            more = "more" if about.better > 0 else "less"
            raise InputError(
                "the wrong direction",
                where=where,
                expected=f"{right}: of {about.name} {more} is better",
            )
        return self

    def _found(self, where: str) -> About:
        of = self._of(where)
        # One rate: of all rows the audit calls it recall, of a group TPR.
        same = {"tpr": "recall"} if of == "overall" else {"recall": "tpr"} if of else {}
        name = same.get(self.metric, self.metric)
        if of == "overall":
            known, what = OVERALL, "metric of all rows"
            self._refuse(where, "attribute", "group")
        elif of in ("group", "worst group", "every group"):
            known, what = GROUP, "metric of a group"
            self._need(where, of == "group")
        elif of in ("gap", "ratio"):
            self._need(where, named=False)
            names = GAPS if of == "gap" else RATIOS
            require(name, names, f"metric with a {of}", f"{where}: metric")
            return About("between", names[name], *BETWEEN[names[name]])
        else:
            known, what = BETWEEN, "metric between groups"
            self._need(where, named=False)
        place: Place = of or "between"  # type: ignore[assignment]
        if of is None and name not in BETWEEN and name in GROUP:
            raise InputError(
                f"whose {name}?",
                where=f"{where}: of",
                expected="worst group, every group, gap, or a group: the key `group`",
            )
        everything = {**OVERALL, **GROUP, **BETWEEN}
        require(name, everything, "metric", f"{where}: metric")
        require(name, known, what, f"{where}: metric")
        about = About(place, name, *known[name])
        if self.paired:
            return self._in_comparison(about, where)
        return about

    def _in_comparison(self, about: About, where: str) -> About:
        """The same number as a comparison has it."""
        if about.place == "worst group":
            require(about.name, PAIRED_WORST, "worst group of two models", f"{where}: metric")
            name = PAIRED_WORST[about.name]
            return About("between", name, *BETWEEN[name])
        place = "group" if about.place == "every group" else about.place
        known = PAIRED[place]
        if about.name not in known:
            raise InputError(
                "not compared with a baseline",
                where=f"{where}: metric",
                found=repr(about.name),
                expected="one of " + ", ".join(known),
            )
        return about

    def _of(self, where: str) -> Of | None:
        if self.of is not None:
            return self.of
        if self.group is not None:
            return "group"
        if self.attribute is not None:
            return None
        if self.metric in BETWEEN and self.metric not in OVERALL:
            raise InputError("between the groups of what?", where=where, expected="attribute")
        return "overall"

    def _need(self, where: str, named: bool) -> None:
        if self.attribute is None:
            raise InputError("the groups of what?", where=where, expected="attribute")
        if named and self.group is None:
            raise InputError("which group?", where=where, expected="group")
        if not named:
            self._refuse(where, "group")

    def _refuse(self, where: str, *keys: str) -> None:
        for key in keys:
            if getattr(self, key) is not None:
                raise InputError(
                    f"not of a rule of {self.of or 'all groups together'}",
                    where=f"{where}: {key}",
                    found=repr(getattr(self, key)),
                )


class Policy(SettingsModel):
    """Rules, what becomes of those that are not decided, and how sure a decision is."""

    rules: tuple[Rule, ...] = Field(description="what must hold")
    cannot_be_told: Action = Field(
        default="fail", description="what a rule does whose limit lies within the interval"
    )
    undefined: Action = Field(
        default="fail", description="what a rule does whose number is undefined"
    )
    level: float = Field(
        default=0.95, ge=0.5, le=0.9999, description="at which all intervals hold together"
    )

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if not self.rules:
            raise ValueError("a policy without rules")
        if len(self.rules) > _MOST_RULES:
            raise ValueError(f"more than {_MOST_RULES:,} rules")
        return self

    @property
    def interval_level(self) -> float:
        """Of each rule's interval, so that all hold together at `level` (Bonferroni)."""
        return 1 - (1 - self.level) / len(self.rules)

    @property
    def attributes(self) -> list[str]:
        """Those that the rules name, each once."""
        named = [rule.attribute for rule in self.rules if rule.attribute is not None]
        return list(dict.fromkeys(named))

    @classmethod
    def read(cls, policy: Any) -> Policy:
        """A policy from what names or holds it.

        Parameters
        ----------
        policy : a path of YAML, a mapping, a list of rules, or a `Policy`.

        Raises
        ------
        InputError : no such file, no YAML, an unknown key, no rule, a rule twice, or as
            `Rule.checked`.
        """
        where = "policy"
        if isinstance(policy, str | Path):
            where = str(policy)
            try:
                text = Path(policy).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "no text in UTF-8"
                raise InputError("not readable", where=where, found=reason) from error
            policy = parse_yaml(text, where)
        if isinstance(policy, Sequence) and not isinstance(policy, str):
            policy = {"rules": policy}
        if not isinstance(policy, cls):
            if not isinstance(policy, Mapping) or not policy:
                raise InputError("no policy", where=where, expected="rules: a list of rules")
            if not policy.get("rules"):
                raise InputError("a policy without rules", where=where, expected="rules")
            policy = cls.parse(policy, where)
        made: Policy = policy
        seen: dict[Any, int] = {}
        for k, rule in enumerate(made.rules, 1):
            rule.checked(f"{where}: rule {k}")
            about = rule.about
            side = "baseline" if rule.paired else rule.lower
            key = (about.place, about.name, rule.attribute, rule.group, side)
            if key in seen:
                raise InputError(
                    "a rule twice", where=f"{where}: rule {k}", found=f"{rule.text!r}",
                    expected=f"one, as in rule {seen[key]}",
                )  # fmt: skip
            seen[key] = k
        return made
