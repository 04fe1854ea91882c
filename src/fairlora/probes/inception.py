"""InceptionV3's features in the clean-fid manner, from weights that the user has.

Parmar, Zhang and Zhu 2022 (CVPR): each channel is resized to 299 x 299 as floating point by PIL's
antialiased bicubic filter, without rounding to 8 bits; pixels go in as (x - 128) / 128. The weights
are the TorchScript file ``inception-2015-12-05.pt``, of which `layers` gives 2,048 features. A
Frechet distance of these features, and of no others, is called FID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairlora.data import Examples, open_image
from fairlora.errors import InputError

SIDE, WIDTH = 299, 2048


class Inception:
    """The network of a TorchScript file.

    Raises `InputError` for a file that is none, or has no `layers`.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError("no such file", where=path)
        try:
            # TorchScript is a program of tensor operations: it unpickles no Python objects.
            network = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise InputError(
                "not a TorchScript file",
                where=path,
                expected="inception-2015-12-05.pt, as clean-fid uses it",
            ) from error
        if not hasattr(network, "layers"):
            raise InputError("no network with `layers`", where=path)
        self.layers: Any = network.layers
        self.where = path

    def batches(self, examples: Examples, batch_size: int = 32) -> Iterator[NDArray[np.float32]]:
        """(m, width) features, batch by batch. Raises `InputError` for another width."""
        for start in range(0, len(examples), batch_size):
            rows = range(start, min(start + batch_size, len(examples)))
            pixels = torch.from_numpy(np.stack([clean_resized(examples, k) for k in rows]))
            with torch.no_grad():
                features = self.layers((pixels - 128) / 128).reshape(len(rows), -1)
            if features.shape[1] != WIDTH:
                raise InputError(
                    "another number of features",
                    where=self.where,
                    found=features.shape[1],
                    expected=WIDTH,
                )
            yield features.numpy().astype(np.float32)


def clean_resized(examples: Examples, row: int) -> NDArray[np.float32]:
    """(3, 299, 299) pixels 0 to 255 of a picture, resized as clean-fid does."""
    from PIL import Image

    source: Any = examples.inputs[row]
    image = open_image(source, name=str(examples.ids[row]))
    pixels = np.asarray(image, dtype=np.float32)
    channels: Sequence[Any] = [
        Image.fromarray(pixels[:, :, k]).resize((SIDE, SIDE), resample=3) for k in range(3)
    ]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in channels]).clip(0, 255)
