"""Pictures as batches: sizes, flips that hang on seed, epoch and row alone, the shared memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import Preprocessing
from fairlora.training import ImageCollator, ImageDataset, derive_seed

SIZE = 8
PLAIN = Preprocessing(SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def examples() -> Examples:
    generator = np.random.default_rng(0)
    return Examples(
        name="noise",
        ids=np.array([f"id {k}" for k in range(40)]),
        images=[png(generator.integers(0, 256, (SIZE, SIZE, 3))) for _ in range(40)],
        labels=np.arange(40) % 2,
        classes=("a", "b"),
        groups={"tone": np.array(["dark", "light"])[np.arange(40) // 20]},
        fingerprint="",
    )


def flipped(dataset: ImageDataset, plain: ImageDataset) -> list[bool]:
    found = []
    for row in range(len(plain)):
        own, other = plain[row]["pixel_values"], dataset[row]["pixel_values"]
        mirrored = torch.equal(other, own.flip(-1))
        assert mirrored or torch.equal(other, own)
        found.append(mirrored)
    return found


def test_an_item_has_pixels_label_row_and_groups(examples: Examples) -> None:
    item = ImageDataset(examples, PLAIN)[25]
    assert item["pixel_values"].shape == (3, SIZE, SIZE)
    assert item["pixel_values"].dtype == torch.uint8
    assert (item["labels"], item["row"], item["tone"]) == (1, 25, "light")


def test_flips_hang_on_seed_epoch_and_row_alone(examples: Examples) -> None:
    plain = ImageDataset(examples, PLAIN)

    def at(seed: int, epoch: int) -> list[bool]:
        dataset = ImageDataset(examples, PLAIN, flip_seed=seed)
        dataset.set_epoch(epoch)
        return flipped(dataset, plain)

    first = at(1, 0)
    assert 10 < sum(first) < 30
    assert first == at(1, 0)
    assert first != at(1, 1)
    assert first != at(2, 0)
    # Rows asked for in another order, and twice, are flipped the same.
    dataset = ImageDataset(examples, PLAIN, flip_seed=1)
    for row in (7, 3, 7, 39):
        mirrored = torch.equal(dataset[row]["pixel_values"], plain[row]["pixel_values"].flip(-1))
        assert mirrored == first[row]


def test_without_a_seed_nothing_is_flipped(examples: Examples) -> None:
    assert not any(flipped(ImageDataset(examples, PLAIN), ImageDataset(examples, PLAIN)))


def test_pictures_of_other_sizes_and_kinds_become_squares_of_three_channels() -> None:
    grey = png(np.full((5, 20), 100))
    clear = png(np.zeros((6, 6, 4)))
    examples = Examples(
        name="odd",
        ids=np.array(["grey", "clear"]),
        images=[grey, clear],
        labels=np.array([0, 1]),
        classes=("a", "b"),
        groups={},
        fingerprint="",
    )
    dataset = ImageDataset(examples, PLAIN)
    assert dataset[0]["pixel_values"].shape == (3, SIZE, SIZE)
    assert dataset[0]["pixel_values"].unique().tolist() == [100]
    assert dataset[1]["pixel_values"].unique().tolist() == [255]  # what is clear becomes white


def test_a_batch_is_normalised_as_the_model_wants(examples: Examples) -> None:
    dataset = ImageDataset(examples, PLAIN)
    batch = ImageCollator(PLAIN)([dataset[0], dataset[3]])
    expected = (dataset[3]["pixel_values"].float() / 255 - 0.5) / 0.25
    torch.testing.assert_close(batch["pixel_values"][1], expected)
    assert batch["labels"].tolist() == [0, 1]
    assert batch["row"].tolist() == [0, 3]


def test_a_picture_is_read_once(pictures: Callable[..., list[Path]], examples: Examples) -> None:
    (path,) = pictures(["one.jpg"])
    one = Examples(
        name="one",
        ids=np.array(["one"]),
        images=[path],
        labels=np.array([0]),
        classes=("a", "b"),
        groups={},
        fingerprint="",
    )
    first, second = ImageDataset(one, PLAIN, flip_seed=0), ImageDataset(one, PLAIN)
    second.share_cache(first)
    before = second[0]["pixel_values"]
    path.unlink()
    assert torch.equal(second[0]["pixel_values"], before)
    assert first[0]["pixel_values"].shape == before.shape
    with pytest.raises(ValueError, match="different pictures"):
        ImageDataset(examples, PLAIN).share_cache(first)
    with pytest.raises(InputError, match=r"one\.jpg"):
        ImageDataset(one, PLAIN)[0]


def test_every_purpose_has_a_seed_of_its_own() -> None:
    seeds = {derive_seed(s, p) for s in range(20) for p in ("head", "adapter", "order", "flip")}
    assert len(seeds) == 80
    assert all(0 <= seed < 2**31 for seed in seeds)
