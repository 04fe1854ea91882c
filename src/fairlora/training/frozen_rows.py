"""Pictures as what a frozen part of the model answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fairlora.training.activations import Activations, Asked
from fairlora.training.frozen import FROZEN
from fairlora.training.images import ImageDataset
from fairlora.training.rows import ExampleRows


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


class FrozenCollator:
    """Stacks the frozen part's answers into a batch; leaves pictures to the collator within."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        if FROZEN not in items[0]:
            batch: dict[str, Tensor] = self.inner(items)
            return batch
        return {
            FROZEN: torch.stack([item[FROZEN] for item in items]),
            "labels": torch.tensor([item["labels"] for item in items]),
            "row": torch.tensor([item["row"] for item in items]),
        }
