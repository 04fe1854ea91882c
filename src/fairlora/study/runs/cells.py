"""The cells of a study: what each is, where it lies, and whether it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora.study.engines.jobs import Job
from fairlora.study.runs.folder import RunFolder, cell_name, identity
from fairlora.study.runs.precision import Precision, settled
from fairlora.study.runs.prepare import DataSets, Prepared, prepare
from fairlora.study.runs.seal import BrokenRun
from fairlora.study.spec.run import RunSpec


@dataclass(frozen=True)
class Cell:
    """One run of a study, known by what can change its result.

    `prepared` has its data split, of a seed that shares all of its settings. `source` is the folder
    of the trained run, of a cell that ships one.
    """

    spec: RunSpec
    identity: str
    folder: RunFolder
    prepared: Prepared = field(repr=False, compare=False)
    source: RunFolder | None = None

    @property
    def name(self) -> str:
        return self.folder.path.name

    def job(self) -> Job:
        """The cell as an engine carries it."""
        source = "" if self.source is None else str(self.source.path)
        return Job(str(self.folder.path), self.spec.to_yaml(), self.identity, source)


@dataclass
class CellMaker:
    """Makes cells of run specs: reads each data set, and each model's fingerprint, once.

    Attributes
    ----------
    root : the study's folder.
    reuse : folders of other studies; a cell that is finished there is used where it lies.
    examples : gives a run's data as read, before they are split.
    broken : cells of other studies that are not whole, with the reason.
    precision : what the runs' precision "auto" stands for; None is float32.
    """

    root: Path
    reuse: Sequence[Path] = ()
    examples: DataSets = field(default_factory=DataSets)
    broken: dict[str, str] = field(default_factory=dict)
    precision: Precision | None = None
    _models: dict[str, str] = field(default_factory=dict)
    _checked: dict[str, Prepared] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.precision is None:
            self.precision = settled(self.root)

    def cell(self, spec: RunSpec) -> Cell:
        """The cell of a run. Raises `InputError` for anything wrong with its data or settings."""
        if self.precision is not None:
            spec = self.precision.resolve(spec)
        examples = self.examples(spec)
        model = self._fingerprint(spec.model.id)
        key = _checks(spec)
        if key not in self._checked:
            self._checked[key] = prepare(spec, examples)
        own = identity(spec, examples.fingerprint, model)
        folders = [RunFolder(root / cell_name(spec, own)) for root in (*self.reuse, self.root)]
        folder = next((f for f in folders[:-1] if self._has(f, own)), folders[-1])
        source = None if spec.deploy is None else self.cell(spec.trained).folder
        return Cell(spec, own, folder, self._checked[key], source)

    def _has(self, folder: RunFolder, own: str) -> bool:
        """Whether another study has the cell; one that is not whole there is run here."""
        try:
            return folder.whole(own) is not None
        except BrokenRun as error:
            self.broken[folder.path.name] = str(error)
            return False

    def inputs(self, spec: RunSpec) -> str:
        """Fingerprints of a run's data and weights."""
        return f"{self.examples(spec).fingerprint} {self._fingerprint(spec.model.id)}"

    def all_inputs(self, arms: Iterable[Any]) -> str:
        """A hash of the data and weights of several arms."""
        inputs = "; ".join(sorted({self.inputs(arm.spec) for arm in arms}))
        return hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest()

    def _fingerprint(self, model_id: str) -> str:
        if model_id not in self._models:
            from fairlora.models.source import model_fingerprint, resolve_source

            self._models[model_id] = model_fingerprint(resolve_source(model_id))
        return self._models[model_id]


def _checks(spec: RunSpec) -> str:
    """What the checks before training hang on; the seed alone, and which of a design's shadow
    models it is, move rows and break nothing."""
    data = spec.data.model_dump(mode="json")
    if spec.data.membership is not None:
        del data["membership"]["model"]
    parts: dict[str, Any] = {
        "data": data,
        "queries": spec.queries,
        "model": spec.model.id,
        "adapter": spec.adapter.model_dump(mode="json"),
        "groups": spec.objective.groups,
        "last": spec.last_layer and spec.last_layer.groups,
        "positive": spec.audit.positive,
        "language": [spec.training.pack, spec.training.select, spec.probes, spec.objective.fair],
        "suggests": spec.audit.suggests,
        "deploy": spec.deploy,
    }
    return json.dumps(parts, sort_keys=True, default=str)
