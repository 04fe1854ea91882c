"""The figures that people read are those that were measured: pages agree with the result files."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_benchmarks_are_those_of_the_results() -> None:
    tables = load("speed/tables")
    for name, each in tables.PAGES.items():
        page = (BENCHMARKS.parent / name).read_text(encoding="utf-8")
        assert tables.filled(page, each) == page


def test_the_page_of_coverage_is_that_of_the_results() -> None:
    folder = str(BENCHMARKS / "coverage")
    sys.path.insert(0, folder)  # as where it runs: its families are its neighbours
    try:
        coverage = load("coverage/__main__")
        assert len({coverage.code_hash(), coverage.code_hash(coverage.FAMILY)}) == 2
        content = json.loads((BENCHMARKS / "results" / "coverage.json").read_text())
        page = coverage.markdown(content["rows"])
        assert coverage.table(content["rows"]) == content["table"]
    finally:
        sys.path.remove(folder)
    written = (BENCHMARKS.parent / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert page == written
