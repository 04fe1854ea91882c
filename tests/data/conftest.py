"""Tiny copies of every data set, in their native layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.data.tiny import write_tiny

Write = Callable[..., dict[str, Any]]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a tiny copy and returns the options that read it."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def make(name: str, folder: str = "copy", **arguments: Any) -> dict[str, Any]:
        return write_tiny(name, tmp_path / folder, **arguments)

    return make
