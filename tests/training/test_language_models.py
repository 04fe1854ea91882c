"""FairTrainer on a causal language model: an example's loss is the mean over its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForTokenClassification

from fairlora.errors import InputError
from fairlora.objectives import ERM, GroupDRO, LossVariance, Objective, Reweight

N = 12


def table() -> datasets.Dataset:
    """Token sequences of 4 to 9, no loss on the first two places, and a group."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(3, 12, 4 + k % 6).tolist() for k in range(N)]
    return datasets.Dataset.from_dict(
        {
            "input_ids": ids,
            "labels": [[-100, -100, *row[2:]] for row in ids],
            "dialect": ["a" if k % 3 else "b" for k in range(N)],
            "note": ["x"] * N,
        }
    )


@pytest.fixture
def model(tiny_llama: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)


def trainer_of(toy: Any, model: Any, tiny_llama: Path, **kwargs: Any) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    kwargs.setdefault("group_column", "dialect")
    return toy.trainer(
        table(), model=model, data_collator=DataCollatorForTokenClassification(tokenizer), **kwargs
    )


def example_losses(model: Any) -> Tensor:
    """(N,) each example alone, without padding: the mean over the tokens that count."""
    losses = []
    for row in table():
        logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(row["labels"][1:])
        losses.append(F.cross_entropy(logits[labels != -100], labels[labels != -100]))
    return torch.stack(losses)


class Recorder(ERM):
    """Keeps the losses and groups of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[Tensor] = []
        self.groups: list[Any] = []

    def __call__(self, losses: Tensor, groups: Any = None, real: Any = None) -> Tensor:
        self.losses.append(losses.detach())
        self.groups.append(groups)
        return super().__call__(losses, groups, real)


def test_the_objective_gets_each_examples_mean_over_its_tokens(
    toy: Any, model: Any, tiny_llama: Path
) -> None:
    expected = example_losses(model).detach()
    recorder = Recorder()
    trainer = trainer_of(toy, model, tiny_llama, objective=recorder, arguments={"max_steps": 1})
    trainer.train()
    torch.testing.assert_close(recorder.losses[0], expected[:8], rtol=1e-4, atol=1e-6)
    assert recorder.groups[0].tolist() == [0 if k % 3 else 1 for k in range(8)]
    line = trainer.state.log_history[0]
    assert line["loss"] == pytest.approx(expected[:8].mean().item(), rel=1e-4)
    means = [expected[:8][recorder.groups[0] == g].mean().item() for g in (0, 1)]
    assert [line["loss/a"], line["loss/b"]] == pytest.approx(means, rel=1e-4)
    assert line["loss_variance"] == pytest.approx(np.var(means), rel=1e-2)


@pytest.mark.parametrize("objective", [LossVariance(1.0), GroupDRO(), Reweight()])
def test_without_a_group_column_a_fair_objective_is_refused(
    toy: Any, model: Any, tiny_llama: Path, objective: Objective
) -> None:
    with pytest.raises(InputError, match="group_column: this objective needs groups"):
        trainer_of(toy, model, tiny_llama, objective=objective, group_column=None)


def test_without_groups_nothing_of_groups_is_logged(toy: Any, model: Any, tiny_llama: Path) -> None:
    trainer = trainer_of(toy, model, tiny_llama, group_column=None, arguments={"max_steps": 1})
    trainer.train()
    said = set(trainer.state.log_history[0])
    assert not {name for name in said if name.startswith("loss/")} | said & {"loss_variance"}
    assert set(trainer.evaluate(table())) >= {"eval_loss", "eval_accuracy"}


def test_evaluation_is_exact_and_holds_no_logits(toy: Any, model: Any, tiny_llama: Path) -> None:
    trainer = trainer_of(toy, model, tiny_llama, objective=LossVariance(1.0))
    kept: list[Any] = []
    inner = trainer.evaluation_loop

    def loop(*args: Any, **kwargs: Any) -> Any:
        kept.append(inner(*args, **kwargs))
        return kept[-1]

    trainer.evaluation_loop = loop
    found = trainer.evaluate(table())
    losses = example_losses(model).detach()
    assert found["eval_loss"] == pytest.approx(losses.mean().item(), rel=1e-4)
    member = torch.tensor([k % 3 > 0 for k in range(N)])
    means = [losses[member].mean().item(), losses[~member].mean().item()]
    assert found["eval_loss_variance"] == pytest.approx(np.var(means), rel=1e-2)
    assert kept[0].predictions is None
    assert kept[0].label_ids is None


def test_a_model_of_tokens_takes_no_classes_as_groups(toy: Any) -> None:
    """A token classifier names classes, and its labels (N, T) are no matrix of groups."""
    from transformers import BertConfig, BertForTokenClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 20}
    model = BertForTokenClassification(BertConfig(**sizes, intermediate_size=8, num_labels=2))
    row = {"input_ids": [3, 4, 5], "labels": [0, -100, 1]}
    rows = [{**row, "dialect": dialect} for dialect in "ab"]

    def make(objective: Objective, column: str | None) -> Any:
        return toy.trainer(rows, model=model, objective=objective, group_column=column)

    plain = make(ERM(), None)
    plain.train()
    assert [name for name in plain.state.log_history[0] if name.startswith("loss")] == ["loss"]
    with pytest.raises(InputError, match="no groups given"):
        make(LossVariance(1.0), None).train()
    grouped = make(LossVariance(1.0), "dialect")
    grouped.train()
    assert {"loss/a", "loss/b"} <= set(grouped.state.log_history[0])
