"""TRL's SFTTrainer with FairTrainer before it: groups, completions alone, and what is refused."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from fairlora.errors import InputError
from fairlora.objectives import LossVariance

trl = pytest.importorskip("trl", reason="TRL is not installed")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "huggingface" / "sft.py"
TRAINER: Any = runpy.run_path(str(EXAMPLE), run_name="sft")["FairSFTTrainer"]


def rows(n: int = 24) -> dict[str, list[str]]:
    return {
        "prompt": [f"what is the {'town' if k % 2 else 'capital'} of" for k in range(n)],
        "completion": [f" {'north' if k % 2 else 'south'} town" for k in range(n)],
        "group": ["a" if k % 3 else "b" for k in range(n)],
    }


class Recorder(LossVariance):
    """Keeps what the first batch gave it."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, losses: Tensor, groups: Any = None, real: Any = None) -> Tensor:
        self.seen.append((losses.detach(), groups))
        return super().__call__(losses, groups, real)


def build(folder: Path, out: Path, objective: Any, *, table: Any = None, **arguments: Any) -> Any:
    values: dict[str, Any] = {
        "per_device_train_batch_size": 8,
        "train_sampling_strategy": "sequential",
        "learning_rate": 0.01,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        **arguments,
    }
    # A copy: making a SFTTrainer changes the model's forward.
    return TRAINER(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(folder),
        args=trl.SFTConfig(str(out), **values),
        train_dataset=datasets.Dataset.from_dict(table or rows()),
        eval_dataset=datasets.Dataset.from_dict(rows(9)),
        objective=objective,
        group_column="group",
    )


def completion_losses(folder: Path, n: int = 8) -> Tensor:
    """(n,) the mean loss of the completion's tokens and the end, each example alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    losses = []
    for prompt, completion in zip(rows(n)["prompt"], rows(n)["completion"], strict=True):
        start = len(tokenizer(prompt)["input_ids"])
        ids = [*tokenizer(prompt + completion)["input_ids"], tokenizer.eos_token_id]
        logits = model(torch.tensor([ids])).logits[0, start - 1 : -1]
        losses.append(F.cross_entropy(logits, torch.tensor(ids[start:])))
    return torch.stack(losses).detach()


def test_groups_and_the_completions_losses_reach_the_objective(
    tiny_llama: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    trainer = build(tiny_llama, tmp_path, recorder, max_steps=1)
    assert trainer.group_names == ("a", "b")
    trainer.train()
    losses, groups = recorder.seen[0]
    torch.testing.assert_close(losses, completion_losses(tiny_llama), rtol=1e-4, atol=1e-6)
    assert groups.tolist() == [0 if k % 3 else 1 for k in range(8)]
    line = trainer.state.log_history[0]
    assert line["loss/a"] == pytest.approx(losses[groups == 0].mean().item(), rel=1e-4)
    assert line["loss/b"] == pytest.approx(losses[groups == 1].mean().item(), rel=1e-4)


def test_training_lowers_the_loss_of_every_group(tiny_llama: Path, tmp_path: Path) -> None:
    trainer = build(tiny_llama, tmp_path, LossVariance(1.0), num_train_epochs=15)
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    for name in ("loss", "loss/a", "loss/b"):
        assert lines[-1][name] < 0.3 * lines[0][name]


@pytest.mark.parametrize("asks", [False, True], ids=["loss alone", "with metrics"])
def test_evaluation_gives_the_groups_metrics(tiny_llama: Path, tmp_path: Path, asks: bool) -> None:
    trainer = build(tiny_llama, tmp_path, LossVariance(1.0))
    shapes: list[tuple[int, ...]] = []
    if asks:
        trainer.compute_metrics = lambda found: shapes.append(found.predictions.shape) or {}
    found = trainer.evaluate()
    losses = completion_losses(tiny_llama, 9)
    assert found["eval_loss"] == pytest.approx(losses.mean().item(), rel=1e-4)
    member = torch.tensor([k % 3 > 0 for k in range(9)])
    means = torch.stack([losses[member].mean(), losses[~member].mean()])
    expected = means.var(correction=0).item()
    assert found["eval_loss_variance"] == pytest.approx(expected, rel=0.01)
    assert [shape[0] for shape in shapes] == ([9] if asks else [])
    # A table that was not prepared before.
    again = trainer.evaluate(datasets.Dataset.from_dict(rows(9)))
    assert again["eval_loss"] == pytest.approx(found["eval_loss"])


def test_rows_that_are_cut_before_their_answer_are_named_by_group(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """Group b's prompts fill the length: nothing of its answers is left."""
    table = rows()
    table["prompt"] = [
        prompt if group == "a" else "what is the name of the town of the capital"
        for prompt, group in zip(table["prompt"], table["group"], strict=True)
    ]
    expected = r"train_dataset: 8 of 24 rows are left out \(.*\); by group: b 8$"
    with pytest.warns(UserWarning, match=expected):
        trainer = build(tiny_llama, tmp_path, LossVariance(1.0), table=table, max_length=8)
    trainer.train()
    line = trainer.state.log_history[0]
    assert "loss/b" not in line
    assert line["loss/a"] == pytest.approx(line["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("packing", {"packing": True, "max_length": 16, "packing_strategy": "wrapped"}),
        ("eval_packing", {"eval_packing": True, "max_length": 16}),
        ("padding_free", {"padding_free": True, "max_length": None}),
        ("loss_type", {"loss_type": "dft"}),
    ],
)
def test_what_mixes_examples_or_changes_their_loss_is_refused(
    tiny_llama: Path, tmp_path: Path, name: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=f"{name}: FairTrainer needs the cross-entropy of each"):
        build(tiny_llama, tmp_path, LossVariance(1.0), **changed)


def test_the_example_learns_and_logs_the_groups(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets.Dataset.from_dict(rows(32)).to_csv(tmp_path / "train.csv")
    out = tmp_path / "out"
    arguments = {"model": tiny_llama, "train": tmp_path / "train.csv", "out": out}
    given = [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    given += ["--epochs", "10", "--learning-rate", "0.03", "--cpu"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *given])
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    state = json.loads((out / "checkpoint-20" / "trainer_state.json").read_text())
    lines = [line for line in state["log_history"] if "loss" in line]
    assert all({"loss/a", "loss/b", "loss_variance"} <= set(line) for line in lines)
    # An adapter on a model of random weights cannot do much.
    assert lines[-1]["loss"] < 0.95 * lines[0]["loss"]
    assert (out / "adapter_model.safetensors").is_file()
