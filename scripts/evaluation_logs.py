"""Run the real evaluation tools on tiny local models, and write the logs that the tests read.

    python scripts/evaluation_logs.py harness inspect lighteval --out tests/predictions/logs/written

Each tool is installed, in the version that `TOOLS` names, into a virtual environment of its own in
a temporary folder, and runs without the hub: its tasks read local files, and its models are made on
the spot or play back fixed answers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent / "evaluation_logs"
TOOLS = {
    "harness": ["lm_eval[hf]==0.4.13", "statsmodels"],
    "inspect": ["inspect_ai==0.3.285"],
    "lighteval": ["lighteval==0.13.0", "xxhash<4"],
    "helm": ["crfm-helm==0.5.16"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", nargs="+", choices=list(TOOLS))
    parser.add_argument("--out", type=Path, required=True, help="folder for the logs")
    parser.add_argument(
        "--python",
        type=Path,
        help="a Python that has the tool already, instead of a new environment",
    )
    args = parser.parse_args()
    for tool in args.tools:
        with tempfile.TemporaryDirectory() as folder:
            python = args.python or _environment(Path(folder) / "venv", TOOLS[tool])
            work = Path(folder) / "work"
            work.mkdir()
            out = (args.out / tool).resolve()
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [str(python), str(HERE / f"run_{tool}.py"), str(out)],
                cwd=work,
                check=True,
                env={**os.environ, **offline, "HF_HOME": str(work / "hf")},
            )


def _environment(folder: Path, packages: list[str]) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
