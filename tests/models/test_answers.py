"""Class logits of vision-language models: each answer's likelihood, against the plain formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from fairlora.errors import InputError
from fairlora.models import (
    ImageTextClassifier,
    attach,
    count_of,
    count_parameters,
    load_image_text,
)
from fairlora.models.adapter_spec import Adapter
from fairlora.models.answers import Answers, ask, language_part
from fairlora.models.prompting import prepared
from fairlora.models.targets import ia3_targets, norm_targets, resolve_targets
from fairlora.models.tiny_image_text import BUILDERS, write_tiny_image_text

QUESTION = "A woman or a man?"
ANSWERS = {"female": "woman", "male": "man"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny model of an architecture, written once."""
    made: dict[str, Path] = {}

    def of(name: str, **changes: Any) -> Path:
        key = f"{name}{sorted(changes.items())}"
        if key not in made:
            path = tmp_path_factory.mktemp("vlm")
            made[key] = write_tiny_image_text(name, path, **changes)
        return made[key]

    return of


def load(path: Path, **changes: Any) -> ImageTextClassifier:
    given = {"prompt": QUESTION, "answers": ANSWERS, **changes}
    return load_image_text(str(path), given.pop("classes", ["female", "male"]), **given)


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def by_hand(classifier: ImageTextClassifier, several: list[Image.Image]) -> Tensor:
    """(N, classes) each answer alone behind each picture's prompt: a pass each, and no padding."""
    model, rows = classifier.model, []
    for picture in several:
        batch = prepared(classifier.processor, [picture], classifier.prompt)
        rows.append([written(model, batch, answer) for answer in classifier.answers.tokens])
    return torch.tensor(rows)


def written(model: Any, batch: dict[str, Tensor], answer: tuple[int, ...]) -> float:
    """log p(answer | picture, prompt) by transformers' own forward."""
    one = dict(batch)
    tokens = torch.tensor([answer])
    start = one["input_ids"].shape[1]
    one["input_ids"] = torch.cat([one["input_ids"], tokens], 1)
    one["attention_mask"] = torch.ones_like(one["input_ids"])
    for name, value in (("token_type_ids", 1), ("mm_token_type_ids", 0)):
        if name in one:
            one[name] = torch.cat([one[name], torch.full_like(tokens, value)], 1)
    with torch.no_grad():
        logits = type(model).forward(model, **one).logits[0].log_softmax(-1)
    return sum(float(logits[start + k - 1, token]) for k, token in enumerate(answer))


@pytest.mark.parametrize("name", BUILDERS)
def test_logits_are_the_answers_log_likelihoods(name: str, folder: Callable[..., Path]) -> None:
    classifier = load(folder(name))
    several = pictures((40, 30), (30, 50), (32, 32))
    with torch.no_grad():
        found = classifier.model(**prepared(classifier.processor, several, classifier.prompt))
    assert len(classifier.answers.passes) == 2
    expected = by_hand(classifier, several)
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-4)
    # The picture is seen: other pictures have other answers.
    assert float((expected[0] - expected[1]).abs().max()) > 1e-3
    each = load(folder(name), score="mean")
    lengths = torch.tensor([len(answer) for answer in each.answers.tokens])
    with torch.no_grad():
        mean = each.model(**prepared(each.processor, several, each.prompt)).logits
    torch.testing.assert_close(mean, expected / lengths, rtol=1e-4, atol=1e-4)


def test_pictures_of_other_numbers_of_tokens_are_padded(folder: Callable[..., Path]) -> None:
    """Idefics3 cuts a large picture into several; the rows of a batch then differ in length."""
    classifier = load(folder("idefics3", split=True))
    several = pictures((64, 32), (20, 60), (64, 64))
    batch = prepared(classifier.processor, several, classifier.prompt)
    assert len(set(batch["attention_mask"].sum(1).tolist())) > 1
    assert batch["attention_mask"][:, 0].all()  # padded on the right
    with torch.no_grad():
        found = classifier.model(**batch).logits
    torch.testing.assert_close(found, by_hand(classifier, several), rtol=1e-4, atol=1e-4)


def qwen() -> tuple[Any, dict[str, Tensor]]:
    """A Qwen2-VL with its inputs; its processor wants torchvision, its image processor does not."""
    import transformers as t

    image, start, end = 40, 41, 42
    config = t.Qwen2VLConfig(
        text_config={
            "vocab_size": 48, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64,
            "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3],
                                "rope_theta": 1e4},
        },
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2,
                       "patch_size": 8, "mlp_ratio": 2},
        image_token_id=image, video_token_id=43, vision_start_token_id=start,
        vision_end_token_id=end,
    )  # fmt: skip
    torch.manual_seed(0)
    model = t.Qwen2VLForConditionalGeneration(config).eval()
    processor = t.Qwen2VLImageProcessor(
        size={"shortest_edge": 1024, "longest_edge": 4096}, patch_size=8
    )
    seen = processor(pictures((32, 32), (48, 32)), return_tensors="pt")
    rows = []
    for grid in seen["image_grid_thw"]:
        tokens = int(grid.prod()) // 4
        rows.append([start, *([image] * tokens), end, 7, 8, 9])
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    kinds = (ids == image).long()
    return model, {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds, **seen}


