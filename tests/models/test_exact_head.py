"""Under autocast the logits of a prediction are float32's, and training is left alone."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from fairlora.models import Adapter, attach, keep_logits_exact, load_image_classifier
from fairlora.models.tiny import write_tiny_model

VIT = "google/vit-base-patch16-224-in21k"


@pytest.fixture(scope="module", params=["full", "lora"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> torch.nn.Module:
    path: Path = write_tiny_model(VIT, tmp_path_factory.mktemp("models") / "tiny")
    classifier = load_image_classifier(str(path), ("a", "b"))
    model = attach(classifier.model, Adapter(kind=request.param), classifier.head, seed=0)
    keep_logits_exact(model, classifier.head)
    return model.eval()


def logits(model: torch.nn.Module) -> torch.Tensor:
    side = model.config.image_size
    pixels = torch.randn(64, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return model(pixel_values=pixels).logits


def rounded(values: torch.Tensor) -> bool:
    return bool((values.float() == values.bfloat16().float()).all())


def test_predictions_are_not_rounded(built: torch.nn.Module) -> None:
    found = logits(built)
    assert found.dtype == torch.float32
    assert not rounded(found)
    assert not rounded(logits(copy.deepcopy(built)))


def test_training_is_left_alone(built: torch.nn.Module) -> None:
    copied = copy.deepcopy(built).train()
    assert rounded(logits(copied))


def test_without_autocast_nothing_changes(built: torch.nn.Module) -> None:
    pixels = torch.randn(4, 3, built.config.image_size, built.config.image_size)
    plain = copy.deepcopy(built)
    for module in plain.modules():
        module.__dict__.pop("forward", None)
    with torch.no_grad():
        assert torch.equal(built(pixel_values=pixels).logits, plain(pixel_values=pixels).logits)


def test_a_head_in_bfloat16_stays_so() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)).bfloat16().eval()
    keep_logits_exact(model, ("1",))
    assert model(torch.zeros(1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
