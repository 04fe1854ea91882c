"""docs/other-tools.md: fairlora's answers, and those of the tools that are here, are as it says."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "other-tools.md").read_text(encoding="utf-8")
INPUTS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]
ROW = re.compile(r"^\| (\S+) \| `(.+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("other_tools", ROOT / "scripts/other_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    kept = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = kept
    return module


def test_fairloras_answers_are_those_of_today(script: ModuleType) -> None:
    names: dict[str, Any] = {}
    exec(INPUTS, names)
    ours = [(call, answer) for tool, call, answer, _ in ROWS if tool == "**fairlora**"]
    assert [call for call, _ in ours] == [case.ours for case in script.CASES]
    for call, answer in ours:
        assert script.shown(call, names).text == answer, call


@pytest.mark.parametrize(
    ("tool", "package", "lines"),
    [
        ("fairlearn", "fairlearn", "from fairlearn.metrics import *\n"),
        ("scikit-learn", "scikit-learn", ""),
        ("netcal", "netcal", "from netcal.metrics import ECE\n"),
    ],
)
def test_the_answers_of_a_tool_that_is_here(
    script: ModuleType, tool: str, package: str, lines: str
) -> None:
    (version,) = re.findall(rf"\b{tool} (\d[\w.]*?)[,;]", PAGE)
    if metadata.version(package) != version:
        pytest.skip(f"{package} {metadata.version(package)} is not the version of the page")
    names: dict[str, Any] = {}
    exec(INPUTS + lines + "from sklearn.metrics import *\n", names)
    theirs = [(call, answer) for name, call, answer, _ in ROWS if name == tool]
    assert theirs
    for call, answer in theirs:
        assert script.shown(call, names).text == answer, call


def test_the_page_has_every_call_of_the_script_and_a_reason_where_answers_differ(
    script: ModuleType,
) -> None:
    calls = [row for case in script.CASES for row in (("**fairlora**", case.ours, ""), *case.rows)]
    left_out = re.findall(r"^(\S+) is not here", PAGE, re.MULTILINE)
    wanted = [(row[0], row[1], row[2]) for row in calls if row[0] not in left_out]
    found = [(tool, call, "" if why == "equal" else why)
             for tool, call, _, why in ROWS]  # fmt: skip
    assert found == wanted


def test_a_row_that_is_not_as_it_says_ends_the_script(script: ModuleType) -> None:
    def made(call: str, why: str) -> str:
        kind = type(script.CASES[0])
        row = type(script.CASES[0].rows[0])("netcal", call, why)
        case = kind("x", "1.0", [row])
        return str(script.section(case, ["netcal"], {}))

    assert "| netcal | `1` | 1.0000 | equal |" in made("1", "")
    assert "| netcal | `float('inf')` | infinity | why |" in made("float('inf')", "why")
    for call, why in (("2", ""), ("1", "why")):
        with pytest.raises(SystemExit, match="not as said"):
            made(call, why)
