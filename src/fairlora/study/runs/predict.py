"""Predict with any classifier on any data set: a predictions table and no training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainingArguments
from transformers.trainer_callback import PrinterCallback

from fairlora.data import REST, Examples, load_examples
from fairlora.errors import InputError
from fairlora.models import Classifier, keep_logits_exact, load_classifier, load_finetuned
from fairlora.models.exported import find_exported, load_exported
from fairlora.predictions import read_predictions, write_predictions
from fairlora.predictions.thresholds import Thresholds, apply_thresholds
from fairlora.study.export.manifest import Manifest, read_manifest
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import divided
from fairlora.study.runs.progress import Watcher
from fairlora.study.runs.verification import check_with_library, default_rows
from fairlora.study.spec.run import RunSpec, apply_overrides, parse_spec, read_yaml
from fairlora.study.tasks.base import watching
from fairlora.study.tasks.datasets import cut_texts
from fairlora.training import (
    FairTrainer,
    derive_seed,
    write_predictions_of,
)
from fairlora.training.datasets import collator_of, rows_of


def predict_with(
    model_id: str,
    out: Path,
    *,
    data: str | None = None,
    overrides: Sequence[str] = (),
    image_size: int | None = None,
    max_length: int | None = None,
    base: str | None = None,
    untrained_head: bool = False,
    batch_size: int = 64,
    bf16: bool = False,
    seed: int = 0,
    check: int | None = None,
    thresholds: Path | None = None,
    inputs: Mapping[str, str] | None = None,
    output: str | None = None,
    processor: str | None = None,
    watch: Watcher | None = None,
) -> dict[str, Any]:
    """Write the predictions table of a model on a data set.

    Parameters
    ----------
    model_id : a run's folder, a model or adapter folder, or a hub id; or an exported model, its
        folder or file.
    out : the table to write (.parquet); missing parent folders are made.
    data : a data set's name, or a run file whose data section is used; None is the data of the run.
    overrides : options of the data, each ``data.key=value`` with the value in YAML.
    image_size : side of the square input in pixels; None is the model's own.
    max_length : tokens that a text is cut to; None is the model's own.
    base : where an adapter's base model lies, if it has moved.
    untrained_head : give the model a new head: chance, as a baseline.
    batch_size : rows at a time, on each device.
    bf16 : compute in bfloat16.
    seed : of an untrained head.
    check : rows to send through the model's own library too; 0 is none, None is `default_rows`. An
        untrained head is never checked.
    thresholds : decides in place of the largest probability; see `predictions.thresholds`.
    inputs, output, processor : of an exported model that was made elsewhere: what its file calls
        its inputs and logits, and where its image processor or tokenizer is; see `load_exported`.
    watch : gets the progress.

    Returns
    -------
    Rows, accuracy, classes, notes and what was found of the model.

    Raises `InputError` if model or data are not there, their classes do not fit, the model answers
    otherwise than by its own library, or an export's files are not those of its manifest.
    """
    _check_out(out)
    limits = None if thresholds is None else Thresholds.read(thresholds)
    path = Path(model_id).expanduser()
    manifest = read_manifest(path.parent if path.is_file() else path)
    merged = manifest is not None and manifest.model_file == "."
    file = None if merged or untrained_head else find_exported(model_id)
    run = known_run(model_id) if manifest is None else known_export(manifest)
    examples = rows_to_predict(run, data, overrides)
    said = {"--input": inputs, "--output": output, "--processor": processor}
    if file is not None:
        check = _check_fixed(
            file, image_size=image_size, max_length=max_length, base=base, bf16=bf16, check=check
        )
        classifier = load_exported(
            file, examples.kind, inputs=inputs, output=output, processor=processor
        )
    elif any(said.values()):
        option = next(name for name, value in said.items() if value)
        raise InputError("an option of exported models alone", where=option, found=model_id)
    elif untrained_head:
        classifier = load_classifier(
            model_id,
            examples.classes,
            kind=examples.kind,
            image_size=image_size,
            max_length=max_length,
            head_seed=derive_seed(seed, "head"),
        )
        classifier.notes += ("the head is untrained: its predictions are chance, as a baseline",)
    else:
        classifier = load_finetuned(
            model_id, image_size=image_size, max_length=max_length, base=base, kind=examples.kind
        )
    examples = with_classes_of(examples, classifier)
    checked = None
    if not untrained_head:
        rows = default_rows(classifier, model_id) if check is None else check
        if rows:
            resized = image_size is not None
            checked = check_with_library(
                classifier, model_id, examples, rows, base=base, resized=resized
            )
            if checked.reason is not None:
                classifier.notes += (f"logits not compared with the library's: {checked.reason}",)
    keep_logits_exact(classifier.model, classifier.output)
    record = {
        **classifier.record.to_dict(),
        "checked": None if checked is None else checked.to_dict(),
    }
    if manifest is not None:
        record["export"] = manifest.said()
    cpu = file is not None or not torch.accelerator.is_available()
    accuracy = predict_rows(
        classifier,
        examples,
        out,
        batch_size=batch_size,
        bf16=bf16,
        cpu=cpu,
        record=record,
        watch=watch,
    )
    if getattr(classifier.model, "probabilities", None):
        classifier.notes += ("the file gives probabilities, which are taken as they are",)
    if limits is not None:
        decided = apply_thresholds(read_predictions(out), limits)
        classifier.notes += decided.notes[-2:]
        write_predictions(out, decided, record)
        accuracy = float((decided.predictions == decided.labels).mean())
    return {
        "out": str(out),
        "rows": len(examples),
        "accuracy": accuracy,
        "classes": list(classifier.classes),
        "loaded": record,
        "notes": [*examples.notes, *classifier.notes],
    }


def predict_rows(
    classifier: Classifier,
    examples: Examples,
    out: Path,
    *,
    record: Mapping[str, Any],
    batch_size: int = 64,
    bf16: bool = False,
    cpu: bool = False,
    watch: Watcher | None = None,
) -> float:
    """Write the predictions table of a loaded classifier on these rows; returns its accuracy.

    Parameters
    ----------
    classifier : takes a note where it cuts texts.
    examples : the rows, with their splits.
    out : the table to write.
    record : what the table says of the model.
    batch_size : rows at a time, on each device.
    bf16 : compute in bfloat16.
    cpu : compute on the processor whatever there is.
    watch : gets the progress.
    """
    dataset = rows_of(classifier, examples)
    classifier.notes += cut_texts(classifier, [dataset])
    with tempfile.TemporaryDirectory() as nowhere, _only_predicting(classifier.model):
        trainer = FairTrainer(
            model=classifier.model,
            args=TrainingArguments(
                output_dir=nowhere,
                per_device_eval_batch_size=batch_size,
                bf16=bf16,
                use_cpu=cpu,
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
            ),
            data_collator=collator_of(classifier),
            group_names=classifier.classes,
            forward_arguments=classifier.forward_arguments,
        )
        trainer.remove_callback(PrinterCallback)
        if watch is not None:
            batches = -(-len(dataset) // batch_size)
            trainer.add_callback(watching(watch, "predicting", batches))
        metrics = write_predictions_of(trainer, [dataset], out, classifier.classes, record)
    return metrics[0]["predict_accuracy"]


@contextmanager
def _only_predicting(model: Any) -> Iterator[None]:
    """Hide that weights are quantised: a Trainer refuses such a model without an adapter, since it
    could not train it."""
    quantised = getattr(model, "is_quantized", False)
    if quantised:
        model.is_quantized = False
    try:
        yield
    finally:
        if quantised:
            model.is_quantized = True


def _check_out(out: Path) -> None:
    """Make the table's folder; `InputError` before any work if the table cannot be written."""
    if out.is_dir():
        raise InputError("a folder", where="--out", found=out, expected="a file to write")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("cannot write here", where=out.parent, found=error.strerror) from error


