"""A classifier's run with the answers of its model's frozen part computed once, for all runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairlora.models import Classifier, ImageClassifier
from fairlora.study.runs.cache import content_key
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import RunSpec
from fairlora.training import ExampleRows, FairTrainer, FrozenRows, ImageDataset
from fairlora.training.activations import Activations, Asked, NoRoom
from fairlora.training.datasets import collator_of
from fairlora.training.frozen import FrozenPart, find_frozen

# Rows on which the frozen part is proved, and pictures that it is asked at a time.
PROVED_ROWS, BATCH = 4, 64
# What was kept against what is computed now, as a part of the largest number.
KEPT = 1e-4


@dataclass(frozen=True)
class Shelf:
    """Where the answers of frozen parts are kept.

    Attributes
    ----------
    folder : of all of them.
    model, data : fingerprints of the pretrained weights and of the data as read.
    """

    folder: Path
    model: str
    data: str


def freeze(
    trainer: FairTrainer,
    classifier: Classifier,
    spec: RunSpec,
    parts: Mapping[str, ExampleRows],
    shelf: Shelf,
    watch: Watcher,
    keep: Callable[[], None],
) -> dict[str, ExampleRows]:
    """The parts as a trainer should read them; its training and validation rows are set likewise.

    They are `FrozenRows`, filled, where the model has a frozen part; otherwise as they were, with a
    note of the classifier's where that was for a reason. Results are those of pictures, but for the
    order of sums in batches of other rows.

    Parameters
    ----------
    trainer : ready to train; its training rows may be mirrored.
    classifier, spec : the run's, whose queries are filled too.
    parts : the rows of each split without augmentation.
    shelf : where answers are kept.
    watch : told of the rows that are computed.
    keep : keeps the decoded pictures, before many are read.
    """
    rows = dict(parts)
    own = trainer.train_dataset
    if not isinstance(classifier, ImageClassifier) or not isinstance(own, ImageDataset):
        return rows
    pictures = {name: part for name, part in rows.items() if isinstance(part, ImageDataset)}
    model: Any = trainer.model
    asker = _Asker(trainer, classifier, pictures)
    part = find_frozen(model, asker.some(), asker.context)
    if part is None:
        return rows
    reason = _hindrance(trainer, classifier)
    if reason is not None:
        classifier.notes += (_again(part, reason),)
        return rows
    made_from = [
        *(
            shelf.model,
            shelf.data,
            part.name,
            spec.model.quantize,
            asdict(classifier.preprocessing),
        ),
        *(classifier.forward_arguments, str(model.dtype), asker.device.type, spec.training.bf16),
        *(version("torch"), version("transformers")),
    ]
    key = content_key(made_from)
    kept = Activations(shelf.folder / key, key)
    frozen = {name: FrozenRows(part_rows, kept) for name, part_rows in pictures.items()}
    training = FrozenRows(own, kept)
    asked = [one for name in frozen for one in frozen[name].all_asked(1)]
    if spec.queries:
        asked += [one for name in frozen for one in frozen[name].mirrored().all_asked(1)]
    if part.steady:
        asked += training.all_asked(math.ceil(trainer.args.num_train_epochs))
    try:
        proof = asker.answers(part, asker.proof)
        missing = len(kept.missing(asked))
        kept.make_room(missing, proof[0].nbytes)
        if missing:
            keep()
        kept.fill(
            asked,
            lambda some: asker.answers(part, some),
            lambda done, total: watch(Progress("frozen part", done, total)),
        )
    except NoRoom as error:
        classifier.notes += (*kept.notes, _again(part, f"no room to keep its answers: {error}"))
        return rows
    classifier.notes += tuple(kept.notes)
    known = torch.stack([kept[one] for one in asker.proof]).float()
    if float((known - proof.float()).abs().max()) > KEPT * (1 + float(known.abs().max())):
        classifier.notes += (_again(part, f"other answers are kept in {kept.folder}"),)
        return rows
    if part.steady:
        trainer.train_dataset = training
    else:
        classifier.notes += (_again(part, "it is random in training (dropout)"),)
    trainer.frozen = part
    trainer.eval_dataset = frozen["validation"]
    return {**rows, **frozen}


def _again(part: FrozenPart, reason: str) -> str:
    return f"the frozen part (up to {part.name}) is computed in every epoch: {reason}"


def _hindrance(trainer: FairTrainer, classifier: Classifier) -> str | None:
    """Why the frozen part cannot be left out of this training; None where it can."""
    args = trainer.args
    if args.world_size > 1 or args.n_gpu > 1 or trainer.accelerator.distributed_type.value != "NO":
        return "training runs on several devices"
    if args.gradient_checkpointing:
        return "gradient checkpointing calls it again"
    if args.torch_compile:
        return "the model is compiled whole"
    if args.fp16:
        return "float16 is scaled as it goes"
    if classifier.quantize is not None:
        return "its weights are quantised"
    return None


class _Asker:
    """Asks a frozen part for rows of any split.

    Parameters
    ----------
    trainer : whose model is asked, where it is, in its precision.
    classifier : prepares the pictures.
    parts : the pictures of each split.
    """

    def __init__(
        self, trainer: FairTrainer, classifier: Classifier, parts: Mapping[str, ImageDataset]
    ) -> None:
        self.model: Any = trainer.model
        self.device = trainer.args.device
        self.bf16 = trainer.args.bf16
        self.arguments = classifier.forward_arguments
        self.collate = collator_of(classifier)
        self._places = {
            str(one): (part, row)
            for part in parts.values()
            for row, one in enumerate(part.examples.ids.tolist())
        }
        self.proof = [Asked(one, False) for one in list(self._places)[:PROVED_ROWS]]

    def context(self) -> torch.autocast:
        """The precision that the trainer computes in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def some(self) -> dict[str, Any]:
        """The rows of the proof as the model takes them."""
        return self._inputs(self.proof)

    def answers(self, part: FrozenPart, some: Sequence[Asked]) -> Tensor:
        """(n, ...) what the part answers, a batch at a time."""
        found = []
        for start in range(0, len(some), BATCH):
            with self.context():
                inputs = self._inputs(some[start : start + BATCH])
                found.append(part.answers(self.model, inputs).cpu())
        return torch.cat(found)

    def _inputs(self, some: Sequence[Asked]) -> dict[str, Any]:
        items = []
        for one in some:
            part, row = self._places[one.id]
            items.append({"pixel_values": part.pixels(row, one.mirrored), "labels": 0, "row": row})
        pixels = self.collate(items)["pixel_values"].to(self.device)
        return {"pixel_values": pixels, **self.arguments}
