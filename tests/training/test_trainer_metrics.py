"""`TrainerMetrics` inside the evaluation of transformers' Trainer and of FairTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, Trainer, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora import TrainerMetrics, audit
from fairlora.errors import InputError
from fairlora.training import FairTrainer

REGIONS = ["north", "south", "west"]


class Classifier(nn.Module):
    """A linear classifier with the manners of a transformers model."""

    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        self.linear = nn.Linear(4, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-0.3, 0.5, 8).view(2, 4))
            self.linear.bias.zero_()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        logits = self.linear(pixel_values)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


def rows(n: int = 42, seed: int = 0) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    return datasets.Dataset.from_dict(
        {
            "pixel_values": rng.normal(size=(n, 4)).astype(np.float32).tolist(),
            "labels": rng.integers(0, 2, n).tolist(),
            "region": rng.choice(REGIONS, n).tolist(),
        }
    ).with_format("torch", columns=["pixel_values", "labels"], output_all_columns=True)


def expected(table: datasets.Dataset, prefix: str = "eval") -> dict[str, float]:
    """The metrics from the model's logits and an audit."""
    plain = table.with_format(None)
    with torch.no_grad():
        logits = Classifier().linear(torch.tensor(plain["pixel_values"])).numpy()
    region, labels = list(plain["region"]), np.array(plain["labels"])
    content = audit(
        labels, logits.argmax(axis=1), {"region": region}, positive=1, bootstrap=0, min_group=5
    ).to_dict()
    found = content["disparities"]["region"]
    out = {f"region/{name}": found[name]["value"] for name in ("accuracy_gap", "dpd", "eod")}
    out["accuracy"] = content["overall"]["accuracy"]["value"]
    for group, numbers in content["by_group"]["region"].items():
        out[f"region/{group}/accuracy"] = numbers["accuracy"]["value"]
    return {f"{prefix}_{name}": value for name, value in out.items() if value is not None}


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=8,
        per_device_eval_batch_size=8,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        **options,
    )


def has(found: dict[str, float], wanted: dict[str, float]) -> None:
    assert len(wanted) > 4
    assert {name: found.get(name) for name in wanted} == pytest.approx(wanted, abs=1e-6)


def metrics_of(table: datasets.Dataset | None = None) -> TrainerMetrics:
    if table is None:
        return TrainerMetrics(columns=["region"], positive=1, min_group=5)
    region = list(table.with_format(None)["region"])
    return TrainerMetrics({"region": region}, positive=1, min_group=5)


@pytest.mark.parametrize("by_batch", [False, True])
def test_the_trainer_of_transformers(tmp_path: Path, by_batch: bool) -> None:
    table = rows()
    trainer = Trainer(
        model=Classifier(),
        args=arguments(tmp_path, batch_eval_metrics=by_batch, label_names=["labels"]),
        eval_dataset=table,
        compute_metrics=metrics_of(table),
    )
    for _ in range(2):
        has(trainer.evaluate(), expected(table))


class Texts(nn.Module):
    """Says class 1 of a text whose first token is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        first = input_ids[:, 0].float() * 4 - 2
        logits = torch.stack([-first, first], dim=1) * self.scale
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


def texts(n: int = 60) -> datasets.Dataset:
    """Rows of many lengths; the model is right on every row of group a and on none of group b."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, n)
    ours = rng.integers(0, 2, n) == 1
    first = np.where(ours, labels, 1 - labels)
    lengths = rng.integers(1, 9, n)
    return datasets.Dataset.from_dict(
        {
            "input_ids": [[int(k)] * int(m) for k, m in zip(first, lengths, strict=True)],
            "labels": labels.tolist(),
            "group": np.where(ours, "a", "b").tolist(),
        }
    )


def padded(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    longest = max(len(item["input_ids"]) for item in items)
    ids = [list(item["input_ids"]) + [0] * (longest - len(item["input_ids"])) for item in items]
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor([item["labels"] for item in items]),
    }


