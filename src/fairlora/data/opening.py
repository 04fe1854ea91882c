"""`open_image`: the one place where a picture file becomes pixels."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of a TIFF
_UNREADABLE = "8 or 16 bits a channel, or numbers from 0 to 1 or from 0 to 255"


def open_image(image: Path | bytes, *, name: str) -> Image:
    """Open one picture as RGB of 8 bits, upright.

    - The EXIF orientation is applied, as `datasets` and transformers do; where the EXIF cannot be
      read, the picture is taken as it is stored.
    - Grey pictures of 16 bits (or 12, in a TIFF) are scaled by the range of their type. Those of
      floating-point numbers must lie in 0 to 1, or in 0 to 255.
    - Transparent parts become white.
    - Of several frames the first is taken.

    Raises `InputError` that names the picture if it cannot be read, or its scale is not known.
    """
    from PIL import Image as pillow

    try:
        with pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            opened.load()  # a TIFF turns itself upright here
            upright = _upright(opened)
            if _numbers(opened.mode):
                return pillow.fromarray(_scaled(upright, opened, name)).convert("RGB")
            if "A" in opened.mode or "a" in opened.mode or "transparency" in opened.info:
                rgba = upright.convert("RGBA")
                white = pillow.new("RGBA", rgba.size, (255, 255, 255, 255))
                return pillow.alpha_composite(white, rgba).convert("RGB")
            return upright.convert("RGB")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("no such picture", where=name) from None
    # Pillow raises many kinds for a broken file, SyntaxError and struct.error among them.
    except Exception as error:
        raise InputError(
            "unreadable picture", where=name, found=type(error).__name__, expected="an image file"
        ) from error


def has_frames(image: Path | bytes) -> bool:
    """Whether a file holds several frames or pages, of which `open_image` takes the first.

    Not the second picture, a preview or a depth, that cameras put behind a JPEG.
    """
    from PIL import Image as pillow

    with pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
        return opened.format != "MPO" and getattr(opened, "n_frames", 1) > 1


def _upright(image: Image) -> Image:
    """The picture turned as its EXIF says. Other fields of the EXIF are not looked at: a damaged
    one does not matter."""
    from PIL import Image as pillow

    turns = pillow.Transpose
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = int(image.getexif().get(_ORIENTATION) or 1)
    except Exception:  # damaged, in one of many ways
        return image
    turn = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(orientation or 0)
    return image if turn is None else image.transpose(turn)


def _numbers(mode: str) -> bool:
    """Whether pixels are one number of more than 8 bits, which Pillow would clip at 255."""
    return mode == "F" or mode.startswith("I")


def _scaled(image: Image, opened: Any, name: str) -> NDArray[np.uint8]:
    """(H, W) pixels of 8 bits of a picture with more of them."""
    pixels = np.asarray(image)
    top = _top(pixels, opened, name)
    if getattr(opened, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = top - pixels  # Pillow inverts those of 8 bits alone
    return np.rint(pixels.astype(np.float64) * (255 / top)).astype(np.uint8)


def _top(pixels: NDArray[Any], opened: Any, name: str) -> int:
    """What white is in a picture's numbers."""
    if opened.mode.startswith("I;16"):
        bits = getattr(opened, "tag_v2", {}).get(_BITS, (16,))
        return int(2 ** bits[0] - 1)
    # Pillow stretches a portable graymap to 16 bits, and older ones hold PNGs of 16 bits so.
    if opened.mode == "I" and opened.format in ("PNG", "PPM"):
        return 65535
    if opened.mode == "F":
        low, high = float(pixels.min()), float(pixels.max())
        if low >= 0 and high <= 255:  # not where a number is NaN
            return 1 if high <= 1 else 255
        values = f"numbers from {low:g} to {high:g}"
    else:
        values = "integers of another range"
    raise InputError("a picture of unknown scale", where=name, found=values, expected=_UNREADABLE)
