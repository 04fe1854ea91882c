"""A run of a language model: fine-tune it on texts, or leave it as it is, and ask it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.data import Subset
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    LanguageModel,
    after_step,
    attach,
    count_parameters,
    keep_logits_exact,
    load_language,
    save_finetuned,
)
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.runs.proof import prove_language
from fairlora.study.spec.run import RunSpec
from fairlora.study.tasks.classification import adapter_of, objective_of, training_arguments
from fairlora.study.tasks.datasets import PARTS
from fairlora.training import FairTrainer, LanguageCollator, derive_seed, language_rows
from fairlora.training.matched_loss import MatchedLoss, sample_rows

BASE = "base"
# Training rows whose loss is told at the end: enough to three digits.
TRAINING_ROWS = 1000


@dataclass
class LanguageRun:
    """A language model's run, made from its spec."""

    spec: RunSpec
    language: LanguageModel
    adapter: Adapter
    trainer: FairTrainer
    parts: dict[str, Any]
    matched: MatchedLoss | None = None

    def train(self, checkpoint: str | None = None) -> None:
        """Train, from a checkpoint where there is one; the base model is left as it is."""
        if self.adapter.kind == BASE:
            return
        if self.matched is None:
            self.trainer.train(resume_from_checkpoint=checkpoint)
        else:
            self.matched.train(resume_from_checkpoint=checkpoint)

    def some_rows(self) -> dict[str, Any]:
        """A few rows as a batch, of the last split that has any."""
        rows = next(part for part in reversed(self.parts.values()) if len(part))
        batch: dict[str, Any] = LanguageCollator(self.language.tokenizer)(
            [rows[k] for k in range(min(4, len(rows)))]
        )
        return batch

    def measure(self) -> dict[str, dict[str, float]]:
        """Each split's mean loss and share of tokens right; of training at most 1,000 rows."""
        found = {}
        for name, rows in self.parts.items():
            seed = derive_seed(self.spec.chance, "until_loss rows")
            chosen = sample_rows(len(rows), TRAINING_ROWS, seed) if name == "train" else None
            measured: Any = rows if chosen is None else Subset(rows, chosen)
            output = self.trainer.evaluation_loop(
                self.trainer.get_eval_dataloader(measured),
                description=name,
                prediction_loss_only=True,
                metric_key_prefix="eval",
            )
            metrics = output.metrics or {}
            found[name] = {"loss": metrics["eval_loss"], "accuracy": metrics["eval_accuracy"]}
        return found


def build_language(spec: RunSpec, examples: Examples, checkpoints: Path) -> LanguageRun:
    """Load the language model, attach the adapter, make the data sets and the trainer.

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
    trainer = FairTrainer(
        model=model,
        args=_arguments(spec, checkpoints, parts["train"]),
        train_dataset=parts["train"],
        eval_dataset=parts["validation"],
        data_collator=LanguageCollator(language.tokenizer),
        objective=objective_of(spec.objective),
        group_column=spec.objective.groups if fair else None,
        exact_accumulation=spec.training.exact_accumulation,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_AdapterSteps())
    matched = None
    if spec.training.until_loss is not None and adapter.kind != BASE:
        matched = MatchedLoss(
            trainer,
            parts["train"],
            spec.training.until_loss,
            rows=spec.training.until_loss_rows,
            seed=derive_seed(spec.chance, "until_loss rows"),
        )
        trainer.add_callback(matched)
    return LanguageRun(spec, language, adapter, trainer, parts, matched)


def _check_rank(adapter: Adapter, language: LanguageModel) -> None:
    width = getattr(language.model.config, "hidden_size", None)
    if adapter.kind not in (BASE, "full") and width is not None and adapter.rank > width:
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


class _AdapterSteps(TrainerCallback):
    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        after_step(model, state.global_step + 1)


class _Watching(TrainerCallback):
    """Reports training steps and the validation loss."""

    def __init__(self, watch: Watcher) -> None:
        self.watch = watch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.watch(Progress("training", state.global_step, state.max_steps))

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        if metrics and "eval_loss" in metrics and state.max_steps:
            message = f"epoch {state.epoch:g}: validation loss {metrics['eval_loss']:.4f}"
            self.watch(Progress("training", state.global_step, state.max_steps, message))


def work_on_language(
    spec: RunSpec, examples: Examples, folder: RunFolder, watch: Watcher
) -> dict[str, Any]:
    """Train, measure, save and ask; returns what ``metrics.json`` holds."""
    from fairlora.study.runs.cell import _best_epoch, _finite

    checkpoints = folder.path / "checkpoints"
    run = build_language(spec, examples, checkpoints)
    trainer = run.trainer
    trainer.add_callback(_Watching(watch))
    run.train(_last_checkpoint(spec, checkpoints))
    log = [json.dumps(row, allow_nan=False) for row in _finite(trainer.state.log_history)]
    folder.write("log.jsonl", "\n".join(log) + "\n")
    save_finetuned(run.language, trainer.model, run.adapter, folder.path)
    watch(Progress("measuring", 0, 1))
    measured = run.measure()
    proof = prove_language(folder.path, trainer.model, run.some_rows())
    run.language.model = trainer.model
    run.language.model.eval()
    probes = _probe(spec, run.language, examples, folder, watch)
    notes = [*examples.notes, *run.language.notes]
    if run.matched is not None and run.matched.note() is not None:
        notes.append(str(run.matched.note()))
    return {
        "task": "language",
        "method": spec.method,
        "mean_loss": {part: one["loss"] for part, one in measured.items()},
        "perplexity": {part: _perplexity(one["loss"]) for part, one in measured.items()},
        "split_accuracy": {part: one["accuracy"] for part, one in measured.items()},
        "rows": {part: len(rows) for part, rows in run.parts.items()},
        "parameters": count_parameters(trainer.model, ()).to_dict(),
        "training_seconds": round(
            sum(row.get("train_runtime", 0.0) for row in trainer.state.log_history), 2
        ),
        "best_epoch": _best_epoch(trainer),
        "last_layer": None,
        "matched_loss": None if run.matched is None else run.matched.outcome._asdict(),
        "probes": probes,
        "loaded": run.language.record.to_dict(),
        "proved": proof,
        "notes": notes,
    }


def _perplexity(loss: float) -> float | None:
    """exp of the mean loss; None where it is beyond all numbers."""
    return math.exp(loss) if loss < 700 else None


def _last_checkpoint(spec: RunSpec, checkpoints: Path) -> str | None:
    from transformers.trainer_utils import get_last_checkpoint

    if spec.training.resume == "checkpoint" and checkpoints.is_dir():
        found: str | None = get_last_checkpoint(str(checkpoints))
        return found
    return None


def _told(watch: Watcher, phase: str, done: int, total: int) -> None:
    watch(Progress(phase, done, total))


def _probe(
    spec: RunSpec, language: LanguageModel, examples: Examples, folder: RunFolder, watch: Watcher
) -> dict[str, Any]:
    """Run the spec's probes into the run's folder; their summaries by name."""
    if not spec.probes:
        return {}
    from fairlora.probes.run import run_probe
    from fairlora.probes.settings import parse_probe

    found: dict[str, Any] = {}
    for name, values in spec.probes.items():
        settings = parse_probe(name, values, where=f"probes.{name}")
        found[name] = run_probe(
            name,
            language,
            examples,
            settings,
            folder.path / "probes",
            partial(_told, watch, f"probing {name}"),
        )
    return found
