"""`fairlora.load_run`: what a finished run's folder gives, and which folders are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fairlora
from fairlora.errors import InputError
from fairlora.predictions import read_predictions
from fairlora.study.runs.folder import RunFolder


def test_a_run_gives_its_audit_predictions_settings_and_model(finished: dict[str, Path]) -> None:
    run = fairlora.load_run(finished["lora-0"])
    assert repr(run) == f"LoadedRun(LoRA, seed 0; {run.path})"
    assert run.spec.seed == run.settings["seed"] == 0
    written = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    assert run.metrics == written
    assert run.result.to_dict() == written["audit"]
    assert run.environment["identity"] == run.folder.status().identity  # type: ignore[union-attr]
    table, frame = read_predictions(run.folder.predictions), run.predictions
    assert list(frame["label"]) == [table.classes[k] for k in table.labels]
    assert list(frame["pred"]) == [table.classes[k] for k in table.predictions]
    test = frame[frame["split"] == "test"]
    accuracy = run.result.content.overall.accuracy.value
    assert (test["label"] == test["pred"]).mean() == pytest.approx(accuracy)
    again = fairlora.audit(
        test, label="label", pred="pred", groups=["skin_tone"], positive=run.result.content.positive
    )
    assert again.content.overall.accuracy.value == pytest.approx(accuracy)
    assert sum(p.numel() for p in run.model().model.parameters()) > 0


def test_the_audit_is_made_anew_with_other_options(finished: dict[str, Path]) -> None:
    run = fairlora.load_run(str(finished["full-0"]))
    assert run.audit().to_dict() == run.result.to_dict()
    other = run.audit(split="validation", level=0.8, curves=True)
    assert other.content.n == int((run.table.split == "validation").sum())
    assert other.content.settings.level == 0.8
    assert other.content.curves is not None
    with pytest.raises(InputError, match="no rows of split 'night'"):
        run.audit(split="night")


def test_other_folders_are_refused(finished: dict[str, Path], tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            fairlora.load_run(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "nothing there" in refused(tmp_path / "none")
    (tmp_path / "file").touch()
    assert "a file" in refused(tmp_path / "file")
    (tmp_path / "other").mkdir()
    assert "holds no run" in refused(tmp_path / "other")
    half = tmp_path / "half"
    shutil.copytree(finished["lora-0"], half)
    (half / "status.json").unlink()
    assert "no status.json" in refused(half)
    status = {"state": "failed", "reason": "out of memory"}
    (half / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert "failed': out of memory" in refused(half)


def test_a_language_models_run_has_metrics_alone(finished: dict[str, Path], tmp_path: Path) -> None:
    """As its folder says so: what trains one takes longer than this test may."""
    run = tmp_path / "run"
    shutil.copytree(finished["lora-0"], run)
    written = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    audited = ("audit", "split_accuracy")
    language = {**{k: v for k, v in written.items() if k not in audited}, "split_accuracy": {}}
    language |= {"task": "language", "perplexity": {"test": 1.5}}
    (run / "metrics.json").write_text(json.dumps(language), "utf-8")
    RunFolder(run).seal_again(r"metrics\.json")
    loaded = fairlora.load_run(run)
    assert loaded.metrics["perplexity"]["test"] == 1.5
    for get in (lambda: loaded.result, lambda: loaded.predictions, loaded.audit):
        with pytest.raises(InputError, match="predicts no class"):
            get()


def test_a_run_is_read_without_torch(finished: dict[str, Path]) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import fairlora; run = fairlora.load_run(sys.argv[1])\n"
        "print(run.result.content.n, len(run.predictions), run.audit(bootstrap=0).content.n)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, finished["lora-0"]], capture_output=True, text=True, check=True
    )
    numbers = [int(word) for word in done.stdout.split()]
    table = read_predictions(finished["lora-0"] / "predictions.parquet")
    test = int(np.sum(table.split == "test"))
    assert numbers == [test, len(table), test]
