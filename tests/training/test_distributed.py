"""Several processes give what one gives: gradients, training, logs, evaluation, predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

Worker = Callable[[str], ModuleType]
Torchrun = Callable[..., str]
Sides = tuple[dict[str, Any], dict[str, Any]]


@pytest.mark.parametrize("processes", [2, 4])
def test_the_gradient_is_that_of_one_process(
    torchrun: Torchrun, worker: Worker, processes: int, tmp_path: Path
) -> None:
    torchrun("gradients_worker", tmp_path / "out.json", processes=processes)
    found = json.loads((tmp_path / "out.json").read_text())
    one = worker("gradients_worker")
    expected = one.gradients(one.network(), slice(None))
    assert found["refused"]
    assert found["type"] == "DTensor"  # really sharded
    for kind in ("ddp", "sharded"):
        assert found[kind].keys() == expected.keys()
        for name, (value, gradient) in expected.items():
            assert found[kind][name][0] == pytest.approx(value, rel=1e-9), (kind, name)
            torch.testing.assert_close(
                torch.tensor(found[kind][name][1]), torch.tensor(gradient), rtol=1e-6, atol=1e-9
            )


@pytest.fixture(scope="module")
def trained(torchrun: Torchrun, worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    folder = tmp_path_factory.mktemp("trained")
    torchrun("trainer_worker", folder / "out.json")
    several = json.loads((folder / "out.json").read_text())
    return several, worker("trainer_worker").jobs(folder / "one", 1)


@pytest.mark.parametrize("job", ["variance", "dro", "window"])
def test_the_trainer_ends_where_one_process_ends(trained: Sides, job: str) -> None:
    several, one = (side[job] for side in trained)
    for a, b in zip(several["weights"], one["weights"], strict=True):
        assert a == pytest.approx(b, rel=1e-8)
    assert len(several["logs"]) == len(one["logs"]) == 8
    for a, b in zip(several["logs"], one["logs"], strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
    assert several["metrics"] == pytest.approx(one["metrics"], rel=1e-6)
    assert several["predicted"] == pytest.approx(one["predicted"], rel=1e-6)


def test_every_row_is_predicted_once(trained: Sides) -> None:
    for side in trained:
        assert side["variance"]["rows"] == list(range(27))


def test_a_window_is_one_batch(trained: Sides) -> None:
    """Exact accumulation of 2 x 4 rows is a batch of 8."""
    for side in trained:
        for a, b in zip(side["window"]["weights"], side["variance"]["weights"], strict=True):
            assert a == pytest.approx(b, rel=1e-8)
