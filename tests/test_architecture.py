"""ARCHITECTURE.md is drawn from the imports, and CONTRIBUTING names things that are there."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<what>[^|`]+) \| `(?P<file>src/[^`]+)` \| `(?P<name>\w+)` \|$", re.MULTILINE
)
PLACES = ROW.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "scripts/architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_that_of_the_imports(script: ModuleType) -> None:
    assert script.page(PAGE) == PAGE


def test_an_arrow_stands_for_no_longer_way(script: ModuleType) -> None:
    found = {"cli": {"study", "data"}, "study": {"data"}, "data": set()}
    assert script.shortest(found) == [("cli", "study"), ("study", "data")]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", PAGE)))
)
def test_a_path_of_the_page_is_there(path: str) -> None:
    assert (ROOT / "src" / "fairlora" / path).exists() or (ROOT / path).exists()


@pytest.mark.parametrize(("what", "file", "name"), PLACES)
def test_a_place_that_contributing_names_is_there(what: str, file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert name in names, f"{what}: {file} has no {name}"


def test_contributing_names_the_places() -> None:
    assert len(PLACES) == 12
