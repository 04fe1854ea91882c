"""Several processes give what one gives: gradients, training, logs, evaluation, predictions."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from itertools import islice
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


def test_texts_in_the_order_of_lengths_come_once_an_epoch(trained: Sides) -> None:
    several, one = (side["texts"] for side in trained)
    assert len(several["rows"]) == 2
    assert all(several["rows"])
    # The batches are those of one process, of which each takes its part.
    (alone,) = one["rows"]
    assert alone[:27] != alone[27:]
    for epoch in (alone[:27], alone[27:]):
        assert sorted(epoch) == list(range(27))
    first, second = (iter(rows) for rows in several["rows"])
    for k in range(0, 54, 27):
        # Of the last three rows none is left for the second.
        assert sorted([*islice(first, 15), *islice(second, 12)]) == sorted(alone[k : k + 27])
    for a, b in zip(several["weights"], one["weights"], strict=True):
        assert a == pytest.approx(b, rel=1e-8)


def test_sharding_that_would_not_happen_is_refused(trained: Sides) -> None:
    """On a CPU the Trainer takes FSDP for plain data parallelism."""
    assert trained[0]["sharded"].startswith("fsdp: the Trainer cannot shard the model here")
    assert "found MULTI_CPU" in trained[0]["sharded"]


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="needs deepspeed")
@pytest.mark.parametrize("stage", [2, 3])
def test_under_deepspeed_training_ends_where_one_process_ends(
    torchrun: Torchrun,
    worker: Worker,
    stage: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    torchrun("deepspeed_worker", tmp_path / "out.json", stage)
    several = json.loads((tmp_path / "out.json").read_text())
    one = worker("deepspeed_worker")
    for name, make in one.OBJECTIVES.items():
        alone = one.train(make(), slice(None), None)
        assert several[name] == pytest.approx(alone, rel=1e-5, abs=1e-6), name
    assert len({tuple(weights) for weights in several.values()}) == len(several)
