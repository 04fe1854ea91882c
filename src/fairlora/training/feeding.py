"""What a classifier of pictures or of texts is fed with: data sets and collators."""

from __future__ import annotations

from typing import Any

from fairlora.data import Examples
from fairlora.models import Classifier, ImageClassifier, TextClassifier
from fairlora.models.texts import check_tokens
from fairlora.training.images import ImageCollator, ImageDataset
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
    assert isinstance(classifier, ImageClassifier)
    return ImageDataset(examples, classifier.preprocessing)


def collator_of(classifier: Classifier) -> Any:
    """What makes batches of the classifier's items."""
    if isinstance(classifier, TextClassifier):
        return TextCollator(classifier.tokenizer)
    assert isinstance(classifier, ImageClassifier)
    return ImageCollator(classifier.preprocessing)