@pytest.mark.parametrize("kind", [Trainer, FairTrainer])
@pytest.mark.parametrize("options", [{}, {"batch_eval_metrics": True}, {"persistent": True}])
def test_rows_ordered_by_length_keep_their_groups(
    tmp_path: Path, kind: type[Trainer], options: dict[str, Any]
) -> None:
    table = texts()
    values = dict(options)
    if values.pop("persistent", False):  # the same loader gives another order every time
        values |= {"dataloader_persistent_workers": True, "dataloader_num_workers": 1}
    metrics = TrainerMetrics({"group": table["group"]}, min_group=1)
    own: dict[str, Any] = {"group_column": "group"} if kind is FairTrainer else {}
    trainer = kind(
        model=Texts(),
        args=arguments(
            tmp_path,
            train_sampling_strategy="group_by_length",
            label_names=["labels"],
            **values,
        ),
        train_dataset=table,
        eval_dataset=table,
        data_collator=padded,
        compute_metrics=metrics,
        **own,
    )
    for _ in range(2):
        found = trainer.evaluate()
        assert found["eval_group/a/accuracy"] == 1
        assert found["eval_group/b/accuracy"] == 0
        assert found["eval_group/accuracy_gap"] == 1


def test_rows_in_an_unknown_order_are_refused(tmp_path: Path) -> None:
    class Shuffled(Trainer):
        def _get_eval_sampler(self, eval_dataset: Any) -> Any:
            return torch.utils.data.RandomSampler(eval_dataset)

    table = rows()
    trainer = Shuffled(
        model=Classifier(),
        args=arguments(tmp_path, label_names=["labels"]),
        eval_dataset=table,
        compute_metrics=metrics_of(table),
    )
    with pytest.raises(InputError, match=r"cannot be known .*read by (Seedable)?RandomSampler"):
        trainer.evaluate()


def test_rows_without_a_label_count_nowhere(tmp_path: Path) -> None:
    table = rows()
    labels = table.with_format(None)["labels"]
    hidden = [-100 if k % 4 == 0 else label for k, label in enumerate(labels)]
    partly = table.with_format(None).remove_columns("labels").add_column("labels", hidden)
    partly = partly.with_format(
        "torch", columns=["pixel_values", "labels"], output_all_columns=True
    )
    kept = table.select([k for k in range(len(table)) if k % 4])
    trainer, other = fair(tmp_path, partly), fair(tmp_path, kept)
    for one in (trainer, other):  # TrainerMetrics refuses a row without a label
        one.compute_metrics = None
    found, whole = trainer.evaluate(), other.evaluate()
    for name in ("eval_loss", "eval_accuracy", "eval_accuracy_worst", "eval_loss_variance"):
        assert found[name] == pytest.approx(whole[name], rel=1e-6)


def test_another_prefix(tmp_path: Path) -> None:
    table = rows()
    trainer = Trainer(
        model=Classifier(),
        args=arguments(tmp_path, label_names=["labels"]),
        eval_dataset=table,
        compute_metrics=metrics_of(table),
    )
    has(trainer.evaluate(metric_key_prefix="test"), expected(table, "test"))
    has(dict(trainer.predict(table).metrics or {}), expected(table, "test"))


@pytest.mark.parametrize("by_batch", [False, True])
def test_groups_given_for_other_rows_stop_the_evaluation(tmp_path: Path, by_batch: bool) -> None:
    trainer = Trainer(
        model=Classifier(),
        args=arguments(tmp_path, batch_eval_metrics=by_batch, label_names=["labels"]),
        eval_dataset=rows(50),
        compute_metrics=metrics_of(rows(42)),
    )
    with pytest.raises(InputError, match="region"):
        trainer.evaluate()


