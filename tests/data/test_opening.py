"""Pictures are opened as `datasets` and transformers open them, with every scale and mode."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from fairlora.data import DATA_SETS, open_image, parse_options
from fairlora.errors import InputError

RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
EIGHT = np.rint(RAMP / 257).astype(np.uint8)  # 65535 is 257 * 255


def saved(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def grey(content: bytes) -> NDArray[np.uint8]:
    opened = np.asarray(open_image(content, name="x"))
    assert (opened == opened[:, :, :1]).all()
    return opened[:, :, 0]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "LA", "1"])
def test_every_kind_of_picture_opens_as_three_channels(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (4, 4)).save(buffer, format="TIFF")
    assert open_image(buffer.getvalue(), name="x").mode == "RGB"


def test_a_picture_that_is_broken_or_gone_is_named(
    tmp_path: Path, pictures: Callable[..., list[Path]]
) -> None:
    (whole,) = pictures(["whole.jpg"], side=64)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("not a picture")
    for name in ("cut.jpg", "text.jpg"):
        with pytest.raises(InputError, match=f"{name}: unreadable picture"):
            open_image(tmp_path / name, name=name)
    with pytest.raises(InputError, match=r"gone\.jpg: no such picture"):
        open_image(tmp_path / "gone.jpg", name="gone.jpg")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_by_their_range(kind: str) -> None:
    assert (grey(saved(RAMP, kind)) == EIGHT).all()


def test_sixteen_bits_that_count_from_white_are_inverted() -> None:
    tags = ImageFileDirectory_v2()
    tags[262] = 0
    content = saved(65535 - RAMP, "TIFF", tiffinfo=tags)
    assert Image.open(io.BytesIO(content)).tag_v2[262] == 0  # type: ignore[attr-defined]
    assert (grey(content) == EIGHT).all()


@pytest.mark.parametrize("top", [1, 255])
def test_floats_are_scaled_where_their_range_is_plain(top: int) -> None:
    content = saved((RAMP / 65535 * top).astype(np.float32), "TIFF")
    assert (grey(content) == EIGHT).all()


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.array([[0.0, 300.0]], np.float32), "numbers from 0 to 300"),
        (np.array([[-1.0, 1.0]], np.float32), "numbers from -1 to 1"),
        (np.array([[0.0, np.nan]], np.float32), "numbers from nan to nan"),
        (np.array([[0, 70000]], np.int32), "integers of another range"),
    ],
)
def test_a_picture_of_unknown_scale_is_refused_by_name(pixels: NDArray[Any], found: str) -> None:
    with pytest.raises(InputError, match=rf"scan\.tif: a picture of unknown scale \(found {found}"):
        open_image(saved(pixels, "TIFF"), name="scan.tif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_as_datasets_does(kind: str, orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(pixels, kind, exif=exif)
    theirs = datasets.Image(mode="RGB").decode_example({"bytes": content, "path": None})
    assert theirs.size == ((4, 6) if orientation > 4 else (6, 4))
    assert (np.asarray(open_image(content, name="x")) == np.asarray(theirs)).all()


def test_a_damaged_exif_leaves_the_picture_as_it_is_stored(recwarn: Any) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = exif.tobytes()
    plain = np.asarray(open_image(saved(pixels, "PNG"), name="x"))
    for damaged in (b"Exif\x00\x00rubbish", whole[:14], b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"):
        content = saved(pixels, "PNG", exif=damaged)
        assert (np.asarray(open_image(content, name="x")) == plain).all()
    assert not recwarn.list


def test_transparent_parts_are_white_in_every_mode() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.putpixel((1, 0), 1)
    both = saved(palette, "PNG", transparency=1)
    assert np.asarray(open_image(both, name="x")).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    half = saved(np.array([[[0, 0, 0, 0], [9, 8, 7, 255]]], np.uint8), "PNG")
    assert np.asarray(open_image(half, name="x")).tolist() == [[[255, 255, 255], [9, 8, 7]]]


def test_of_several_frames_the_first_is_taken_and_the_check_says_so(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    second.save(tmp_path / "b.png")
    assert open_image(tmp_path / "a.gif", name="x").getpixel((0, 0)) == (255, 0, 0)
    (tmp_path / "t.csv").write_text("image,label,tone\na.gif,x,dark\nb.png,y,dark\n")
    options = parse_options("image-table", {"path": str(tmp_path / "t.csv"), "groups": ["tone"]})
    findings = {f.what: f.finding for f in DATA_SETS["image-table"].check(options)}
    assert findings["of several frames"] == "1: the first is taken"
    assert findings["pictures"] == "all 2 open"
