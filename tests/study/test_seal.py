"""A store that proves what it holds: swapped, copied, cut and edited cells, pages and verdicts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.models import write_tiny_model
from fairlora.study import RunFolder
from fairlora.study.engines.base import Ended
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.report import comparisons
from fairlora.study.report.from_disk import report_study
from fairlora.study.report.summary import comparison_page, read_runs
from fairlora.study.runs import seal
from fairlora.study.runs.accept import accept
from fairlora.study.runs.runner import StudyRunner
from fairlora.study.runs.seal import BrokenRun, file_hash
from fairlora.study.runs.status import list_store
from fairlora.study.spec.study import StudySpec, parse_study


@dataclass(frozen=True)
class Store:
    """A study that was run, in a folder of its own to be broken in."""

    study: StudySpec
    root: Path

    def cell(self, name: str) -> Path:
        """The cell whose name begins so."""
        (found,) = self.root.glob(f"{name}-*")
        return found

    def report(self, **how: Any) -> dict[str, Any]:
        """The report's JSON."""
        page = report_study(self.study, self.root, **how)
        content: dict[str, Any] = json.loads((page.parent / "report.json").read_text())
        return content

    def rows(self, **how: Any) -> dict[str, dict[str, str]]:
        """The table of all methods: method -> column -> text."""
        return rows_of(self.report(**how))

    def states(self) -> dict[str, str]:
        """Name of a cell without its hash -> its state."""
        return {one.name[:-11]: one.state for one in list_store(self.root)}


