"""What a classifier of pictures or of texts is fed with: data sets and collators."""

from __future__ import annotations

from typing import Any

from fairlora.data import Examples
from fairlora.models import Classifier, ImageClassifier, TextClassifier
from fairlora.training.images import ImageCollator, ImageDataset
from fairlora.training.rows import ExampleRows
from fairlora.training.text import TextCollator, TextDataset


def rows_of(classifier: Classifier, examples: Examples) -> ExampleRows:
    """Examples as the classifier takes them, without augmentation."""
    if isinstance(classifier, TextClassifier):
        return TextDataset(examples, classifier.tokenizer, classifier.max_length)
    assert isinstance(classifier, ImageClassifier)
    return ImageDataset(examples, classifier.preprocessing)


def collator_of(classifier: Classifier) -> Any:
    """What makes batches of the classifier's items."""
    if isinstance(classifier, TextClassifier):
        return TextCollator(classifier.tokenizer)
    assert isinstance(classifier, ImageClassifier)
    return ImageCollator(classifier.preprocessing)
