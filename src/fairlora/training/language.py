"""Texts as a language model learns them: prompts with their answers, or one text after another.

Prompt and answer: the prompt's tokens are seen and not learnt, the loss is on the answer and the
end token behind it. Plain texts are either packed (one after another, an end token between them,
cut into blocks of one length) or one a row. Blocks go over the borders of texts, and attention
with them, as in pre-training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models.language_model import LanguageModel
from fairlora.training.losses import IGNORED
from fairlora.training.rows import ExampleRows

_MULTIPLE = 8  # lengths are rounded up to a multiple: fewer shapes
_BATCH = 1000


class Encoded(NamedTuple):
    """A prompt with its answer: all tokens, and where the answer begins."""

    ids: list[int]
    start: int


def encode_prompts(language: LanguageModel, prompts: Sequence[str]) -> list[list[int]]:
    """Each prompt's tokens as the model is asked: special tokens before it, and none behind.

    With `language.chat` a prompt is a user's message, and the assistant's turn has begun. Spaces at
    a prompt's end are left to the answer: tokenizers take them into its first token.
    """
    tokenizer = language.tokenizer
    if language.chat:
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            for prompt in prompts
        ]
        # The template has written the special tokens already.
        encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        return [list(ids) for ids in encoded]
    encoded = tokenizer([prompt.rstrip(" ") for prompt in prompts])["input_ids"] if prompts else []
    return [_without_end(tokenizer, list(ids)) for ids in encoded]


def encode_pairs(
    language: LanguageModel, prompts: Sequence[str], answers: Sequence[str]
) -> list[Encoded]:
    """Prompts and answers as they are trained on, an end token behind each.

    In a chat there stands what its template ends the assistant's turn with. A space parts the two,
    except behind a prompt that ends in white space, and in a chat. They are tokenized together, for
    many tokenizers take the space into the answer's first token: the answer begins where its tokens
    leave those of the prompt alone.

    Parameters
    ----------
    language : whose tokenizer and chat setting are used.
    prompts, answers : texts, one answer for each prompt.
    """
    tokenizer = language.tokenizer
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    if language.chat:
        end = end_of_turn(tokenizer) or end
    out = []
    for start in range(0, len(prompts), _BATCH):
        some = list(prompts[start : start + _BATCH])
        said = list(answers[start : start + _BATCH])
        asked = encode_prompts(language, some)
        if language.chat:
            wholes = [
                [*ids, *tokenizer(answer, add_special_tokens=False)["input_ids"]]
                for ids, answer in zip(asked, said, strict=True)
            ]
        else:
            texts = [joined(prompt, answer) for prompt, answer in zip(some, said, strict=True)]
            wholes = [_without_end(tokenizer, list(ids)) for ids in tokenizer(texts)["input_ids"]]
        for before, whole in zip(asked, wholes, strict=True):
            cut = common_start(before, whole)
            out.append(Encoded([*whole, *end], cut))
    return out


def end_of_turn(tokenizer: Any) -> list[int]:
    """The tokens that a chat template writes behind an assistant's message; none where it has none.

    White space behind them is left out: nothing is written once a turn has ended.
    """
    mark = "ANSWER"
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    behind = text.rpartition(mark)[2].rstrip()
    return list(tokenizer(behind, add_special_tokens=False)["input_ids"]) if behind else []


def joined(prompt: str, answer: str) -> str:
    """A prompt with its answer behind it.

    >>> joined("English:", "Yes."), joined("English:\\n", "Yes.")
    ('English: Yes.', 'English:\\nYes.')
    """
    if not prompt or prompt[-1].isspace() or answer[:1].isspace():
        return prompt + answer
    return f"{prompt} {answer}"


def common_start(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share from their start.

    >>> common_start([1, 2, 3], [1, 2, 4, 5])
    2
    """
    shared = 0
    for own, other in zip(first, second, strict=False):
        if own != other:
            break
        shared += 1
    return shared


def _without_end(tokenizer: Any, ids: list[int]) -> list[int]:
    """Some tokenizers put an end token behind every text."""
    while ids and tokenizer.eos_token_id is not None and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return ids


