"""docs/models.md: its code runs, and its tables name what there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fairlora.models import (
    Adapter,
    adapter_kinds,
    attach,
    load_finetuned,
    load_image_classifier,
    load_image_text,
    save_finetuned,
)
from fairlora.models.answers import next_token_logits
from fairlora.models.prompting import prepared, sample_picture
from fairlora.models.tiny_image_text import write_tiny_image_text

PROMPTED = "AutoModelForImageTextToText"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def code_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_the_code_runs(
    tiny_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    classifier = load_image_classifier(str(tiny_model("vit")), ("no", "yes"))
    adapter = Adapter("lora", rank=2, fields={"init_lora_weights": False})
    model = attach(classifier.model, adapter, classifier.head)
    save_finetuned(classifier, model, adapter, Path("runs/mine"))
    pixels = torch.zeros(1, 3, 32, 32)
    expected = load_finetuned("runs/mine").model(pixel_values=pixels).logits
    blocks = [block for block in code_blocks() if PROMPTED not in block]
    assert len(blocks) == 4
    for block in blocks:
        names: dict[str, object] = {}
        code = block.replace("google/vit-base-patch16-224-in21k", str(tiny_model("vit")))
        exec(compile(code, str(DOCS), "exec"), names)
        found = names.get("model")
        if found is not None:
            logits = found.eval()(pixel_values=pixels).logits  # type: ignore[attr-defined]
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


def test_the_code_of_a_vision_language_run_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_tiny_image_text("idefics3", tmp_path / "vlm")
    classifier = load_image_text(str(folder), ["no", "yes"], prompt="Is it?")
    adapter = Adapter("lora", rank=2, fields={"init_lora_weights": False})
    model = attach(classifier.model, adapter, (), task="image-text")
    save_finetuned(classifier, model, adapter, Path("runs/mine"))
    (block,) = [block for block in code_blocks() if PROMPTED in block]
    names: dict[str, Any] = {}
    code = block.replace("HuggingFaceTB/SmolVLM-256M-Instruct", str(folder))
    exec(compile(code, str(DOCS), "exec"), names)
    batch = prepared(names["processor"], [sample_picture()], classifier.prompt)
    theirs = names["model"].eval()(**batch).logits[:, -1]
    network = classifier.model  # the adapter lies on its layers
    context = next_token_logits(network, batch, ())
    torch.testing.assert_close(context, theirs, atol=1e-4, rtol=1e-4)


def test_every_kind_of_adapter_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", DOCS.read_text()))
    assert set(adapter_kinds()) <= named
