"""The rooms: who may import whom, and what must stay light."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "fairlora"
ROOMS = (
    "errors",
    "settings",
    "io",
    "predictions",
    "report",
    "metrics",
    "testing",
    "privacy",
    "objectives",
    "data",
    "models",
    "training",
    "probes",
    "study",
    "cli",
)
OUTSIDE = (SOURCE / "__init__.py", SOURCE / "__main__.py")
FILES = sorted(p for p in SOURCE.rglob("*.py") if p not in OUTSIDE)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide their room"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    own = room_of(path)
    assert own in ROOMS
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] == "fairlora" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= ROOMS.index(own), f"{own} imports {module}"


def test_no_file_imports_in_a_circle() -> None:
    """Imports inside functions and for type checkers count as well."""
    names = {".".join(p.relative_to(SOURCE.parent).with_suffix("").parts): p for p in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    below = {
        name: {module for module in imports_of(path) if module in names} - {name}
        for name, path in names.items()
    }
    # A folder's __init__ hands out what its files have: they do not need it.
    below = {
        name: {one for one in modules if not any(m.startswith(f"{one}.") for m in modules)}
        for name, modules in below.items()
    }
    TopologicalSorter(below).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "scripts"])
def test_what_lies_beside_the_package_imports_what_is_there(folder: str) -> None:
    """No type checker reads these."""
    for path in sorted((SOURCE.parents[1] / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
                "fairlora"
            ):
                continue
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [
        (("predictions", "metrics", "report", "privacy"), ("torch", "transformers", "peft")),
        (("objectives",), ("transformers", "peft", "numpy", "pandas")),
        (("data", "models", "training"), ("rich", "typer")),
    ],
)
def test_a_room_uses_only_its_libraries(rooms: tuple[str, ...], forbidden: tuple[str, ...]) -> None:
    for path in FILES:
        if room_of(path) in rooms:
            found = {m.split(".")[0] for m in imports_of(path)} & set(forbidden)
            assert not found, f"{path.relative_to(SOURCE)} imports {found}"


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("errors", set()),
        ("settings", {"pydantic"}),
        ("metrics", {"numpy", "pydantic", "typing_extensions"}),
        ("predictions", {"numpy", "pyarrow", "pydantic"}),
        ("objectives", {"torch"}),
        ("data", {"numpy", "pydantic"}),
    ],
)
def test_importing_a_room_loads_only_its_libraries(room: str, allowed: set[str]) -> None:
    """What is imported with the file, and not inside a function or for type checkers alone."""
    for path in (p for p in FILES if room_of(p) == room):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found = {name.split(".")[0] for name in names} - sys.stdlib_module_names
            assert found - {"fairlora"} <= allowed, f"{path.relative_to(SOURCE)} imports {found}"


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after running some code."""
    tail = "\nimport sys; print('MODULES', *sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


def test_an_audit_needs_no_torch(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("y,p,g\n1,1,a\n0,1,b\n0,0,a\n1,0,b\n")
    command = ["audit", str(file), "--label", "y", "--pred", "p", "--group", "g", "--json"]
    loaded = modules_after(
        f"import fairlora; fairlora.audit([0, 1], [0, 1], {{'g': ['a', 'b']}})\n"
        f"from typer.testing import CliRunner; from fairlora.cli import app\n"
        f"assert CliRunner().invoke(app, {command!r}).exit_code == 0"
    )
    assert "numpy" in loaded
    assert not loaded & {"torch", "transformers", "pandas", "matplotlib"}


def test_importing_fairlora_and_asking_for_help_load_nothing_heavy() -> None:
    loaded = modules_after(
        "import fairlora\nfrom typer.testing import CliRunner; from fairlora.cli import app\n"
        "assert 'audit' in CliRunner().invoke(app, ['--help']).stdout"
    )
    assert not loaded & {"torch", "transformers", "numpy", "pandas", "matplotlib", "pyarrow"}