def rows_of(content: dict[str, Any]) -> dict[str, dict[str, str]]:
    table = content["tables"][0]
    names = [column["name"] for column in table["columns"]]
    rows = [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two methods, two seeds; never to be written in."""
    folder = tmp_path_factory.mktemp("study")
    model = write_tiny_model("google/vit-base-patch16-224-in21k", folder / "model")
    study = parse_study(
        {
            "name": "small",
            "data": {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]},
            "models": {"id": str(model)},
            "methods": ["linear", "full"],
            "compare": {"pairs": [["linear", "full"]], "bootstrap": 200},
            "seeds": 2,
            "training": {"max_steps": 3, "learning_rate": 1e-2},
            "audit": {"positive": "male"},
            "report": {"figures": [], "formats": ["svg"]},
        }
    )
    root = folder / "runs" / "small"
    assert StudyRunner(study, root, InlineEngine()).run().ran == 4
    report_study(study, root)
    return Store(study, root)


@pytest.fixture
def store(ran: Store, tmp_path: Path) -> Store:
    shutil.copytree(ran.root, tmp_path / "small")
    return Store(ran.study, tmp_path / "small")


class Copies(InlineEngine):
    """Makes cells by copying them from another store."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        for job in jobs:
            shutil.copytree(self.source / job.name, job.folder)
        return [Report(job.folder, "finished") for job in jobs]


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def relabel(cell: Path) -> None:
    """Make every label of a cell's predictions the first class."""
    path = cell / "predictions.parquet"
    table = pq.read_table(path)
    column = table.column("label")
    value = column.chunk(0)[0].as_py()
    same = pa.array([value] * len(table), column.type)
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", same), path)


def swap(store: Store) -> None:
    one, other = store.cell("linear-seed0"), store.cell("full-seed0")
    aside = store.root / "aside"
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def copy_predictions(store: Store) -> None:
    source = store.cell("linear-seed0") / "predictions.parquet"
    shutil.copy(source, store.cell("full-seed0") / "predictions.parquet")


def copy_all_but_the_place(store: Store) -> None:
    shutil.copytree(store.cell("linear-seed0"), store.cell("full-seed0"), dirs_exist_ok=True)


def percent_beyond(content: dict[str, Any]) -> None:
    content["audit"]["overall"]["accuracy"]["value"] = 3.667


def of_metrics(change: Callable[[Path], None]) -> Callable[[Store], None]:
    return lambda store: change(store.cell("full-seed0") / "metrics.json")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


BREAKS: dict[str, tuple[Callable[[Store], None], str]] = {
    "swapped folders": (swap, "another run's files lie here"),
    "one cell copied over another": (copy_all_but_the_place, "another run's files lie here"),
    "copied predictions": (copy_predictions, "predictions.parquet is not as the run wrote it"),
    "changed labels": (
        lambda store: relabel(store.cell("full-seed0")),
        "predictions.parquet is not as the run wrote it",
    ),
    "cut metrics": (of_metrics(cut), "metrics.json is not as the run wrote it"),
    "no metrics": (of_metrics(Path.unlink), "metrics.json is missing"),
    "edited metrics": (
        of_metrics(lambda path: edit(path, percent_beyond)),
        "metrics.json is not as the run wrote it",
    ),
    "another rank in the settings": (
        lambda store: (store.cell("full-seed0") / "spec.yaml").open("a").write("# mine\n") and None,
        "spec.yaml is not as the run wrote it",
    ),
    "a weight less": (
        lambda store: cut(store.cell("full-seed0") / "model" / "model.safetensors"),
        "model/model.safetensors is not as the run wrote it",
    ),
    "a table more": (
        lambda store: (store.cell("full-seed0") / "predictions-flip.parquet").write_bytes(b""),
        "predictions-flip.parquet was not written by the run",
    ),
    "no predictions": (
        lambda store: (store.cell("full-seed0") / "predictions.parquet").unlink(),
        "predictions.parquet is missing",
    ),
    "half a status": (
        lambda store: cut(store.cell("full-seed0") / "status.json"),
        "status.json: not readable as JSON",
    ),
    "another version": (
        lambda store: edit(
            store.cell("full-seed0") / "status.json", lambda status: status.update(format=2)
        ),
        "made by another version of fairlora",
    ),
    "never sealed": (
        lambda store: edit(
            store.cell("full-seed0") / "status.json",
            lambda status: [status.pop(key) for key in ("format", "files")],
        ),
        "made by another version of fairlora",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_not_whole_is_named_counts_as_failed_and_is_made_again(
    store: Store, ran: Store, name: str
) -> None:
    whole = ran.rows()
    breaks, reason = BREAKS[name]
    breaks(store)
    swapped = name == "swapped folders"
    expected = {"linear-seed0": "broken" if swapped else "done", "full-seed0": "broken"}
    assert {key: store.states()[key] for key in expected} == expected
    content = store.report()
    rows = rows_of(content)
    assert rows["full"]["Seeds"] == "1 of 2"
    assert rows["linear"]["Seeds"] == ("1 of 2" if swapped else "2")
    notes = [note for note in content["notes"] if " failed: " in note]
    assert len(notes) == (2 if swapped else 1)
    assert all(reason in note for note in notes)
    assert any(store.cell("full-seed0").name in note for note in notes)
    # What is left is what it was.
    if not swapped:
        assert rows["linear"]["Accuracy"] == whole["linear"]["Accuracy"]
    # Trained once; the others take the very cell from where it was made.
    engine = InlineEngine() if swapped else Copies(ran.root)
    outcome = StudyRunner(store.study, store.root, engine).run()
    assert (outcome.ran, outcome.failed) == ((2, 0) if swapped else (1, 0))
    assert any(reason in note and "set aside as" in note for note in outcome.notes)
    assert len(list((store.root / "set-aside").iterdir())) == outcome.ran
    assert set(store.states().values()) == {"done"}
    assert {k: v["Accuracy"] for k, v in store.rows().items()} == {
        k: v["Accuracy"] for k, v in whole.items()
    }


def test_a_run_that_is_not_whole_is_refused_by_whoever_reads_it(
    store: Store, fairlora: Callable[..., Any]
) -> None:
    cell = store.cell("full-seed0")
    edit(cell / "metrics.json", percent_beyond)
    with pytest.raises(InputError, match=r"metrics\.json is not as the run wrote it"):
        read_runs([store.cell("linear-seed0"), cell])
    # The command goes on with the others, and says so where its numbers are.
    done = fairlora("compare", store.cell("linear-seed0"), cell, "--json")
    reason = f"left out: {cell}: metrics.json is not as the run wrote it"
    assert reason in done.err
    assert reason in json.loads(done.out)["notes"][0]
    from fairlora.study.runs.predict import predict_with

    with pytest.raises(InputError, match=r"metrics\.json is not as the run wrote it"):
        predict_with(str(cell), store.root / "out.parquet")


def test_a_log_is_sealed_for_its_curves_are_drawn(store: Store) -> None:
    cell = store.cell("full-seed0")
    log = cell / "log.jsonl"
    log.write_text(log.read_text().replace("loss", "lose", 1))
    with pytest.raises(InputError, match=r"log\.jsonl is not as the run wrote it"):
        read_runs([cell])


def test_weights_of_the_same_size_are_found_before_they_are_loaded(store: Store) -> None:
    weights = store.cell("full-seed0") / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    folder = RunFolder(store.cell("full-seed0"))
    assert folder.whole() is not None  # no report reads them
    with pytest.raises(BrokenRun, match=r"model/model\.safetensors is not as the run wrote it"):
        folder.whole(weights=True)
    with pytest.raises(InputError, match="1 of 4 cells are not what they say"):
        store.report(verify=True)


def test_a_change_on_purpose_is_accepted_recorded_and_shown(store: Store) -> None:
    cell = store.cell("full-seed0")
    before = verdicts(store)
    relabel(cell)
    accepted = accept(RunFolder(cell))
    assert accepted.files == ["predictions.parquet"]
    assert accepted.note is not None
    assert "accuracy" in accepted.note
    (state,) = [one for one in list_store(store.root) if one.name == cell.name]
    assert state.state == "done"
    assert state.reason.startswith("predictions.parquet changed on purpose, accepted 20")
    notes = store.report()["notes"]
    assert f"{cell.name}: {state.reason}" in notes
    assert store.rows()["full"]["Seeds"] == "2"
    # The verdicts are of the labels as they are now: other rows than the others' are refused.
    assert verdicts(store) != before
    assert any("have no verdict" in note for note in notes)
    assert accept(RunFolder(cell)) == ([], None)
    # A page of runs side by side says it too.
    page = comparison_page(read_runs([store.cell("linear-seed0"), cell]), title="Two")
    assert f"{cell.name}: {state.reason}" in page["notes"]


def verdicts(store: Store) -> list[Any]:
    return [t["rows"] for t in store.report()["tables"] if t["title"].startswith("Verdicts")]


def test_what_says_which_run_it_is_cannot_be_changed(store: Store) -> None:
    cell = store.cell("full-seed0")
    edit(cell / "environment.json", lambda content: content.update(data_fingerprint="x"))
    with pytest.raises(InputError, match=r"environment\.json: says which run it is"):
        accept(RunFolder(cell))
    (store.cell("linear-seed0") / "predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"predictions\.parquet: missing"):
        accept(RunFolder(store.cell("linear-seed0")))
    other = store.cell("linear-seed1")
    cut(other / "metrics.json")
    with pytest.raises(InputError, match=r"metrics\.json: not readable as JSON"):
        accept(RunFolder(other))
    swap(store)
    with pytest.raises(InputError, match="another run's files lie here"):
        accept(RunFolder(cell))
    with pytest.raises(InputError, match="not a finished run"):
        accept(RunFolder(store.root))
    assert not (store.root / ".lock").exists()


def test_the_command_seals_and_its_note_says_what_no_longer_fits(
    store: Store, fairlora: Callable[..., Any]
) -> None:
    cell = store.cell("full-seed0")
    done = fairlora("study", "seal", cell)
    assert (done.code, "nothing has changed" in done.out) == (0, True)
    edit(cell / "metrics.json", percent_beyond)
    done = fairlora("study", "seal", cell)
    assert (done.code, "accepted metrics.json" in done.out) == (0, True)
    assert "audit.overall.accuracy.value: 3.667 in the metrics" in " ".join(done.err.split())
    assert fairlora("study", "seal", store.root).code == 2


def test_verify_names_the_cell_whose_metrics_are_not_its_predictions(store: Store) -> None:
    assert store.rows(verify=True)["full"]["Seeds"] == "2"
    cell = store.cell("full-seed0")
    edit(cell / "metrics.json", percent_beyond)
    accept(RunFolder(cell))
    with pytest.raises(InputError, match=f"1 of 4 cells are not .*{cell.name}: .*3.667"):
        report_study(store.study, store.root, verify=True)
    # The report of the others is there.
    page = json.loads((store.root / "report" / "report.json").read_text())
    assert any(note.startswith(f"{cell.name} failed: metrics.json") for note in page["notes"])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, "{}", '{"rows": 1}', '{"rows": {"train": NaN}}', "\xff"],
)
def test_metrics_of_any_content_are_one_line_with_the_path(store: Store, text: str) -> None:
    """Even sealed: of a run that was made so."""
    cell = store.cell("full-seed0")
    (cell / "metrics.json").write_text(text, encoding="latin-1")
    RunFolder(cell).seal_again(".*", accept=False)
    (note,) = [note for note in store.report()["notes"] if note.startswith(f"{cell.name} failed: ")]
    assert f"{cell / 'metrics.json'}: " in note
    assert "\n" not in note
    assert store.rows()["linear"]["Seeds"] == "2"


@pytest.mark.parametrize("file", ["index.html", "report.md", "report.json", "tables/runs.csv"])
@pytest.mark.parametrize("change", [cut, Path.unlink], ids=["cut", "removed"])
def test_a_page_that_was_cut_or_removed_is_made_again(
    store: Store, file: str, change: Callable[[Path], None]
) -> None:
    path = store.root / "report" / file
    before = path.read_bytes()
    change(path)
    report_study(store.study, store.root)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"overall": {}}'])
def test_a_verdict_of_any_content_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    before = verdicts(store)
    (file,) = (store.root / "report" / "verdicts").glob("[!.]*.json")
    file.write_text(text)
    assert json.dumps(verdicts(store)) == json.dumps(before)
    report_study(store.study, store.root, again=True)
    assert json.dumps(verdicts(store)) == json.dumps(before)
    with monkeypatch.context() as patch:
        patch.setattr(comparisons, "compare_over_seeds", None)  # what is kept is not made again
        report_study(store.study, store.root, again=True)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"made": {"index.html": 1}}'])