class PromptDataset(ExampleRows):
    """Examples with answers, tokenized at the start.

    An item has ``input_ids`` and ``labels`` (lists of ints; `IGNORED` where no loss is taken), its
    ``row`` and its groups. What is longer than `language.max_length` loses the end of its answer;
    `longer` names those rows and `cut` counts them. Raises `InputError` for a prompt that leaves no
    room for an answer.
    """

    def __init__(self, examples: Examples, language: LanguageModel) -> None:
        super().__init__(examples)
        assert examples.answers is not None
        self.longer: list[int] = []
        self._items: list[Encoded] = []
        longest = language.max_length
        for row, encoded in enumerate(encode_pairs(language, examples.inputs, examples.answers)):
            if encoded.start >= longest:
                raise InputError(
                    "the prompt leaves no room for its answer",
                    where=f"{examples.name}, example {examples.ids[row]}",
                    found=f"{encoded.start} tokens",
                    expected=f"fewer than model.max_length ({longest})",
                )
            if len(encoded.ids) > longest:
                self.longer.append(row)
            self._items.append(Encoded(encoded.ids[:longest], encoded.start))

    @property
    def cut(self) -> int:
        """How many examples were longer."""
        return len(self.longer)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example."""
        return [len(one.ids) for one in self._items]

    def __getitem__(self, row: int) -> dict[str, Any]:
        ids, start = self._items[row]
        labels = [IGNORED] * start + ids[start:]
        return {**self.said(row), "input_ids": ids, "labels": labels}


class TextRows(ExampleRows):
    """Plain texts, one a row, cut to `language.max_length`; `longer` names rows that were longer,
    and `cut` counts them."""

    def __init__(self, examples: Examples, language: LanguageModel) -> None:
        super().__init__(examples)
        self.longer: list[int] = []
        self._ids = []
        for row, ids in enumerate(_texts(language, examples.inputs)):
            if len(ids) > language.max_length:
                self.longer.append(row)
            self._ids.append(np.array(ids[: language.max_length], dtype=np.int32))

    @property
    def cut(self) -> int:
        """How many texts were longer."""
        return len(self.longer)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self._ids]

    def __getitem__(self, row: int) -> dict[str, Any]:
        ids = self._ids[row].tolist()
        return {**self.said(row), "input_ids": ids, "labels": list(ids)}


class PackedDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Plain texts one after another, in blocks of `language.max_length` tokens.

    Every token is in one block. The first of a block is not predicted, so a block shares its first
    token with the one before. Blocks have no groups: they hold parts of several texts.
    """

    def __init__(self, examples: Examples, language: LanguageModel) -> None:
        self.cut = 0
        self.length = language.max_length
        parts = [np.array(ids, dtype=np.int32) for ids in _texts(language, examples.inputs)]
        self._stream: NDArray[np.int32] = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        if len(self._stream) < 2:
            raise InputError("the texts have no token to predict", where=examples.name)

    def __len__(self) -> int:
        return -(-(len(self._stream) - 1) // (self.length - 1))

    def __getitem__(self, row: int) -> dict[str, Any]:
        if not 0 <= row < len(self):
            raise IndexError(row)
        start = row * (self.length - 1)
        ids = self._stream[start : start + self.length].tolist()
        return {"input_ids": ids, "labels": list(ids), "row": row}


def _texts(language: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """Each text's tokens with the end token behind it, once."""
    tokenizer = language.tokenizer
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    out: list[list[int]] = []
    for start in range(0, len(texts), _BATCH):
        found = tokenizer(list(texts[start : start + _BATCH]))["input_ids"]
        out += [[*_without_end(tokenizer, list(ids)), *end] for ids in found]
    return out


def language_rows(examples: Examples, language: LanguageModel, *, pack: bool) -> Any:
    """Examples as a language model learns them: prompts and answers, packed texts, or texts.

    Parameters
    ----------
    examples : prompts with answers, or plain texts.
    language : the model that learns them.
    pack : put plain texts into blocks; False keeps one a row. Of prompts it says nothing.
    """
    if examples.answers is not None:
        return PromptDataset(examples, language)
    return PackedDataset(examples, language) if pack else TextRows(examples, language)


class LanguageCollator:
    """Pads items on the right: ``input_ids``, ``attention_mask`` and ``labels`` (N, T), ``row``."""

    def __init__(self, tokenizer: Any) -> None:
        self.pad = int(tokenizer.pad_token_id)

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        longest = max(len(item["input_ids"]) for item in items)
        shape = (len(items), -(-longest // _MULTIPLE) * _MULTIPLE)
        ids = torch.full(shape, self.pad)
        labels = torch.full(shape, IGNORED)
        mask = torch.zeros(shape, dtype=torch.long)
        for k, item in enumerate(items):
            n = len(item["input_ids"])
            ids[k, :n] = torch.tensor(item["input_ids"])
            labels[k, :n] = torch.tensor(item["labels"])
            mask[k, :n] = 1
        rows = torch.tensor([item["row"] for item in items])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "row": rows}
