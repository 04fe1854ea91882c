"""A timing as a line of results, and the machine that it was taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any


def line(name: str, seconds: list[float]) -> dict[str, Any]:
    """Median and spread in milliseconds."""
    ms = [1000 * s for s in seconds]
    return {
        "name": name,
        "median_ms": round(statistics.median(ms), 3),
        "least_ms": round(min(ms), 3),
        "most_ms": round(max(ms), 3),
        "runs": len(ms),
    }


def _instructions() -> str:
    """What the processor can do as far as products go."""
    import torch

    found = str(torch.backends.cpu.get_cpu_capability())
    return f"{found}, bfloat16" if torch.cpu._is_avx512_bf16_supported() else found


def machine_of(packages: Sequence[str]) -> dict[str, Any]:
    """The machine, what torch uses of it, and the versions of these packages."""
    import torch

    accelerator = torch.accelerator.current_accelerator()
    return {
        "machine": platform.processor() or platform.machine(),
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": "none" if accelerator is None else torch.cuda.get_device_name(0),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
