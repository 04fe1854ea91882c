"""Pictures and texts as what a frozen part of the model answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fairlora.training.activations import Activations, Asked
from fairlora.training.frozen import FROZEN, TOKENS
from fairlora.training.images import ImageDataset
from fairlora.training.rows import ExampleRows
from fairlora.training.text import TextDataset


class FrozenRows(ExampleRows):
    """A data set of pictures whose items have the frozen part's answer in the picture's place.

    Parameters
    ----------
    pictures : the same rows as pictures; they decide which are mirrored.
    kept : has the answer to each.
    """

    def __init__(self, pictures: ImageDataset, kept: Activations) -> None:
        super().__init__(pictures.examples)
        self.pictures, self.kept = pictures, kept
        self._ids = [str(one) for one in pictures.examples.ids.tolist()]

    def set_epoch(self, epoch: int) -> None:
        """Choose which coins decide the flips."""
        self.pictures.set_epoch(epoch)

    def mirrored(self) -> FrozenRows:
        """The same rows, each mirrored."""
        return FrozenRows(self.pictures.mirrored(), self.kept)

    def asked(self, row: int) -> Asked:
        """What is asked for a row in this epoch."""
        return Asked(self._ids[row], self.pictures.mirrors(row))

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {FROZEN: self.kept[self.asked(row)], **self.said(row)}

    def all_asked(self, epochs: int) -> Iterator[Asked]:
        """All that is asked for in so many epochs; the epoch is then the first.

        Parameters
        ----------
        epochs : how many there are.
        """
        for epoch in reversed(range(epochs if self.pictures.flip_seed is not None else 1)):
            self.set_epoch(epoch)
            yield from map(self.asked, range(len(self)))


class FrozenTexts(ExampleRows):
    """A data set of texts whose items have the frozen part's answer beside their tokens.

    Parameters
    ----------
    texts : the same rows as texts.
    kept : has the answer to each, by its tokens.
    """

    def __init__(self, texts: TextDataset, kept: Activations) -> None:
        super().__init__(texts.examples)
        self.texts, self.kept = texts, kept

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return self.texts.lengths

    def asked(self, row: int) -> Asked:
        """What is asked for a row."""
        return Asked(self.texts.digest(row), False)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {FROZEN: self.kept[self.asked(row)], **self.texts[row]}

    def all_asked(self, epochs: int) -> Iterator[Asked]:
        """All that is asked for: in every epoch the same.

        Parameters
        ----------
        epochs : how many there are.
        """
        return map(self.asked, range(len(self)))


class FrozenCollator:
    """Stacks the frozen part's answers into a batch; leaves the rest to the collator within."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        if FROZEN not in items[0]:
            whole: dict[str, Tensor] = self.inner(items)
            return whole
        if TOKENS in items[0]:
            plain = [{k: v for k, v in item.items() if k != FROZEN} for item in items]
            answers = [item[FROZEN] for item in items]
            batch = self.inner(plain)
            if answers[0].ndim == 1:  # one for the whole text
                return {**batch, FROZEN: torch.stack(answers)}
            length = batch[TOKENS].shape[1]
            padded = answers[0].new_zeros(len(items), length, *answers[0].shape[1:])
            for k, one in enumerate(answers):
                padded[k, : len(one)] = one
            return {**batch, FROZEN: padded}
        return {
            FROZEN: torch.stack([item[FROZEN] for item in items]),
            "labels": torch.tensor([item["labels"] for item in items]),
            "row": torch.tensor([item["row"] for item in items]),
        }
