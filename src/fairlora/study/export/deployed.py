"""A trained run as it is shipped: turned into another form, and its rows predicted anew.

| form | what it is |
|---|---|
| float32 | the adapter folded in, computed in float32 |
| bfloat16 | the same with weights and products in bfloat16 |
| nf4 | the same with linear layers in 4 bits (NF4; Dettmers et al. 2023), by bitsandbytes |
| onnx | the float32 model as ONNX, by onnxruntime |
| onnx-int8 | its linear layers in int8, the ranges of activations by batch |
| onnx-int8-static | the same, the ranges measured on training rows drawn evenly over groups |
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fairlora.data import Examples
from fairlora.errors import InputError, require_packages
from fairlora.models import Classifier, load_finetuned
from fairlora.models.export_files import Int8
from fairlora.models.exported import load_exported
from fairlora.predictions import read_predictions
from fairlora.study.export.manifest import Proof, Target
from fairlora.study.export.proof import answers, compare, group_counts, proof_rows
from fairlora.study.export.writing import PACKAGES, export_model
from fairlora.study.runs.folder import RunFolder, identity
from fairlora.study.runs.measured import measure
from fairlora.study.runs.predict import predict_rows, with_classes_of
from fairlora.study.runs.prepare import Prepared
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import Deploy

# How the folder is made that a form is read from.
_MADE: dict[Deploy, tuple[Target, Int8 | None]] = {
    "float32": ("merged", None),
    "bfloat16": ("merged", None),
    "nf4": ("merged", None),
    "onnx": ("onnx", None),
    "onnx-int8": ("onnx", "dynamic"),
    "onnx-int8-static": ("onnx", "static"),
}
# Splits that a shipped run predicts: nobody ships a model to its training rows.
SPLITS = ("validation", "test")


def check_packages(form: Deploy) -> None:
    """Raise `InputError` where what a form needs is not installed."""
    require_packages(*PACKAGES[_MADE[form][0]], *(["bitsandbytes"] if form == "nf4" else []))


def ship(prepared: Prepared, source: Path, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
    """Turn a trained run into the form that the spec names, predict, and audit the test rows.

    The form itself is made in a folder that is removed: `fairlora export` makes it to be kept.

    Parameters
    ----------
    prepared : the run, whose spec names the form.
    source : folder of the trained run.
    folder : takes the predictions.
    watch : gets the progress.

    Returns
    -------
    What ``metrics.json`` holds: the trained run's, with what was predicted anew in its place.

    Raises
    ------
    InputError : a run that is not finished or another one, a package that is not installed, or a
        model that cannot be turned into the form.
    WorkError : a float form answers otherwise than the run.
    """
    spec, form = prepared.spec, prepared.spec.deploy
    assert form is not None
    check_packages(form)
    own = identity(spec.trained, prepared.data_fingerprint, prepared.model_fingerprint)
    trained = RunFolder(source)
    if trained.whole(own, weights=True) is None:
        raise InputError("the run that is to be shipped is not finished", where=source)
    examples = prepared.examples
    assert examples.split is not None
    with tempfile.TemporaryDirectory() as nowhere:
        classifier, proof, size = _made(form, source, Path(nowhere) / "form", examples, watch)
        rows = examples.take(np.isin(examples.split, SPLITS))
        record = {**classifier.record.to_dict(), "deploy": form}
        predict_rows(
            classifier,
            with_classes_of(rows, classifier),
            folder.predictions,
            record=record,
            cpu=form.startswith("onnx") or not torch.accelerator.is_available(),
            watch=watch,
        )
    said = {key: value for key, value in trained.metrics().items() if key != "proved"}
    return {
        **said,
        **measure(read_predictions(folder.predictions), spec.audit, list(said["mean_loss"])),
        "predicted": {"train": 0},
        "shipped": {
            "form": form,
            "from": own,
            "bytes": size,
            "proof": proof.model_dump(mode="json"),
            "train_rows": group_counts(examples.part("train")),
        },
        "loaded": record,
        "notes": [*examples.notes, *classifier.notes],
    }


def _made(
    form: Deploy, source: Path, folder: Path, examples: Examples, watch: Watcher
) -> tuple[Classifier, Proof, int]:
    """The run in its form, how far its logits are from the run's, and the bytes of its weights."""
    to, int8 = _MADE[form]
    manifest = export_model(str(source), folder, to=to, int8=int8, watch=watch)
    if to == "onnx":
        size = manifest.files[manifest.model_file].bytes
        return load_exported(folder / manifest.model_file, examples.kind), manifest.proof, size
    how: dict[str, Any] = {"quantize": "4bit"} if form == "nf4" else {}
    classifier = load_finetuned(str(folder), kind=examples.kind, **how)
    network: Any = classifier.model
    if form == "bfloat16":
        network.to(torch.bfloat16)
        network.register_forward_pre_hook(_in_bfloat16, with_kwargs=True)
    size = sum(_bytes(tensor) for tensor in network.state_dict().values())
    if form == "float32":
        return classifier, manifest.proof, size
    some = proof_rows(examples, np.zeros(0, dtype=np.int64))
    watch(Progress("proving", 0, 1))
    before = answers(load_finetuned(str(source), kind=examples.kind), some)
    return classifier, compare(before, answers(classifier, some).float(), some, None), size


def _in_bfloat16(
    module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a network of bfloat16 is called with: pictures in its own type."""

    def cast(value: Any) -> Any:
        floats = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.to(torch.bfloat16) if floats else value

    return tuple(map(cast, given)), {name: cast(value) for name, value in named.items()}


def _bytes(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0
