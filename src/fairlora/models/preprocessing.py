"""How pictures become a model's input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preprocessing:
    """A square of `size` pixels, (x - mean) / std."""

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
