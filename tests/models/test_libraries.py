"""The training libraries come quietly, and leave the collector and malloc as they should be."""

from __future__ import annotations

import ctypes
import gc
from types import SimpleNamespace
from typing import Any

import pytest

from fairlora.models import libraries
from fairlora.models.libraries import load_libraries


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """What malloc is told, in an environment that says nothing of it."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)
    settings: dict[int, int] = {}

    def mallopt(option: Any, value: Any) -> int:
        settings[option.value] = value.value
        return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    return settings


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_goes_on_as_before(collects: bool, told: dict[int, int]) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        load_libraries()
        assert gc.isenabled() == collects
        assert gc.get_freeze_count() > 10_000
    finally:
        (gc.enable if before else gc.disable)()
    assert told == {-1: 1 << 30, -2: 64 << 20, -3: 32 << 20}


def test_what_the_environment_says_of_malloc_is_left_alone(
    told: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    load_libraries()
    assert not told


@pytest.mark.parametrize("fault", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(
    fault: type[Exception], told: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: Any) -> None:
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", refuses)
    libraries._keep_freed_memory()
    assert not told
