"""`fairlora thresholds`, and the thresholds of `fairlora audit`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Command = Callable[..., Any]
NAMES = ["--label", "y", "--pred", "h", "--probs", "p_1", "--positive", "1"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    n = 1200
    group = rng.choice(["a", "b"], n)
    y = rng.integers(0, 2, n)
    p = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.2, n) - 0.15 * (group == "b"), 0.01, 0.99)
    split = np.where(np.arange(n) % 2, "validation", "test")
    path = tmp_path / "p.csv"
    frame = {"y": y, "h": (p >= 0.5).astype(int), "p_1": p, "race": group, "split": split}
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def test_thresholds_are_chosen_on_one_split_and_judged_on_another(
    fairlora: Command, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.json"
    done = fairlora("thresholds", file, *NAMES, "--group", "race", "--out", out)
    assert done.code == 0, done.err
    written = json.loads(out.read_text())
    assert written["chosen_on"]["rows"] == 600
    assert written["chosen_on"]["splits"] == ["validation"]
    gaps = {}
    for name, options in (("before", []), ("after", ["--thresholds", out])):
        done = fairlora("audit", file, *NAMES, "--group", "race", *options, "--json")
        assert done.code == 0, done.err
        content = json.loads(done.out)
        assert content["n"] == 600
        gaps[name] = content["disparities"]["race"]["tpr_gap"]["value"]
    assert gaps["after"] < 0.07 < gaps["before"]


def test_one_threshold_for_everyone(fairlora: Command, file: Path) -> None:
    base = ["audit", file, *NAMES, "--group", "race", "--json"]
    done = fairlora(*base, "--threshold", 0.6)
    frame = pd.read_csv(file)
    test = frame[frame["split"] == "test"]
    content = json.loads(done.out)
    chosen = test["p_1"].astype(np.float32) >= np.float32(0.6)
    assert content["overall"]["selection_rate"]["value"] == pytest.approx(chosen.mean())
    content = json.loads(fairlora(*base, "--specificity", 0.9).out)
    assert 0.09 < content["overall"]["fpr"]["value"] <= 0.1
    assert any("chosen on these rows" in text for text in content["warnings"])
    done = fairlora(*base, "--threshold", 0.6, "--specificity", 0.9)
    assert (done.code, "one threshold" in done.err) == (2, True)