def _check_fixed(file: Path, *, check: int | None, **given: Any) -> int:
    """Raise `InputError` for an option that an exported model has no use for; 0 rows to check."""
    for name, value in {**given, "check": check}.items():
        if value:
            raise InputError(
                "an exported model is as it was exported",
                where=f"--{name.replace('_', '-')}",
                found=file,
                expected="no such option, or the run that it was exported from",
            )
    return 0


@dataclass(frozen=True)
class KnownRun:
    """Where a model comes from.

    Attributes
    ----------
    spec : the run's settings; of an exported model that is no run's, those of its data.
    data_fingerprint : of the data that it was trained on; None where that is not known.
    trained : whether it is a run's: its data then have the splits that it was trained on.
    """

    spec: RunSpec
    data_fingerprint: str | None
    trained: bool = True


def known_export(manifest: Manifest) -> KnownRun:
    """What an export's manifest knows of the run that was exported."""
    origin = manifest.origin
    return KnownRun(manifest.run_spec(), origin.data_fingerprint, origin.kind == "run")


def known_run(model_id: str) -> KnownRun | None:
    """What is known of a run's folder; None of another model.

    Raises `InputError` for a run that is not whole.
    """
    folder = RunFolder(Path(model_id))
    if not (folder.path / "spec.yaml").is_file():
        return None
    folder.whole(weights=True)
    return KnownRun(folder.spec(), folder.environment().get("data_fingerprint"))


