"""The example scripts run, on the data that they name."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_diabetes_audit_finds_the_subgroup_that_each_attribute_alone_hides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(EXAMPLES / "diabetes_audit.py"))
    script["main"](tmp_path / "out")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [
        "audit.html",
        "audit.md",
        "comparison.html",
        "disparities.png",
        "reliability.png",
    ]
    printed = " ".join(capsys.readouterr().out.split())
    # Neither sex nor age alone is beyond chance in accuracy; their combination is.
    assert "Accuracy of the subgroup sex: code 1 & age: under 40" in printed
    written = (tmp_path / "out" / "audit.md").read_text(encoding="utf-8").replace("\\", "")
    assert "this one, sex: code 1 & age: under 40" in written
    assert "equivalent" in printed
