"""Texts as batches: tokenized once, padded to the longest of the batch, alike lengths together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from fairlora.data import Examples
from fairlora.models.source import quiet_libraries
from fairlora.training.rows import ExampleRows

# Lengths are rounded up to a multiple of this: fewer shapes, and better ones for a GPU.
_MULTIPLE = 8
# Batches that are sorted by length together; more sorts better and shuffles less.
_BATCHES = 50


class TextDataset(ExampleRows):
    """`Examples` of texts, tokenized at the start and cut to `max_length` tokens.

    An item has ``input_ids`` (a list of ints), ``token_type_ids`` where the tokenizer tells parts
    of a text apart, and what every `ExampleRows` has. `cut` counts the texts that were longer.
    """

    def __init__(self, examples: Examples, tokenizer: Any, max_length: int) -> None:
        super().__init__(examples)
        self.cut = 0
        self.max_length = max_length
        self._tokens: list[NDArray[np.int32]] = []
        self._types: list[NDArray[np.int32]] | None = None
        texts = list(examples.inputs)
        types: list[NDArray[np.int32]] = []
        with quiet_libraries():  # a warning of texts that are too long: they are cut here
            for start in range(0, len(texts), 1000):
                several = texts[start : start + 1000]
                encoded = tokenizer(
                    several, truncation=True, max_length=max_length, return_attention_mask=False
                )
                rows = [np.array(ids, dtype=np.int32) for ids in encoded["input_ids"]]
                types += [
                    np.array(ids, dtype=np.int32) for ids in encoded.get("token_type_ids", ())
                ]
                self._tokens += rows
                full = [
                    text for text, ids in zip(several, rows, strict=True) if len(ids) >= max_length
                ]
                if full:
                    whole = tokenizer(full, return_attention_mask=False)["input_ids"]
                    self.cut += sum(len(ids) > max_length for ids in whole)
        if any(row.any() for row in types):
            self._types = types

    @property
    def largest(self) -> int:
        """The largest number of a token."""
        return max((int(ids.max()) for ids in self._tokens if len(ids)), default=0)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self._tokens]

    def digest(self, row: int) -> str:
        """A hash of all that a model reads of a text.

        Parameters
        ----------
        row : its number.
        """
        digest = hashlib.blake2b(self._tokens[row].tobytes(), digest_size=16)
        if self._types is not None:
            digest.update(self._types[row].tobytes())
        return digest.hexdigest()

    def __getitem__(self, row: int) -> dict[str, Any]:
        item = {"input_ids": self._tokens[row].tolist(), **self.said(row)}
        if self._types is not None:
            item["token_type_ids"] = self._types[row].tolist()
        return item


class TextCollator:
    """Pads items into a batch: ``input_ids`` and ``attention_mask`` (N, T), ``labels``, ``row``."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        names = [name for name in ("input_ids", "token_type_ids") if name in items[0]]
        padded = self.tokenizer.pad(
            {name: [item[name] for item in items] for name in names},
            pad_to_multiple_of=_MULTIPLE,
            return_tensors="pt",
        )
        return {
            **padded,
            "labels": torch.tensor([item["labels"] for item in items]),
            "row": torch.tensor([item["row"] for item in items]),
        }


class LengthBuckets(Sampler[int]):
    """An order of the rows in which those of alike length come together.

    The rows are shuffled, cut into blocks of 50 batches, sorted by length within a block, and the
    batches of a block shuffled. The order depends on the seed and the epoch alone.

    Parameters
    ----------
    lengths : of all rows.
    batch : rows of one optimizer step over all processes.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        block = self.batch * _BATCHES
        for start in range(0, len(order), block):
            rows = order[start : start + block]
            rows = rows[np.argsort(-self.lengths[rows], kind="stable")]
            whole = len(rows) // self.batch
            # The short batch that may end the epoch stays last: it is not as large as the others.
            for k in rng.permutation(whole):
                yield from rows[k * self.batch : (k + 1) * self.batch].tolist()
            yield from rows[whole * self.batch :].tolist()