def test_qwen2_vl_with_its_positions_of_pictures() -> None:
    model, batch = qwen()
    answers = Answers(("a", "b", "c"), ((5, 6), (5, 7, 3), (9,)))
    expected = []
    patches = batch["image_grid_thw"].prod(1).tolist()
    for row, own in enumerate(batch["pixel_values"].split(patches)):
        length = int(batch["attention_mask"][row].sum())
        one = {k: batch[k][row : row + 1, :length] for k in ("input_ids", "mm_token_type_ids")}
        one |= {"pixel_values": own, "image_grid_thw": batch["image_grid_thw"][row : row + 1]}
        expected.append([written(model, dict(one), answer) for answer in answers.tokens])
    ask(model, answers)
    with torch.no_grad():
        found = model(**batch).logits
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_batch_of_pictures_is_seen_once(name: str, folder: Callable[..., Path]) -> None:
    classifier = load(folder(name))
    network = classifier.model.model
    tower = getattr(network, "vision_tower", getattr(network, "vision_model", None))
    seen: list[int] = []
    tower.register_forward_hook(lambda *_: seen.append(1))
    batch = prepared(classifier.processor, pictures((32, 32)), classifier.prompt)
    logits = classifier.model(**batch).logits
    assert len(seen) == 1
    # And its gradient is that of both passes.
    logits[:, 0].sum().backward()
    own = next(tower.parameters()).grad
    assert own is not None
    assert float(own.abs().max()) > 0
    assert "get_image_features" not in network.__dict__


def tokens() -> st.SearchStrategy[list[tuple[int, ...]]]:
    one = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)
    return st.lists(one, min_size=2, max_size=6, unique=True)


@settings(max_examples=200, deadline=None)
@given(tokens())
def test_passes_tell_every_token_of_every_answer_once(answers: list[tuple[int, ...]]) -> None:
    clash = any(a != b and b[: len(a)] == a for a in answers for b in answers)
    texts = tuple(map(str, answers))
    if clash:
        with pytest.raises(InputError, match="one answer begins another"):
            Answers(texts, tuple(answers))
        return
    made = Answers(texts, tuple(answers))
    told = sorted((t.label, t.place, t.token) for one in made.passes for t in one.terms)
    assert told == sorted((k, j, t) for k, a in enumerate(answers) for j, t in enumerate(a))
    for one in made.passes:
        for term in one.terms:
            assert one.context[: term.place] == answers[term.label][: term.place]
    # No pass is another's beginning: none could be left out.
    contexts = [one.context for one in made.passes]
    assert not any(a != b and b[: len(a)] == a for a in contexts for b in contexts)
    assert len(contexts) <= len(answers)


def test_answers_that_part_at_their_last_token_need_one_pass() -> None:
    assert [one.context for one in Answers(("a", "b"), ((1,), (2,))).passes] == [()]
    assert [one.context for one in Answers(("a", "b"), ((1, 2), (1, 3))).passes] == [(1,)]
    # "male" and "fe|male": the second's pass tells the first too.
    assert [one.context for one in Answers(("a", "b"), ((4,), (5, 4))).passes] == [(5,)]


@pytest.fixture(scope="module")
def asked(folder: Callable[..., Path]) -> ImageTextClassifier:
    return load(folder("llava"))


def test_an_adapter_is_on_the_language_part_alone(asked: ImageTextClassifier) -> None:
    model = asked.model
    assert language_part(model) == "model.language_model"
    targets = resolve_targets(model, None)
    assert targets
    assert all(name.startswith("model.language_model.") for name in targets)
    assert {name.rsplit(".", 1)[-1] for name in targets} == {"q_proj", "v_proj"}
    assert resolve_targets(model, ("q_proj",)) == ("q_proj",)  # said: the tower's too
    every, feedforward = ia3_targets(model, ())
    norms = norm_targets(model, ())
    assert all(name.startswith("model.language_model.") for name in (*every, *feedforward, *norms))


def test_lora_trains_the_language_part_and_full_everything(folder: Callable[..., Path]) -> None:
    lora = attach(load(folder("idefics3")).model, Adapter("lora", rank=2), (), task="image-text")
    trained = [name for name, weight in lora.named_parameters() if weight.requires_grad]
    assert trained
    assert all(".text_model." in name and ".lora_" in name for name in trained)
    full = attach(load(folder("idefics3")).model, Adapter("full"), (), task="image-text")
    assert all(weight.requires_grad for weight in full.parameters())
    for adapter, model in ((Adapter("lora", rank=2), lora), (Adapter("full"), full)):
        counted = count_of(str(folder("idefics3")), 2, kind="image-text", adapter=adapter)
        assert counted.parameters == count_parameters(model, ())
    base = attach(load(folder("idefics3")).model, Adapter("base"), (), task="image-text")
    assert not any(weight.requires_grad for weight in base.parameters())
    with pytest.raises(InputError, match="no new head to train"):
        attach(load(folder("idefics3")).model, Adapter("linear"), (), task="image-text")
    prompt = Adapter("prompt_tuning")
    with pytest.raises(InputError, match="virtual tokens stand before a text"):
        attach(load(folder("idefics3")).model, prompt, (), task="image-text")
