"""Runs whose frozen part is asked once: the same results, from any number of runs, or pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import WorkError
from fairlora.models.tiny import write_tiny_model
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.kept import forget_oldest
from fairlora.study.runs.prepare import prepare
from fairlora.training.frozen import FrozenPart

LAST = {"kind": "lora", "rank": 2, "dropout": 0.1, "fields": {"layers_to_transform": [1]}}
Settings = Callable[..., dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of a frozen part took."""
    taken: list[int] = []
    plain = FrozenPart.answers

    def counting(self: FrozenPart, model: Any, inputs: Any) -> Any:
        answers = plain(self, model, inputs)
        taken.append(len(answers))
        return answers

    monkeypatch.setattr(FrozenPart, "answers", counting)
    return taken


def run(content: dict[str, Any], folder: Path, kept: Path | None) -> RunFolder:
    assert run_cell(prepare(parse_spec(content)), RunFolder(folder), kept=kept)
    return RunFolder(folder)


def check_same(one: RunFolder, other: RunFolder) -> None:
    for name in ("predictions.parquet", "predictions-flip.parquet"):
        ours, theirs = read_predictions(one.path / name), read_predictions(other.path / name)
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.probs is not None
        np.testing.assert_allclose(ours.probs, theirs.probs, rtol=0, atol=1e-6)
    for key in ("rows", "parameters", "matched_loss", "last_layer", "best_epoch"):
        assert one.metrics()[key] == other.metrics()[key]


@pytest.mark.parametrize(
    "method",
    [
        {"adapter": {"kind": "linear"}, "last_layer": {"groups": ["skin_tone"]}},
        {"adapter": LAST, "training": {"until_loss": 0.01, "until_loss_rows": 50}},
    ],
    ids=["last layer", "LoRA of the last block"],
)
def test_results_are_those_of_pictures_and_a_second_run_asks_nothing(
    method: dict[str, Any], settings: Settings, asked: list[int], tmp_path: Path
) -> None:
    content = settings(**method, queries=["flip"])
    content["training"] = {**content["training"], "epochs": 2}
    whole = run(content, tmp_path / "whole", None)
    assert not asked
    kept = tmp_path / "kept"
    frozen = run(content, tmp_path / "frozen", kept)
    check_same(frozen, whole)
    rows = sum(whole.metrics()["rows"].values())
    assert sum(asked) == 4 + 2 * rows  # those of the proof, and every picture both ways
    asked.clear()
    check_same(run(content, tmp_path / "again", kept), whole)
    assert sum(asked) == 4
    # Another seed trains on other rows of the same data: it asks for what is new alone.
    asked.clear()
    run({**content, "seed": 1}, tmp_path / "seed", kept)
    assert sum(asked) < 4 + rows
    assert frozen.metrics()["notes"] == whole.metrics()["notes"]


def test_kept_answers_that_are_no_answers_are_left_out_and_said(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = settings(adapter={"kind": "linear"}, queries=["flip"])
    whole = run(content, tmp_path / "whole", None)
    plain = FrozenPart.answers
    monkeypatch.setattr(FrozenPart, "answers", lambda *a: plain(*a) + 1)
    with pytest.raises(WorkError, match="answers otherwise than the model that was trained"):
        run(content, tmp_path / "wrong", tmp_path / "kept")
    monkeypatch.setattr(FrozenPart, "answers", plain)
    told = run(content, tmp_path / "told", tmp_path / "kept")
    check_same(told, whole)
    note = told.metrics()["notes"][-1]
    assert "is computed in every epoch: other answers are kept in" in note
    # The kept are removed like any file of a cache; where they cannot be kept, memory will do.
    shutil.rmtree(tmp_path / "kept")
    (tmp_path / "kept").write_text("")
    alone = run(content, tmp_path / "alone", tmp_path / "kept")
    check_same(alone, whole)
    note = alone.metrics()["notes"][-1]
    assert "kept in memory alone" in note


def test_a_base_with_dropout_trains_on_pictures_and_says_so(
    settings: Settings, tmp_path: Path
) -> None:
    model = write_tiny_model("facebook/dino-vits16", tmp_path / "model")
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(
        config.replace('"hidden_dropout_prob": 0.0', '"hidden_dropout_prob": 0.3')
    )
    content = settings(adapter={"kind": "linear"}, model={"id": str(model)}, queries=["flip"])
    whole = run(content, tmp_path / "whole", None)
    frozen = run(content, tmp_path / "frozen", tmp_path / "kept")
    check_same(frozen, whole)
    assert frozen.metrics()["notes"][-1] == (
        "the frozen part (up to classifier) is computed in every epoch: it is random in training "
        "(dropout)"
    )


def test_the_users_cache_forgets_what_was_used_the_longest_ago(tmp_path: Path) -> None:
    for k, name in enumerate(("a" * 32, "b" * 32, "c" * 32, "not ours")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"0" * 100)
        os.utime(tmp_path / name, (100 - k, 100 - k))
    forget_oldest(tmp_path, most=200)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a" * 32, "b" * 32, "not ours"]
