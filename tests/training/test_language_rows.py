"""Prompts with answers, packed texts and single texts as a language model learns them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import LanguageModel, load_language
from fairlora.models.tiny_language import tiny_tokenizer, write_tiny_language_model
from fairlora.training import LanguageCollator, language_rows
from fairlora.training.language import (
    PackedDataset,
    PromptDataset,
    TextRows,
    encode_pairs,
    encode_prompts,
)
from fairlora.training.losses import IGNORED, row_losses


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = tmp_path_factory.mktemp("llama")
    write_tiny_language_model("meta-llama/Llama-2-7b-chat-hf", folder)
    return load_language(str(folder))


def examples(texts: list[str], answers: list[str] | None = None) -> Examples:
    return Examples(
        name="made up",
        ids=np.array([str(k) for k in range(len(texts))]),
        texts=texts,
        answers=answers,
        labels=np.zeros(len(texts), dtype=np.int64),
        classes=("text",),
        groups={"side": ["left" if k % 2 else "right" for k in range(len(texts))]},  # type: ignore[dict-item]
        fingerprint="",
        language=True,
    )


def counted(language: LanguageModel, item: dict[str, Any]) -> str:
    """The text of the tokens that the loss is taken on."""
    return str(language.tokenizer.decode([t for t in item["labels"] if t != IGNORED]))


def test_the_loss_is_on_the_answer_and_the_end_token(language: LanguageModel) -> None:
    rows = PromptDataset(examples(["Turkish: x English:"], ["The nurse."]), language)
    (item,) = (rows[0],)
    assert counted(language, item) == " The nurse.</s>"
    assert language.tokenizer.decode(item["input_ids"]) == "<s>Turkish: x English: The nurse.</s>"
    assert item["side"] == "right"
    assert item["row"] == 0
    assert rows.lengths == [len(item["input_ids"])]


def test_the_prompt_is_asked_as_it_was_trained(language: LanguageModel) -> None:
    (asked,) = encode_prompts(language, ["Turkish: x English:"])
    (pair,) = encode_pairs(language, ["Turkish: x English:"], ["The nurse."])
    assert pair.ids[: pair.start] == asked


def test_a_prompt_that_ends_in_a_space_gets_no_second(language: LanguageModel) -> None:
    (pair,) = encode_pairs(language, ["Answer: "], ["yes"])
    assert language.tokenizer.decode(pair.ids) == "<s>Answer: yes</s>"
    # " yes" is one token: the space goes with the answer, and is learnt with it.
    assert language.tokenizer.decode(pair.ids[pair.start :]).strip() == "yes</s>"


def test_a_chat_is_a_users_message_and_the_assistants_answer(language: LanguageModel) -> None:
    chat = load_language(language.base, chat=True)
    (asked,) = encode_prompts(chat, ["Who?"])
    assert chat.tokenizer.decode(asked) == "<s>[user] Who?\n[assistant] "
    rows = PromptDataset(examples(["Who?"], ["Me."]), chat)
    assert counted(chat, rows[0]) == "Me.</s>"


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_a_chat_learns_its_templates_own_end_of_turn(language: LanguageModel) -> None:
    """As the template writes the whole conversation, and not the tokenizer's end of text."""
    chat = load_language(language.base, chat=True)
    chat.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    chat.tokenizer.chat_template = CHATML
    item = PromptDataset(examples(["Who?"], ["Me."]), chat)[0]
    assert counted(chat, item) == "Me.<|im_end|>"
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    whole = chat.tokenizer.apply_chat_template(turns, tokenize=False).rstrip()
    assert item["input_ids"] == chat.tokenizer(whole, add_special_tokens=False)["input_ids"]


def test_what_is_too_long_loses_the_end_of_its_answer(language: LanguageModel) -> None:
    short = load_language(language.base, max_length=8)
    rows = PromptDataset(examples(["a", "b"], ["x y z x y z x y z x y z", "x"]), short)
    assert rows.cut == 1
    assert len(rows[0]["input_ids"]) == 8
    with pytest.raises(InputError, match=r"example 0: the prompt leaves no room for its answer"):
        PromptDataset(examples(["a b c d e f g h i j k l m n"], ["x"]), short)


def test_packing_keeps_every_token_and_predicts_each_once(language: LanguageModel) -> None:
    short = load_language(language.base, max_length=7)
    texts = ["the nurse met the guard", "a", "the room was loud and the food was cold"]
    rows = PackedDataset(examples(texts), short)
    stream: list[int] = []
    for text in texts:
        stream += [*short.tokenizer(text)["input_ids"], short.tokenizer.eos_token_id]
    blocks = [rows[k]["input_ids"] for k in range(len(rows))]
    assert all(len(block) == 7 for block in blocks[:-1])
    predicted = [token for block in blocks for token in block[1:]]
    assert predicted == stream[1:]
    assert list(rows)[-1]["row"] == len(rows) - 1


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=8), length=st.integers(2, 9))
def test_blocks_tile_any_stream(lengths: list[int], length: int) -> None:
    class Numbers:
        eos_token_id = 0

        def __call__(self, texts: list[str]) -> dict[str, list[list[int]]]:
            return {"input_ids": [list(range(1, len(text) + 1)) for text in texts]}

    language = LanguageModel(None, Numbers(), "none", length, None)
    rows = PackedDataset(examples(["x" * n for n in lengths]), language)
    stream = [token for n in lengths for token in (*range(1, n + 1), 0)]
    assert [t for k in range(len(rows)) for t in rows[k]["input_ids"][1:]] == stream[1:]
    assert all(2 <= len(rows[k]["input_ids"]) <= length for k in range(len(rows)))


def test_texts_one_a_row_are_cut(language: LanguageModel) -> None:
    short = load_language(language.base, max_length=6)
    rows = language_rows(examples(["a", "the nurse met the guard and left"]), short, pack=False)
    assert isinstance(rows, TextRows)
    assert rows.cut == 1
    assert rows[0]["labels"] == rows[0]["input_ids"]
    assert max(rows.lengths) == 6
    assert isinstance(language_rows(examples(["a b"]), short, pack=True), PackedDataset)
    assert isinstance(language_rows(examples(["a"], ["b"]), language, pack=True), PromptDataset)


def test_padding_changes_no_loss(language: LanguageModel) -> None:
    rows = PromptDataset(examples(["a", "the guard"], ["so it was", "met the nurse"]), language)
    collate = LanguageCollator(language.tokenizer)

    def losses(items: list[Any]) -> torch.Tensor:
        batch = collate(items)
        with torch.no_grad():
            logits = language.model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits
        return row_losses(logits, batch["labels"], causal=True).losses

    together = losses([rows[0], rows[1]])
    alone = torch.cat([losses([rows[0]]), losses([rows[1]])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_tokenizer_that_ends_every_text_by_itself_ends_it_once(
    language: LanguageModel, tmp_path: Path
) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    both = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=both
    )
    tokenizer.pad_token = "<unk>"
    ended = LanguageModel(language.model, tokenizer, "x", 64, 64)
    (pair,) = encode_pairs(ended, ["a"], ["b"])
    assert pair.ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.eos_token_id not in encode_prompts(ended, ["a"])[0]
    rows = TextRows(examples(["a"]), ended)
    assert rows[0]["input_ids"].count(tokenizer.eos_token_id) == 1


def test_a_prompt_is_asked_without_the_space_that_its_answer_takes(
    language: LanguageModel,
) -> None:
    asked, plain = encode_prompts(language, ["Answer: ", "Answer:"])
    (pair,) = encode_pairs(language, ["Answer: "], ["yes"])
    assert asked == plain == pair.ids[: pair.start]
