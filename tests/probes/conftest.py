"""What the tests of language probes share: tiny models, texts, and models that follow a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairlora.data import Examples
from fairlora.models import LanguageModel, load_language
from fairlora.models.tiny_language import write_tiny_language_model

Script = Callable[[str], dict[str, float]]


@pytest.fixture(scope="session")
def tiny_language(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A tiny Llama with a chat template, its weights random."""
    folder = tmp_path_factory.mktemp("probed-llama")
    write_tiny_language_model("meta-llama/Llama-2-7b-chat-hf", folder)
    return load_language(str(folder))


@pytest.fixture(scope="session")
def tiny_mistral(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = tmp_path_factory.mktemp("probed-mistral")
    write_tiny_language_model("mistralai/Mistral-7B-v0.1", folder)
    return load_language(str(folder))


def make_texts(texts: list[str], **more: Any) -> Examples:
    """Plain texts, all of the training split."""
    values: dict[str, Any] = {
        "name": "made up",
        "ids": np.array([f"t{k}" for k in range(len(texts))]),
        "texts": texts,
        "labels": np.zeros(len(texts), dtype=np.int64),
        "classes": ("text",),
        "groups": {},
        "fingerprint": "",
        "split": np.full(len(texts), "train"),
        "language": True,
    }
    return Examples(**{**values, **more})


@pytest.fixture(scope="session")
def texts() -> Callable[..., Examples]:
    return make_texts


class _Config(NamedTuple):
    """The part of a model's config that is asked for."""

    hidden_size: int = 8


class _Past:
    """The tokens seen so far, in the place of keys and values."""

    def __init__(self, ids: Tensor, mask: Tensor) -> None:
        self.ids, self.mask = ids, mask

    def batch_select_indices(self, rows: Tensor) -> None:
        self.ids, self.mask = self.ids[rows], self.mask[rows]


class _Output(NamedTuple):
    logits: Tensor
    past_key_values: _Past


class Scripted(nn.Module):
    """A language model that follows a script: text so far -> logits of next words (others -20)."""

    def __init__(self, tokenizer: Any, script: Script) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1))
        self.tokenizer, self.script, self.config = tokenizer, script, _Config()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: _Past | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> _Output:
        before = 0 if past_key_values is None else past_key_values.ids.shape[1]
        if past_key_values is not None:
            input_ids = torch.cat([past_key_values.ids, input_ids], 1)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        logits = torch.full((*input_ids.shape, len(self.tokenizer)), -20.0)
        start = input_ids.shape[1] - logits_to_keep if logits_to_keep else before
        for row in range(len(input_ids)):
            for end in range(start, input_ids.shape[1]):
                seen = input_ids[row, : end + 1][mask[row, : end + 1].bool()]
                text = self.tokenizer.decode(seen)
                for word, logit in self.script(text).items():
                    logits[row, end, self.tokenizer.convert_tokens_to_ids(word)] = logit
        kept = logits[:, -logits_to_keep:] if logits_to_keep else logits[:, before:]
        return _Output(kept, _Past(input_ids, mask))


def word_tokenizer(words: list[str]) -> Any:
    """A tokenizer of whole words, as they stand between spaces."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", "</s>", *dict.fromkeys(words)]
    numbers = {word: k for k, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="</s>"
    )


@pytest.fixture(scope="session")
def scripted() -> Callable[[Script], LanguageModel]:
    """Makes a language model that follows a script, and knows the words of fairlora's templates."""
    from fairlora.probes.templates import HERE

    words: list[str] = []
    for file in ("cloze.yaml", "choice.yaml"):
        text = (HERE / file).read_text(encoding="utf-8").replace("\\n", " ")
        words += re.findall(r"[^\s\"'\[\]{},]+", text) + re.findall(r"\S+", text)
    symbols = ["A", "B", "C", "1", "2", "3", "◆", "●", "▲", "yes", "no"]
    words += symbols + [f"{s})" for s in symbols]
    words += ["woman?", "man?", "yes.", "no.", "woman", "man", "female", "male", "nonbinary",
              "person", "unknown", "told", "Answer:", "guess:", "Gender:", "say:"]  # fmt: skip
    words += [f"word{k}" for k in range(40)]

    def make(script: Script) -> LanguageModel:
        tokenizer = word_tokenizer(words)
        return LanguageModel(Scripted(tokenizer, script), tokenizer, "scripted", 512, 512)

    return make
