"""Losses over training: what a run logged, of all rows and of each group."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fairlora.report import check_chart
from fairlora.study.report.curves import training_charts


def run_with(folder: Path, rows: list[dict[str, Any]]) -> Any:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "log.jsonl").write_text(text, encoding="utf-8")
    status = SimpleNamespace(files={"log.jsonl": "its digest"})
    return SimpleNamespace(folder=SimpleNamespace(path=folder, status=lambda: status))


def logged(steps: int) -> list[dict[str, Any]]:
    return [
        {"loss": 1 / step, "loss/a": 2 / step, "loss/b": None, "epoch": step / 10, "step": step}
        for step in range(1, steps + 1)
    ]


def test_one_run_has_its_groups(tmp_path: Path) -> None:
    rows = [*logged(3), {"eval_loss": 0.5, "epoch": 0.3}, {"train_loss": 0.6, "epoch": 0.3}]
    loss, groups = training_charts([("", run_with(tmp_path / "run", rows))])
    # One validation alone makes no line, nor does a group whose losses are not numbers.
    assert [one["name"] for one in loss["series"]] == ["training"]
    assert [one["name"] for one in groups["series"]] == ["a"]
    points = [(point["x"], point["y"]) for point in groups["series"][0]["points"]]
    assert points == [(0.1, 2.0), (0.2, 1.0), (0.3, 2 / 3)]
    check_chart(loss)


def test_long_runs_are_thinned_by_means(tmp_path: Path) -> None:
    runs = [(name, run_with(tmp_path / name, logged(120))) for name in ("one", "two")]
    (chart,) = training_charts(runs)
    assert [one["name"] for one in chart["series"]] == ["one", "two"]
    points = chart["series"][0]["points"]
    assert len(points) == 60
    assert points[0] == {"x": (0.1 + 0.2) / 2, "y": (1 + 1 / 2) / 2}


def test_a_run_that_logged_nothing_has_no_chart(tmp_path: Path) -> None:
    assert training_charts([("", run_with(tmp_path / "run", []))]) == []
    run: Any = SimpleNamespace(folder=SimpleNamespace(path=tmp_path / "run", status=lambda: None))
    assert training_charts([("", run)]) == []
