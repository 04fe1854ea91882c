"""The smoke form of a study: the same grid on tiny models and tiny data, on any machine, offline.

What comes out are numbers of random networks on made-up data. They say that every step of the way
works, and nothing about fairness.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from fairlora.data.tiny import write_tiny
from fairlora.errors import InputError
from fairlora.io import read_content
from fairlora.study.spec.engine import EngineSpec
from fairlora.study.spec.study import MethodSpec, StudyDataSpec, StudyModelSpec, StudySpec

ENDING = "-smoke"
# What a page of made-up numbers says first: it names the real models and data.
TITLE = "Smoke test"
WARNING = (
    "A test that every step works, on tiny stand-ins for the models and data named here: its "
    "numbers say nothing about them."
)
BATCH = 8
MAX_LENGTH = 16
# Of language models: a prompt with its answer, in a tokenizer of few words.
LANGUAGE_LENGTH = 128
LANGUAGE = ("winomt", "yelp-md-gender", "plain-text")
DRAWS = 200
SHIFT_DRAWS = {"bootstrap": 0, "permutations": 19, "inception": None}
PRIVACY_DRAWS = {"bootstrap": DRAWS, "permutations": DRAWS}
# Data sets that are anybody's own: what their columns are called, no tiny copy knows.
OWN = ("image-table", "text-table", "hf-dataset", "plain-text")
OWN_ROWS = 96
# Settings for a large model, or for a particular machine.
_LEFT_OUT = ("batch_size", "bf16", "precision", "workers", "report_to", "arguments")


def smoke_study(study: StudySpec, folder: Path) -> StudySpec:
    """The study on tiny models and tiny data, which are written below `folder`.

    Every model becomes `write_tiny_model` of its architecture (one that is prompted
    `write_tiny_image_text`), every data set `write_tiny` of its
    kind; what the study says of them otherwise (target, groups, subset, scarcity) stays, and so do
    their names in reports, whose title and lead say that this is a test. A user's own table stays,
    with few of its rows to train on. Batches are of 8, in float32, texts of 16 tokens, groups of
    any size count, and verdicts come from 200 draws; ``training.arguments``, workers and
    quantisation go back to their defaults. Where the study names no engine and no picture formats,
    its cells run in this process, which has loaded torch to make the models, and figures are drawn
    once, as SVG. The study's name ends in "-smoke", and so do those that it reuses: its cells never
    lie among real ones.

    What is there from an earlier call is used as it is. Raises `InputError` for a model whose
    architecture has no tiny one, and for a data set that is none.
    """
    folder = folder.resolve()  # a worker may run in another folder than this process
    language = all(data.name in LANGUAGE for data in study.data)
    return study.model_copy(
        update={
            "name": study.name + ENDING,
            "title": f"{TITLE}: {study.title or study.name}",
            "lead": f"{WARNING} {study.lead}".strip(),
            "reuse": tuple(name + ENDING for name in study.reuse),
            "data": tuple(_data(data, folder / "data") for data in study.data),
            "models": tuple(
                _model(model, folder / "models", language=language) for model in study.models
            ),
            "methods": tuple(_method(method) for method in study.methods),
            "training": {**_training(study.training), "batch_size": BATCH},
            "compare": study.compare.model_copy(update={"bootstrap": DRAWS}),
            "shift": study.shift and study.shift.model_copy(update=SHIFT_DRAWS),
            "privacy": study.privacy and study.privacy.model_copy(update=PRIVACY_DRAWS),
            "audit": study.audit.model_copy(update={"min_group": 1}),
            **_quick(study),
        }
    )


def _quick(study: StudySpec) -> dict[str, Any]:
    """What takes seconds that tiny cells do not, unless the study asks for it."""
    out: dict[str, Any] = {}
    if "engine" not in study.model_fields_set:
        out["engine"] = EngineSpec(kind="inline")
    if "formats" not in study.report.model_fields_set:
        out["report"] = study.report.model_copy(update={"formats": ("svg",)})
    return out


def _data(data: StudyDataSpec, folder: Path) -> StudyDataSpec:
    if data.name in OWN:
        rows = min(data.train_rows or OWN_ROWS, OWN_ROWS)
        return data.model_copy(update={"train_rows": rows})
    if data.name == "people-emoji":
        # Embedded; one of those who draw them is enough.
        return StudyDataSpec.model_validate({"renderers": ["noto"], **data.model_dump()})
    copy = folder / data.name
    _once(copy, lambda partial: _write_data(data.name, partial))
    made = read_content(copy / "options.json", _Options)
    if made is None:
        raise InputError("missing", where=copy / "options.json", expected=f"{copy} removed")
    options = {**made.model_dump(), "path": str(copy / made.path)}
    return StudyDataSpec.model_validate({**data.model_dump(), **options})


class _Options(BaseModel):
    """The options of a tiny data set that was made for a study."""

    model_config = ConfigDict(extra="allow")
    path: str


def _write_data(name: str, partial: Path) -> None:
    options = write_tiny(name, partial / "files")
    # The folder is moved when it is whole.
    options["path"] = str(Path(options["path"]).relative_to(partial))
    (partial / "options.json").write_text(json.dumps(options), encoding="utf-8")


def _model(model: StudyModelSpec, folder: Path, *, language: bool) -> StudyModelSpec:
    from fairlora.models.source import EMBEDDED

    label = model.label or model.id.rstrip("/").rsplit("/", 1)[-1]
    changes: dict[str, Any] = {"label": label, "image_size": None, "quantize": None}
    if language or model.id != EMBEDDED:
        # Two models of one architecture are two models: each has weights of its own.
        digest = hashlib.blake2b(model.id.encode(), digest_size=4).hexdigest()
        name = f"language {label} {digest}" if language else f"{label} {digest}"
        model_folder = folder / re.sub(r"[^A-Za-z0-9.]+", "-", name)
        seed = int(digest, 16) % 2**31
        prompted = model.prompt is not None
        _once(model_folder, lambda p: _write_model(model.id, p, seed, language, prompted))
        if prompted:
            changes["max_length"] = None
        elif (
            language or not (model_folder / "preprocessor_config.json").is_file()
        ):  # it reads texts
            longest = LANGUAGE_LENGTH if language else MAX_LENGTH
            changes["max_length"] = min(model.max_length or longest, longest)
        changes["id"] = str(model_folder)
    return model.model_copy(update=changes)


def _write_model(like: str, partial: Path, seed: int, language: bool, prompted: bool) -> None:
    # Imported here: where the model is there already, no torch is needed.
    from fairlora.models.tiny import write_tiny_model
    from fairlora.models.tiny_image_text import stand_in, write_tiny_image_text
    from fairlora.models.tiny_language import write_tiny_language_model

    if prompted:
        write_tiny_image_text(stand_in(like), partial, seed=seed)
    elif language:
        write_tiny_language_model(like, partial, seed=seed)
    else:
        write_tiny_model(like, partial, seed=seed)


def _method(method: MethodSpec) -> MethodSpec:
    data = {key: value for key, value in method.data.items() if key != "path"}
    return method.model_copy(update={"training": _training(method.training), "data": data})


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training.items() if key not in _LEFT_OUT}


def _once(folder: Path, write: Callable[[Path], object]) -> None:
    """Have a folder written, whole or not at all, unless it is there."""
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        write(partial)
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():  # or another process was faster
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
