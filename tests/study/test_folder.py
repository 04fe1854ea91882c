"""A run's folder when things go wrong: killed at any moment, locked, unreadable, refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError, WorkError
from fairlora.study import RunFolder, RunSpec, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import dump_json, identity, result_settings
from fairlora.study.runs.prepare import Prepared, prepare

Make = Callable[..., dict[str, Any]]


class Killed(BaseException):
    """As sudden as a signal: nothing of ours gets to run."""


@pytest.fixture
def prepared(settings: Make) -> Prepared:
    return prepare(parse_spec(settings(adapter={"kind": "linear"}, training={"max_steps": 1})))


def kill_at(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """Kill the run when it is about to give a file its name; what it wrote stays, as a signal's."""
    original = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).name == file:
            shutil.copy(source, source.with_name(source.name.replace(".partial", "0.partial")))
            raise Killed
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize(
    "file",
    ["environment.json", "spec.yaml", "log.jsonl", "predictions.parquet", "metrics.json",
     "status.json"],
)  # fmt: skip
def test_a_run_killed_at_any_file_is_not_finished_and_runs_again(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        kill_at(patch, file)
        with pytest.raises(Killed):
            run_cell(prepared, folder)
    assert not (folder.path / file).exists()
    assert not folder.is_finished()
    assert run_cell(prepared, folder, resume=True)
    assert folder.is_finished()
    assert not list(folder.path.rglob("*.partial*"))


def test_a_run_killed_while_it_clears_the_last_ones_ruins_runs_again(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        kill_at(patch, "metrics.json")
        with pytest.raises(Killed):
            run_cell(prepared, folder)
    folder.clear()
    assert folder.environment()["identity"] == prepared.identity
    assert {p.name for p in folder.path.iterdir()} == {".lock", "environment.json"}
    assert run_cell(prepared, folder)


def test_an_unfinished_run_of_other_settings_is_not_written_over(
    prepared: Prepared, settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        kill_at(patch, "status.json")
        with pytest.raises(Killed):
            run_cell(prepared, folder)
    before = folder.predictions.read_bytes()
    other = prepare(parse_spec(settings(seed=9)))
    with pytest.raises(InputError, match="unfinished run of other settings"):
        run_cell(other, folder)
    assert folder.predictions.read_bytes() == before


def test_a_run_goes_on_from_its_checkpoint_and_ends_the_same(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = prepare(parse_spec(settings(training={"epochs": 2, "resume": "checkpoint"})))
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    run_cell(cell, whole)
    from fairlora.training import FairTrainer

    evaluate = FairTrainer.evaluate
    steps: list[int] = []

    def watch(self: Any, *args: Any, **kwargs: Any) -> Any:
        steps.append(self.state.global_step)
        if len(steps) == 2 and not (broken.path / "checkpoints" / "checkpoint-6").exists():
            raise Killed
        return evaluate(self, *args, **kwargs)

    monkeypatch.setattr(FairTrainer, "evaluate", watch)
    with pytest.raises(Killed):
        run_cell(cell, broken)
    assert steps == [3, 6]
    assert (broken.path / "checkpoints" / "checkpoint-3").is_dir()
    steps.clear()
    run_cell(cell, broken)
    assert steps == [6], "the first epoch was trained again"
    assert broken.predictions.read_bytes() == whole.predictions.read_bytes()
    assert not (broken.path / "checkpoints").exists()


def test_a_lock_of_another_process_is_respected_and_dies_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = (
        "import sys; from pathlib import Path; from fairlora.study import RunFolder\n"
        f"with RunFolder(Path({str(folder)!r})).writing():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match="another process is running"),
            RunFolder(folder).writing(),
        ):
            pass
        other.kill()
        other.wait()
        with RunFolder(folder).writing():
            pass


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_the_place_of_the_lock_is_refused_and_not_followed(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    theirs, folder = tmp_path / "theirs", tmp_path / "run"
    theirs.write_text("kept")
    folder.mkdir()
    make(folder / ".lock", theirs)
    with pytest.raises(InputError, match=r"\.lock: a link"), RunFolder(folder).writing():
        pass
    assert theirs.read_text() == "kept"


def test_a_finished_run_is_never_cleared(finished: dict[str, Path]) -> None:
    with pytest.raises(WorkError, match="refusing to clear"):
        RunFolder(finished["lora-0"]).clear()


def test_files_that_are_no_json_are_named(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text("{half")
    with pytest.raises(InputError, match=r"status\.json: not readable"):
        RunFolder(tmp_path).is_finished()
    (tmp_path / "status.json").write_text("[]")
    with pytest.raises(InputError, match=r"status\.json: not a JSON object"):
        RunFolder(tmp_path).is_finished()
    with pytest.raises(InputError, match="no metrics"):
        RunFolder(tmp_path).metrics()


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump_json({"loss": float("nan")})


def test_places_names_and_watchers_do_not_change_the_identity() -> None:
    def of(*overrides: str, data: str = "d", model: str = "m") -> str:
        return identity(parse_spec({}, overrides), data, model)

    base = of()
    for override in (
        "name=other", "data.path=/elsewhere", "data.root=/there", "model.id=/moved",
        "training.report_to=[wandb]", "training.resume=checkpoint",
    ):  # fmt: skip
        assert of(override) == base, override
    for override in (
        "seed=1", "training.learning_rate=0.5", "data.target=age", "data.split.mode=papers",
        "model.image_size=32", "adapter.rank=4", "objective.strength=2", "audit.bins=10",
    ):  # fmt: skip
        assert of(override) != base, override
    assert of(data="e") != base
    assert of(model="n") != base


def test_a_file_of_templates_counts_by_its_content(tmp_path: Path) -> None:
    def of(path: Path) -> str:
        return identity(parse_spec({}, [f"probes.cloze.templates={path}"]), "d", "m")

    mine, moved = tmp_path / "mine.yaml", tmp_path / "moved.yaml"
    mine.write_text("templates: []")
    moved.write_text("templates: []")
    first = of(mine)
    assert of(moved) == first
    mine.write_text("templates: [other]")
    assert of(mine) != first
    assert of(tmp_path / "none.yaml") != first


def test_a_setting_at_its_default_is_not_part_of_the_identity() -> None:
    """So one that comes later leaves every run what it was."""
    assert result_settings(RunSpec()) == {}
    said = parse_spec({"seed": 0, "training": {"epochs": RunSpec().training.epochs}, "queries": []})
    assert result_settings(said) == {}
    assert result_settings(parse_spec({}, ["adapter.rank=4"])) == {"adapter": {"rank": 4}}


def test_what_another_setting_turns_off_is_not_part_of_the_identity() -> None:
    def of(*overrides: str) -> str:
        return identity(parse_spec({}, overrides), "d", "m")

    assert of("training.until_loss_rows=5") == of()
    matched = "training.until_loss=0.5"
    assert of(matched, "training.select=loss") == of(matched) != of()
    assert of(matched, "training.until_loss_rows=5") != of(matched)
