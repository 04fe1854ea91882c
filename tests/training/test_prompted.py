"""Vision-language models in `FairTrainer`: pictures with a prompt, and every objective exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import TrainingArguments

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import ImageTextClassifier, attach, load_image_text
from fairlora.models.adapter_spec import Adapter
from fairlora.models.tiny_image_text import write_tiny_image_text
from fairlora.objectives import ERM, GroupDRO, GroupObjective, LossGap, LossVariance, Reweight
from fairlora.training import FairTrainer
from fairlora.training.prompted import PromptedCollator, PromptedDataset

ROWS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_image_text("idefics3", tmp_path_factory.mktemp("vlm"), split=True)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Pictures of several sizes, and so of several numbers of tokens."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    paths = []
    for k in range(ROWS):
        size = (64, 32) if k % 3 else (24, 40)
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{k}.png")
        paths.append(root / f"{k}.png")
    return Examples(
        name="drawn",
        ids=np.array([path.name for path in paths]),
        images=paths,
        labels=np.arange(ROWS) % 2,
        classes=("female", "male"),
        groups={"place": ["a", "b", "b", "c"] * (ROWS // 4)},
        fingerprint="drawn",
    )


def load(folder: Path) -> ImageTextClassifier:
    answers = {"female": "woman", "male": "man"}
    return load_image_text(str(folder), ["female", "male"], prompt="Who?", answers=answers)


def trained(
    folder: Path, examples: Examples, objective: GroupObjective, out: Path, batch: int, steps: int
) -> dict[str, torch.Tensor]:
    """The adapter after one optimizer step of eight rows."""
    classifier = load(folder)
    model = attach(classifier.model, Adapter("lora", rank=2), (), task="image-text")
    arguments: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": steps,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "max_grad_norm": 0.0,
        "optim": "sgd",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "remove_unused_columns": False,
        "seed": 0,
    }
    trainer = FairTrainer(
        model=model,
        args=TrainingArguments(**arguments),
        train_dataset=PromptedDataset(examples),
        data_collator=PromptedCollator(classifier),
        objective=objective,
        group_column="place",
        exact_accumulation=steps > 1,
    )
    trainer.train()
    return {k: v for k, v in model.state_dict().items() if "lora_" in k}


@pytest.mark.parametrize(
    "make",
    [ERM, lambda: LossVariance(1.0), lambda: LossGap(0.5), lambda: GroupDRO(0.5), Reweight],
    ids=["erm", "loss-variance", "loss-gap", "group-dro", "reweight"],
)
def test_a_window_of_batches_is_one_batch(
    make: Any, folder: Path, examples: Examples, tmp_path: Path
) -> None:
    """The rows of the small batches are padded to other lengths than those of the large one."""
    whole = trained(folder, examples, make(), tmp_path / "whole", 6, 1)
    parts = trained(folder, examples, make(), tmp_path / "parts", 2, 3)
    assert any(float(value.abs().max()) > 0 for name, value in whole.items() if "lora_B" in name)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=1e-6)


def test_pictures_are_mirrored_by_coins_of_seed_epoch_and_row(examples: Examples) -> None:
    plain, mirrored = PromptedDataset(examples), PromptedDataset(examples).mirrored()
    first = np.asarray(plain[0]["picture"])
    np.testing.assert_array_equal(np.asarray(mirrored[0]["picture"]), first[:, ::-1])
    coins = PromptedDataset(examples, flip_seed=1)

    def flips(epoch: int) -> list[bool]:
        coins.set_epoch(epoch)
        return [coins[k]["picture"] != plain[k]["picture"] for k in range(ROWS)]

    assert flips(0) == flips(0)
    assert flips(0) != flips(1)
    assert 0 < sum(flips(0)) < ROWS
    assert plain[3]["place"] == "c"
    # Of all pictures, were they as large as the first: 40 x 24.
    assert PromptedDataset(examples).bytes_to_keep() == (ROWS) * 3 * 24 * 40
    assert plain.bytes_to_keep() == 0


def test_a_picture_that_does_not_fit_is_named(folder: Path, examples: Examples) -> None:
    classifier = load(folder)
    rows = PromptedDataset(examples)
    items = [rows[k] for k in range(4)]
    batch = PromptedCollator(classifier)(items)
    assert batch["labels"].tolist() == [0, 1, 0, 1]
    lengths = batch["attention_mask"].sum(1)
    assert lengths[0] != lengths[1]
    classifier.max_length = int(lengths.min()) + classifier.answers.longest
    with pytest.raises(InputError, match=r"row \d\.png: a picture with its prompt and answer"):
        PromptedCollator(classifier)(items)
