"""The splits of a run's examples as the data sets that a trainer reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.data import TARGET, Examples
from fairlora.models import Classifier, ImageClassifier, ImageTextClassifier, TextClassifier
from fairlora.training import ExampleRows, ImageDataset
from fairlora.training.datasets import rows_of
from fairlora.training.prompted import PromptedDataset

PARTS = ("train", "validation", "test")


class Inputs(NamedTuple):
    """The training set as it is trained on, and every split as it is predicted."""

    training: ExampleRows
    plain: dict[str, ExampleRows]


def inputs_of(classifier: Classifier, examples: Examples, *, flip_seed: int | None) -> Inputs:
    """The splits of `examples`; training pictures are mirrored by coins of `flip_seed`.

    Parameters
    ----------
    classifier : whose preprocessing or tokenizer reads them.
    examples : pictures or texts, split.
    flip_seed : of the coins; None mirrors no picture. Of texts it is not read.
    """
    # Rows that an attack is judged on are a split of their own, of shadow models alone.
    names = (*PARTS, TARGET) if examples.split is not None and TARGET in examples.split else PARTS
    parts = {part: examples.part(part) for part in names}
    plain = {part: rows_of(classifier, parts[part]) for part in names}
    if isinstance(classifier, ImageTextClassifier):
        return Inputs(PromptedDataset(parts["train"], flip_seed=flip_seed), plain)
    if not isinstance(classifier, ImageClassifier):
        return Inputs(plain["train"], plain)
    training = ImageDataset(parts["train"], classifier.preprocessing, flip_seed=flip_seed)
    # The two views of the training pictures share one memory of resized files.
    own = plain["train"]
    assert isinstance(own, ImageDataset)
    own.share_cache(training)
    return Inputs(training, plain)


def cut_texts(classifier: Classifier, datasets: Iterable[ExampleRows]) -> tuple[str, ...]:
    """A note of how many texts are longer than the classifier takes; none where all fit."""
    cut = sum(getattr(dataset, "cut", 0) for dataset in datasets)
    if not cut or not isinstance(classifier, TextClassifier):
        return ()
    texts = "1 text is" if cut == 1 else f"{cut:,} texts are"
    return (f"{texts} cut at {classifier.max_length:,} tokens",)


def cells_of(examples: Examples, groups: Sequence[str]) -> NDArray[np.int64]:
    """(n,) a number for each row's label and groups together."""
    cell = examples.labels.astype(np.int64)
    for name in groups:
        if name != "label":
            codes = examples.groups[name].codes
            several = int(codes.max(initial=0)) + 1
            cell = np.unique(cell * several + codes, return_inverse=True)[1].astype(np.int64)
    return cell
