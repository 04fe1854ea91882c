"""The gate: outcomes of rules, one engine for the command, Python and tests, and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import binomtest

import fairlora
from fairlora.errors import InputError
from fairlora.metrics.gate.absolute import exact_limits
from fairlora.metrics.gate.policy import Policy
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
            "worse": np.where((race == "b") & (rng.random(len(race)) < 0.3), p <= 0.5, p > 0.5)
            * 1,
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
    from fairlora import check

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
        assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6) or mine == theirs
    warned = any(one["action"] == "warn" for one in printed["rules"])
    if case.code:
        with pytest.raises(AssertionError, match=f"Not passed.*\n{result.lines()[1][:12]}"):
            assert_fair(*given, **options)
    elif warned:
        with pytest.warns(UserWarning, match=case.outcomes[0]):
            assert assert_fair(*given, **options).outcomes == case.outcomes
    else:
        assert assert_fair(*given, **options).outcomes == case.outcomes
