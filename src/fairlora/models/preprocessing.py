"""How pictures become a model's input."""

from __future__ import annotations

from dataclasses import dataclass

BICUBIC = 3


@dataclass(frozen=True)
class Preprocessing:
    """A square of `size` pixels, (x - mean) / std of values between 0 and 1.

    Attributes
    ----------
    resample : Pillow's number of the filter that resizes.
    edge : pictures are resized to this many pixels, and the middle of `size` is cut out; None
        resizes to `size` and cuts nothing.
    square : resize to a square, whatever the picture's own form; False keeps its form, and `edge`
        is its shorter side.
    flip_channels : blue first, red last.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int = BICUBIC
    edge: int | None = None
    square: bool = True
    flip_channels: bool = False
