"""Texts whose frozen part is asked once: the results are those of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.data.tiny import write_tiny
from fairlora.models.tiny import write_tiny_model
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.training.frozen import FrozenPart

BERT, LLAMA = "google-bert/bert-base-uncased", "meta-llama/Llama-2-7b-hf"
Run = Callable[..., RunFolder]
LINEAR = {"kind": "linear"}
LAST = {"kind": "lora", "rank": 2, "dropout": 0.1, "fields": {"layers_to_transform": [1]}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of a frozen part took."""
    taken: list[int] = []
    plain = FrozenPart.answers

    def counting(self: FrozenPart, model: Any, inputs: Any) -> Any:
        answers = plain(self, model, inputs)
        taken.append(len(answers))
        return answers

    monkeypatch.setattr(FrozenPart, "answers", counting)
    return taken


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in a folder of its own: model, where answers are kept, further settings."""
    root = tmp_path_factory.mktemp("texts")
    data = write_tiny("text-table", root / "data", rows=96)

    def make(like: str, kept: Path | None, **more: Any) -> RunFolder:
        model = root / like.replace("/", "-")
        if not model.exists():
            write_tiny_model(like, model)
        content = {
            "data": {"name": "text-table", **data},
            "model": {"id": str(model)},
            "training": {"epochs": 2, "learning_rate": 0.01, "batch_size": 8},
            **more,
        }
        folder = RunFolder(root / str(len(list(root.iterdir()))))
        assert run_cell(prepare(parse_spec(content)), folder, kept=kept)
        return folder

    return make


def check_same(one: RunFolder, other: RunFolder) -> None:
    ours, theirs = (read_predictions(folder.predictions) for folder in (one, other))
    assert ours.ids.tolist() == theirs.ids.tolist()
    assert ours.probs is not None
    assert theirs.probs is not None
    np.testing.assert_allclose(ours.probs, theirs.probs, rtol=0, atol=1e-6)
    assert one.metrics()["last_layer"] == other.metrics()["last_layer"]
    assert one.metrics()["notes"] == other.metrics()["notes"]


@pytest.mark.parametrize(
    ("like", "method"),
    [(BERT, {"adapter": LAST}), (LLAMA, {"adapter": LINEAR, "last_layer": {"groups": []}})],
    ids=["bert, the last block", "llama, the last layer"],
)
def test_results_are_those_of_texts_and_a_second_run_asks_nothing(
    like: str, method: dict[str, Any], run: Run, asked: list[int], tmp_path: Path
) -> None:
    whole = run(like, None, **method)
    assert not asked
    check_same(run(like, tmp_path, **method), whole)
    assert 4 < sum(asked) <= 4 + 96
    # Another seed has other splits of the same texts.
    asked.clear()
    run(like, tmp_path, **method, seed=1)
    assert sum(asked) == 4
