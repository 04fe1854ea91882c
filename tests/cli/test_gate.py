"""`fairlora gate`: what it prints and writes, and bad files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pandas as pd
import pytest

Command = Callable[..., Any]
POLICY = """\
cannot_be_told: warn
rules:
  - {metric: accuracy, of: overall, at_least: 0.80}
  - {metric: tpr, of: worst group, attribute: race, at_least: 0.95}
  - {metric: accuracy, of: every group, attribute: race, at_least: 0.84}
  - {metric: ece, of: overall, at_most: 0.1}
"""
COLUMNS = ["--label", "y", "--pred", "h", "--positive", 1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y, race = rng.integers(0, 2, 900), np.repeat(["a", "b<&>\x07", "c"], 300)
    right = rng.random(900) < np.repeat([0.97, 0.85, 0.84], 300)
    path = tmp_path / "p.csv"
    table = {"id": range(900), "y": y, "h": np.where(right, y, 1 - y), "race": race}
    pd.DataFrame(table).to_csv(path, index=False)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return path


def test_the_page_the_junit_file_and_the_json_say_the_same(
    fairlora: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    names = [tmp_path / f"gate.{kind}" for kind in ("xml", "md", "html", "json")]
    out = [word for name in names for word in ("--out", name)]
    done = fairlora("gate", file, "--policy", tmp_path / "policy.yaml", *COLUMNS, *out)
    assert done.code == 3, done.err
    content = json.loads(names[3].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(fairlora("schema", "gate").out)).validate(content)
    outcomes = [one["outcome"] for one in content["rules"]]
    assert outcomes == ["met", "violated", "cannot be told", "undefined"]
    printed = " ".join(done.out.split())
    assert "Not passed: of 4 rules 1 met, 1 violated, 1 cannot be told, 1 undefined." in printed
    needed = content["rules"][2]["needed"][0]
    assert needed["n"] == 300
    for text in (printed, names[1].read_text(encoding="utf-8")):
        plain = " ".join(re.sub(r"[\\|]|-{3,}", " ", text).split())
        assert "no probabilities given" in plain
        assert "wrong is at most 5 %" in plain
    root = ElementTree.parse(names[0]).getroot()
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == [one["text"] for one in content["rules"]]
    assert [case[0].tag for case in cases] == ["system-out", "failure", "skipped", "error"]
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert f"{needed['needed']:,} rows of {needed['group'][:1]}" in cases[2][0].get("message", "")
    assert "\x07" not in names[0].read_text(encoding="utf-8") + done.out
    assert "b<&>" not in names[2].read_text(encoding="utf-8")


def test_a_baseline_of_other_rows_is_refused(fairlora: Command, file: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - {metric: accuracy, not_worse_by: 0.02}\n")
    table, other = pd.read_csv(file), tmp_path / "other.csv"
    table.iloc[:-5].to_csv(other, index=False)
    named = ["--policy", policy, *COLUMNS, "--against", other]
    for options in ([], ["--id", "id"]):
        done = fairlora("gate", file, *named, *options)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "not the same rows" in done.err
    table.assign(y=1 - table.y).to_csv(other, index=False)
    assert "another label" in fairlora("gate", file, *named).err
    # In another order, and the model itself: no worse.
    table.sample(frac=1, random_state=0).to_csv(other, index=False)
    done = fairlora("gate", file, *named, "--id", "id")
    assert (done.code, "[-0.0022, +0.0022]" in done.out) == (0, True), done.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not readable"),
        ("", "no policy"),
        ("rules: [", "not valid YAML"),
        ("rules:\n  - {metric: tpr, of: worst group, attribute: rce, at_least: 0.7}",
         "no such column (found 'rce'; expected 'race'?)"),
        ("rules:\n  - {metric: tpr, attribute: race, group: d, at_least: 0.7}",
         "no such group of race (found 'd'; expected one of a,"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_code_2(
    fairlora: Command, file: Path, tmp_path: Path, text: str | None, message: str
) -> None:
    policy = tmp_path / "another.yaml"
    if text is not None:
        policy.write_text(text)
    done = fairlora("gate", file, "--policy", policy, *COLUMNS)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


def test_an_unknown_ending_is_refused_before_the_work(
    fairlora: Command, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gate.foo"
    done = fairlora("gate", file, "--policy", tmp_path / "no.yaml", *COLUMNS, "--out", out)
    assert (done.code, "unknown kind of file" in done.err) == (2, True)
