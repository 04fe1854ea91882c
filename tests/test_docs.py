"""docs/training.md: what it says to run runs, and what it says of the examples is so."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def prepared() -> dict[str, Any]:
    """The names that the page takes as given: a classifier, a table, settings for a CPU."""
    import datasets
    import torch
    from transformers import PretrainedConfig
    from transformers.modeling_outputs import ImageClassifierOutput

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = PretrainedConfig()
            self.classifier = torch.nn.Linear(4, 2)

        def forward(self, pixel_values: Any, labels: Any = None) -> ImageClassifierOutput:
            return ImageClassifierOutput(logits=self.classifier(pixel_values))

    torch.manual_seed(0)
    table = {
        "pixel_values": torch.randn(80, 4).tolist(),
        "labels": [k % 2 for k in range(80)],
        "group": ["rare" if k % 5 == 0 else "common" for k in range(80)],
    }
    settings = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_steps": 2}
    return {
        "classifier": Classifier(),
        "train": datasets.Dataset.from_dict(table),
        "settings": {**settings, "logging_steps": 1, "num_train_epochs": 2},
    }


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trl", reason="TRL is not installed")
    monkeypatch.chdir(tmp_path)
    code = blocks("python")
    assert len(code) == 5
    names = prepared()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in code:
            exec(compile(block, "docs/training.md", "exec"), names)
    lines = [line for line in names["trainer"].state.log_history if "loss" in line]
    assert {"loss/common", "loss/rare", "loss_variance", "negative_weight_share"} <= set(lines[0])
    # The last block went on from the last checkpoint, which was the end.
    assert names["trainer"].state.global_step == 6
    assert "8 rows of each of 4 cells" in printed.getvalue()


def test_the_diff_is_that_of_the_examples() -> None:
    (diff,) = blocks("diff")
    scripts = {"-": "plain.py", "+": "fair.py"}
    shown = [line for line in diff.splitlines() if line[0] in scripts]
    assert len(shown) == 4
    for line in shown:
        script = (ROOT / "examples" / "huggingface" / scripts[line[0]]).read_text()
        assert line[1:] in script


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    for link in links:
        assert (ROOT / "docs" / link).is_file(), link


def test_the_slurm_job_waits_for_the_checkpoint_and_asks_to_come_back(tmp_path: Path) -> None:
    """With stand-ins for Slurm, and for a training that needs a moment to save."""
    (script,) = blocks("bash")
    stand_ins = {
        "srun": 'exec "$@"',
        "torchrun": "trap 'sleep 0.3; echo saved; exit 143' TERM\n"
        "echo started; while true; do sleep 0.05; done",
        "scontrol": 'echo "$@"',
    }
    for name, body in stand_ins.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    log = tmp_path / "log"
    with log.open("w") as out:
        job = subprocess.Popen(
            ["bash", "-c", script],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 20
        while "started" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=20) == 0
    assert log.read_text().split("\n") == ["started", "saved", "requeue 17", ""]
