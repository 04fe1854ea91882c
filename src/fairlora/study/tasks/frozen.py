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

from fairlora.models import Classifier, ImageClassifier, TextClassifier
from fairlora.study.runs.cache import content_key
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import RunSpec
from fairlora.training import ExampleRows, FairTrainer, FrozenRows, ImageDataset
from fairlora.training.activations import Activations, Asked, NoRoom
from fairlora.training.datasets import collator_of
from fairlora.training.frozen import TOKENS, FrozenPart
from fairlora.training.frozen_rows import FrozenTexts
from fairlora.training.frozen_search import find_frozen
from fairlora.training.text import TextDataset

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

    They are `FrozenRows` or `FrozenTexts`, filled, where the model has a frozen part; otherwise as
    they were, with a note of the classifier's where that was for a reason. Results are those of
    pictures and texts, but for the order of sums in batches of other rows.

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
    own: Any = trainer.train_dataset
    plain: dict[str, Any] = {
        name: part for name, part in rows.items() if isinstance(part, ImageDataset | TextDataset)
    }
    if not isinstance(own, ImageDataset | TextDataset):
        return rows
    model: Any = trainer.model
    asker: _AskPictures | _AskTexts
    frozen_rows: Any
    made: list[Any]
    if isinstance(classifier, ImageClassifier):
        made = [shelf.data, asdict(classifier.preprocessing)]
        asker, frozen_rows = _AskPictures(trainer, classifier, plain), FrozenRows
    elif isinstance(classifier, TextClassifier) and classifier.tokenizer.padding_side == "right":
        made = ["tokens"]  # by which their rows are known, whatever data they are of
        asker, frozen_rows = _AskTexts(trainer, classifier, plain), FrozenTexts
    else:
        return rows
    part = find_frozen(model, asker.some(), asker.context)
    if part is None:
        return rows
    reason = _hindrance(trainer, classifier)
    if reason is not None:
        classifier.notes += (_again(part, reason),)
        return rows
    made_from = [
        *(shelf.model, *made, part.name, spec.model.quantize),
        *(classifier.forward_arguments, str(model.dtype), asker.device.type, spec.training.bf16),
        *(version("torch"), version("transformers")),
    ]
    key = content_key(made_from)
    kept = Activations(shelf.folder / key, key)
    # Where training asks again anyway, its rows are not asked for the few that are predicted.
    names = [name for name in plain if part.steady or name != "train"]
    frozen = {name: frozen_rows(plain[name], kept) for name in names}
    training = frozen_rows(own, kept)
    asked = [*asker.proof, *(one for name in frozen for one in frozen[name].all_asked(1))]
    if spec.queries:
        asked += [one for name in frozen for one in frozen[name].mirrored().all_asked(1)]
    if part.steady:
        asked += training.all_asked(math.ceil(trainer.args.num_train_epochs))
    try:
        proof = asker.answers(part, asker.proof)
        missing = kept.missing(asked)
        kept.make_room(len(missing), asker.row_bytes(proof[0], missing))
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
    if not all(_close(kept[one], own) for one, own in zip(asker.proof, proof, strict=True)):
        classifier.notes += (_again(part, f"other answers are kept in {kept.folder}"),)
        return rows
    if part.steady:
        trainer.train_dataset = training
    else:
        classifier.notes += (_again(part, "it is random in training (dropout)"),)
    trainer.frozen = part
    trainer.eval_dataset = frozen["validation"]
    return {**rows, **frozen}


def _close(known: Tensor, computed: Tensor) -> bool:
    if known.shape != computed.shape:
        return False
    known, computed = known.float(), computed.float()
    return float((known - computed).abs().max()) <= KEPT * (1 + float(known.abs().max()))


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


