"""How many cells of what size run side by side."""

import pytest

from fairlora.study.runs import memory
from fairlora.study.runs.memory import BASE, GIB, cell_bytes, free_bytes, processes_that_fit
from fairlora.study.spec.run import RunSpec, parse_spec


def test_as_many_cells_as_cores_or_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 10 * GIB)
    assert processes_that_fit(8, 3 * GIB) == 3
    assert processes_that_fit(2, 3 * GIB) == 2
    assert processes_that_fit(8, 11 * GIB) == 1  # one is always tried
    assert processes_that_fit(8, 0) == 8
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    assert processes_that_fit(8, 3 * GIB) == 8


def test_a_cell_takes_the_more_the_more_is_trained() -> None:
    lora = RunSpec()
    full = parse_spec({"adapter": {"kind": "full"}})
    stored = (cell_bytes([lora]) - BASE) / 2
    assert 1e6 < stored < 100e6  # the embedded model's file
    assert cell_bytes([full]) - BASE == pytest.approx(5 * stored, abs=1)
    assert cell_bytes([lora, full]) == cell_bytes([full])
    # Not downloaded yet.
    assert cell_bytes([parse_spec({"model": {"id": "somebody/a-model"}})]) == BASE


def test_free_memory_is_known_here() -> None:
    free = free_bytes()
    assert free is not None
    assert free > 0
