"""CONTRIBUTING's two walks, done as written in a copy, pass the tests that are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block_with(words: str) -> str:
    """The indented code of the guide that holds some words."""
    blocks: list[list[str]] = [[]]
    for line in GUIDE.splitlines():
        if line.startswith(" " * 7):
            blocks[-1].append(line)
        elif line.strip():
            blocks.append([])
        elif blocks[-1]:
            blocks[-1].append("")
    (found,) = [text for text in map("\n".join, blocks) if words in text]
    return textwrap.dedent(found).strip("\n") + "\n"


def put(file: Path, place: str, text: str) -> None:
    """Write a text before a place that stands once in a file."""
    content = file.read_text()
    assert content.count(place) == 1, (file, place)
    file.write_text(content.replace(place, text + place))


def test_both_walks_pass_the_tests(tmp_path: Path) -> None:
    for name in ("src", "tests", "studies", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source, tests = tmp_path / "src" / "fairlora", tmp_path / "tests"

    data = source / "data"
    (data / "shapes.py").write_text(block_with("class Shapes("))
    line = "from fairlora.data.shapes import Shapes\n"
    put(data / "__init__.py", "from fairlora.data.splits", line)
    put(data / "__init__.py", "    )\n}", "        Shapes(),\n")
    put(data / "tiny.py", "_MAKERS = {", block_with("def _shapes(") + "\n\n")
    put(data / "tiny.py", '    "utkface": _Maker', '    "shapes": _Maker(96, _shapes),\n')
    branch = textwrap.indent(block_with('elif name == "shapes"'), "    ")
    put(tests / "data" / "test_data_sets.py", '    elif name == "image-table":', branch)

    objectives = source / "objectives"
    (objectives / "group_mean.py").write_text(block_with("class GroupMean("))
    line = "from fairlora.objectives.group_mean import GroupMean\n"
    put(objectives / "__init__.py", "from fairlora.objectives.loss_variance", line)
    put(objectives / "__init__.py", "}\n\n__all__", '    "group-mean": GroupMean,\n')
    put(source / "study" / "spec" / "run.py", '] = "erm"', ', "group-mean"')
    table = tests / "objectives" / "test_objectives.py"
    put(table, "from fairlora.objectives import (", line)
    put(table, "class Case(", block_with("def group_mean_formula(") + "\n\n")
    row = 'Case("group-mean", lambda: GroupMean(num_groups=G), group_mean_formula)'
    assert row in " ".join(GUIDE.split())
    put(table, '    Case("reweight"', f"    {row},\n")

    chosen = ["tests/data/test_data_sets.py", "tests/data/test_examples.py", str(table)]
    chosen += ["tests/test_rooms.py", str(objectives)]
    words = "shapes or group-mean or group_mean or every_data_set or unknown or __init__"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, "-k", words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    code = (
        "from fairlora.data import DATA_SETS; from fairlora.study.spec.run import parse_spec;"
        "print('shapes' in DATA_SETS, parse_spec({'objective': {'name': 'group-mean'}}).method)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "True LoRA + group-mean"
