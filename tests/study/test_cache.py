"""What is kept is read back while it was made from the same, and made anew otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.study.runs.cache import ARRAY, JSON, Cache


@pytest.mark.parametrize("name", [None, "lora"])
def test_a_thing_is_made_once_for_what_it_is_made_from(name: str | None, tmp_path: Path) -> None:
    cache, made = Cache(tmp_path / "report"), []

    def make() -> dict[str, Any]:
        made.append(len(made))
        return {"value": len(made)}

    assert cache.get(["a", 1], make, JSON, name) == {"value": 1}
    assert cache.get(["a", 1], make, JSON, name) == {"value": 1}
    assert cache.get(["a", 2], make, JSON, name) == {"value": 2}
    files = [path for path in cache.folder.glob("*.json") if path.name != ".made.json"]
    (file,) = [path for path in files if json.loads(path.read_text()) == {"value": 2}]
    assert name is None or file.name == "lora.json"
    file.write_text("{")  # damaged
    assert cache.get(["a", 2], make, JSON, name) == {"value": 3}
    file.unlink()
    assert cache.get(["a", 2], make, JSON, name) == {"value": 4}
    assert made == [0, 1, 2, 3]


def test_another_version_of_fairlora_computes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    first = cache.get(["a"], lambda: np.arange(3), ARRAY)
    assert cache.get(["a"], lambda: np.zeros(1), ARRAY).tolist() == first.tolist() == [0, 1, 2]
    monkeypatch.setattr("fairlora.__version__", "0.0.0-other")
    assert cache.get(["a"], lambda: np.zeros(1), ARRAY).tolist() == [0]


def test_what_fails_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.get(["a"], lambda: {"value": 1 / 0}, JSON, "lora")
    assert list(tmp_path.iterdir()) == []
    assert cache.get(["a"], lambda: {"value": 1}, JSON, "lora") == {"value": 1}


def test_named_files_are_current_until_they_are_forgotten_or_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in ("index.html", "other.html"):
        (tmp_path / name).write_text("page")
        cache.record(name, f"key of {name}")
    assert cache.is_current("index.html", "key of index.html")
    assert not cache.is_current("index.html", "another key")
    cache.record("index.html", None)
    assert not cache.is_current("index.html", "key of index.html")
    assert cache.is_current("other.html", "key of other.html")
    (tmp_path / "other.html").unlink()
    assert not cache.is_current("other.html", "key of other.html")
