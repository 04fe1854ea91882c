"""The wheel as it is built: what is in it, and what its core asks for."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fairlora

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_the_core_asks_for_no_model_library(wheel: zipfile.ZipFile) -> None:
    found = email.message_from_string(metadata(wheel, "METADATA"))
    assert found["Version"] == fairlora.__version__
    core = [line for line in found.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert core
    assert not [line for line in core if line.startswith(("torch", "transformers", "peft"))]
    assert {"train", "ray", "slurm", "trackers", "export"} <= set(
        found.get_all("Provides-Extra", [])
    )
    assert "fairlora = fairlora.cli:main" in metadata(wheel, "entry_points.txt")


def test_types_presets_and_the_embedded_model_are_in_it(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "fairlora/py.typed" in names
    assert "fairlora/assets/embedded/model.safetensors" in names
    presets = {f"fairlora/studies/{path.name}" for path in (ROOT / "studies").iterdir()}
    assert presets <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
