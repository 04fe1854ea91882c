"""`Examples` as a torch data set: what pictures and texts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from fairlora.data import Examples


class ExampleRows(Dataset[dict[str, Any]]):
    """Items have ``labels`` int, ``row`` (its number in `examples`), and every group column by its
    name: a string, or a list of strings where groups overlap."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def column(self, name: str) -> list[Any]:
        """A group column or the ``labels``, without opening a picture. Raises `KeyError`."""
        if name == "labels":
            return list(self.examples.labels.tolist())
        return self.examples.groups[name].tolist()

    def said(self, row: int) -> dict[str, Any]:
        """What an item says besides the picture or text."""
        return {
            "labels": int(self.examples.labels[row]),
            "row": row,
            **{name: values[row] for name, values in self.examples.groups.items()},
        }


class SomeRows(ExampleRows):
    """Some rows of a data set, numbered anew.

    Parameters
    ----------
    inner : the data set.
    chosen : numbers of its rows, in order.
    """

    def __init__(self, inner: Any, chosen: Sequence[int]) -> None:
        super().__init__(inner.examples.take(np.asarray(chosen, dtype=np.int64)))
        self.inner, self.chosen = inner, list(chosen)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {**self.inner[self.chosen[row]], "row": row}

    def mirrored(self) -> SomeRows:
        """The same rows, each mirrored."""
        return SomeRows(self.inner.mirrored(), self.chosen)
