"""`Examples` as a torch data set: what pictures and texts have in common."""

from __future__ import annotations

from typing import Any

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
