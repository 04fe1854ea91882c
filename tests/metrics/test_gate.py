"""The gate: outcomes of rules, one engine for the command, Python and tests, and its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import binom, binomtest

from fairlora import audit, check, compare
from fairlora.errors import InputError
from fairlora.metrics.content import Number
from fairlora.metrics.gate.judge import side_of
from fairlora.metrics.gate.policy import Policy
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.testing import assert_fair

Command = Callable[..., Any]


def table() -> pd.DataFrame:
    """Groups a (600 rows), b (300), c (90), d (12, no positives): worse one after the other."""
    rng = np.random.default_rng(3)
    race = np.repeat(list("abcd"), [600, 300, 90, 12])
    label = np.where(race == "d", 0, rng.integers(0, 2, len(race)))
    shift = pd.Series({"a": 1.6, "b": 1.3, "c": 0.8, "d": 1.6})[race].to_numpy()
    p = 1 / (1 + np.exp(-2 * rng.normal(np.where(label == 1, shift, -shift), 1.0)))
    old = np.where(rng.random(len(race)) < 0.01, p <= 0.5, p > 0.5)
    return pd.DataFrame(
        {
            "id": [f"r{k}" for k in range(len(race))],
            "y": label,
            "h": (p > 0.5).astype(int),
            "old": old.astype(int),
            "worse": np.where((race == "b") & (rng.random(len(race)) < 0.3), p <= 0.5, p > 0.5) * 1,
            "p_0": 1 - p,
            "p_1": p,
            "race": race,
            "sex": rng.choice(["f", "m"], len(race)),
        }
    )


ROWS = table()
RULE = dict[str, Any]


def rule(metric: str, **keys: Any) -> RULE:
    return {"metric": metric, **keys}


NUMBERS = ("value", "low", "high", "current", "baseline")


class Case(NamedTuple):
    name: str
    rules: list[RULE]
    outcomes: list[str]
    code: int
    more: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    against: str | None = None


EVERY = {"of": "every group", "attribute": "race"}
WORST = {"of": "worst group", "attribute": "race"}
CASES = [
    Case("met", [rule("accuracy", of="overall", at_least=0.8)], ["met"], 0),
    Case("violated", [rule("accuracy", **WORST, at_least=0.95)], ["violated"], 3),
    Case("cannot be told", [rule("tpr", **WORST, at_least=0.8)], ["cannot be told"], 4),
    Case("only a warning", [rule("tpr", **WORST, at_least=0.8)], ["cannot be told"], 0,
         {"cannot_be_told": "warn"}),
    Case("undefined", [rule("tpr", **EVERY, at_least=0.1)], ["undefined"], 4),
    Case("undefined passes", [rule("tpr", **EVERY, at_least=0.1)], ["undefined"], 0,
         {"undefined": "pass"}),
    Case("one undefined group hides no violation", [rule("tpr", **EVERY, at_least=0.99)],
         ["violated"], 3, {"undefined": "pass"}),
    Case("signed from above", [rule("confidence_gap", **EVERY, at_most=0.3)], ["met"], 0),
    Case("signed from below", [rule("confidence_gap", attribute="race", group="a", at_least=0.2)],
         ["violated"], 3),
    Case("a signed difference", [rule("accuracy_difference", attribute="race", group="c",
                                      at_least=-0.5)], ["met"], 0),
    Case("a gap", [rule("accuracy", of="gap", attribute="race", at_most=0.5)], ["met"], 0),
    Case("a ratio", [rule("selection_rate", of="ratio", attribute="sex", at_least=0.99)],
         ["cannot be told"], 4),
    Case("crossed", [rule("eod", attribute="race&sex", at_most=0.01)], ["violated"], 3),
    Case("losses and calibration", [rule("ece", attribute="race", group="a", at_most=0.2),
                                    rule("brier", **WORST, at_most=1.5),
                                    rule("nll", of="overall", at_most=0.1)],
         ["met", "met", "violated"], 3),
    Case("a rule of its own mind", [rule("tpr", **EVERY, at_least=0.1, undefined="warn"),
                                    rule("accuracy", of="overall", at_least=0.8)],
         ["undefined", "met"], 0),
    Case("no worse", [rule("accuracy", of="overall", not_worse_by=0.05)], ["met"], 0,
         against="old"),
    Case("better", [rule("accuracy", **EVERY, not_worse_by=0.05)], ["met"], 0,
         {"rules_of": "abc"}, against="worse"),
    Case("undefined beside a baseline", [rule("tpr", attribute="race", group="d",
                                              not_worse_by=0.05)], ["undefined"], 4, against="old"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_command_python_and_pytest_agree(fairlora: Command, tmp_path: Path, case: Case) -> None:
    more = {key: value for key, value in case.more.items() if key != "rules_of"}
    rows = ROWS[ROWS.race.isin(list(case.more.get("rules_of", "abcd")))]
    policy = {"rules": case.rules, **more}
    file, rules = tmp_path / "p.csv", tmp_path / "policy.yaml"
    rows.to_csv(file, index=False)
    rules.write_text(yaml.safe_dump(policy))
    arguments: list[Any] = ["--label", "y", "--pred", "h", "--probs", "p_", "--positive", 1]
    arguments += ["--bootstrap", 200, "--json"]
    options: dict[str, Any] = {"positive": 1, "bootstrap": 200, "policy": policy}
    given: list[Any] = [rows.y, rows.h, rows[["race", "sex"]]]
    if case.against:
        arguments = [one for one in arguments if one not in ("--probs", "p_")]
        arguments += ["--against-pred", case.against]
        options["against"] = rows[case.against]
    else:
        given.append(rows[["p_0", "p_1"]].to_numpy())
    done = fairlora("gate", file, "--policy", rules, *arguments)
    assert done.code == case.code, done.err
    printed = json.loads(done.out)
    assert [one["outcome"] for one in printed["rules"]] == case.outcomes
    result = check(*given, **options)
    assert (result.outcomes, result.exit_code) == (case.outcomes, case.code)
    for mine, theirs in zip(result.to_dict()["rules"], printed["rules"], strict=True):
        numbers = [[float(one.pop(key, None) or 0) for key in NUMBERS] for one in (mine, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5, abs=1e-6)
        assert mine == theirs
    warned = any(one["action"] == "warn" for one in printed["rules"])
    if case.code:
        with pytest.raises(AssertionError, match="\n".join(map(re.escape, result.lines()))):
            assert_fair(*given, **options)
    elif warned:
        with pytest.warns(UserWarning, match=case.outcomes[0]):
            assert assert_fair(*given, **options).outcomes == case.outcomes
    else:
        assert assert_fair(*given, **options).outcomes == case.outcomes


def decide(*rules: RULE, rows: pd.DataFrame = ROWS, **options: Any) -> Any:
    return check(rows.y, rows.h, rows[["race", "sex"]], policy=list(rules), positive=1, **options)


def test_the_numbers_are_those_of_the_audit_at_the_level_of_so_many_rules() -> None:
    rules = [
        rule("accuracy", of="overall", at_least=0.5),
        rule("accuracy", of="gap", attribute="race", at_most=0.3),
        rule("f1", **WORST, at_least=0.5),
        rule("eod", attribute="race", group="c", at_most=0.3),
        rule("dp_ratio", attribute="sex", at_least=0.5),
    ]
    groups = ROWS[["race", "sex"]]
    seen = audit(ROWS.y, ROWS.h, groups, positive=1, level=0.99).content
    gaps = seen.disparities
    found = decide(*rules).content.rules
    right = int((ROWS.y == ROWS.h).sum())
    exact = binomtest(right, len(ROWS)).proportion_ci(0.99, method="exact")
    assert (found[0].low, found[0].high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    for one, number in zip(
        found[1:],
        [gaps["race"].accuracy_gap, gaps["race"].f1_min, seen.by_group["race"]["c"].eod,
         gaps["sex"].dp_ratio],
        strict=True,
    ):  # fmt: skip
        assert one.value == number.value
        # Of worst groups the gate's own intervals are exact, and wider.
        near = 0.03 if one.text.startswith("f1") else 1e-12
        assert (one.low, one.high) == pytest.approx((number.low, number.high), abs=near)


def test_a_difference_is_that_of_a_comparison() -> None:
    seen = compare(ROWS.y, ROWS.h, ROWS.old, ROWS[["race"]], positive=1).content
    one = decide(rule("accuracy", **EVERY, not_worse_by=0.02), against=ROWS.old).content.rules[0]
    groups = [of["accuracy"] for of in seen.by_group["race"].values()]
    assert one.value == min(group.value for group in groups)
    assert one.low == pytest.approx(min(group.low for group in groups))
    two = decide(rule("eod", attribute="race", not_worse_by=0.02), against=ROWS.old)
    of_eod = seen.disparities["race"]["eod"]
    assert two.content.rules[0].high == pytest.approx(of_eod.high)
    assert two.content.rules[0].current == of_eod.first


def test_so_many_rows_as_are_said_to_be_needed_tell() -> None:
    for wanted, limit in (("met", 0.75), ("violated", 0.80)):
        asked = rule("accuracy", attribute="race", group="c", at_least=limit)
        one = decide(asked).content.rules[0]
        assert one.outcome == "cannot be told"
        needed = one.needed[0]
        assert (needed.group, needed.n) == ("c", 90)
        times = -(-needed.needed // 90)
        assert decide(asked, rows=pd.concat([ROWS] * times)).outcomes == [wanted]
        # A tenth of them would not.
        assert decide(asked, rows=pd.concat([ROWS] * (times // 10))).outcomes != [wanted]
    said = "no number of rows of c, as the value is the limit"
    value = float((ROWS.y == ROWS.h)[ROWS.race == "c"].mean())
    assert said in decide(rule("accuracy", attribute="race", group="c", at_least=value)).lines()[1]


def test_every_group_counts_small_ones_and_the_worst_group_says_whom_it_leaves_out() -> None:
    small = pd.concat([ROWS, ROWS[ROWS.race == "d"].head(3).assign(race="e")])
    every, worst = (
        decide(rule("accuracy", **of, at_least=0.5), rows=small).content.rules[0]
        for of in (EVERY, WORST)
    )
    assert (every.outcome, every.groups, every.left_out) == ("cannot be told", ["e"], None)
    assert (worst.outcome, worst.left_out) == ("met", ["e"])


@pytest.mark.parametrize(("p", "n"), [(0.5, 20), (0.9, 60), (0.99, 100), (0.7, 400)])
@pytest.mark.parametrize("rules", [1, 10])
def test_at_the_limit_a_rate_is_misjudged_no_more_often_than_said(
    p: float, n: int, rules: int
) -> None:
    """Every number of hits is gone through: no simulation."""
    hits = np.arange(n + 1)
    level = 1 - 0.05 / rules
    limits = clopper_pearson(hits, np.full(n + 1, n), level)
    told = [
        side_of(Number(value=k / n, low=low, high=high), p, lower=True)
        for k, low, high in zip(hits.tolist(), *limits, strict=True)
    ]
    for wrong in ("met", "violated"):
        share = binom.pmf(hits, n, p)[[one == wrong for one in told]].sum()
        assert share <= 0.025 / rules


def test_at_the_limit_a_whole_policy_is_rarely_misjudged() -> None:
    """All rules at their limits, against a baseline too; without correction one in five is."""
    rng, race = np.random.default_rng(1), np.repeat(list("abcd"), [400, 100, 60, 40])
    y = np.tile([0, 1], 300)
    policy = Policy.read(
        [
            rule("accuracy", of="overall", at_least=0.9),
            rule("tpr", **WORST, at_least=0.9),
            rule("fpr", **EVERY, at_most=0.1),
            rule("accuracy", attribute="race", group="a", at_least=0.9),
            rule("accuracy", **EVERY, not_worse_by=0.02),
            rule("accuracy", of="overall", not_worse_by=0.02),
        ]
    )
    wrong = {"met": 0, "violated": 0}
    times = 60
    for _ in range(times):
        new = np.where(rng.random(len(y)) < 0.9, y, 1 - y)
        right = new == y
        old = np.where(np.where(right, rng.random(len(y)) < 0.97, rng.random(len(y)) < 0.47), y,
                       1 - y)  # fmt: skip
        found = check(y, new, {"race": race}, policy=policy, positive=1, against=old, bootstrap=0)
        for outcome in wrong:
            wrong[outcome] += outcome in found.outcomes
    for count in wrong.values():
        assert count / times <= 0.05 + 2.33 * (0.05 * 0.95 / times) ** 0.5


BAD: list[tuple[Any, str]] = [
    (3, "policy: no policy"),
    ({"rules": []}, "policy: a policy without rules"),
    ({"rules": {"a": 1}}, "rules: not a list"),
    ([rule("acuracy", of="overall", at_least=0.8)], "rule 1: metric: no such metric .*'accuracy'"),
    ([rule("dpd", of="overall", at_most=0.8)], "no such metric of all rows"),
    ([rule("ece", of="gap", attribute="race", at_most=0.8)], "no such metric with a gap"),
    ([rule("tpr", **{**WORST, "attribute": "rase"}, at_least=0.8)], "group column .*'race'"),
    ([rule("tpr", attribute="race&sx", group="a", at_least=0.8)], "group column .*'sex'"),
    ([rule("tpr", attribute="race", group="A", at_least=0.8)], "no such group of race .*'a'"),
    ([rule("accuracy", at_least=80)], "outside what accuracy can be .*a share and not percent"),
    ([rule("brier", at_most=2.1)], "outside what brier can be .*0 to 2"),
    ([rule("accuracy", at_least=float("nan"))], "not a finite number"),
    ([rule("accuracy", at_most=0.8)], "the wrong direction .*at_least"),
    ([rule("eod", attribute="race", at_least=0.1)], "the wrong direction .*at_most"),
    ([rule("accuracy", at_least=0.8), rule("accuracy", of="overall", at_least=0.9)],
     "rule 2: a rule twice .*rule 1"),
    ([rule("accuracy")], "one limit .*none"),
    ([rule("accuracy", at_least=0.8, not_worse_by=0.1)], "one limit"),
    ([rule("accuracy", at_lest=0.8)], "unknown key .*'at_least'"),
    ([rule("accuracy", not_worse_by=0)], "no margin of accuracy"),
    ([rule("accuracy", not_worse_by=0.1)], "a rule against a baseline, and none is given"),
    ([rule("ece", **EVERY, not_worse_by=0.1)], "not compared with a baseline"),
    ([rule("tpr", attribute="race", at_least=0.8)], "whose tpr"),
    ([rule("tpr", of="worst group", at_least=0.8)], "the groups of what"),
    ([rule("eod", at_most=0.8)], "between the groups of what"),
    ([rule("accuracy", of="group", attribute="race", at_least=0.8)], "which group"),
    ([rule("accuracy", of="overall", group="a", at_least=0.8)], "not of a rule of overall"),
    ({"rules": [rule("accuracy", at_least=0.8)], "undefined": "skip"}, "undefined: unknown value"),
    ({"rules": [rule("accuracy", at_least=0.8)], "level": 2}, "level: out of range"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "message"), BAD, ids=[message for _, message in BAD])
def test_a_bad_policy_is_one_line(policy: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        check(ROWS.y, ROWS.h, ROWS[["race", "sex"]], policy=policy, positive=1)
    assert "\n" not in str(error.value)


def test_a_rate_goes_by_both_its_names() -> None:
    for of in ({"of": "overall"}, EVERY):
        one, two = (decide(rule(name, **of, at_least=0.7)).content.rules[0]
                    for name in ("tpr", "recall"))  # fmt: skip
        assert (one.value, one.low) == (two.value, two.low)


def test_several_classes_clusters_and_weights() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    h = np.where(rng.random(600) < 0.8, y, rng.integers(0, 3, 600))
    rules = [rule(name, **WORST, at_least=0.5) for name in ("accuracy", "f1", "recall")]
    rules.append(rule("selection_rate", **WORST, at_most=0.9))
    race = np.tile(list("ab"), 300)
    found = check(y, h, {"race": race}, policy=rules)
    assert found.outcomes == ["met", "met", "met", "undefined"]
    same = rule("accuracy", attribute="race", group="a", at_least=0.5)
    alone, whole, weighed = (
        check(y, h, {"race": race}, policy=[same], **more).content.rules[0]
        for more in ({}, {"clusters": np.arange(600) // 2},
                     {"weight": np.where(np.arange(600) % 4 < 2, 1, 5)})
    )  # fmt: skip
    # Each cluster has one row of a; weights that differ tell less.
    assert whole.high - whole.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert weighed.high - weighed.low > alone.high - alone.low


def test_a_folder_streams_to_the_same_decisions(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    ROWS.iloc[:500].to_parquet(folder / "1.parquet")
    ROWS.iloc[500:].to_parquet(folder / "2.parquet")
    policy = [rule("accuracy", of="overall", at_least=0.9), rule("eod", attribute="race&sex",
              at_most=0.5), rule("ece", **EVERY, at_most=0.4)]  # fmt: skip
    named: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p_", "policy": policy}
    streamed = check(folder, **named, positive=1).content
    whole = check(ROWS, **named, positive=1).content
    assert [one.to_dict() for one in streamed.rules] == [one.to_dict() for one in whole.rules]
    with pytest.raises(InputError, match="rows in memory .*a folder"):
        check(folder, label="y", pred="h", against=ROWS,
              policy=[rule("accuracy", not_worse_by=0.1)])  # fmt: skip
