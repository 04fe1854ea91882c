"""Files that cannot be written: one line, exit code 2, and what was there before stays whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

resource = pytest.importorskip("resource", reason="no limits of processes here")

COLUMNS = ("--label", "label", "--pred", "pred", "--group", "sex", "--bootstrap", "0")
FORMATS = ("html", "json", "md", "tex", "png", "svg", "pdf")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("full") / "rows.csv"
    labels = rng.integers(0, 2, 60)
    columns = {
        "id": np.arange(60), "label": labels, "pred": rng.integers(0, 2, 60),
        "sex": np.where(rng.random(60) < 0.5, "f", "m"),
    }  # fmt: skip
    pa_csv.write_csv(pa.table(columns), path)
    return path


def limited(*command: object) -> subprocess.CompletedProcess[str]:
    """Run fairlora where a file may have no more than 600 bytes, as on a disk with no more room."""

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    return subprocess.run(
        [sys.executable, "-m", "fairlora", *map(str, command)],
        capture_output=True, text=True, check=False, preexec_fn=no_room,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_of_an_audit(table: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"audit.{ending}"
    out.write_text("what was there")
    found = limited("audit", table, *COLUMNS, "--out", out)
    assert found.returncode == 2, found.stderr
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith(f"fairlora: {tmp_path}")
    assert ": the file is larger than" in last
    assert "Traceback" not in found.stderr
    assert out.read_text() == "what was there"
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "TABLE", *COLUMNS, "--against", "TABLE"),
        ("schema", "audit"),
    ],
)
def test_every_command_that_writes(table: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out.json"
    words = [table if word == "TABLE" else word for word in command]
    found = limited(*words, "--out", out)
    assert found.returncode == 2, found.stderr
    assert f"fairlora: {out}: the file is larger" in found.stderr
    assert "Traceback" not in found.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    found = limited("audit", table, *COLUMNS, "--out", tmp_path / "file" / "audit.html")
    assert found.returncode == 2
    assert str(tmp_path / "file") in found.stderr
    assert "Traceback" not in found.stderr
