"""Pictures with a prompt as batches: opened, perhaps flipped, prepared by the model's processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from fairlora.data import Examples, open_image
from fairlora.models import ImageTextClassifier
from fairlora.models.image_text import check_tokens_fit
from fairlora.models.prompting import prepared
from fairlora.training.images import CACHE_BYTES
from fairlora.training.rows import ExampleRows


class PromptedDataset(ExampleRows):
    """`Examples` of pictures for a vision-language model's processor.

    An item has ``picture``, RGB of its own size, and what every `ExampleRows` has. Opened pictures
    are kept in memory up to 2 GiB.

    Parameters
    ----------
    examples : pictures.
    flip_seed : as of `ImageDataset`.
    mirror : mirrors all of them.
    """

    def __init__(
        self, examples: Examples, *, flip_seed: int | None = None, mirror: bool = False
    ) -> None:
        super().__init__(examples)
        self.flip_seed = flip_seed
        self.mirror = mirror
        self.epoch = 0
        self._cache: dict[int, Image.Image] = {}
        self._bytes = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which coins decide the flips."""
        self.epoch = epoch

    def mirrored(self) -> PromptedDataset:
        """The same pictures, each mirrored."""
        return PromptedDataset(self.examples, mirror=not self.mirror)

    def bytes_to_keep(self) -> int:
        """Bytes of the pictures yet to be kept, were all as large as the first."""
        missing = len(self) - len(self._cache)
        if not missing:
            return 0
        first = self._picture(0)
        return min(CACHE_BYTES - self._bytes, missing * 3 * first.width * first.height)

    def __getitem__(self, row: int) -> dict[str, Any]:
        picture = self._picture(row)
        if self.mirror or (self.flip_seed is not None and self._coin(row)):
            picture = ImageOps.mirror(picture)
        return {"picture": picture, "id": str(self.examples.ids[row]), **self.said(row)}

    def _coin(self, row: int) -> bool:
        state = np.random.SeedSequence([self.flip_seed or 0, self.epoch, row]).generate_state(1)
        return bool(state[0] & 1)

    def _picture(self, row: int) -> Image.Image:
        if row in self._cache:
            return self._cache[row]
        source = self.examples.inputs[row]
        name = self.examples.ids[row] if isinstance(source, bytes) else source
        picture = open_image(source, name=str(name))
        size = 3 * picture.width * picture.height
        if self._bytes + size <= CACHE_BYTES:
            self._cache[row] = picture
            self._bytes += size
        return picture


class PromptedCollator:
    """Puts the prompt beside each picture: ``input_ids``, ``attention_mask`` (N, T), what else the
    model's processor makes, ``labels`` and ``row``.

    Raises `InputError` for a picture whose tokens, with the prompt's and an answer's, do not fit.
    """

    def __init__(self, classifier: ImageTextClassifier) -> None:
        self.classifier = classifier

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        pictures = [item["picture"] for item in items]
        batch = prepared(self.classifier.processor, pictures, self.classifier.prompt)
        check_tokens_fit(self.classifier, batch, [item["id"] for item in items])
        return {
            **batch,
            "labels": torch.tensor([item["labels"] for item in items]),
            "row": torch.tensor([item["row"] for item in items]),
        }
