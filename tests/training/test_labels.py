"""Rows without a label, labels that are no class, and columns that get lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, BertConfig, TrainingArguments

from fairlora.errors import InputError
from fairlora.objectives import ERM, GroupDRO, LossVariance, Reweight
from fairlora.training import FairTrainer

CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    num_labels=2,
)


def hidden(toy: Any, n: int = 12, **columns: Any) -> datasets.Dataset:
    """Rows of which every fourth has no label."""
    region = [("north", "south", "west")[k % 3] for k in range(n)]
    rows = toy.rows(n, region=region, **columns)
    labels = [-100 if k % 4 == 0 else k % 2 for k in range(n)]
    return toy.table(rows).with_format(None).remove_columns("labels").add_column("labels", labels)


@pytest.mark.parametrize(
    "objective", [ERM, lambda: LossVariance(1.5), lambda: GroupDRO(0.5), Reweight]
)
def test_rows_without_a_label_count_nowhere_in_training(toy: Any, objective: Any) -> None:
    whole = hidden(toy).with_format(
        "torch", columns=["pixel_values", "labels"], output_all_columns=True
    )
    kept = whole.select([k for k in range(12) if k % 4])
    steps = {"num_train_epochs": 3, "per_device_train_batch_size": 12}
    with pytest.warns(UserWarning, match=r"3 training rows .*north 1, south 1, west 1"):
        found = toy.weights(toy.trainer(whole, objective=objective(), arguments=steps))
    expected = toy.weights(toy.trainer(kept, objective=objective(), arguments=steps))
    torch.testing.assert_close(found, expected)


def test_the_logged_losses_are_those_of_the_rows_with_a_label(toy: Any) -> None:
    rows = hidden(toy)
    trainer = toy.trainer(
        rows.with_format("torch", columns=["pixel_values", "labels"], output_all_columns=True),
        arguments={"per_device_train_batch_size": 12},
    )
    x, labels = torch.tensor(rows["pixel_values"]).double(), torch.tensor(rows["labels"])
    losses = F.cross_entropy(toy.model().linear(x), labels, reduction="none").detach()
    counted = labels != -100
    with pytest.warns(UserWarning, match="3 training rows"):
        trainer.train()
    line = trainer.state.log_history[0]
    # What the Trainer reports: the mean over the labels that count.
    assert line["loss"] == pytest.approx(float(losses[counted].mean()), rel=1e-5)
    north = counted & (torch.arange(12) % 3 == 0)
    assert line["loss/north"] == pytest.approx(float(losses[north].mean()), rel=1e-5)


def test_the_sizes_of_the_groups_are_those_of_the_rows_with_a_label(toy: Any) -> None:
    rows = hidden(toy, 16)
    objective = Reweight()
    trainer = toy.trainer(rows, objective=objective)
    regions = [r for r, label in zip(rows["region"], rows["labels"], strict=True) if label >= 0]
    expected = [12 / (3 * regions.count(name)) for name in trainer.group_names]
    torch.testing.assert_close(objective.weights, torch.tensor(expected).double())


@pytest.mark.parametrize("lost", ["transform", "format"])
def test_a_group_column_that_gets_lost_stops_at_the_first_batch(toy: Any, lost: str) -> None:
    table = toy.table(toy.rows(12, region=["north", "south"] * 6))
    names = ["pixel_values", "labels"]
    if lost == "format":
        table = table.with_format("torch", columns=names)
    else:
        table = table.with_format(None).with_transform(
            lambda batch: {name: [torch.tensor(v) for v in batch[name]] for name in names}
        )
    arguments = {"remove_unused_columns": False}
    trainer = toy.trainer(table, objective=LossVariance(1.0), arguments=arguments)
    with pytest.raises(InputError, match=r"group_column 'region': .*without their groups"):
        trainer.train()
    assert trainer.state.global_step == 0


def bert(rows: list[int], out: Path, *, name: str = "default", **arguments: Any) -> FairTrainer:
    torch.manual_seed(0)
    adapted = get_peft_model(
        AutoModelForSequenceClassification.from_config(CONFIG),
        LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"]),
        adapter_name=name,
    )
    ids = [[k % 7 + 1, k % 5 + 1] for k in range(len(rows))]
    table = datasets.Dataset.from_dict({"input_ids": ids, "labels": rows})
    values: dict[str, Any] = {
        "output_dir": str(out),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_strategy": "no",
        **arguments,
    }
    return FairTrainer(
        model=adapted,
        args=TrainingArguments(**values),
        train_dataset=table,
        eval_dataset=table,
    )


def test_a_label_that_is_no_class_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels, row 3: .*\(found 2; expected 0 to 1, or -100"):
        bert([0, 1, 2], tmp_path)
    bert([0, 1, -100], tmp_path)


def test_a_label_that_a_model_of_ones_own_has_not_is_refused(toy: Any) -> None:
    rows = [{"pixel_values": [0.0] * 4, "labels": 7}]
    with pytest.raises(InputError, match=r"labels: .*\(found 7; expected 0 to 1, or -100"):
        toy.trainer(rows, group_column=None).train()


def test_leaving_the_last_rows_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataloader_drop_last: .*every evaluation"):
        bert([0, 1], tmp_path, dataloader_drop_last=True)


@pytest.mark.parametrize("name", ["default", "mine"])
def test_the_best_weights_of_a_named_adapter_are_loaded(tmp_path: Path, name: str) -> None:
    trainer = bert(
        [k % 2 for k in range(16)],
        tmp_path,
        name=name,
        num_train_epochs=3,
        learning_rate=3.0,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="loss",
    )
    trainer.train()
    losses = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert min(losses) < losses[-1] - 0.01  # the last are not the best
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses), rel=1e-6)
    model: Any = trainer.model
    assert any(p.requires_grad for p in model.parameters())
