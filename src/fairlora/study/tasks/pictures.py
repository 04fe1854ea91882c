"""A run's pictures decoded and resized once, for all runs and processes on the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from fairlora.models import Classifier, ImageClassifier
from fairlora.study.runs.cache import content_key
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.tasks.frozen import Shelf
from fairlora.training import FairTrainer, ImageDataset
from fairlora.training.activations import Activations, Asked, NoRoom

# What makes a picture what it is; the rest of the preprocessing is of batches.
_SHAPE = ("size", "edge", "square", "resample")


def keep_pictures(
    trainer: FairTrainer,
    classifier: Classifier,
    parts: Mapping[str, object],
    shelf: Shelf,
    watch: Watcher,
    workers: int = 0,
) -> None:
    """Have all data sets of a run read their pictures from the shelf, where they are put first.

    They are to the bit what each would decode. Nothing where they are kept already, or are none; a
    note of the classifier's says why where they are decoded in every epoch, as without a shelf.

    Parameters
    ----------
    trainer : ready to train; its training rows may be mirrored.
    classifier : whose preprocessing it is.
    parts : the rows of each split without augmentation.
    shelf : where they are kept.
    watch : told of the pictures that are decoded.
    workers : threads that decode.
    """
    plain = {name: part for name, part in parts.items() if isinstance(part, ImageDataset)}
    if not isinstance(classifier, ImageClassifier) or not plain:
        return
    several = list(plain.values())
    if any(one.kept is not None for one in several):
        return
    said = asdict(classifier.preprocessing)
    shape = [said[name] for name in _SHAPE]
    key = content_key(["pictures", shelf.data, *shape, version("pillow")])
    kept = Activations(shelf.folder / key, key, "decoded pictures")
    places = {
        str(one): (part, row)
        for name, part in plain.items()
        if name != "train" or _reads_all(trainer)
        for row, one in enumerate(part.examples.ids.tolist())
    }
    asked = [Asked(one, False) for one in places]

    def decoded(one: Asked) -> Tensor:
        part, row = places[one.id]
        return part.decoded(row)

    def compute(some: Sequence[Asked]) -> Tensor:
        if not workers:
            return torch.stack([decoded(one) for one in some])
        with ThreadPoolExecutor(workers) as pool:
            return torch.stack(list(pool.map(decoded, some)))

    try:
        proof = decoded(asked[0])
        kept.make_room(len(kept.missing(asked)), proof.nbytes)
        kept.fill(asked, compute, lambda done, total: watch(Progress("pictures", done, total)))
    except NoRoom as error:
        classifier.notes += (*kept.notes, f"pictures are decoded in every epoch: {error}")
        return
    classifier.notes += tuple(kept.notes)
    if not torch.equal(proof, kept[asked[0]]):
        classifier.notes += (
            f"pictures are decoded in every run: others are kept in {kept.folder}",
        )
        return
    own = trainer.train_dataset
    for one in [*several, *([own] if isinstance(own, ImageDataset) else [])]:
        one.keep_in(kept)


def _reads_all(trainer: FairTrainer) -> bool:
    """Whether training reads every training row, and not a few steps' rows alone."""
    train: Any = trainer.train_dataset
    args, rows = trainer.args, len(train)
    if args.max_steps > 0:
        several = args.per_device_train_batch_size * args.gradient_accumulation_steps
        return bool(args.max_steps * several * args.world_size >= rows)
    return bool(args.num_train_epochs >= 1)
