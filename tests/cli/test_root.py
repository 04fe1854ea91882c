"""The command as a process: version, help, interruption, one line and a code for bad input."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

import fairlora as package

CLI = Path(package.__file__).parent / "cli"
LIGHT = {"__future__", "contextlib", "json", "os", "pathlib", "sys", "time", "typer", "typing",
         "atexit", "gc",
         "warnings", "collections", "dataclasses", "fairlora", "inspect", "types",
         "enum", "textwrap"}  # fmt: skip


def top_level_imports(body: list[ast.stmt]) -> set[str]:
    """Modules that a file imports when it is imported: not in functions, not for type checkers."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda p: p.name)
def test_a_command_is_cheap_to_import(path: Path) -> None:
    imports = top_level_imports(ast.parse(path.read_text(encoding="utf-8")).body)
    assert {name.split(".")[0] for name in imports} <= LIGHT
    rooms = {n for n in imports if n.startswith("fairlora.")}
    light = ("fairlora.cli", "fairlora.errors", "fairlora.io", "fairlora.settings")
    assert all(n.startswith(light) or n.endswith(".settings") for n in rooms), rooms


def test_settings_are_cheap_to_import() -> None:
    """The commands make their options of them: ``fairlora --help`` loads these too."""
    code = "import fairlora.cli, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"fairlora.metrics.settings", "pydantic"} <= loaded
    assert not loaded & {"numpy", "pyarrow", "torch", "rich.console", "yaml"}


def test_version_and_help(fairlora: Callable[..., Any]) -> None:
    assert fairlora("--version").out == f"fairlora {package.__version__}\n"
    assert metadata.version("fairlora") == package.__version__
    done = fairlora("--help")
    assert done.code == 0
    for command in ("demo", "train", "predict", "audit", "compare", "data", "study"):
        assert command in done.out
        assert fairlora(command, "--help").code == 0


def test_an_interruption_says_how_to_go_on(
    fairlora: Callable[..., Any], finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairlora.study.runs.prepare.prepare", interrupt)
    done = fairlora("train", finished["lora-0"] / "spec.yaml")
    assert done.code == 130
    assert done.err == "fairlora: interrupted; run the same command again to go on\n"


def test_bad_input_of_a_process_is_one_line_and_code_2(
    settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """With everything that torch and transformers print in a process of their own."""
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings(model={"id": "nobody/no-such-vit"})))
    command = [sys.executable, "-c", "from fairlora.cli import main; main()", "train", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line]
    assert len(said) <= 2, done.stderr
    assert said[-1].startswith("fairlora: model.id: cannot load this model from the hub")
    assert "nobody/no-such-vit" in said[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "RUN", "TMP/typo"], "typo: not a finished run"),
        (["compare", "TMP"], "not a finished run"),
        (["data", "check", "faces"], "no such data set"),
        (["data", "check", "people-emoji", "--set", "renderers=[noto]"], "--set"),
        (["data", "check", "people-emoji", "--set", "data.renderers=[comic]"], "data.renderers"),
        (["train", "TMP/gone.yaml"], "gone.yaml: no such file"),
        (["train", "TMP"], "cannot read this file"),
        (["train", "RUN/spec.yaml", "--set", "training.epochs=.inf"], "training.epochs"),
        (["train", "RUN/spec.yaml", "--out", "RUN/spec.yaml"], "cannot write here"),
        (["predict", "TMP/gone", "--out", "TMP/p.parquet", "--data", "people-emoji"],
         "no such model folder"),
        (["predict", "RUN", "--out", "TMP"], "--out: a folder"),
        (["predict", "RUN", "--out", "TMP/p", "--data", "people-emoji",
          "--set", "data.train_rows=-1"], "data.train_rows"),
    ],
)  # fmt: skip
def test_bad_input_of_every_command_is_one_line_and_code_2(
    fairlora: Callable[..., Any],
    finished: dict[str, Path],
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    places = {"RUN": str(finished["lora-0"]), "TMP": str(tmp_path)}
    filled = [a.replace("RUN", places["RUN"]).replace("TMP", places["TMP"]) for a in arguments]
    done = fairlora(*filled)
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("fairlora: ")
    assert message in line


def test_compare_leaves_files_beside_the_runs_alone(
    fairlora: Callable[..., Any], finished: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text("a page")
    done = fairlora("compare", finished["lora-0"], page, finished["full-0"])
    assert done.code == 0
    assert "fair full" in done.out
    # What is no finished run is left out too, and said.
    (tmp_path / "notes").mkdir()
    shutil.copytree(finished["lora-1"], tmp_path / "cut")
    status = tmp_path / "cut" / "status.json"
    status.write_text('{"state": "preempted"}')
    found = sorted(tmp_path.iterdir())
    again = fairlora("compare", *found, finished["lora-0"], finished["full-0"])
    assert again.code == 0
    assert again.out == done.out
    assert again.err.splitlines() == [
        "fairlora: not finished runs, left out of 5: "
        + ", ".join(str(tmp_path / name) for name in ("cut", "notes", "report.html"))
    ]
