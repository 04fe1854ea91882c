"""Pictures as batches: opened, resized, perhaps flipped, stacked, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from fairlora.data import Examples, open_image
from fairlora.models import Preprocessing
from fairlora.training.activations import Activations, Asked
from fairlora.training.rows import ExampleRows

CACHE_BYTES = 2 << 30


class ImageDataset(ExampleRows):
    """`Examples` as a torch data set.

    An item has ``pixel_values`` (3, size, size) uint8, and what every `ExampleRows` has. Resized
    pictures are kept in memory as long as all of them take less than 2 GiB, so that later epochs
    open no files; or where all processes find them (`keep_in`).

    Parameters
    ----------
    flip_seed : mirrors every picture or not, by a coin that depends on this seed, the epoch and the
        row alone: no worker count, resume or batch size changes it. None never mirrors.
    mirror : mirrors all of them.
    """

    def __init__(
        self,
        examples: Examples,
        preprocessing: Preprocessing,
        *,
        flip_seed: int | None = None,
        mirror: bool = False,
    ) -> None:
        super().__init__(examples)
        self.preprocessing = preprocessing
        self.size = preprocessing.size
        self.mirror = mirror
        self.flip_seed = flip_seed
        self.epoch = 0
        self._coins: dict[tuple[int, int], bool] = {}
        fits = len(examples) * 3 * self.size**2 <= CACHE_BYTES
        self._cache: dict[int, Tensor] | None = {} if fits else None
        self.kept: Activations | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose which coins decide the flips."""
        self.epoch = epoch

    def share_cache(self, other: ImageDataset) -> None:
        """Use the other's memory of resized pictures: it must hold the same examples."""
        if other.examples is not self.examples or other.preprocessing != self.preprocessing:
            raise ValueError("the data sets hold different pictures")
        self._cache, self.kept = other._cache, other.kept

    def keep_in(self, kept: Activations) -> None:
        """Take the pictures that are kept there from there; one's own memory has the others.

        Parameters
        ----------
        kept : (3, size, size) uint8 by id, as `decoded` gives them.
        """
        self.kept = kept

    def mirrored(self) -> ImageDataset:
        """The same pictures, each mirrored; with the same memory of resized ones."""
        other = ImageDataset(self.examples, self.preprocessing, mirror=not self.mirror)
        other.share_cache(self)
        return other

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"pixel_values": self.pixels(row, self.mirrors(row)), **self.said(row)}

    def mirrors(self, row: int) -> bool:
        """Whether a row's picture is mirrored in this epoch."""
        return self.mirror or (self.flip_seed is not None and self._coin(row))

    def _coin(self, row: int) -> bool:
        # What is computed once is asked for all coins first, and again as it trains.
        known = self._coins.get((self.epoch, row))
        if known is None:
            state = np.random.SeedSequence([self.flip_seed or 0, self.epoch, row]).generate_state(1)
            known = self._coins[self.epoch, row] = bool(state[0] & 1)
        return known

    def pixels(self, row: int, mirrored: bool) -> Tensor:
        """(3, size, size) uint8 a row's picture, or its mirror image.

        Parameters
        ----------
        row : its number.
        mirrored : whether it is the mirror image.
        """
        pixels = self._picture(row)
        return pixels.flip(-1) if mirrored else pixels

    def _picture(self, row: int) -> Tensor:
        if self.kept is not None:
            asked = Asked(str(self.examples.ids[row]), False)
            if asked in self.kept:
                return self.kept[asked]
        if self._cache is not None and row in self._cache:
            return self._cache[row]
        pixels = self.decoded(row)
        if self._cache is not None:
            self._cache[row] = pixels
        return pixels

    def decoded(self, row: int) -> Tensor:
        """(3, size, size) uint8 a row's picture, from its file.

        Parameters
        ----------
        row : its number.
        """
        source = self.examples.inputs[row]
        name = self.examples.ids[row] if isinstance(source, bytes) else source
        image = open_image(source, name=str(name))
        pixels = torch.from_numpy(np.array(squared(image, self.preprocessing)))
        return pixels.permute(2, 0, 1).contiguous()


def squared(image: Image, preprocessing: Preprocessing) -> Image:
    """A picture of the model's size: resized, and its middle cut out where that is its way."""
    size, edge = preprocessing.size, preprocessing.edge or preprocessing.size
    width, height = edge, edge
    if not preprocessing.square:
        short = min(image.size)
        width, height = (int(edge * side / short) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), resample=Resampling(preprocessing.resample))
    if image.size != (size, size):
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return image


class ImageCollator:
    """Stacks items into a batch: ``pixel_values`` (N, 3, S, S) float32, ``labels``, ``row``."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1) * 255
        self.scale = 1 / (torch.tensor(preprocessing.std).view(1, 3, 1, 1) * 255)
        self.flip = preprocessing.flip_channels

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        pixels = torch.stack([item["pixel_values"] for item in items]).float()
        if self.flip:
            pixels = pixels.flip(1)
        return {
            "pixel_values": (pixels - self.mean) * self.scale,
            "labels": torch.tensor([item["labels"] for item in items]),
            "row": torch.tensor([item["row"] for item in items]),
        }
