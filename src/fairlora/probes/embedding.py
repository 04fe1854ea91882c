"""Features of a model: what its encoder hands to the classification head, of every example."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import Classifier
from fairlora.models.device import best_device
from fairlora.models.heads import in_head
from fairlora.training.datasets import collator_of, rows_of
from fairlora.training.last_layer import features_of


def embed(
    classifier: Classifier,
    examples: Examples,
    *,
    batch_size: int = 64,
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Features of every example under a classifier, without dropout or augmentation.

    They are what goes into the head's first linear layer: the pooled output of the encoder.

    Parameters
    ----------
    classifier : the model with its head.
    examples : n pictures or texts, as the classifier reads them.
    batch_size : examples at a time.
    device : where the model is moved to; None is the accelerator where there is one, else the CPU.

    Returns
    -------
    (n, width) float32.

    Raises
    ------
    InputError : the head has no linear layer; a feature that is not a finite number.
    """
    if classifier.kind == "image-text":
        raise InputError(
            "a vision-language model has no head whose input would be its features",
            where="model",
            found=classifier.base,
            expected="a model of pictures or texts with a head",
        )
    device = device or best_device()
    classifier.model.to(device)
    taken = features_of(
        classifier.model,
        first_linear(classifier.model, classifier.head),
        rows_of(classifier, examples),
        collator_of(classifier),
        classifier.forward_arguments,
        batch_size,
        device,
    )
    features = taken.numpy().astype(np.float32)
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InputError("a feature is not a finite number", where=str(examples.ids[row]))
    return features


def first_linear(model: Any, head: tuple[str, ...]) -> nn.Linear:
    """The linear layer of the head that is called first; `InputError` where there is none."""
    for name, module in model.named_modules():
        # PEFT keeps the head that it does not train beside the one that it does.
        own = in_head(name, head) and "original_module" not in name.split(".")
        if own and isinstance(module, nn.Linear):
            return module
    raise InputError("the head has no linear layer", where="model", found=", ".join(head) or "none")