def fair(folder: Path, evaluation: Any, **options: Any) -> FairTrainer:
    return FairTrainer(
        model=Classifier(),
        args=arguments(folder, max_steps=2, learning_rate=1e-12, **options),
        train_dataset=rows(24, 9),
        eval_dataset=evaluation,
        group_column="region",
        group_names=REGIONS,
        compute_metrics=metrics_of(),
    )


@pytest.mark.parametrize("by_batch", [False, True])
def test_fair_trainer_reads_the_columns_itself(tmp_path: Path, by_batch: bool) -> None:
    table = rows()
    trainer = fair(tmp_path, table, batch_eval_metrics=by_batch)
    has(trainer.evaluate(), expected(table))


def test_each_evaluation_set_has_its_own_groups(tmp_path: Path) -> None:
    one, two = rows(42, 1), rows(60, 2)
    trainer = fair(tmp_path, one)
    has(trainer.evaluate(), expected(one))
    has(trainer.evaluate(two), expected(two))  # type: ignore[arg-type]
    has(trainer.evaluate(), expected(one))


def test_several_evaluation_sets_by_name(tmp_path: Path) -> None:
    one, two = rows(42, 1), rows(60, 2)
    trainer = fair(tmp_path, {"one": one, "two": two})
    found = trainer.evaluate()
    has(found, expected(one, "eval_one"))
    has(found, expected(two, "eval_two"))


def test_evaluation_during_training_logs_the_metrics(tmp_path: Path) -> None:
    table = rows()
    trainer = fair(tmp_path, table, eval_strategy="steps", eval_steps=1)
    trainer.train()
    lines = [line for line in trainer.state.log_history if "eval_region/accuracy_gap" in line]
    assert len(lines) == 2
    has(lines[0], expected(table))


def test_the_best_checkpoint_can_be_chosen_by_a_disparity(tmp_path: Path) -> None:
    values = {
        "metric_for_best_model": "eval_region/accuracy_gap",
        "greater_is_better": False,
        "eval_strategy": "steps",
        "eval_steps": 1,
    }
    trainer = fair(tmp_path, rows(), **values)
    trainer.train()
    gap = expected(rows())["eval_region/accuracy_gap"]
    assert trainer.state.best_metric == pytest.approx(gap)


@pytest.mark.parametrize(
    ("name", "greater", "right"),
    [
        ("eval_region/accuracy_gap", None, False),
        ("region/dpd", None, False),
        ("loss_variance", None, False),
        ("eval_ece", True, False),
        ("eval_accuracy_worst", False, True),
        ("eval_region/south/accuracy", False, True),
    ],
)
@pytest.mark.parametrize("ours", [True, False])
def test_the_worst_checkpoint_is_not_kept_as_the_best(
    tmp_path: Path, ours: bool, name: str, greater: bool | None, right: bool
) -> None:
    table = rows()
    values: dict[str, Any] = {"metric_for_best_model": name, "greater_is_better": greater}
    line = f"metric_for_best_model '{name}'.*expected greater_is_better={right}"
    if ours:
        with pytest.raises(InputError, match=line):
            fair(tmp_path, table, **values)
        return
    trainer = Trainer(
        model=Classifier(),
        args=arguments(tmp_path, label_names=["labels"], **values),
        eval_dataset=table,
        compute_metrics=metrics_of(table),
    )
    with pytest.raises(InputError, match=line):
        trainer.evaluate()


def test_fair_trainer_predicts_with_its_metrics(tmp_path: Path) -> None:
    one, two = rows(42, 1), rows(60, 2)
    trainer = fair(tmp_path, one)
    trainer.evaluate()
    has(dict(trainer.predict(two).metrics or {}), expected(two, "test"))  # type: ignore[arg-type]


def test_a_column_that_the_evaluation_set_has_not_is_named(tmp_path: Path) -> None:
    trainer = fair(tmp_path, rows().remove_columns("region"))
    with pytest.raises(InputError, match="region"):
        trainer.evaluate()
