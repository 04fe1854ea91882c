"""Prompts, answers and models that do not go together: one line each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.models import (
    load_classifier,
    load_finetuned,
    load_image_text,
    write_tiny_model,
)
from fairlora.models.prompting import prepared, sample_picture
from fairlora.models.tiny_image_text import write_tiny_image_text

QUESTION = "A woman or a man?"


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_image_text("llava", tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a chat template."""
    return write_tiny_image_text("llava", tmp_path_factory.mktemp("plain"), chat=False)


def load(path: Path, question: str = QUESTION, **more: Any) -> Any:
    answers = more.pop("answers", {"female": "woman", "male": "man"})
    return load_image_text(str(path), ["female", "male"], prompt=question, answers=answers, **more)


def test_the_chat_template_has_the_question_and_begins_the_answer(llava: Path) -> None:
    asked = load(llava)
    assert asked.prompt == (
        f"<|im_start|>user\n<image>\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert asked.notes == ()
    told = asked.processor.tokenizer.decode(asked.answers.tokens[0])
    assert told == "woman"
    between = load(llava, "Look at <image> and say: a woman or a man?")
    assert "user\nLook at <image>\n and say" in between.prompt


def test_a_template_that_puts_a_space_before_the_answer(tmp_path: Path) -> None:
    asked = load(write_tiny_image_text("idefics3", tmp_path))
    assert asked.prompt.endswith("Assistant:")
    assert asked.processor.tokenizer.decode(asked.answers.tokens[1]) == " man"


def test_without_a_template_the_picture_stands_first_and_that_is_said(plain: Path) -> None:
    asked = load(plain)
    assert asked.prompt == f"<image>{QUESTION}"
    assert any("the prompt has no place for the picture" in note for note in asked.notes)
    assert asked.processor.tokenizer.decode(asked.answers.tokens[0]) == " woman"
    placed = load(plain, "USER: <image> Which?\nANSWER:\n")
    assert placed.notes == ()
    assert placed.processor.tokenizer.decode(placed.answers.tokens[0]) == "woman"


def test_paligemma_ends_its_prompt_with_a_line(tmp_path: Path) -> None:
    asked = load(write_tiny_image_text("paligemma", tmp_path))
    batch = prepared(asked.processor, [sample_picture()], asked.prompt)
    text = asked.processor.tokenizer.decode(batch["input_ids"][0])
    assert text.endswith(f"{QUESTION}\n")
    assert asked.processor.tokenizer.decode(asked.answers.tokens[0]) == "woman"


def test_a_class_is_its_own_answer(llava: Path) -> None:
    assert load(llava, answers={}).answers.texts == ("female", "male")
    assert load(llava, answers={"male": "man"}).answers.texts == ("female", "man")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"answers": {"female": " ", "male": "man"}}, "model.answers: an answer of no tokens"),
        ({"answers": {"female": "x", "male": "x"}}, "two classes have the same answer"),
        ({"answers": {"female": "man", "male": "mankind"}}, "one answer begins another"),
        ({"answers": {"other": "x"}}, "model.answers: an answer for a class that the data"),
        ({"question": " "}, "model.prompt: an empty prompt"),
        ({"question": "<image> or <image>?"}, "model.prompt: a prompt with several pictures"),
        ({"max_length": 20}, "does not fit, and is never cut .*expected at most 20"),
        ({"quantize": "2bit"}, "unknown quantisation"),
    ],
)
def test_what_cannot_be_asked(llava: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        load(llava, **changes)


def test_a_longer_picture_than_fits_is_refused_by_its_name(llava: Path) -> None:
    from fairlora.models.image_text import check_tokens_fit

    asked = load(llava)
    asked.max_length = 30
    batch = prepared(asked.processor, [sample_picture()] * 2, asked.prompt)
    with pytest.raises(InputError, match=r"row b\.png|row a\.png"):
        check_tokens_fit(asked, batch, ["a.png", "b.png"])


def test_models_of_another_kind(tmp_path: Path, llava: Path) -> None:
    text = write_tiny_model("meta-llama/Llama-2-7b", tmp_path / "text")
    with pytest.raises(InputError, match=r"not a model that answers a prompt.*model type llama;"):
        load(text)
    image = write_tiny_model("google/vit-base-patch16-224", tmp_path / "image")
    with pytest.raises(InputError, match="which classifies pictures without a prompt"):
        load(image)
    with pytest.raises(InputError, match=r"a question about the picture as model\.prompt"):
        load_classifier(str(llava), ["a", "b"], kind="image")
    with pytest.raises(InputError, match=r"model\.prompt.*adapter\.kind base asks"):
        load_finetuned(str(llava), kind="image")
    with pytest.raises(InputError, match="the data are texts"):
        load_finetuned(str(llava), kind="text")


def test_a_model_without_its_processor(tmp_path: Path, llava: Path, plain: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(llava, bare)
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    with pytest.raises(InputError, match="processor"):
        load(bare)
    silent = tmp_path / "silent"
    shutil.copytree(plain, silent)
    path = silent / "chat_template.jinja"
    path.write_text("{% for m in messages %}{{ m['role'] }}{% endfor %}")
    with pytest.raises(InputError, match="chat template leaves the prompt out"):
        load(silent)
    path.write_text("{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}")
    with pytest.raises(InputError, match="chat template has no place for the picture"):
        load(silent)


def test_a_checkpoint_that_lacks_weights(tmp_path: Path, llava: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(llava, broken)
    weights = load_file(broken / "model.safetensors")
    weights.pop(next(name for name in weights if "projector" in name))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks weights"):
        load(broken)
    config = json.loads((broken / "config.json").read_text())
    assert config["model_type"] == "llava"
