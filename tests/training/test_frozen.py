"""The frozen part of a model: where it ends, and that its answers stand for the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.models import Adapter, attach, keep_logits_exact, load_classifier
from fairlora.models.tiny import write_tiny_model
from fairlora.training.frozen import FROZEN, FrozenPart
from fairlora.training.frozen_search import find_frozen

LINEAR = Adapter(kind="linear")
# The architecture, and the module that a LoRA of its last block or stage begins in.
LAST = {
    "facebook/dino-vits16": r".*\.layers?\.1\..*(query|q_proj)",
    "microsoft/swinv2-tiny": r".*layers\.1\..*query",
    "openai/clip-vit-base-patch16": r".*\.layers\.1\..*q_proj",
    "facebook/dinov2-small": r".*\.layers?\.1\..*(query|q_proj)",
}


def made(like: str, adapter: Adapter, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A tiny model with its adapter, and six pictures as it takes them."""
    loaded = load_classifier(str(write_tiny_model(like, folder)), ["a", "b", "c"], kind="image")
    model = attach(loaded.model, adapter, loaded.head, task="image")
    keep_logits_exact(model, loaded.head)
    size = loaded.preprocessing.size  # type: ignore[attr-defined]
    pictures = torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(0))
    return model, {"pixel_values": pictures, **loaded.forward_arguments}


def frozen_logits(part: FrozenPart, model: Any, inputs: dict[str, Any]) -> Tensor:
    """The logits from the part's answers alone, each picture asked by itself."""
    pictures = inputs["pixel_values"].split(1)
    one_by_one = [part.answers(model, {**inputs, "pixel_values": one}) for one in pictures]
    rest = {k: v for k, v in inputs.items() if not isinstance(v, Tensor)}
    logits: Tensor = part.call(model, {FROZEN: torch.cat(one_by_one), **rest}).logits
    return logits


@pytest.mark.parametrize("like", LAST)
@pytest.mark.parametrize("kind", ["linear", "lora"])
def test_the_frozen_part_stands_for_the_pictures(like: str, kind: str, tmp_path: Path) -> None:
    lora = Adapter(kind="lora", rank=2, fields={"target_modules": LAST[like]})
    model, inputs = made(like, LINEAR if kind == "linear" else lora, tmp_path)
    part = find_frozen(model, {**inputs, "pixel_values": inputs["pixel_values"][:4]})
    assert part is not None
    assert part.steady
    assert part.name.endswith("classifier" if kind == "linear" else (".1", ".1.blocks.0"))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if kind == "lora":  # B starts at 0, and would hide what reaches A
        for weight in weights:
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
    whole, ours = model(**inputs).logits, frozen_logits(part, model, inputs)
    torch.testing.assert_close(ours, whole, rtol=1e-6, atol=1e-5)
    for a, b in zip(
        torch.autograd.grad(ours.square().sum(), weights),
        torch.autograd.grad(whole.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    # What it stands for is not called, and pictures may still be asked.
    called = []
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda *_: called.append(1))
    frozen_logits(part, model, {**inputs})
    assert len(called) == 6
    torch.testing.assert_close(model(**inputs).logits, whole)


def test_a_model_trained_from_its_first_block_on_has_no_frozen_part(tmp_path: Path) -> None:
    model, inputs = made("facebook/dino-vits16", Adapter(kind="lora", rank=2), tmp_path)
    assert find_frozen(model, inputs) is None
    model.requires_grad_(False)
    assert find_frozen(model, inputs) is None


class Net(nn.Module):
    """Blocks in order; the last may read what the first gave, or a head's block draw by chance."""

    def __init__(self, skip: bool = False, drop: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.drop, self.skip = drop or nn.Identity(), skip
        self.classifier = nn.Linear(4, 2)
        self.requires_grad_(False)
        self.classifier.requires_grad_(True)

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        first = self.blocks[0](pixel_values)
        x = self.blocks[2](self.drop(self.blocks[1](first)).tanh())
        logits = self.classifier(x)
        return ImageClassifierOutput(logits=logits + first[:, :2] if self.skip else logits)


PICTURES = {"pixel_values": torch.arange(24.0).view(6, 4).sin()}


def test_what_a_later_part_reads_besides_is_not_left_out() -> None:
    assert find_frozen(Net(skip=True), PICTURES) is None
    found = find_frozen(Net(), PICTURES)
    assert found is not None
    assert found.name == "classifier"


class ByFunction(nn.Module):
    """Dropout that no module's name tells of."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


@pytest.mark.parametrize(
    ("drop", "steady"),
    [
        (nn.Dropout(0.0), True),
        (nn.Dropout(0.01), False),
        (ByFunction(), False),
        (nn.BatchNorm1d(4), False),
        (nn.BatchNorm1d(4).eval(), False),  # training wakes it
    ],
)
def test_chance_and_running_means_make_it_unsteady(drop: nn.Module, steady: bool) -> None:
    net = Net(drop=drop)
    before, state = (
        torch.random.get_rng_state(),
        {k: v.clone() for k, v in net.state_dict().items()},
    )
    net.train()
    part = find_frozen(net, PICTURES)
    assert part is not None
    assert part.steady is steady
    assert net.training
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
