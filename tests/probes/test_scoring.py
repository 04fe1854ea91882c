"""Likelihoods and generation: the fast ways against the slow ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairlora.errors import InputError
from fairlora.models import Adapter, LanguageModel, attach, load_language
from fairlora.probes.scoring import first_line, generate, score_options, score_whole


def questions(count: int, vocabulary: int) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Contexts of 2 to 30 tokens with 2 to 4 options of 1 to 5."""
    rng = np.random.default_rng(0)
    contexts, options = [], []
    for _ in range(count):
        contexts.append(rng.integers(5, vocabulary, rng.integers(2, 31)).tolist())
        several = rng.integers(1, 6, rng.integers(2, 5))
        options.append([rng.integers(5, vocabulary, n).tolist() for n in several])
    return contexts, options


@pytest.mark.parametrize("name", ["tiny_language", "tiny_mistral"])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_shared_context_gives_what_whole_sequences_give(
    name: str, batch: int, request: pytest.FixtureRequest
) -> None:
    language: LanguageModel = request.getfixturevalue(name)
    contexts, options = questions(12, 400)
    found = score_options(language, contexts, options, batch_size=batch)
    expected = score_whole(language, contexts, options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_an_adapter_answers_with_its_weights(tiny_language: LanguageModel) -> None:
    language = load_language(tiny_language.base)
    model = attach(language.model, Adapter("lora", rank=2), (), task="language")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2
    language.model = model
    contexts, options = questions(4, 400)
    found = score_options(language, contexts, options)
    plain = score_options(tiny_language, contexts, options)
    expected = score_whole(language, contexts, options)
    for one, other, without in zip(found, expected, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
        assert not np.allclose(one, without, atol=0.01)


def test_the_likelihoods_of_all_next_tokens_add_up_to_one(tiny_language: LanguageModel) -> None:
    every = [[k] for k in range(len(tiny_language.tokenizer))]
    (found,) = score_options(tiny_language, [[5, 6, 7]], [every])
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)


def test_progress_is_told_and_the_order_kept(tiny_language: LanguageModel) -> None:
    contexts, options = questions(7, 400)
    told: list[tuple[int, int]] = []
    found = score_options(
        tiny_language, contexts, options, batch_size=3, watch=lambda a, b: told.append((a, b))
    )
    assert told == [(3, 7), (6, 7), (7, 7)]
    backwards = score_options(tiny_language, contexts[::-1], options[::-1], batch_size=3)
    for one, other in zip(found, backwards[::-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["tiny_language", "tiny_mistral"])
def test_a_batch_writes_what_each_prompt_alone_gets(
    name: str, request: pytest.FixtureRequest
) -> None:
    language: LanguageModel = request.getfixturevalue(name)
    rng = np.random.default_rng(1)
    prompts = [rng.integers(5, 400, rng.integers(2, 25)).tolist() for _ in range(9)]
    together = generate(language, prompts, max_new_tokens=12, batch_size=4)
    alone = [generate(language, [prompt], max_new_tokens=12)[0] for prompt in prompts]
    assert together == alone
    assert any(together)


def test_writing_ends_with_the_first_line_that_is_not_blank(tiny_language: LanguageModel) -> None:
    """Against the model's own generation without a stop, cut afterwards."""
    tokenizer = tiny_language.tokenizer
    rng = np.random.default_rng(2)
    prompts = [rng.integers(5, 400, 6).tolist() for _ in range(40)]
    found = generate(tiny_language, prompts, max_new_tokens=20, batch_size=8)
    for prompt, text in zip(prompts, found, strict=True):
        with torch.no_grad():
            ids = tiny_language.model.generate(
                torch.tensor([prompt]), do_sample=False, max_new_tokens=20,
                pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        whole = tokenizer.decode(ids[0, len(prompt) :], skip_special_tokens=True)
        assert first_line(whole) == text


def test_what_does_not_fit_is_one_line(tiny_language: LanguageModel) -> None:
    assert tiny_language.context == 1024
    long = [5] * 1020
    with pytest.raises(InputError, match=r"prompt 2: longer than the model's context .*1025 tok"):
        score_options(tiny_language, [[5], long], [[[6]], [[6] * 5]])
    with pytest.raises(InputError, match=r"prompt 1: the prompt leaves no room"):
        generate(tiny_language, [long], max_new_tokens=5)
    with pytest.raises(InputError, match=r"prompt 1: nothing to continue"):
        score_options(tiny_language, [[]], [[[6]]])
    with pytest.raises(InputError, match=r"prompt 1: nothing to continue, or to continue with"):
        score_options(tiny_language, [[5]], [[[]]])


def test_nothing_is_trained_by_asking(tiny_language: LanguageModel) -> None:
    contexts, options = questions(2, 400)
    score_options(tiny_language, contexts, options)
    assert all(p.grad is None for p in tiny_language.model.parameters())


@pytest.mark.parametrize("adapted", [False, True])
def test_a_checkpoints_own_settings_change_no_answer(
    tiny_language: LanguageModel, adapted: bool
) -> None:
    """Published models come with penalties and sampling; asked is the greedy answer."""
    language = load_language(tiny_language.base)
    if adapted:
        language.model = attach(language.model, Adapter("lora", rank=2), (), task="language")
    prompts = [[5, 6, 7, 5, 6, 7], [300, 301, 302, 303]]
    plain = generate(language, prompts, max_new_tokens=12)
    own = language.model.generation_config
    own.repetition_penalty, own.no_repeat_ngram_size = 5.0, 1
    own.do_sample, own.min_new_tokens = True, 3
    assert generate(language, prompts, max_new_tokens=12) == plain
    assert language.model.generation_config is own
    penalised = language.model.generate(
        torch.tensor(prompts[:1]), max_new_tokens=12, do_sample=False,
        pad_token_id=language.tokenizer.pad_token_id,
    )[0, 6:]  # fmt: skip
    # The settings do matter where they are not left out.
    assert language.tokenizer.decode(penalised).strip().split("\n")[0].strip() != plain[0]


def test_a_text_ends_with_the_tokenizers_end_token_or_the_checkpoints(
    tiny_language: LanguageModel,
) -> None:
    language = load_language(tiny_language.base)
    prompts = [[5, 6, 7]]
    ids = language.model.generate(
        torch.tensor(prompts), max_new_tokens=6, do_sample=False,
        pad_token_id=language.tokenizer.pad_token_id,
    )[0, 3:].tolist()  # fmt: skip
    language.model.generation_config.eos_token_id = [ids[2]]
    expected = first_line(language.tokenizer.decode(ids[: ids.index(ids[2])]))
    found = generate(language, prompts, max_new_tokens=6)[0]
    assert found.startswith(expected)
    assert len(found) < len(language.tokenizer.decode(ids).strip())
    language.tokenizer.eos_token = language.tokenizer.convert_ids_to_tokens(ids[1])
    assert len(generate(language, prompts, max_new_tokens=6)[0]) <= len(found)


def test_what_is_generated_must_be_what_the_logits_say(
    tiny_language: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where PEFT's virtual tokens do not reach `generate`."""
    right = tiny_language.model.generate

    def least_likely(input_ids: torch.Tensor, **settings: object) -> torch.Tensor:
        logits = tiny_language.model(input_ids=input_ids).logits[:, -1]
        return torch.cat([input_ids, logits.argmin(1, keepdim=True)], 1)

    monkeypatch.setattr(tiny_language.model, "generate", least_likely, raising=False)
    with pytest.raises(InputError, match=r"prompt 1: .*transformers [\d.]+ and peft [\d.]+"):
        generate(tiny_language, [[5, 6, 7]], max_new_tokens=3)
    monkeypatch.setattr(tiny_language.model, "generate", right)
    assert len(generate(tiny_language, [[5, 6, 7]], max_new_tokens=3)) == 1
