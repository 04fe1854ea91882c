"""examples/huggingface: two lines make a script fair, and it runs as Hugging Face scripts do."""

from __future__ import annotations

import difflib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "huggingface"
WORDS = ["<pad>", "<unk>", "a", "good", "bad", "day", "night", "north", "south", "for", "all"]
ROWS = 128  # two batches of 32 a process and epoch, if there are two processes


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny BERT with a tokenizer of whole words, and tables to train and test on."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("inputs")
    words = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder / "model")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=32, vocab_size=len(WORDS))
    BertModel(config).save_pretrained(folder / "model")
    for name, n in (("train", ROWS), ("test", 20)):
        lines = ["text,label,group"]
        for k in range(n):
            place = "north" if k % 3 else "south"
            lines.append(f"a {'good' if k % 2 else 'bad'} day for all {place},{k % 2},{place}")
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return {
        "--model": folder / "model",
        "--train": folder / "train.csv",
        "--test": folder / "test.csv",
    }


def arguments(script: str, inputs: dict[str, Path], out: Path) -> list[str]:
    told = [str(part) for pair in inputs.items() for part in pair]
    return [str(EXAMPLES / script), *told, "--out", str(out), "--epochs", "2", "--cpu"]


def log_of(out: Path) -> tuple[int, list[dict[str, Any]]]:
    """The number of steps, and the training log lines, out of the last checkpoint."""
    last = max(out.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    state = json.loads((last / "trainer_state.json").read_text())
    return state["global_step"], state["log_history"]


def test_two_lines_differ() -> None:
    plain, fair = ((EXAMPLES / f"{name}.py").read_text().splitlines() for name in ("plain", "fair"))
    changed = [line for line in difflib.ndiff(plain, fair) if line[0] in "+-"]
    assert [line[0] for line in changed] == ["-", "+", "-", "+"]
    assert len(plain) == len(fair)


def test_both_run(inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ROWS // 32 * 2
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name in ("plain", "fair"):
        out = tmp_path / name
        monkeypatch.setattr(sys, "argv", arguments(f"{name}.py", inputs, out))
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        assert (out / "adapter_model.safetensors").is_file()
        found, history = log_of(out)
        assert found == steps
        (training, *_), (evaluation, *_) = (
            [line for line in history if key in line] for key in ("loss", "eval_loss")
        )
        assert "eval_accuracy" in evaluation  # the script's own metric
        fair = {"loss/north", "loss/south", "loss_variance", "negative_weight_share"}
        assert fair & set(training) == (fair if name == "fair" else set())
        assert ("eval_loss_variance" in evaluation) == (name == "fair")


@pytest.mark.parametrize("script", ["plain.py", "fair.py"])
def test_the_model_that_they_name_is_of_the_architecture_that_they_are_run_with(
    script: str,
) -> None:
    """The tiny model of these tests is a BERT, whose layers are called query and value."""
    assert "--model bert-base-uncased " in (EXAMPLES / script).read_text()


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]


@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_the_fair_one_runs_in_two_processes(
    inputs: dict[str, Path], tmp_path: Path, launcher: list[str]
) -> None:
    out = tmp_path / "out"
    changed = {"OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    if launcher is ACCELERATE:
        # Its option --cpu starts one process, whatever the number asked for.
        changed |= {"ACCELERATE_USE_CPU": "true", "HF_HOME": str(tmp_path / "home")}
        launcher = [*launcher, "--main_process_port", "0", "--mixed_precision", "no"]
        launcher += ["--num_machines", "1", "--dynamo_backend", "no"]
    done = subprocess.run(
        [sys.executable, *launcher, *arguments("fair.py", inputs, out)],
        env={**os.environ, **changed},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Half the steps of one process: each of them takes a batch of its own.
    steps, history = log_of(out)
    assert steps == ROWS // 64 * 2
    lines = [line for line in history if "loss" in line]
    assert len(lines) == 2
    for line in lines:
        assert {"loss/north", "loss/south", "loss_variance"} <= set(line)
    evaluations = [line for line in history if "eval_loss" in line]
    assert len(evaluations) == 2
    for line in evaluations:
        assert {"eval_accuracy", "eval_loss_variance"} <= set(line)
