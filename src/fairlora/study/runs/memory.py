"""Memory that a cell takes, and how much this machine has, so that cells side by side fit in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from fairlora.errors import FairloraError
from fairlora.study.spec.run import RunSpec

GIB = 1 << 30
# Interpreter, torch, transformers, a data set's columns and pictures, and a batch on its way.
BASE = int(1.5 * GIB)
# Of the stored weights: themselves, gradients, two moments, and a copy while they are saved; with
# frozen weights themselves and what is kept for the way back.
_FULL, _FROZEN = 5.0, 2.0
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
_CGROUP = Path("/sys/fs/cgroup")


def cell_bytes(specs: Iterable[RunSpec]) -> int:
    """About what the largest of these runs takes in a process of its own, in bytes.

    From the size of the model's files; one that is not on this machine yet counts as nothing.
    """
    most = 0.0
    sizes: dict[str, int] = {}
    for spec in specs:
        model = spec.model.id
        if model not in sizes:
            sizes[model] = _stored(model)
        most = max(most, sizes[model] * (_FULL if spec.adapter.kind == "full" else _FROZEN))
    return BASE + int(most)


def _stored(model_id: str) -> int:
    from fairlora.models.source import base_of, resolve_source, weights_source

    size = 0
    with contextlib.suppress(FairloraError, OSError, ValueError):
        source = weights_source(resolve_source(model_id))
        for _ in range(4):  # adapters upon adapters
            if source.folder is None:
                break
            files = [file for pattern in _WEIGHTS for file in source.folder.glob(pattern)]
            size += sum(file.stat().st_size for file in files)
            base = base_of(source.folder)
            if base is None:
                break
            source = weights_source(resolve_source(base))
    return size


def free_bytes() -> int | None:
    """Memory that new processes can have without swapping; None where the system does not say."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        # A container's own limit; "max" where there is none.
        limit = int((_CGROUP / "memory.max").read_text())
        found.append(limit - int((_CGROUP / "memory.current").read_text()))
    if not found and hasattr(os, "sysconf"):
        with contextlib.suppress(OSError, ValueError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    return min(found) if found else None


def processes_that_fit(cores: int, cell: int) -> int:
    """How many cells of so many bytes run side by side: one a core, and at least one.

    >>> processes_that_fit(4, 0)
    4
    """
    free = free_bytes()
    if free is None or cell <= 0:
        return max(1, cores)
    return max(1, min(cores, free // cell))
