"""Causal language modelling: fine-tune a model on texts, or leave it as it is, and probe it."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import Subset

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import Adapter, LanguageModel, attach, keep_logits_exact, load_language
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.kept import KeptAnswers
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.runs.verification import prove_language
from fairlora.study.spec.run import TRAINING_ROWS, RunSpec
from fairlora.study.tasks.arguments import (
    adapter_of,
    objective_of,
    trainer_of,
    training_arguments,
)
from fairlora.study.tasks.base import Task
from fairlora.study.tasks.causal_lm_texts import BaseLogits, Scorer, notes_of
from fairlora.study.tasks.datasets import PARTS
from fairlora.study.tasks.frozen import Shelf
from fairlora.training import LanguageCollator, derive_seed, language_rows
from fairlora.training.matched_loss import sample_rows

if TYPE_CHECKING:
    from fairlora.probes.run import Keep


class CausalLM(Task):
    """A language model's run: the loss of every split, and what its probes find."""

    metric = "loss"
    phase = "measuring"

    def __init__(
        self,
        spec: RunSpec,
        examples: Examples,
        checkpoints: Path,
        shelf: Shelf | None = None,
    ) -> None:
        """Load the language model, attach the adapter, make the data sets and the trainer.

        What the base model answers, which nothing trains, is kept on the shelf for other runs.

        Raises `InputError` for a rank above the model's width, which no matrix of it has.
        """
        language = load_language(
            spec.model.id,
            max_length=spec.model.max_length,
            chat=spec.model.chat,
            quantize=spec.model.quantize,
            merged=True,
        )
        parts = {
            part: language_rows(examples.part(part), language, pack=spec.training.pack)
            for part in PARTS
        }
        adapter = adapter_of(spec, len(parts["train"]))
        _check_rank(adapter, language)
        self.before: BaseLogits | None = None
        if adapter.kind not in ("base", "full") and spec.training.score_texts == "both":
            self.before = BaseLogits(language, parts["train"], bf16=spec.training.bf16)
        model = attach(
            language.model,
            adapter,
            (),
            seed=derive_seed(spec.chance, "adapter"),
            task="language",
        )
        keep_logits_exact(model, ("lm_head",))
        cut = sum(part.cut for part in parts.values())
        if cut:
            language.notes += (f"{cut:,} examples are cut at {language.max_length} tokens",)
        fair = spec.objective.fair
        trainer = trainer_of(
            spec,
            examples,
            parts["train"],
            model=model,
            args=_arguments(spec, checkpoints, parts["train"]),
            eval_dataset=parts["validation"],
            data_collator=LanguageCollator(language.tokenizer),
            objective=objective_of(spec.objective),
            group_column=spec.objective.groups if fair else None,
            exact_accumulation=spec.training.exact_accumulation,
        )
        self.language = language
        super().__init__(spec, examples, language, adapter, trainer, parts, ())
        self.kept = KeptAnswers(
            None if shelf is None or self.trains else shelf.folder,
            [
                *("" if shelf is None else shelf.model, spec.model.quantize, spec.training.bf16),
                *(language.chat, language.max_length, trainer.args.device.type),
                *(version("torch"), version("transformers")),
            ],
        )

    def measure(self, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
        """Measure the loss of every split, prove the folder, and ask the probes."""
        watch(Progress("measuring", 0, 1))
        measured = self.losses()
        bf16 = self.trainer.args.bf16
        proof = prove_language(folder.path, self.trainer.model, self.some_rows(), bf16=bf16)
        self.language.model = self.trainer.model
        self.language.model.eval()
        probes = _probe(self.spec, self.language, self.examples, folder, watch, self.kept.get)
        self.language.notes += tuple(self.kept.notes)
        if self.spec.training.score_texts != "no":
            self._score_texts(folder.texts, watch)
        return {
            "task": "language",
            "mean_loss": {part: row["loss"] for part, row in measured.items()},
            "perplexity": {part: _perplexity(row["loss"]) for part, row in measured.items()},
            "split_accuracy": {part: row["accuracy"] for part, row in measured.items()},
            "probes": probes,
            "proved": proof,
        }

    def _score_texts(self, path: Path, watch: Watcher) -> None:
        args = self.trainer.args
        scorer = Scorer(
            *(self.spec, self.examples, self.language, self.before),
            *(args.per_device_eval_batch_size, args.bf16),
            partial(_told, watch, "scoring texts"),
        )
        self.language.notes += tuple(notes_of(scorer.write(path, self.trainer.model)))

    def some_rows(self) -> dict[str, Any]:
        """A few rows as a batch, of the last split that has any."""
        rows = next(part for part in reversed(self.parts.values()) if len(part))
        batch: dict[str, Any] = LanguageCollator(self.language.tokenizer)(
            [rows[k] for k in range(min(4, len(rows)))]
        )
        return batch

    def losses(self) -> dict[str, dict[str, float]]:
        """Each split's mean loss and share of tokens right; of training at most 1,000 rows."""
        losses = {}
        for name, rows in self.parts.items():
            seed = derive_seed(self.spec.chance, "until_loss rows")
            chosen = sample_rows(len(rows), TRAINING_ROWS, seed) if name == "train" else None
            measured: Any = rows if chosen is None else Subset(rows, chosen)
            about = None if self.kept.folder is None else _tokens_of(measured)
            size = self.trainer.args.per_device_eval_batch_size
            losses[name] = self.kept.get(["loss", size, about], partial(self._loss, name, measured))
        return losses

    def _loss(self, name: str, rows: Any) -> dict[str, float]:
        output = self.trainer.evaluation_loop(
            self.trainer.get_eval_dataloader(rows),
            description=name,
            prediction_loss_only=True,
            metric_key_prefix="eval",
        )
        metrics = output.metrics or {}
        return {"loss": metrics["eval_loss"], "accuracy": metrics["eval_accuracy"]}


def _tokens_of(rows: Any) -> str:
    """A hash of all that a model reads of these rows, and of what is to be learnt of it."""
    digest = hashlib.blake2b(digest_size=16)
    for k in range(len(rows)):
        item = rows[k]
        digest.update(repr([item["input_ids"], item["labels"]]).encode())
    return digest.hexdigest()


def _check_rank(adapter: Adapter, language: LanguageModel) -> None:
    width = getattr(language.model.config, "hidden_size", None)
    if adapter.kind not in ("base", "full") and width is not None and adapter.rank > width:
        raise InputError(
            "a rank above the model's width",
            where="adapter.rank",
            found=adapter.rank,
            expected=f"1 to {width}",
        )


def _arguments(spec: RunSpec, checkpoints: Path, rows: Any) -> Any:
    kind = "text" if getattr(rows, "lengths", None) is not None else "language"
    made = training_arguments(spec, checkpoints, kind=kind)
    if "per_device_eval_batch_size" not in spec.training.arguments:
        # Logits of a whole vocabulary a token: no more of them at a time than in training.
        made.per_device_eval_batch_size = spec.training.batch_size
    return made


def _perplexity(loss: float) -> float | None:
    """exp of the mean loss; None where it is beyond all numbers."""
    return math.exp(loss) if loss < 700 else None


def _told(watch: Watcher, phase: str, done: int, total: int) -> None:
    watch(Progress(phase, done, total))


def _probe(
    spec: RunSpec,
    language: LanguageModel,
    examples: Examples,
    folder: RunFolder,
    watch: Watcher,
    keep: Keep,
) -> dict[str, Any]:
    """Run the spec's probes into the run's folder; their summaries by name."""
    if not spec.probes:
        return {}
    from fairlora.probes.run import run_probe
    from fairlora.probes.settings import parse_probe

    summaries: dict[str, Any] = {}
    for name, values in spec.probes.items():
        settings = parse_probe(name, values, where=f"probes.{name}")
        summaries[name] = run_probe(
            name,
            language,
            examples,
            settings,
            folder.path / "probes",
            partial(_told, watch, f"probing {name}"),
            keep=keep,
        )
    return summaries