def data_section(data: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The data settings of a run file, or of a data set by its name.

    Parameters
    ----------
    data : a data set's name, or a run file.
    overrides : as of `predict_with`.
    """
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        section: dict[str, Any] = apply_overrides(read_yaml(Path(data)), overrides).get("data", {})
        return section
    named: dict[str, Any] = apply_overrides({"data": {"name": data}}, overrides)
    return dict(named["data"])


def rows_to_predict(
    run: KnownRun | None, data: str | None, overrides: Sequence[str], option: str = "--data"
) -> Examples:
    """The data to predict; on the model's own run's data, with that run's splits.

    Parameters
    ----------
    run : what is known of the run that the model comes from, if it is.
    data, overrides : as of `predict_with`.
    option : what names the data, for the message.

    Raises
    ------
    InputError : no data are named and the model is no run's, or they cannot be read.
    """
    for override in overrides:
        if not override.startswith("data."):
            raise InputError(
                "only options of the data can be set here", where="--set", found=override
            )
    if data is None:
        if run is None:
            raise InputError(
                "no data named",
                where=option,
                expected="a data set's name or a run file (the model is not a run's folder)",
            )
        spec = parse_spec(run.spec.model_dump(mode="json"), overrides)
        if run.trained:
            return divided(spec)
        asked = spec.data
    else:
        asked = parse_spec({"data": data_section(data, overrides)}, where=data).data
    examples = load_examples(asked.name, asked.options)
    if run is not None and examples.fingerprint == run.data_fingerprint:
        # The run's own data, perhaps with other options: rows that it trained on must not pass for
        # test rows, so every row keeps the split that it had in the run.
        own = run.spec.model_dump(mode="json")
        own["data"] |= {k: v for k, v in asked.options.items() if k in ("path", "root")}
        had = divided(parse_spec(own))
        assert had.split is not None
        known = dict(zip(map(str, had.ids), had.split.tolist(), strict=True))
        split = np.array([known.get(str(row), "unused") for row in examples.ids])
        return replace(examples, split=split)
    if examples.split is None:
        return replace(examples, split=np.full(len(examples), "test"))
    # What a data set sets aside for training, and leaves to us to divide, is nobody's test.
    return replace(examples, split=np.where(examples.split == REST, "train", examples.split))


def with_classes_of(examples: Examples, classifier: Classifier) -> Examples:
    """The examples with their labels as the model numbers its classes.

    Classes are matched by name, whatever their case; a model whose classes have no names (LABEL_0,
    ...) takes them by position. Raises `InputError` if a class of the data is unknown to the model.
    """
    theirs = [name.casefold() for name in classifier.classes]
    ours = [name.casefold() for name in examples.classes]
    nameless = all(name == f"label_{k}" for k, name in enumerate(theirs))
    if nameless and len(theirs) == len(ours):
        classifier.classes = examples.classes
        classifier.notes += (
            "the model's classes have no names: taken in the order " + ", ".join(examples.classes),
        )
        return examples
    unknown = [name for name in examples.classes if name.casefold() not in theirs]
    if unknown:
        raise InputError(
            "the model does not know this class of the data",
            where="model",
            found=f"{unknown[0]!r} (the model's: {', '.join(classifier.classes[:8])})",
            expected="a model fine-tuned for these classes, or --untrained-head",
        )
    places = np.array([theirs.index(name) for name in ours], dtype=np.int64)
    return replace(examples, labels=places[examples.labels], classes=classifier.classes)
