"""`fairlora audit --curves` and `--at`: what is printed and written, and one line for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Command = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    p = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.2, 300), 0.01, 0.99)
    frame = pd.DataFrame({"y": y, "h": (p > 0.5).astype(int), "p": p})
    frame["sex"] = rng.choice(["f", "m"], 300)
    frame["site"] = np.where(rng.random(300) < 0.5, "s1", "s2")
    frame.to_csv(tmp_path / "p.csv", index=False)
    return tmp_path / "p.csv"


NAMED = ("--label", "y", "--pred", "h", "--probs", "p", "--group", "sex", "--positive", "1")


def test_curves_and_points_are_printed_and_written(
    fairlora: Command, table: Path, tmp_path: Path
) -> None:
    page, data = tmp_path / "a.html", tmp_path / "a.json"
    done = fairlora(
        "audit", table, *NAMED, "--group", "site", "--intersect", "sex,site", "--curves",
        "--at", "specificity=0.9", "--at", "threshold=0.6", "--out", page, "--out", data,
        "--full",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "At a specificity of 90 % by sex" in done.out
    assert "AUC and average precision by site" in done.out
    assert "Precision and recall by sex&amp;site" in page.read_text(encoding="utf-8")
    content = json.loads(data.read_text(encoding="utf-8"))
    assert set(content["curves"]["by_group"]) == {"sex", "site", "sex&site"}
    assert [(p["of"], p["value"]) for p in content["operating_points"]] == [
        ("specificity", 0.9),
        ("threshold", 0.6),
    ]
    gaps = content["operating_points"][0]["gaps"]["sex"]
    assert list(gaps) == ["sensitivity_gap_own", "sensitivity_gap", "specificity_gap"]


def test_several_targets_have_them_too(fairlora: Command, table: Path) -> None:
    done = fairlora(
        "audit", table, "--target", "y=p", "--group", "sex", "--at", "sensitivity=0.8", "--json"
    )
    assert done.code == 0, done.err
    point = json.loads(done.out)["targets"]["y"]["operating_points"][0]
    assert point["overall"]["sensitivity"]["value"] >= 0.8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at", "recall=0.5"), "not an operating point"),
        (("--at", "specificity"), "not an operating point"),
        (("--at", "specificity=nan"), "not an operating point"),
        (("--at", "specificity=1"), "between 0 and 1"),
        (("--at", "threshold=0.5", "--at", "threshold=0.50"), "twice"),
    ],
)
def test_an_operating_point_that_is_none_is_refused(
    fairlora: Command, table: Path, options: tuple[str, ...], words: str
) -> None:
    done = fairlora("audit", table, *NAMED, *options)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label", "y", "--pred", "h", "--group", "sex", "--curves"), "needs probabilities"),
        (("--score", "p", "--group", "sex", "--curves"), "not part of an audit of scores"),
        (
            ("--pred", "h", "--group", "sex", "--positive", "1", "--at", "threshold=0.5"),
            "decisions",
        ),
    ],
)
def test_audits_without_probabilities_have_no_curves(
    fairlora: Command, table: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = fairlora("audit", table, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
