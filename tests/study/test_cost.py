"""What a study will cost: learnt from finished cells, else from arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs import cost as module
from fairlora.study.runs.cost import FIXED_SECONDS, Estimator, disk_bytes, work_of
from fairlora.study.spec.run import RunSpec

ROWS = {"train": 1000, "validation": 100, "test": 300}


def spec(kind: str = "lora", **training: Any) -> RunSpec:
    content = {"data": {"name": "people-emoji"}, "adapter": {"kind": kind}, "training": training}
    return parse_spec(content)


def test_the_work_is_what_passes_through_the_model() -> None:
    work = work_of(spec(epochs=2), ROWS)
    assert work.trained == 2000
    assert work.predicted == 2 * 100 + 1400  # validation after each epoch, then every split
    steps = work_of(spec(max_steps=10, batch_size=20, gradient_accumulation=2), ROWS)
    assert steps.trained == pytest.approx(400)


def test_arithmetic_takes_the_rate_of_the_precision_and_of_the_cells_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def rate(*, bf16: bool, threads: int | None) -> float:
        asked.append((bf16, threads))
        return 2e9 if bf16 else 1e9

    monkeypatch.setattr(module, "flops_per_second", rate)
    estimator = Estimator(threads=3)
    single, measured = estimator.seconds(spec(), ROWS, 1_000_000, 50)
    half, _ = estimator.seconds(spec(bf16=True), ROWS, 1_000_000, 50)
    again, _ = estimator.seconds(spec(), ROWS, 1_000_000, 50)
    assert not measured
    assert single == again
    assert single is not None
    assert half is not None
    assert (single - FIXED_SECONDS) == pytest.approx(2 * (half - FIXED_SECONDS))
    assert asked == [(False, 3), (True, 3)]
    assert estimator.seconds(spec(), ROWS, None, None) == (None, False)


def test_finished_cells_of_the_kind_tell_more_than_arithmetic(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    metrics = {"task": "language", "rows": ROWS, "mean_loss": {"train": None, "test": None}}
    counts = {"trainable": 1, "total": 2, "total_as_stored": 2, "percent": 50.0}
    folder.write(
        "metrics.json", metrics | {"split_accuracy": {}, "parameters": counts, "notes": []}
    )
    folder.write_status("finished", FIXED_SECONDS + 100, identity="a")
    estimator = Estimator()
    estimator.learn(spec(epochs=1), folder)
    seconds, measured = estimator.seconds(spec(epochs=1), ROWS, None, None)
    assert (seconds, measured) == (pytest.approx(FIXED_SECONDS + 100), True)
    longer, _ = estimator.seconds(spec(epochs=3), ROWS, None, None)
    assert longer is not None
    assert FIXED_SECONDS + 200 < longer < FIXED_SECONDS + 300
    assert estimator.seconds(spec("full", epochs=1), ROWS, None, None) == (None, False)


def test_the_rate_of_this_machine_is_measured_and_threads_stay_as_they_are() -> None:
    import torch

    before = torch.get_num_threads()
    assert module.flops_per_second(threads=1) > 1e8
    assert torch.get_num_threads() == before


def test_disk_grows_with_rows_classes_and_trained_parameters() -> None:
    small = disk_bytes(ROWS, 2, 1000)
    assert disk_bytes(ROWS, 3, 1000) - small == 4 * sum(ROWS.values())
    assert disk_bytes(ROWS, 2, 2000) - small == 4000
