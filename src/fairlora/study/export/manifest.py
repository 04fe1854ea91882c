"""What lies beside an exported model: ``export.json``, and whether its files are still those."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fairlora.errors import InputError
from fairlora.io import read_content
from fairlora.study.runs.content import SealedFile
from fairlora.study.runs.seal import file_hash
from fairlora.study.spec.run import RunSpec, parse_spec

MANIFEST = "export.json"
MANIFEST_VERSION = 1

Target = Literal["merged", "onnx", "openvino"]


class BrokenExport(InputError):
    """An exported folder whose files are not those of its manifest."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class Moved(_Part):
    """How far logits moved from what was exported.

    Attributes
    ----------
    rows : that were compared.
    mean, largest : of the absolute differences of logits.
    flips : rows whose largest logit is another class's.
    """

    rows: int = Field(ge=0)
    mean: float = Field(ge=0)
    largest: float = Field(ge=0)
    flips: int = Field(ge=0)


class TableCheck(_Part):
    """Rows of the run's own predictions table, and how far probabilities are from it."""

    rows: int
    largest: float
    flips: int


class Proof(_Part):
    """What a comparison of an export with its source found.

    Attributes
    ----------
    data_fingerprint : of the data that they are of.
    splits : rows of each split that were compared.
    overall : over all rows.
    by_group : group attribute -> group -> over its rows.
    limit : of the largest difference, in logits; None where the weights were quantised.
    table : against the predictions that the run was audited by, where it has them.
    """

    data_fingerprint: str
    splits: dict[str, int]
    overall: Moved
    by_group: dict[str, dict[str, Moved]]
    limit: float | None = None
    table: TableCheck | None = None


class Calibration(_Part):
    """The rows that static int8 measured the ranges of activations by.

    Attributes
    ----------
    rows : how many.
    split : of which split; "" of data that have no training rows.
    by_group : group attribute -> group -> rows.
    """

    rows: int
    split: str
    by_group: dict[str, dict[str, int]]


class Origin(_Part):
    """What was exported.

    Attributes
    ----------
    kind : a finished run of fairlora's, or another model or adapter.
    name : the run's folder, the adapter's folder or hub id.
    base : the model below it.
    identity : the run's; None of others.
    method, seed : the run's.
    model_fingerprint : of the weights that were exported.
    data_fingerprint : of the data that the run was trained on; None of others.
    """

    kind: Literal["run", "model"]
    name: str
    base: str
    identity: str | None = None
    method: str | None = None
    seed: int | None = None
    model_fingerprint: str
    data_fingerprint: str | None = None


class Manifest(_Part):
    """``export.json``.

    Attributes
    ----------
    version : `MANIFEST_VERSION` of the fairlora that wrote it.
    made : the time.
    to, int8, precision : what it is, and the type that it computes in.
    classifies : pictures or texts.
    classes : in the order of the logits.
    model_file : the file that is opened.
    inputs : names of its inputs.
    origin : what was exported.
    spec : the run's settings, whose data settings say how rows are read and grouped.
    versions : of the libraries that wrote it.
    files : every file of the folder but this one.
    calibration, proof : see there.
    notes : what a user should know.
    """

    version: int
    made: str
    to: Target
    int8: Literal["dynamic", "static"] | None = None
    precision: str
    classifies: Literal["image", "text"]
    classes: list[str]
    model_file: str
    inputs: list[str]
    origin: Origin
    spec: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, SealedFile]
    calibration: Calibration | None = None
    proof: Proof
    notes: list[str] = []

    def said(self) -> dict[str, Any]:
        """What a table predicted by it says of where it comes from."""
        return self.model_dump(mode="json", include={"to", "int8", "precision", "origin", "made"})

    def run_spec(self) -> RunSpec:
        """The settings that say how its data are read."""
        return parse_spec(self.spec, where=MANIFEST)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an export whose files are all as it says; None of another folder.

    Raises
    ------
    BrokenExport : a file is missing, another, or more than the manifest has.
    InputError : the manifest cannot be read, or is of another version.
    """
    if not folder.is_dir() or not (folder / MANIFEST).is_file():
        return None
    manifest = read_content(folder / MANIFEST, Manifest)
    assert manifest is not None
    if manifest.version != MANIFEST_VERSION:
        raise InputError(
            "written by another version of fairlora",
            where=folder / MANIFEST,
            found=f"version {manifest.version}",
            expected=f"version {MANIFEST_VERSION}",
        )
    there, said = set(files_of(folder)), set(manifest.files)
    problem = None
    if said - there:
        problem = f"{min(said - there)} is missing"
    elif there - said:
        problem = f"{min(there - said)} was not written by the export"
    else:
        changed = [name for name in sorted(said) if sealed(folder / name) != manifest.files[name]]
        problem = f"{changed[0]} is not as it was exported" if changed else None
    if problem is None and manifest.model_file not in {*said, "."}:
        problem = "the manifest does not seal the model's file"
    if problem is not None:
        raise BrokenExport(
            problem, where=folder, expected="the files that its manifest has; export again"
        )
    return manifest


def files_of(folder: Path) -> list[str]:
    """Names of an export's files but for its manifest, sorted; hidden files are nobody's."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(n for n in names if n != MANIFEST and not Path(n).name.startswith("."))


def sealed(path: Path) -> SealedFile:
    """A file's size and SHA-256."""
    return SealedFile(bytes=path.stat().st_size, sha256=file_hash(path))
