"""`fairlora export` and `fairlora predict EXPORT`: words in, words out, on the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.predictions import read_predictions


@pytest.fixture(scope="module")
def run(settings: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the embedded model."""
    from fairlora.study import RunFolder, parse_spec
    from fairlora.study.runs.cell import run_cell
    from fairlora.study.runs.prepare import prepare

    folder = tmp_path_factory.mktemp("embedded") / "run"
    made = settings(
        model={"id": "embedded"}, data={"train_rows": 32}, adapter={"kind": "lora", "rank": 2}
    )
    assert run_cell(prepare(parse_spec(made)), RunFolder(folder))
    return folder


def test_a_run_of_the_embedded_model_ships_as_int8(
    fairlora: Callable[..., Any], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fairlora("export", run, "--to", "onnx", "--int8", "static")
    assert done.code == 0, done.err
    assert "calibrated on 32 training rows drawn evenly over the groups" in done.err
    folder = tmp_path / "exports" / "run-onnx-int8-static"
    manifest = json.loads((folder / "export.json").read_text())
    proof = manifest["proof"]
    first, *lines = done.out.splitlines()
    assert first.startswith(f"{proof['overall']['rows']} rows ({proof['overall']['rows']} test): ")
    groups = [(a, g) for a, groups in proof["by_group"].items() for g in groups]
    for line, (attribute, group) in zip(lines, groups, strict=False):
        assert line.startswith(f"  {attribute} {group}: ")
    size = manifest["files"]["model.onnx"]["bytes"]
    done = fairlora("predict", folder, "--out", "p.parquet", "--json")
    assert done.code == 0, done.err
    loaded = json.loads(done.out)["loaded"]
    assert loaded["export"]["origin"]["identity"] == manifest["origin"]["identity"]
    own = read_predictions(run / "predictions.parquet")
    new = read_predictions(tmp_path / "p.parquet")
    order = {row: k for k, row in enumerate(new.ids.tolist())}
    index = np.array([order[row] for row in own.ids.tolist()])
    flips = (new.predictions[index] != own.predictions) & (own.split == "test")
    assert new.probs is not None
    assert own.probs is not None
    off = np.abs(new.probs[index] - own.probs)[own.split == "test"].max()
    # Every test row was proved, so that the proof says what the table shows.
    assert proof["table"]["rows"] == (own.split == "test").sum()
    assert proof["table"]["flips"] == flips.sum()
    assert proof["table"]["largest"] == pytest.approx(off, abs=1e-5)
    assert size < 4_000_000  # of 11 MB in float32


def test_what_cannot_be_exported_is_one_line(
    fairlora: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    for arguments, message in (
        ((run, "--to", "merged", "--int8", "static"), "--int8: a merged model is float"),
        ((run, "--to", "onnx", "--out", run), "something lies here already"),
        (("embedded", "--to", "merged"), "--rows: no data named"),
        ((tmp_path, "--to", "merged", "--rows", "people-emoji"), "no model in this folder"),
    ):
        done = fairlora("export", *arguments)
        assert (done.code, done.out) == (2, "")
        assert message in done.err.splitlines()[-1]
    done = fairlora("predict", run, "--out", tmp_path / "p.parquet", "--input", "images")
    assert (done.code, "not a name of an input" in done.err) == (2, True)
