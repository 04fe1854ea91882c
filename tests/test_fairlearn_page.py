"""docs/fairlearn.md is what scripts/fairlearn_table.py prints: every claim of it is run."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "fairlearn_table.py"
    spec = importlib.util.spec_from_file_location("fairlearn_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_prints(script: ModuleType) -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for name in script.PACKAGES:
        if f"{name}=={metadata.version(name)}" not in pinned:
            pytest.skip(f"{name} {metadata.version(name)} is not the version of constraints.txt")
    assert script.page() == (ROOT / "docs" / "fairlearn.md").read_text(encoding="utf-8")


def test_a_row_that_is_not_as_it_says_ends_the_script(script: ModuleType) -> None:
    row = script.Row
    names: dict[str, Any] = {}
    assert "| 1.0000 | 1.0000 | equal |" in script.table("x", [row("1", "1.0")], names)
    assert "| 1.0000 | 2.0000 | differs | why |" in script.table("x", [row("1", "2", "why")], names)
    for wrong in (row("1", "2"), row("1", "1", "why"), row("int('a')", "int('a')")):
        with pytest.raises(SystemExit, match="not as said"):
            script.table("x", [wrong], names)


def test_what_the_reasons_say_of_warnings_and_classes(script: ModuleType) -> None:
    names: dict[str, Any] = {}
    exec(script.INPUTS, names)
    exec(script.EDGES, names)
    audit, race = names["fairlora"].audit, names["race"]
    small = audit(names["both"], names["predicted"], {"g": names["small"]}, positive=1)
    assert any("so left out of maxima and spreads: z" in w for w in small.to_dict()["warnings"])
    three = audit(names["three_n"], names["guess_n"], {"g": race}).to_dict()
    assert three["disparities"]["g"]["dpd"]["class"] in ("0", "2")
