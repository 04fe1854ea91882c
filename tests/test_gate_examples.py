"""examples/gate: the action's step, the hook and the test run here, on predictions of two kinds."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "gate"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with the policy, predictions as good as the released ones, and worse ones."""
    rng = np.random.default_rng(0)
    n = 3000
    y, race = rng.integers(0, 2, n), np.where(np.arange(n) % 4 == 0, "b", "a")
    rows: dict[str, Any] = {"id": range(n), "y": y, "race": race, "sex": rng.choice(["f", "m"], n)}
    right = rng.random(n) < 0.9
    worse = right & ~((race == "b") & (rng.random(n) < 0.15))
    for name, hits in (("predictions", right), ("released", right), ("worse", worse)):
        table = pd.DataFrame({**rows, "y_hat": np.where(hits, y, 1 - y)})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    shutil.copy(EXAMPLES / "policy.yaml", tmp_path)
    shim = tmp_path / "bin" / "fairlora"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fairlora "$@"\n')
    shim.chmod(0o755)
    return tmp_path


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_action_passes_fails_and_writes_its_summary(folder: Path) -> None:
    action = yaml.safe_load((EXAMPLES / "action.yml").read_text(encoding="utf-8"))
    workflow = yaml.safe_load((EXAMPLES / "workflow.yml").read_text(encoding="utf-8"))
    uses = next(
        s for s in workflow["jobs"]["gate"]["steps"] if "fairlora-gate" in s.get("uses", "")
    )
    assert set(uses["with"]) <= set(action["inputs"])
    (step,) = action["runs"]["steps"]
    summary = folder / "summary.md"
    for file, code, words in (
        ("predictions.csv", 0, "Passed: of 4 rules 4 met."),
        ("worse.csv", 3, "accuracy of every group of race not worse by more than 0.02"),
        ("no such; touch made", 2, ""),
    ):
        inputs = {**uses["with"], "predictions": file}
        env = {name: inputs[text[11:-3]] for name, text in step["env"].items()}
        summary.write_text("")
        done = run(["bash", "-c", step["run"]], folder, GITHUB_STEP_SUMMARY=str(summary), **env)
        assert done.returncode == code, done.stderr
        assert words in re.sub(r"\\", "", summary.read_text(encoding="utf-8"))
        assert (folder / "gate.xml").exists() is (code != 2)
    assert not (folder / "made").exists()


def test_the_hook_and_the_test_decide_alike(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = hooks["repos"][0]["hooks"]
    test = runpy.run_path(str(EXAMPLES / "test_fairness.py"))["test_the_model_is_fair_enough"]
    monkeypatch.chdir(folder)
    test()
    shutil.copy(folder / "worse.csv", folder / "predictions.csv")
    assert run(shlex.split(hook["entry"]), folder).returncode == 3
    with pytest.raises(AssertionError, match="violated: accuracy of every group of race not worse"):
        test()
