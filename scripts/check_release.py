"""Build the wheel and the sdist, install each into an empty environment, and audit there.

    python scripts/check_release.py                  (make check-release)
    python scripts/check_release.py --keep dist      # leaves both files in dist/

The core alone is installed, at the versions of constraints.txt: torch must not come with it, the
command must answer, an audit of a small file must give the gap that it has, and what needs an extra
must say so in one line. Needs a package index. Exit code 1 where anything fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = """label,pred,sex
yes,yes,f
no,no,f
yes,no,f
no,no,f
yes,yes,m
no,no,m
yes,yes,m
no,no,m
"""
GAP = 0.25  # f: 3 of 4 right, m: 4 of 4


def run(*command: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command's output, whatever its exit code."""
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def build(work: Path, out: Path) -> tuple[Path, list[Path]]:
    """uv, and the wheel and the sdist; the wheel is made from the sdist, as users get it."""
    venv.create(work / "uv", with_pip=True)
    uv = work / "uv" / "bin" / "uv"
    done = run(work / "uv" / "bin" / "pip", "install", "-q", "uv")
    if done.returncode == 0:
        done = run(uv, "build", "-q", "--out-dir", out, ROOT)
    if done.returncode:
        raise SystemExit(f"build: {done.stderr.strip().splitlines()[-1]}")
    return uv, sorted(out.glob("fairlora-*"))


def faults(uv: Path, package: Path, work: Path) -> list[str]:
    """What does not work of an installed wheel or sdist."""
    python = work / "empty" / "bin" / "python"
    run(uv, "venv", "-q", "-p", sys.executable, work / "empty")
    constraints = ("-c", ROOT / "constraints.txt")
    done = run(uv, "pip", "install", "-q", "-p", python, *constraints, package)
    if done.returncode:
        return [f"pip install: {done.stderr.strip().splitlines()[-1]}"]
    found = []
    fairlora = work / "empty" / "bin" / "fairlora"
    if run(python, "-c", "import torch").returncode == 0:
        found.append("torch came with the core")
    version = run(fairlora, "--version").stdout.split()
    if version[:1] != ["fairlora"] or version[1] not in package.name:
        found.append(f"fairlora --version: {version}")
    (work / "p.csv").write_text(TABLE)
    options = ("--label", "label", "--pred", "pred", "--group", "sex", "--min-group", "1")
    done = run(fairlora, "audit", "p.csv", *options, "--json", "--out", "p.html", folder=work)
    try:
        gap = json.loads(done.stdout)["disparities"]["sex"]["accuracy_gap"]["value"]
    except (ValueError, KeyError):
        gap = None
    if done.returncode or gap != GAP or not (work / "p.html").is_file():
        found.append(f"fairlora audit: {done.returncode}, gap {gap}, {done.stderr.strip()}")
    if "waterbirds" not in run(fairlora, "study", "presets").stdout:
        found.append("the presets are not there")
    done = run(fairlora, "demo", folder=work)
    if done.returncode != 2 or "fairlora[train]" not in done.stderr:
        found.append(f"fairlora demo without torch: {done.returncode}, {done.stderr.strip()}")
    typed = (
        "from importlib.resources import files; print((files('fairlora') / 'py.typed').is_file())"
    )
    if run(python, "-c", typed).stdout.strip() != "True":
        found.append("py.typed is not there")
    return found


def main() -> int:
    """Build and try both; the number of faults decides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="leave the wheel and the sdist here")
    chosen = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        uv, packages = build(work, chosen.keep or work / "dist")
        for package in packages:
            folder = work / f"with-{package.name}"
            folder.mkdir(exist_ok=True)
            found = faults(uv, package, folder)
            print(f"{package.name}: {'; '.join(found) or 'installs and audits without torch'}")
            failed += len(found)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