def test_an_index_of_any_content_is_made_again(store: Store, text: str) -> None:
    index = store.root / "report" / ".made.json"
    before = index.read_text()
    index.write_text(text)
    report_study(store.study, store.root)
    assert json.loads(index.read_text()) == json.loads(before)


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, "{}", '{"study": 1}', '{"searches": {"a": {"best": [9]}}}']
)
def test_a_record_of_any_content_is_one_line_with_the_path(store: Store, text: str) -> None:
    (store.root / "study.json").write_text(text)
    with pytest.raises(InputError, match=r"study\.json: .*removed, it is made again"):
        StudyRunner(store.study, store.root, InlineEngine()).run()


def test_a_file_is_hashed_once_while_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    monkeypatch.setattr(seal, "_TICK_SECONDS", -1.0)
    first = file_hash(path)
    stat = path.stat()
    monkeypatch.setattr("hashlib.file_digest", None)
    assert file_hash(path) == first
    monkeypatch.undo()
    path.write_text("two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the time of change cannot be set
    assert file_hash(path) != first


def test_a_fresh_file_is_never_taken_for_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for text in ("one", "two", "six"):
        path.write_text(text)
        assert file_hash(path) == hashlib.sha256(text.encode()).hexdigest()


def test_the_seal_is_of_what_is_read_later(ran: Store) -> None:
    status = RunFolder(ran.cell("full-seed0")).status()
    assert status is not None
    names = set(status.files)
    assert {"predictions.parquet", "metrics.json", "spec.yaml", "environment.json"} < names
    assert "log.jsonl" in names  # its curves are on the page
    assert any(name.startswith("model/") for name in names)
    assert not {"status.json", ".lock"} & names


def test_links_and_pipes_hold_nothing_up(store: Store) -> None:
    model = store.cell("full-seed0") / "model"
    (model / "round").symlink_to(model)
    os.mkfifo(model / "pipe")
    assert RunFolder(store.cell("full-seed0")).whole(weights=True) is not None
    moved = store.root / "elsewhere"
    (model / "round").unlink()
    os.rename(model, moved)
    model.symlink_to(moved)  # on another disk, say
    assert RunFolder(store.cell("full-seed0")).whole(weights=True) is not None
