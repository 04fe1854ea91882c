"""Ask other fairness tools the same questions, and print docs/other-tools.md.

    python scripts/other_tools.py > docs/other-tools.md
    python scripts/other_tools.py --work peers > docs/other-tools.md    # keeps the environment

uv makes an environment of its own with the tools below, the versions of constraints.txt and the
wheel of this checkout (1.5 GB; a minute). What cannot be installed is named on the page with the
reason, and its rows are left out. Every call that the page shows is evaluated: a row without a
reason must give fairlora's number and a row with one must not, else the script ends with it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fairlearn_table import Value, agree, evaluated, python  # type: ignore[import-not-found]
from other_tools_cases import CASES, INPUTS, PEERS, Case  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parent.parent
# Shown name -> what is installed; those without a version have theirs from constraints.txt.
TOOLS = {
    "fairlearn": "fairlearn",
    "AIF360": "aif360==0.6.1",
    "Aequitas": "aequitas==1.0.0",
    "HolisticAI": "holisticai==1.0.14",
    "torchmetrics": "torchmetrics",
    "netcal": "netcal",
    "scikit-learn": "scikit-learn",
}
INTRODUCTION = """# Other people's numbers

The output of `python scripts/other_tools.py`: the same small inputs in fairlora and in {tools},
each call run with the versions below in an environment of its own. Where an answer is not
fairlora's, the reason stands beside it. A tool is listed where it has an answer to the question at
all. "undefined" is NaN, or `null` with its reason in fairlora's JSON.

What differs most often, and what to look for first:

- **direction**: a difference may be unsigned (fairlora, fairlearn: largest minus smallest) or
  that of the unprivileged group minus the privileged one (AIF360, HolisticAI), and a ratio
  smallest over largest or against a reference group;
- **equalized odds**: the larger of two gaps (fairlora, fairlearn), or the mean of two signed ones,
  which may cancel each other;
- **what has no rows**: undefined in fairlora; 0, 10 or infinity elsewhere;
- **bins and halves**: edges closed right or left, and a Brier score over two classes or over one.

How fairlora defines each number: [the audit](audit.md#what-the-numbers-are). Moving from fairlearn:
[fairlearn.md](fairlearn.md).
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, help="keep the environment here; default: a temp folder"
    )
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # JSON: tool -> why it is not there
    chosen = parser.parse_args()
    if chosen.inside is not None:
        print(page(json.loads(chosen.inside)), end="")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        work = (chosen.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        interpreter, missing = environment(work)
        done = subprocess.run(
            [interpreter, "-W", "ignore", __file__, "--inside", json.dumps(missing)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    print(done.stdout, end="")
    return 0


def environment(work: Path) -> tuple[Path, dict[str, str]]:
    """The interpreter of an environment with the tools, and why any is not in it."""
    uv, interpreter = work / "uv" / "bin" / "uv", work / "tools" / "bin" / "python"
    if not uv.is_file():
        venv.create(work / "uv", with_pip=True)
        subprocess.run([work / "uv" / "bin" / "pip", "install", "-q", "uv"], check=True)
    if not interpreter.is_file():
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, work / "tools"], check=True)
    install = [uv, "pip", "install", "-q", "-p", interpreter, "-c", ROOT / "constraints.txt"]
    subprocess.run([*install, "torch==2.13.0", "--reinstall-package", "fairlora", ROOT], check=True)
    missing = {}
    for name, wanted in TOOLS.items():
        done = subprocess.run([*install, wanted], capture_output=True, text=True, check=False)
        if done.returncode:
            missing[name] = " ".join(done.stderr.split())[:300]
    return interpreter, missing


def page(missing: dict[str, str]) -> str:
    """Run every call and return the page; needs the tools but those that are missing."""
    names: dict[str, Any] = {}
    exec(INPUTS, names)
    exec(PEERS, names)
    tools = [name for name in TOOLS if name not in missing]
    packages = {name: TOOLS[name].split("==")[0] for name in tools}
    versions = [f"{name} {metadata.version(packages[name])}" for name in tools]
    besides = [f"{name} {metadata.version(name)}" for name in ("numpy", "pandas", "scipy", "torch")]
    listed = ", ".join(tools[:-1]) + f" and {tools[-1]}"
    parts = [INTRODUCTION.format(tools=listed)]
    parts += [f"Versions: {', '.join(versions)}; beside {', '.join(besides)}.\n"]
    parts += [f"{name} is not here: it did not install ({why}).\n" for name, why in missing.items()]
    parts += [f"## The inputs\n\n{python(INPUTS)}\n"]
    parts += [f"How the others are called:\n\n{python(PEERS)}\n"]
    parts += [section(case, tools, names) for case in CASES]
    return "\n".join(parts)


def section(case: Case, tools: list[str], names: dict[str, Any]) -> str:
    """A question's heading, inputs and table; raises where a row is not as it says."""
    ours = shown(case.ours, names)
    lines = [
        ["tool", "call", "answer", ""],
        ["---"] * 4,
        ["**fairlora**", code(case.ours), ours.text, ""],
    ]
    for row in case.rows:
        if row.tool not in tools:
            continue
        theirs = shown(row.call, names)
        same = agree(theirs, ours)
        if same is bool(row.why):
            raise SystemExit(f"not as said: {row.tool} {row.call}: {theirs.text}, ours {ours.text}")
        lines.append([row.tool, code(row.call), theirs.text, "equal" if same else row.why])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    said = f"{case.said}\n\n" if case.said else ""
    return f"## {case.heading}\n\n{said}{table}\n"


def code(call: str) -> str:
    """A call in the table."""
    return f"`{call}`"


def shown(call: str, names: dict[str, Any]) -> Value:
    """What a call gives, infinity spelled out."""
    value = evaluated(call, names)
    if value.numbers is not None and any(math.isinf(v) for v in value.numbers):
        return Value(value.numbers, value.text.replace("inf", "infinity"))
    return value


if __name__ == "__main__":
    sys.exit(main())
