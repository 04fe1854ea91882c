"""Public functions with three arguments or more explain them, by the names that they have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "fairlora"
# A command's docstring is its --help, and typer says what its arguments are.
FILES = sorted(p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] != "cli")
SECTION = re.compile(r"^Parameters\n-{10}\n(?P<body>.*?)(?=\n\n[A-Z]\w+\n-+\n|\Z)", re.M | re.S)


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def arguments(function: ast.FunctionDef) -> list[str]:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def documented(docstring: str) -> set[str]:
    """The names that the section on parameters explains: ``a, b : what they are``."""
    section = SECTION.search(docstring)
    if section is None:
        return set()
    entries = re.findall(
        r"^(\*{0,2}[a-z_]\w*(?:, \*{0,2}[a-z_]\w*)*)(?: :|$)", section["body"], re.MULTILINE
    )
    return {name.lstrip("*") for entry in entries for name in entry.split(", ")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_arguments_are_explained_by_the_names_that_they_have(path: Path) -> None:
    lacking, stale = [], {}
    for function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body):
        names = arguments(function)
        said = documented(ast.get_docstring(function) or "")
        rest = (function.args.vararg, function.args.kwarg)
        others = said - {*names, *(one.arg for one in rest if one is not None)}
        if len(names) >= 3 and not said:
            lacking.append(function.name)
        if others:
            stale[function.name] = sorted(others)
    assert lacking == []
    assert stale == {}


def test_the_section_is_read_as_it_is_written() -> None:
    lines = ["First line.", "", "Parameters", "----------", "a, b : two of them,", "    more."]
    lines += ["**c : rest.", "", "Returns", "-------", "d : not one."]
    assert documented("\n".join(lines)) == {"a", "b", "c"}
    assert documented("First line.") == set()