class _Asks:
    """Asks a frozen part for rows of any split.

    Parameters
    ----------
    trainer : whose model is asked, where it is, in its precision.
    classifier : prepares the rows.
    """

    def __init__(self, trainer: FairTrainer, classifier: Classifier) -> None:
        self.model: Any = trainer.model
        self.device = trainer.args.device
        self.bf16 = trainer.args.bf16
        self.arguments = classifier.forward_arguments
        self.collate = collator_of(classifier)

    def context(self) -> torch.autocast:
        """The precision that the trainer computes in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _inputs(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        batch = {
            name: value.to(self.device)
            for name, value in self.collate(items).items()
            if name not in ("labels", "row")
        }
        return {**batch, **self.arguments}

    def _ask(self, part: FrozenPart, items: Sequence[Mapping[str, Any]]) -> Tensor:
        with self.context():
            return part.answers(self.model, self._inputs(items)).cpu()


class _AskPictures(_Asks):
    """Of pictures. `parts` are those of each split."""

    def __init__(
        self, trainer: FairTrainer, classifier: Classifier, parts: Mapping[str, ImageDataset]
    ) -> None:
        super().__init__(trainer, classifier)
        self._places = {
            str(one): (part, row)
            for part in parts.values()
            for row, one in enumerate(part.examples.ids.tolist())
        }
        self.proof = [Asked(one, False) for one in list(self._places)[:PROVED_ROWS]]

    def some(self) -> dict[str, Any]:
        """The rows of the proof as the model takes them."""
        return self._inputs(self._items(self.proof))

    def row_bytes(self, answer: Tensor, _: Sequence[Asked]) -> int:
        """Of a row's answer: all are of one size."""
        return answer.nbytes

    def answers(self, part: FrozenPart, some: Sequence[Asked]) -> Tensor:
        """(n, ...) what the part answers, a batch at a time."""
        starts = range(0, len(some), BATCH)
        return torch.cat([self._ask(part, self._items(some[k : k + BATCH])) for k in starts])

    def _items(self, some: Sequence[Asked]) -> list[dict[str, Any]]:
        items = []
        for one in some:
            part, row = self._places[one.id]
            items.append({"pixel_values": part.pixels(row, one.mirrored), "labels": 0, "row": row})
        return items


class _AskTexts(_Asks):
    """Of texts, by their tokens. `parts` are those of each split."""

    def __init__(
        self, trainer: FairTrainer, classifier: Classifier, parts: Mapping[str, TextDataset]
    ) -> None:
        super().__init__(trainer, classifier)
        self._texts: dict[str, tuple[TextDataset, int]] = {}
        self._lengths: dict[str, int] = {}
        for part in parts.values():
            for row, length in enumerate(part.lengths):
                digest = part.digest(row)
                self._texts[digest], self._lengths[digest] = (part, row), length
        # The longest first: without it the others are padded to another length.
        rows = sorted(self._texts, key=self._lengths.__getitem__, reverse=True)
        several = [rows[0], *rows[len(rows) // 2 :]]
        self.proof = [Asked(one, False) for one in several[:PROVED_ROWS]]

    def some(self) -> dict[str, Any]:
        """The rows of the proof as the model takes them."""
        return self._inputs(self._items(self.proof))

    def row_bytes(self, answer: Tensor, some: Sequence[Asked]) -> int:
        """Of a row's answer, in the mean over these rows."""
        if answer.ndim == 1:
            return answer.nbytes
        tokens = sum(self._lengths[one.id] for one in some) / max(1, len(some))
        return round(answer.nbytes / len(answer) * tokens)

    def answers(self, part: FrozenPart, some: Sequence[Asked]) -> Tensor | list[Tensor]:
        """(n, width) what the part answers; or (tokens, width) of each text, cut where it ends."""
        # Texts of alike lengths together: less padding.
        order = sorted(range(len(some)), key=lambda k: self._lengths[some[k].id])
        found: dict[int, Tensor] = {}
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            items = self._items([some[k] for k in batch])
            answers = self._ask(part, items)
            for k, item, own in zip(batch, items, answers, strict=True):
                found[k] = own[: len(item[TOKENS])].clone() if own.ndim > 1 else own
        rows = [found[k] for k in range(len(some))]
        return torch.stack(rows) if rows[0].ndim == 1 else rows

    def _items(self, some: Sequence[Asked]) -> list[dict[str, Any]]:
        items = []
        for one in some:
            part, row = self._texts[one.id]
            items.append(part[row])
        return items
