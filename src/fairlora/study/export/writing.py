"""Export a finished run, or an adapter on a base: what `fairlora export` does."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairlora.data import Examples
from fairlora.errors import InputError, require_packages
from fairlora.io import write_text
from fairlora.models import Adapter, Classifier, load_finetuned, merge, model_fingerprint
from fairlora.models.export_files import Int8, quantise_onnx, write_onnx, write_openvino
from fairlora.models.exported import ONNX_FILE, OPENVINO_FILE, load_exported
from fairlora.models.merging import save_merged
from fairlora.models.saving import write_beside
from fairlora.models.source import resolve_source
from fairlora.predictions import read_predictions
from fairlora.study.export.manifest import (
    MANIFEST,
    MANIFEST_VERSION,
    Calibration,
    Manifest,
    Origin,
    Target,
    files_of,
    sealed,
)
from fairlora.study.export.proof import (
    CALIBRATED,
    LIMIT,
    against_table,
    answers,
    batches_of,
    calibration_of,
    compare,
    drawn_evenly,
    proof_rows,
)
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.predict import (
    KnownRun,
    data_section,
    known_run,
    rows_to_predict,
    with_classes_of,
)
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import parse_spec

PACKAGES: dict[Target, tuple[str, ...]] = {
    "merged": (),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "openvino": ("openvino", "onnx", "onnxruntime", "onnxscript"),
}


def export_model(
    model_id: str,
    out: Path,
    *,
    to: Target,
    int8: Int8 | None = None,
    rows: str | None = None,
    overrides: Sequence[str] = (),
    base: str | None = None,
    watch: Watcher | None = None,
) -> Manifest:
    """Export a classifier into a new folder, and prove it on the rows that both answer.

    Parameters
    ----------
    model_id : folder of a finished run, folder or hub id of a PEFT adapter or of a whole model.
    out : the folder to make; it is there whole, with its proof, or not at all.
    to : "merged" (a Hugging Face folder, its adapter folded in), "onnx" or "openvino".
    int8 : how linear layers are quantised; None leaves float32.
    rows : data to prove and calibrate on: a data set's name or a run file. None is the run's own.
    overrides : options of the data, each ``data.key=value``.
    base : where an adapter's base model lies, if it has moved.
    watch : gets the progress.

    Returns
    -------
    What ``export.json`` holds.

    Raises
    ------
    InputError : no such model, one that cannot be exported (the line says why), a folder that is
        not empty, a package that is not installed, or less than 64 rows.
    WorkError : the export answers otherwise than what it was made from.
    """
    if int8 is not None and to == "merged":
        raise InputError(
            "a merged model is float", where="--int8", found=int8, expected="--to onnx or openvino"
        )
    require_packages(*PACKAGES[to])
    _check_free(out)
    tell = _teller(watch)
    tell("reading", 0)
    run = known_run(model_id)
    examples = rows_to_predict(run, rows, overrides, "--rows")
    classifier = load_finetuned(model_id, base=base, kind=examples.kind)
    examples = with_classes_of(examples, classifier)
    if classifier.kind == "image-text" and to != "merged":
        raise InputError(
            "a vision-language model is asked a prompt, which no exported file holds",
            where="--to",
            found=to,
            expected="merged",
        )
    chosen, split = calibration_rows(examples) if int8 == "static" else (_NONE, "")
    some = proof_rows(examples, chosen)
    tell("asking the model", 1)
    # Before anything is folded in or traced: an export shares its weights with the live network.
    before = answers(classifier, some)
    with _new_folder(out) as folder:
        tell("exporting", 2)
        batches = list(batches_of(classifier, examples.take(chosen))) if len(chosen) else []
        model_file = _write(classifier, folder, to, int8, some, batches)
        tell("proving", 3)
        written = _reopened(folder, model_file, classifier)
        after = answers(written, some)
        proof = compare(before, after, some, LIMIT if int8 is None else None)
        if run is not None:
            table = read_predictions(RunFolder(Path(model_id)).predictions)
            bf16 = run.spec.training.bf16
            found = against_table(after, some, table, bf16=bf16, exact=int8 is None)
            proof = proof.model_copy(update={"table": found})
        if run is not None:
            spec = run.spec.model_dump(mode="json")
        else:
            assert rows is not None
            spec = parse_spec({"data": data_section(rows, overrides)}).model_dump(mode="json")
        manifest = Manifest(
            version=MANIFEST_VERSION,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            to=to,
            int8=int8,
            precision=_precision(to, int8),
            classifies=examples.kind,
            classes=list(classifier.classes),
            model_file=model_file,
            inputs=list(getattr(written.model, "inputs", ())),
            origin=_origin(model_id, classifier, run),
            spec=spec,
            versions=_versions(to),
            files={name: sealed(folder / name) for name in files_of(folder)},
            calibration=_calibration(examples, chosen, split),
            proof=proof,
            notes=[*classifier.notes, *_notes(to, int8, split, chosen)],
        )
        text = manifest.model_dump_json(indent=1) + "\n"
        write_text(folder / MANIFEST, text, durable=True)
        tell("proving", 4)
    return manifest


_NONE: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


def calibration_rows(examples: Examples) -> tuple[NDArray[np.int64], str]:
    """Row numbers to calibrate on, drawn evenly over groups, and the split that they are of.

    Data without training rows give some of their others, and "" says so.
    """
    assert examples.split is not None
    training = np.flatnonzero(examples.split == "train")
    of = training if len(training) else np.arange(len(examples))
    chosen = of[drawn_evenly(examples.take(of), CALIBRATED, seed=1)]
    return chosen, "train" if len(training) else ""


def _calibration(examples: Examples, chosen: NDArray[np.int64], split: str) -> Calibration | None:
    return calibration_of(examples.take(chosen), split) if len(chosen) else None


def _notes(to: Target, int8: Int8 | None, split: str, chosen: NDArray[np.int64]) -> list[str]:
    notes = []
    if int8 == "dynamic":
        notes.append(
            "the range of activations is that of a whole batch: a row's logits move a little with "
            "the rows beside it (static int8 does not)"
        )
    if int8 == "static":
        of = "training rows" if split else "rows, of which none is said to be for training,"
        notes.append(f"calibrated on {len(chosen)} {of} drawn evenly over the groups")
    if to == "openvino":
        notes.append(
            "OpenVINO computes in a lower precision unless told: compile with "
            "INFERENCE_PRECISION_HINT=f32, as fairlora does, for the answers that were proved"
        )
    return notes


def _precision(to: Target, int8: Int8 | None) -> str:
    said = "float32" if int8 is None else f"int8 linear layers ({int8}), else float32"
    return f"{said}, by the hint f32" if to == "openvino" else said


def _write(
    classifier: Classifier,
    folder: Path,
    to: Target,
    int8: Int8 | None,
    some: Examples,
    batches: Sequence[Mapping[str, torch.Tensor]],
) -> str:
    """Write the model and what stands beside it; returns the file that is opened."""
    if to == "merged":
        save_merged(classifier, folder)
        return "."
    plain = merge(classifier)
    traced = next(batch for batch in batches_of(plain, some.take(np.arange(3))) if _rows(batch) > 1)
    # The float32 file is wanted in the end, or only on the way.
    first = folder / ("whole" if int8 or to == "openvino" else ".") / ONNX_FILE
    first.parent.mkdir(exist_ok=True)
    write_onnx(plain, traced, first)
    last = first
    if int8 is not None:
        last = folder / ("int8" if to == "openvino" else ".") / ONNX_FILE
        last.parent.mkdir(exist_ok=True)
        quantise_onnx(first, last, int8, batches)
    if to == "openvino":
        write_openvino(last, folder / OPENVINO_FILE)
    for between in {first.parent, last.parent} - {folder}:
        shutil.rmtree(between)
    write_beside(plain, Adapter("full"), folder)
    plain.model.config.save_pretrained(folder)
    return OPENVINO_FILE if to == "openvino" else ONNX_FILE


def _rows(batch: Mapping[str, torch.Tensor]) -> int:
    return len(next(iter(batch.values())))


def _reopened(folder: Path, model_file: str, source: Classifier) -> Classifier:
    """What was written, as whoever uses it opens it."""
    if model_file == ".":
        return load_finetuned(str(folder), kind=source.kind)
    return load_exported(folder / model_file, source.kind)


def _origin(model_id: str, classifier: Classifier, run: KnownRun | None) -> Origin:
    own: dict[str, Any] = {}
    if run is not None:
        status = RunFolder(Path(model_id)).status()
        own = {
            "identity": None if status is None else status.identity,
            "method": run.spec.method,
            "seed": run.spec.seed,
            "data_fingerprint": run.data_fingerprint,
        }
    return Origin(
        kind="model" if run is None else "run",
        name=model_id,
        base=classifier.base if run is None else run.spec.model.id,
        model_fingerprint=model_fingerprint(resolve_source(model_id)),
        **own,
    )


def _versions(to: Target) -> dict[str, str]:
    names = ("fairlora", "torch", "transformers", "peft", "numpy", *PACKAGES[to])
    return {name: metadata.version(name) for name in names}


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "something lies here already", where=out, expected="--out with a new or empty folder"
        )


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its name when the block ends well, or is removed."""
    out = out.absolute()
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError("cannot write here", where=out.parent, found=error.strerror) from error
    try:
        yield partial
        if out.is_dir():
            out.rmdir()  # empty, as was checked
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _teller(watch: Watcher | None) -> Any:
    def tell(phase: str, done: int) -> None:
        if watch is not None:
            watch(Progress(phase, done, 4))

    return tell


def default_folder(model_id: str, to: Target, int8: Int8 | None) -> Path:
    """``exports/NAME-onnx-int8-static``, below the current folder.

    Parameters
    ----------
    model_id, to, int8 : as of `export_model`.

    >>> default_folder("runs/demo/lora-r8", "onnx", "dynamic").as_posix()
    'exports/lora-r8-onnx-int8-dynamic'
    """
    name = Path(model_id).expanduser().absolute().name
    return Path("exports") / "-".join([name, to, *([] if int8 is None else ["int8", int8])])
