"""Try fairlora with the oldest, the pinned and the newest libraries: docs/versions.md.

    python scripts/check_versions.py --work versions > docs/versions.md
    make check-versions

An environment is made by uv for each, with the wheel of this checkout: ``floors`` has every library
of pyproject.toml at its lowest, ``constraints`` those of constraints.txt, ``newest`` what PyPI has
today; torch is the same in each. There an audit, a smoke study and the tests below run. 2 GB and
about 15 minutes on two cores for each; a second call with the same folder takes up the
environments, and what was found for the same commit. Exit code 1 where anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
SHOWN = ("transformers", "peft", "accelerate", "datasets", "numpy", "pandas", "pyarrow", "scipy",
         "scikit-learn", "pydantic", "typer", "matplotlib")  # fmt: skip
# Where the libraries are met: every architecture with every adapter, and generation.
TESTS = ("tests/models/test_table.py", "tests/probes/test_scoring.py")
_TABLE = """id,label,pred,sex
1,yes,yes,f
2,no,no,f
3,yes,no,f
4,no,no,f
5,yes,yes,m
6,no,no,m
7,yes,yes,m
8,no,no,m
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="keep environments here; default: a temp folder")
    parser.add_argument("--only", choices=["floors", "constraints", "newest"])
    parser.add_argument("--gather", action="store_true", help="make the page of what was found")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (chosen.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        names = [chosen.only] if chosen.only else ["floors", "constraints", "newest"]
        kept = [work / f"{name}.json" for name in names]
        if chosen.gather:
            rows = [json.loads(path.read_text()) for path in kept]
        else:
            rows = [_row(name, work) for name in names]
    print(_page(rows))
    return int(any(not row["fine"] for row in rows))


def _row(name: str, work: Path) -> dict[str, object]:
    commit = _run(["git", "rev-parse", "HEAD"], ROOT, "commit", work).stdout.strip()
    kept = work / f"{name}.json"
    if kept.is_file():
        row: dict[str, object] = json.loads(kept.read_text())
        if row["commit"] == commit:
            return row
    row = {**_tried(name, work), "commit": commit}
    kept.write_text(json.dumps(row))
    return row


def _tried(name: str, work: Path) -> dict[str, object]:
    python = _environment(name, work)
    versions = _run([python, "-c", _VERSIONS.format(names=SHOWN)], work, "versions").stdout
    checks = {"audit": _audit(python, work), "smoke study": _study(python, work, name)}
    tests = _run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "900", *TESTS],
        ROOT, f"{name}-tests", work,
    )  # fmt: skip
    last = tests.stdout.strip().splitlines()[-1] if tests.stdout.strip() else "did not start"
    checks["tests"] = re.sub(r",? ?\d+ warnings?| in .*|=+", "", last).strip()
    fine = tests.returncode == 0 and checks["audit"] == checks["smoke study"] == "passed"
    return {"name": name, "versions": json.loads(versions), "checks": checks, "fine": fine}


_VERSIONS = """
import json
from importlib.metadata import version
print(json.dumps({{name: version(name) for name in {names!r}}}))
"""


def _environment(name: str, work: Path) -> str:
    folder = work / name
    python = folder / "bin" / "python"
    uv = work / "uv" / "bin" / "uv"
    if not uv.is_file():
        venv.create(work / "uv", with_pip=True)
        _run([work / "uv" / "bin" / "pip", "install", "-q", "uv"], work, "uv", must=True)
    wheels = work / "wheels"
    pip = work / "uv" / "bin" / "pip"
    for old in wheels.glob("fairlora-*.whl"):
        old.unlink()
    _run([pip, "wheel", "-q", "--no-deps", "-w", wheels, ROOT], work, "wheel", must=True)
    (wheel,) = wheels.glob("fairlora-*.whl")
    if (folder / "ready").is_file():
        again = [uv, "pip", "install", "-q", "--no-deps", "--reinstall", "--python", python, wheel]
        _run(again, work, f"{name}-again", must=True)
        return str(python)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"]]
    wanted = [TORCH if line.startswith("torch>") else line for line in wanted]
    # What the tests need besides, at any version.
    tools = ["pytest", "pytest-timeout", "hypothesis", "polars", "fairlearn", "jsonschema", "trl"]
    resolution = ["--resolution", "lowest-direct"] if name == "floors" else []
    pins = ["-c", ROOT / "constraints.txt"] if name == "constraints" else []
    _run([uv, "venv", "-q", "--python", sys.executable, folder], work, "venv", must=True)
    install = [uv, "pip", "install", "-q", "--python", python, "--only-binary", ":all:"]
    fairlora = f"fairlora[train] @ {wheel.as_uri()}"
    _run([*install, *resolution, *pins, *wanted, fairlora], work, f"{name}-install", must=True)
    # Beside what is there: a test's library must not move those that are tried.
    held = _run([uv, "pip", "freeze", "--python", python], work, "freeze", must=True).stdout
    (work / "held.txt").write_text(re.sub(r"(?m)^fairlora.*$", "", held))
    for tool in tools:
        _run([*install, "-c", work / "held.txt", tool], work, f"{name}-{tool}")
    (folder / "ready").touch()
    return str(python)


def _audit(python: str, work: Path) -> str:
    table = work / "table.csv"
    table.write_text(_TABLE)
    columns = ["--label", "label", "--pred", "pred", "--group", "sex", "--min-group", "1"]
    command = [python, "-m", "fairlora", "audit", table, *columns, "--json"]
    found = _run(command, work, "audit")
    try:
        gap = json.loads(found.stdout)["disparities"]["sex"]["accuracy_gap"]["value"]
    except (ValueError, KeyError, TypeError):
        return "failed"
    return "passed" if gap is not None and abs(gap - 0.25) < 1e-9 else f"failed: gap {gap}"


def _study(python: str, work: Path, name: str) -> str:
    out = work / f"{name}-study"
    command = [python, "-m", "fairlora", "study", "run", "demo", "--smoke", "--out", out]
    found = _run(command, work, f"{name}-study")
    return "passed" if found.returncode == 0 and ", 0 failed" in found.stdout else "failed"


def _run(
    command: list[object], folder: Path, name: str, logs: Path | None = None, *, must: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command, keep what it says in a log beside the environments."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    print(f"{name} ...", file=sys.stderr, flush=True)
    found = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    ((logs or folder) / f"{name}.log").write_text(found.stdout + found.stderr)
    if must and found.returncode:
        raise SystemExit(f"{name}: {found.stderr.strip().splitlines()[-1:]}")
    return found


def _page(rows: list[dict[str, object]]) -> str:
    lines = [
        "# Versions that fairlora was tried with",
        "",
        "`make check-versions` made this page: an environment each, with the oldest libraries that",
        "pyproject.toml allows, those of constraints.txt, and the newest of the day; torch is",
        "2.13.0 in each.",
        "",
        "| | " + " | ".join(str(row["name"]) for row in rows) + " |",
        "|---|" + "---|" * len(rows),
    ]
    for part, keys in (("versions", SHOWN), ("checks", ("audit", "smoke study", "tests"))):
        for key in keys:
            cells = [str(row[part][key]) for row in rows]  # type: ignore[index]
            lines.append(f"| {key} | " + " | ".join(cells) + " |")
    lines += ["", "Tests: " + ", ".join(f"`{path}`" for path in TESTS) + "."]
    lines[-2:-2] = ["| commit | " + " | ".join(str(row["commit"])[:12] for row in rows) + " |"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
