"""Data sets and collators of a classifier: of pictures, texts, or pictures with a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fairlora.data import Examples
from fairlora.models import Classifier, ImageClassifier, ImageTextClassifier, TextClassifier
from fairlora.models.texts import check_tokens
from fairlora.training.images import ImageCollator, ImageDataset
from fairlora.training.prompted import PromptedCollator, PromptedDataset
from fairlora.training.rows import ExampleRows
from fairlora.training.text import TextCollator, TextDataset


def rows_of(classifier: Classifier, examples: Examples) -> ExampleRows:
    """Examples as the classifier takes them, without augmentation.

    Raises `InputError` for a text with a token that the model does not have.
    """
    if isinstance(classifier, TextClassifier):
        rows = TextDataset(examples, classifier.tokenizer, classifier.max_length)
        check_tokens(rows.largest, classifier.model, classifier.base)
        return rows
    if isinstance(classifier, ImageTextClassifier):
        return PromptedDataset(examples)
    assert isinstance(classifier, ImageClassifier)
    return ImageDataset(examples, classifier.preprocessing)


def inputs_of_rows(classifier: Classifier, examples: Examples) -> dict[str, Tensor]:
    """A few examples as one batch of the model's input."""
    rows = rows_of(classifier, examples)
    batch = collator_of(classifier)([rows[k] for k in range(len(rows))])
    return {k: v for k, v in batch.items() if k not in ("labels", "row")}


def logits_of(classifier: Classifier, batch: Mapping[str, Tensor], *, bf16: bool = False) -> Tensor:
    """The logits (N, classes) of one batch, on the CPU, computed where the model's weights are.

    Parameters
    ----------
    classifier : its model is put into eval mode.
    batch : name -> tensor, the model's input without labels (`inputs_of_rows`).
    bf16 : compute in bfloat16, by autocast.
    """
    model = classifier.model.eval()
    device = next(model.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        moved = {name: tensor.to(device) for name, tensor in batch.items()}
        logits: Tensor = model(**moved, **classifier.forward_arguments).logits
    return logits.float().cpu()


def collator_of(classifier: Classifier) -> Any:
    """What makes batches of the classifier's items."""
    if isinstance(classifier, TextClassifier):
        return TextCollator(classifier.tokenizer)
    if isinstance(classifier, ImageTextClassifier):
        return PromptedCollator(classifier)
    assert isinstance(classifier, ImageClassifier)
    return ImageCollator(classifier.preprocessing)
