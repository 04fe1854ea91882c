"""A core install: what needs an extra says so in one line; what needs none works."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fairlora
from fairlora.errors import InputError, missing_package, optional_module, require_packages

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TRAIN = ["torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "sklearn"]


def without(packages: list[str], folder: Path, *arguments: str) -> tuple[int, str, str]:
    """`fairlora ARGUMENTS` in a process where these packages cannot be imported."""
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({packages!r}))\n"
        "from fairlora.cli import main\nmain()"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", str(EXAMPLES / "people-emoji.yaml")],
        ["predict", "nobody/model", "--data", "people-emoji", "--out", "p.parquet"],
        ["study", "run", str(EXAMPLES / "studies" / "people-emoji.yaml")],
        ["probe", "features", "runs/a", "--group", "race"],
        ["probe", "translation", "nobody/model"],
        ["demo"],
    ],
    ids=lambda a: " ".join(a[:2]) if a[0] in ("study", "probe") else a[0],
)
def test_what_trains_names_the_extra_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    code, out, err = without(TRAIN, tmp_path, *arguments)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("fairlora: the package ")
    assert line.endswith("is not installed: pip install 'fairlora[train]'")


@pytest.mark.parametrize("package", ["transformers", "sklearn"])
def test_a_study_of_which_nothing_can_run_leaves_no_failed_cell(
    package: str, tmp_path: Path
) -> None:
    study = str(EXAMPLES / "studies" / "people-emoji.yaml")
    code, _, err = without([package], tmp_path, "study", "run", study)
    assert (code, f"the package {package!r} is not installed" in err) == (2, True)
    assert not list(tmp_path.rglob("status.json"))


@pytest.mark.parametrize("arguments", [["data", "list"], ["study", "presets"], ["--help"]])
def test_what_needs_no_extra_works(arguments: list[str], tmp_path: Path) -> None:
    code, out, err = without([*TRAIN, "ray", "submitit", "optuna"], tmp_path, *arguments)
    assert (code, err) == (0, "")
    assert out


def test_a_module_that_is_no_optional_package_is_a_fault_of_ours() -> None:
    assert missing_package(ModuleNotFoundError(name="fairlora.nothing")) is None
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        optional_module("no_such_module")


def test_packages_are_looked_for_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages("torch", "transformers")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"'peft' is not installed.*fairlora\[train\]"):
        require_packages("torch", "peft")


def test_every_package_that_the_code_imports_is_a_core_one_or_has_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {one.split(">")[0] for one in project["dependencies"]}
    core |= {"yaml", "markupsafe", "pydantic_core"}  # by other names, and what comes with those
    extras = {name for name in project["optional-dependencies"] if name != "dev"}
    imported = set()
    for path in Path(fairlora.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    for package in imported - sys.stdlib_module_names - core - {"fairlora"}:
        missing = missing_package(ModuleNotFoundError(name=package))
        assert missing is not None, package
        assert any(f"fairlora[{extra}]" in str(missing) for extra in extras), package
