"""Features of a set of pictures, batch by batch, from a vision model or from InceptionV3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlora.data import Examples
from fairlora.models import load_finetuned, load_image_classifier
from fairlora.probes.embedding import embed
from fairlora.probes.inception import Inception

_CHUNK = 512
Features = Callable[[Examples], Iterator[NDArray[np.float32]]]


def model_features(model_id: str, image_size: int | None = None, batch_size: int = 64) -> Features:
    """A function that gives a vision model's features.

    Parameters
    ----------
    model_id : a hub id, a folder, "embedded", or a run's folder: then those of its fine-tuned
        model.
    image_size : side of the square input in pixels; None is the model's own.
    batch_size : pictures at a time.

    Raises
    ------
    InputError : a model that is not there, or classifies no pictures.
    """
    if (Path(model_id) / "spec.yaml").is_file():
        classifier = load_finetuned(model_id, image_size=image_size, kind="image")
    else:
        # The head is not looked at: features are what goes into it.
        classifier = load_image_classifier(model_id, ("a", "b"), image_size=image_size)

    def features(examples: Examples) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(examples), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(examples)))
            yield embed(classifier, examples.take(rows), batch_size=batch_size)

    return features


def inception_features(weights: Path, batch_size: int = 32) -> Features:
    """A function that gives InceptionV3's features in the clean-fid manner."""
    network = Inception(weights)
    return lambda examples: network.batches(examples, batch_size)
