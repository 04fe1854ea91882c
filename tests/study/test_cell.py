"""One cell from its settings to a finished folder: what is written, refused, and survives."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairlora.data import Examples
from fairlora.errors import InputError, WorkError
from fairlora.metrics import audit_predictions
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import RunSpec

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def spec(settings: Make) -> RunSpec:
    return parse_spec(settings(adapter={"kind": "lora", "rank": 2}))


def test_a_finished_run_holds_every_file_and_its_numbers_agree(finished: dict[str, Path]) -> None:
    folder = RunFolder(finished["full-0"])
    assert folder.is_finished()
    names = {p.name for p in folder.path.iterdir()}
    assert names >= {
        "spec.yaml",
        "environment.json",
        "predictions.parquet",
        "metrics.json",
        "model",
        "log.jsonl",
        "status.json",
    }
    assert not any(p.suffix in (".bin", ".pt", ".pkl") for p in folder.path.rglob("*"))
    table = read_predictions(folder.predictions)
    metrics = folder.metrics()
    again = audit_predictions(table.select("test"), positive="male").to_dict()
    assert metrics["audit"] == json.loads(json.dumps(again))
    train = table.select("train")
    assert train.loss is not None
    assert metrics["mean_loss"]["train"] == pytest.approx(float(np.mean(train.loss)), abs=1e-6)
    assert metrics["rows"]["train"] == 96
    rows = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert any("loss/dark" in row and "loss_variance" in row for row in rows)
    environment = folder.environment()
    assert environment["packages"]["torch"]
    assert environment["seconds"] > 0
    assert environment["peak_memory_mb"] > 0


def test_the_same_settings_give_the_same_predictions(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    spec = RunFolder(finished["lora-1"]).spec()
    folder = RunFolder(tmp_path / "again")
    run_cell(prepare(spec), folder)
    a = pq.read_table(finished["lora-1"] / "predictions.parquet")
    b = pq.read_table(folder.predictions)
    assert a.equals(b)


def test_seeds_share_the_test_rows_and_methods_of_a_seed_all_rows(
    finished: dict[str, Path],
) -> None:
    tables = {
        name: read_predictions(path / "predictions.parquet") for name, path in finished.items()
    }

    def rows(name: str, split: str) -> set[str]:
        return set(tables[name].select(split).ids.tolist())

    assert rows("lora-0", "test") == rows("lora-1", "test")
    assert rows("lora-0", "train") != rows("lora-1", "train")
    assert rows("lora-0", "train") == rows("full-0", "train")


def test_a_killed_run_leaves_nothing_that_looks_finished_and_runs_again(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    prepared = prepare(spec)

    class Killed(BaseException):
        """As sudden as a signal: nothing of ours gets to run."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("fairlora.study.tasks.classification.read_predictions", die)
        with pytest.raises(Killed):
            run_cell(prepared, folder)
    assert folder.predictions.exists()
    assert folder.status() is None
    assert not folder.is_finished()
    assert run_cell(prepared, folder)
    assert folder.is_finished()


def test_a_finished_run_is_refused_or_left_as_it_is(
    finished: dict[str, Path], settings: Make
) -> None:
    folder = RunFolder(finished["lora-0"])
    before = folder.predictions.stat().st_mtime_ns
    prepared = prepare(folder.spec())
    with pytest.raises(InputError, match="finished run.*same settings.*--resume"):
        run_cell(prepared, folder)
    assert run_cell(prepared, folder, resume=True) is False
    other = prepare(parse_spec(settings(seed=5)))
    with pytest.raises(InputError, match="finished run.*other settings"):
        run_cell(other, folder, resume=True)
    assert folder.predictions.stat().st_mtime_ns == before


def test_a_folder_of_other_things_is_refused(spec: RunSpec, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("chapter one")
    with pytest.raises(InputError, match="holds no run"):
        run_cell(prepare(spec), RunFolder(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "chapter one"


def test_two_processes_do_not_run_one_cell(spec: RunSpec, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(InputError, match="another process"):
            run_cell(prepare(spec), RunFolder(folder))


def test_failing_work_says_why_and_can_be_run_again(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fairlora.study.tasks.base.Task.train", full)
        with pytest.raises(WorkError, match="disk is full"):
            run_cell(prepare(spec), folder)
    status = folder.status()
    assert status is not None
    assert status.state == "failed"
    assert "disk is full" in status.reason
    assert run_cell(prepare(spec), folder)


def test_a_failing_cell_stops_no_other_and_finished_cells_do_not_run_again(
    settings: Make, tmp_path: Path
) -> None:
    specs = [
        parse_spec(
            settings(training={"epochs": 1, "learning_rate": 1e30}, adapter={"kind": "full"})
        ),
        parse_spec(settings(adapter={"kind": "linear"})),
    ]
    broken, sound = (prepare(spec) for spec in specs)
    for again in (False, True):
        with pytest.raises(WorkError, match="not a number at step"):
            run_cell(broken, RunFolder(tmp_path / broken.name), resume=True)
        assert run_cell(sound, RunFolder(tmp_path / sound.name), resume=True) is not again
    assert RunFolder(tmp_path / sound.name).is_finished()


def test_the_identity_is_of_what_can_change_the_result(settings: Make) -> None:
    base = prepare(parse_spec(settings())).identity

    def identity(**sections: Any) -> str:
        return prepare(parse_spec(settings(**sections))).identity

    assert identity(name="another name") == base
    assert identity(training={"epochs": 1, "learning_rate": 0.01, "resume": "checkpoint"}) == base
    assert identity(seed=1) != base
    assert identity(training={"epochs": 1, "learning_rate": 0.02}) != base
    assert identity(data={"train_rows": 64}) != base
    assert identity(objective={"name": "loss-variance"}) != base
    assert identity(model={"id": "embedded"}) != base


def test_other_data_are_another_identity(spec: RunSpec) -> None:
    from dataclasses import replace

    from fairlora.data import load_examples

    examples: Examples = load_examples(spec.data.name, spec.data.options)
    changed = replace(examples, fingerprint="0" * 32)
    assert prepare(spec, examples).identity != prepare(spec, changed).identity


def test_what_can_be_checked_is_checked_before_training(settings: Make) -> None:
    for sections, message in (
        ({"objective": {"groups": "race"}}, "objective.groups.*skin_tone, renderer"),
        ({"audit": {"positive": "neither"}}, "audit.positive.*female, male"),
        ({"data": {"groups": ["race"]}}, "no group column 'race'"),
        ({"model": {"id": "./nowhere"}}, "no such model folder"),
        ({"data": {"scarcity": {"skin_tone": {"green": 0.1}}}}, "skin_tone.green"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(parse_spec(settings(**sections)))


def test_what_tensorboard_was_told_outlives_the_checkpoints(spec: RunSpec, tmp_path: Path) -> None:
    told = spec.model_copy(
        update={"training": spec.training.model_copy(update={"report_to": ("tensorboard",)})}
    )
    run_cell(prepare(told), folder := RunFolder(tmp_path / "run"))
    assert list((folder.path / "tensorboard").rglob("events.out.tfevents.*"))
    assert not (folder.path / "checkpoints").exists()
    assert folder.is_finished()
