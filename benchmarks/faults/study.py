"""A tiny study made once, its report as the truth, and reports over parts of its store."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from forked import fairlora, import_what_these_need

STUDY = """\
name: small
data: {data}
models: {{id: {model}}}
methods: [lora, full]
ranks: [2]
compare: {{pairs: [[LoRA, full]], bootstrap: 200}}
seeds: 2
training: {{max_steps: 2, learning_rate: 1.0e-2, resume: checkpoint}}
report: {{figures: [], formats: [svg]}}
engine: {{kind: inline, threads: 1}}
"""


@dataclass
class Truth:
    """The study as it is where nothing disturbs it."""

    root: Path
    seconds: float = 0.0
    parts: dict[frozenset[str], Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / "study.yaml"

    @property
    def store(self) -> Path:
        return self.root / "runs" / "small"

    @property
    def cells(self) -> list[str]:
        return sorted(path.parent.name for path in self.store.glob("*/status.json"))

    def copy(self, place: Path) -> Path:
        """A copy of the store to be broken, as the folder of this study in `place / "runs"`."""
        return Path(shutil.copytree(self.store, place / "runs" / "small"))

    def without(self, cells: Iterable[str]) -> dict[str, Any]:
        """The numbers of the report on a store that never had these cells."""
        left_out = frozenset(cells)
        if left_out not in self.parts:
            place = self.root / "parts" / "-".join(sorted(left_out) or ["none"])
            shutil.rmtree(place, ignore_errors=True)
            store = self.copy(place)
            shutil.rmtree(store / "report")
            for cell in left_out:
                shutil.rmtree(store / cell)
            done = fairlora("study", "report", self.file, "--out", store.parent)
            self.parts[left_out] = numbers(store) if done.code == 0 else None
        found: dict[str, Any] = self.parts[left_out]
        return found


def make(root: Path) -> Truth:
    """Run the study, undisturbed, where it has not been run yet."""
    from fairlora.data.tiny import write_tiny
    from fairlora.models import write_tiny_model

    truth = Truth(root)
    if not truth.file.is_file():
        data = {"name": "waterbirds", **write_tiny("waterbirds", root / "data")}
        model = write_tiny_model("google/vit-base-patch16-224-in21k", root / "model")
        truth.file.write_text(STUDY.format(model=model, data=json.dumps(data)))
    if not (truth.store / "report" / "report.json").is_file():
        _run(truth, "runs")
    import_what_these_need(commands(truth))
    truth.seconds = _run(truth, "timed")
    if seen := differences(root / "timed" / "small", truth):
        raise SystemExit(f"two undisturbed runs are not the same: {seen}")
    return truth


def commands(truth: Truth) -> list[list[object]]:
    """A command of each kind, which leave nothing behind but in the folder "warm"."""
    warm = truth.root / "warm"
    cells = [truth.store / cell for cell in truth.cells]
    table = cells[0] / "predictions.parquet"
    audit: list[object] = ["audit", table, "--bootstrap", 20, "--json"]
    outs = [part for ending in ("html", "pdf") for part in ("--out", warm / f"a.{ending}")]
    return [
        ["study", "run", truth.file, "--out", warm],
        [*audit, *outs, "--curves"],
        [*audit, "--against", cells[1] / "predictions.parquet"],
        ["compare", *cells, "--json"],
        ["predict", cells[0], "--out", warm / "p.parquet"],
    ]


def _run(truth: Truth, name: str) -> float:
    shutil.rmtree(truth.root / name, ignore_errors=True)
    began = time.monotonic()
    done = fairlora("study", "run", truth.file, "--out", truth.root / name)
    if done.code != 0:
        raise SystemExit(f"the undisturbed study failed: {done.err}")
    return time.monotonic() - began


def numbers(store: Path) -> dict[str, Any]:
    """Every number that a report shows: its tables as JSON, as CSV and in Markdown."""
    report = json.loads((store / "report" / "report.json").read_text())
    tables = {
        table["title"]: [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
        for table in report["tables"]
    }
    files = {path.name: path.read_text() for path in (store / "report" / "tables").glob("*.csv")}
    markdown = (store / "report" / "report.md").read_text().splitlines()
    return {
        "tables": tables,
        "csv": files,
        "markdown": [line for line in markdown if line.startswith("|")],
    }


def named(store: Path) -> set[str]:
    """The cells that the report says it left out."""
    report = json.loads((store / "report" / "report.json").read_text())
    words = (" failed: ", " is not finished")
    notes = report["notes"]
    return {note.split(" ")[0] for note in notes if any(word in note for word in words)}


def differences(store: Path, truth: Truth) -> str:
    """In what a store that was run to its end differs from the undisturbed one; "" in nothing."""
    for cell in truth.cells:
        folder = store / cell
        for path in sorted(truth.store.joinpath(cell).glob("predictions*.parquet")):
            if not (folder / path.name).is_file():
                return f"{cell}: no {path.name}"
            if not pq.read_table(folder / path.name).equals(pq.read_table(path)):
                return f"{cell}: other {path.name}"
    found, expected = numbers(store), truth.without([])
    for part, content in expected.items():
        if found[part] != content:
            return f"other {part} in the report: {found[part]}"[:600]
    return ""


def leftovers(folder: Path) -> list[str]:
    """Half-written files."""
    return sorted(str(path) for path in folder.rglob("*.partial*"))
