"""`fairlora study`: what it prints, what it exits with, what it leaves on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from fairlora.cli.study import _settle_precision
from fairlora.cli.study_live import StudyLive
from fairlora.study import RunFolder, parse_spec
from fairlora.study.engines.base import Engine
from fairlora.study.engines.jobs import Report

EXAMPLES = Path(__file__).parents[2] / "examples" / "studies"
SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"name": "waterbirds", "path": "birds"},
    "models": {"id": "facebook/dino-vitb16"},
    "methods": ["lora", "full"],
    "seeds": 1,
    "training": {"max_steps": 2},
    "report": {"figures": ["loss_variance"], "formats": ["svg"]},
    "engine": {"kind": "inline"},
}


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**SMALL, **changes}), encoding="utf-8")
        return path

    return write


def test_a_plan_says_what_would_run_and_writes_nothing(
    fairlora: Callable[..., Any], tmp_path: Path
) -> None:
    file = EXAMPLES / "people-emoji.yaml"
    done = fairlora("study", "plan", file, "--out", tmp_path / "runs", "--no-count")
    assert done.code == 0
    assert "90 cells, 0 done" in done.out
    assert "Smallest difference" in done.out
    assert not (tmp_path / "runs").exists()
    found = json.loads(
        fairlora("study", "plan", file, "--out", tmp_path / "runs", "--json", "--no-count").out
    )
    assert (found["cells"], found["seeds"]) == (90, 3)
    assert {row["rank"] for row in found["rows"]} == {0, 2, 8, 32, None}


def test_a_study_runs_reports_and_is_done(
    fairlora: Callable[..., Any], study: Callable[..., Path], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    first = fairlora("study", "run", study(), "--smoke", "--out", runs, "--json")
    assert first.code == 0, first.err
    content = json.loads(first.out)
    assert (content["ran"], content["kept"], content["failed"]) == (2, 0, {})
    assert Path(content["page"]).is_file()
    again = fairlora("study", "run", study(), "--smoke", "--out", runs)
    assert "0 cells run, 2 were finished already, 0 failed" in again.out
    states = json.loads(
        fairlora("study", "status", study(), "--smoke", "--out", runs, "--json").out
    )
    assert states["counts"] == {"done": 2}
    assert "2 done" in fairlora("study", "status", study(), "--smoke", "--out", runs).out
    report = fairlora("study", "report", study(), "--smoke", "--out", runs, "--json")
    assert json.loads(report.out)["title"] == "Smoke test: small"


def test_a_failing_cell_is_told_and_the_exit_code_is_1(
    fairlora: Callable[..., Any], study: Callable[..., Path], tmp_path: Path
) -> None:
    file = study(
        methods=["lora", {"adapter": {"kind": "lora", "targets": ["nothing"]}, "label": "x"}],
        compare={"pairs": [["LoRA", "x"]]},
    )
    done = fairlora("study", "run", file, "--smoke", "--out", tmp_path / "runs")
    assert done.code == 1
    assert "Page: " in done.out
    assert "1 cells run" in done.out
    assert "1 failed" in done.out
    assert "nothing" in done.err


def test_cells_that_all_fail_end_with_their_reason_counted(
    fairlora: Callable[..., Any], study: Callable[..., Path], tmp_path: Path
) -> None:
    adapter = {"adapter": {"kind": "lora", "targets": ["nothing"]}, "label": "x"}
    file = study(methods=[adapter], seeds=2, compare={"pairs": [["x", "x"]]})
    done = fairlora("study", "run", file, "--smoke", "--out", tmp_path / "runs")
    assert done.code == 1
    assert "2 failed" in done.out
    (line,) = [line for line in done.err.splitlines() if line.startswith("  ")]
    assert line.startswith("  2 cells: ")
    assert "nothing" in line
    assert "no such method" not in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-preset"], ["no-such-preset"]),
        (["waterbird"], ["waterbirds"]),
        (["waterbirds"], ["data.path"]),
        (["waterbirds", "--set", "trainng.epochs=1"], ["trainng", "'training'?"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    fairlora: Callable[..., Any],
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fairlora("study", "plan", *arguments, "--no-count")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    for word in words:
        assert word in done.err


def test_wrong_data_of_a_new_study_are_told_before_anything_is_measured(
    fairlora: Callable[..., Any],
    study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(Engine, "measure", measure)
    path = study(models="embedded", methods=["linear"])
    done = fairlora("study", "run", str(path), "--out", str(tmp_path / "out"))
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert "data.path" in done.err


@pytest.mark.parametrize("asked", ["auto", "float32"])
def test_a_precision_that_cannot_be_measured_is_said_where_it_is_wanted(
    asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine: Any = SimpleNamespace(here=True, measure=lambda shapes: None)
    spec = parse_spec({"training": {"precision": asked}})
    assert _settle_precision([spec], tmp_path, engine) is None
    assert ("could not be measured: float32" in capsys.readouterr().err) == (asked == "auto")


def test_a_report_of_nothing_says_so(
    fairlora: Callable[..., Any], study: Callable[..., Path], tmp_path: Path
) -> None:
    done = fairlora("study", "report", study(), "--smoke", "--out", tmp_path / "runs")
    assert done.code == 2
    assert "no finished cell yet" in done.err


def test_presets_and_schema(fairlora: Callable[..., Any], tmp_path: Path) -> None:
    assert "waterbirds" in fairlora("study", "presets").out
    assert "utkface-age" in json.loads(fairlora("study", "presets", "--json").out)
    out = tmp_path / "schema.json"
    assert fairlora("study", "schema", "--out", out).code == 0
    assert json.loads(out.read_text())["title"] == "fairlora study"


def test_a_line_a_cell_says_how_long_the_rest_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("fairlora.cli.study_live.time.monotonic", lambda: now[0])
    cells: Any = [SimpleNamespace(folder=RunFolder(tmp_path / name)) for name in "abc"]
    with StudyLive("mine", tmp_path, 1) as live:
        live.starting(cells)
        for cell in cells:
            now[0] += 60
            live.ended(Report(str(cell.folder.path), "finished", seconds=60))
    first, second, last = capsys.readouterr().err.splitlines()[1:]
    assert first == "mine: 1 of 3: a finished in 60 s; about 2 min left"
    assert second.endswith("b finished in 60 s; about 60 s left")
    assert last == "mine: 3 of 3: c finished in 60 s"
