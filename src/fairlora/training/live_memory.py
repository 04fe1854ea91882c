"""Count the bytes of the tensors that a piece of code makes and does not give back."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """While it is entered, `bytes` is what new tensors hold that are still there.

    What a forward pass leaves is what the backward pass will need: its activations, recomputed ones
    left out where gradients are checkpointed. Storage is counted once, however many tensors see it.

    >>> with LiveMemory() as live:
    ...     kept = torch.zeros(10).exp()
    >>> live.bytes
    40
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the operation, and count the storage of what it returns."""
        given = self._storages((args, kwargs))
        out = func(*args, **(kwargs or {}))
        for storage in self._storages(out):
            # What comes back in the place of an input was there before.
            if id(storage) not in self._known and not any(storage is one for one in given):
                self._count(storage)
        return out

    @staticmethod
    def _storages(tree: Any) -> list[Any]:
        return [x.untyped_storage() for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]

    def _count(self, storage: Any) -> None:
        key, size = id(storage), storage.nbytes()

        def gone(_: Any) -> None:
            del self._known[key]
            self.bytes -= size

        self._known[key] = weakref.ref(storage, gone)
        self.bytes += size
