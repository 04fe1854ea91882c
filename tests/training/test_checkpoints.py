"""Checkpoints of real transformers models: the best one is reloaded, a resumed run is the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import TrainerCallback, TrainingArguments

from fairlora.data import Examples
from fairlora.models import Adapter, attach, load_image_classifier
from fairlora.objectives import LossVariance
from fairlora.predictions import read_predictions
from fairlora.training import FairTrainer, ImageCollator, ImageDataset, write_predictions_of

FULL = Adapter("full")
LORA = Adapter("lora", rank=2, dropout=0.2)


def examples(n: int = 24, *, wrong: bool = False) -> Examples:
    """Noisy pictures, dark ones of class 0 and light ones of class 1 (or the other way round)."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = []
    for label in labels:
        pixels = generator.integers(0, 150, (64, 64, 3)) + 100 * label
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
        images.append(buffer.getvalue())
    return Examples(
        name="noise",
        ids=np.array([f"row {k}" for k in range(n)]),
        images=images,
        labels=1 - labels if wrong else labels,
        classes=("dark", "light"),
        groups={"place": np.array(["a", "b", "c"])[np.arange(n) % 3]},
        fingerprint="noise",
    )


def trainer_of(
    model_folder: Path, out: Path, adapter: Adapter, evaluation: Examples, **arguments: Any
) -> FairTrainer:
    classifier = load_image_classifier(str(model_folder), ("dark", "light"))
    model = attach(classifier.model, adapter, classifier.head, seed=1)
    values: dict[str, Any] = {
        "output_dir": str(out),
        "num_train_epochs": 3,
        "per_device_train_batch_size": 8,
        "learning_rate": 3e-3,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **arguments,
    }
    return FairTrainer(
        model=model,
        args=TrainingArguments(**values),
        train_dataset=ImageDataset(examples(), classifier.preprocessing, flip_seed=3),
        eval_dataset=ImageDataset(evaluation, classifier.preprocessing),
        data_collator=ImageCollator(classifier.preprocessing),
        objective=LossVariance(0.5),
        group_column="place",
    )


def weights(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


class Keeper(TrainerCallback):
    """Keeps the weights at every save."""

    def __init__(self) -> None:
        self.at: dict[int, dict[str, Tensor]] = {}

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.at[state.global_step] = weights(kwargs["model"])


@pytest.mark.parametrize("adapter", [FULL, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("tower", ["tiny_vit", "tiny_clip"])
def test_the_best_checkpoints_weights_are_loaded_at_the_end(
    request: pytest.FixtureRequest, tmp_path: Path, adapter: Adapter, tower: str
) -> None:
    """The evaluation set is labelled the wrong way round: the more training, the worse."""
    trainer = trainer_of(
        request.getfixturevalue(tower),
        tmp_path,
        adapter,
        examples(wrong=True),
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=False,
    )
    keeper = Keeper()
    trainer.add_callback(keeper)
    trainer.train()
    assert trainer.state.best_global_step == 3
    assert list(keeper.at) == [3, 6, 9]
    ended = weights(trainer.model)
    assert same(ended, keeper.at[3])
    assert not same(ended, keeper.at[9])


@pytest.mark.parametrize("adapter", [FULL, LORA], ids=["full", "lora"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    tiny_vit: Path, tmp_path: Path, adapter: Adapter
) -> None:
    # Five of three steps an epoch: the checkpoint lies late in the second epoch.
    saving = {"save_strategy": "steps", "save_steps": 5}
    whole = trainer_of(tiny_vit, tmp_path / "a", adapter, examples(), **saving)
    whole.train()
    broken = trainer_of(tiny_vit, tmp_path / "b", adapter, examples(), **saving)
    broken.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-5"))
    assert broken.state.global_step == whole.state.global_step == 9
    assert same(weights(whole.model), weights(broken.model))


def test_an_interrupted_run_is_not_the_same_without_its_checkpoint(
    tiny_vit: Path, tmp_path: Path
) -> None:
    """So that the test above can fail: another start gives other weights."""
    whole = trainer_of(tiny_vit, tmp_path / "a", FULL, examples(), save_strategy="no")
    whole.train()
    other = trainer_of(
        tiny_vit, tmp_path / "b", FULL, examples(), save_strategy="no", num_train_epochs=2
    )
    other.train()
    assert not same(weights(whole.model), weights(other.model))


def test_evaluation_says_what_the_predictions_table_says(tiny_vit: Path, tmp_path: Path) -> None:
    data = examples(20)
    trainer = trainer_of(
        tiny_vit, tmp_path, LORA, data, per_device_eval_batch_size=8, save_strategy="no"
    )
    trainer.train()
    metrics = trainer.evaluate()
    out = tmp_path / "predictions.parquet"
    dataset: Any = trainer.eval_dataset
    (streamed,) = write_predictions_of(trainer, [dataset], out, ("dark", "light"))
    table = read_predictions(out)
    assert table.ids.tolist() == data.ids.tolist()
    assert table.labels.tolist() == data.labels.tolist()
    assert table.groups["place"].tolist() == data.groups["place"].tolist()
    assert table.loss is not None
    right = table.labels == table.predictions
    places = np.array(table.groups["place"].tolist())
    assert metrics["eval_loss"] == pytest.approx(table.loss.mean(), rel=1e-5)
    assert metrics["eval_accuracy"] == pytest.approx(right.mean())
    worst = min(right[places == place].mean() for place in "abc")
    assert metrics["eval_accuracy_worst"] == pytest.approx(worst)
    means = [table.loss[places == place].mean() for place in "abc"]
    assert metrics["eval_loss_variance"] == pytest.approx(np.var(means), rel=1e-3, abs=1e-9)
    for name in ("loss", "accuracy", "accuracy_worst", "loss_variance"):
        assert streamed[f"predict_{name}"] == pytest.approx(metrics[f"eval_{name}"])
