"""Break fairlora on purpose, by a seed: kills, full disks, edited stores, hostile files, writers.

    python benchmarks/faults --cases 300 --seed 0 --out runs/faults

Each case ends as one of four: survived (the right numbers), refused (one line that says why, exit
code 2), wrong (other numbers without a word), broken (a traceback, or no end). Stopped, it goes on
with the same command. Exits with 1 where a case was wrong or broken. Needs fork (Linux, macOS); a
disk of its own size needs root on Linux, and is otherwise a limit on the size of files.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "faults.json"
KINDS = ("survived", "refused", "wrong", "broken")
SHARES = {"kills": 30, "disks": 60, "stores": 70, "hostile files": 110, "two writers": 30}
PACKAGES = ("fairlora", "torch", "transformers", "peft", "pyarrow", "pandas", "scikit-learn")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/faults"))
    parser.add_argument("--family", choices=SHARES, help="this one alone")
    parser.add_argument("--case", type=int, help="this one alone, and keep its folder")
    asked = parser.parse_args()
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    import torch

    torch.set_num_threads(1)
    import disks
    import hostile
    import kills
    import stores
    import writers
    from outcome import Fault, Outcome

    import study

    families = {
        "kills": kills.one,
        "disks": disks.one,
        "stores": stores.one,
        "hostile files": hostile.one,
        "two writers": writers.one,
    }
    truth = study.make(out / "truth")
    log = out / f"cases-{asked.seed}.jsonl"
    known = {}
    if log.is_file():
        rows = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        known = {row["case"]: row for row in rows}
        # What went wrong is tried again, once it is mended.
        known = {case: row for case, row in known.items() if row["kind"] in KINDS[:2]}
    for case in range(asked.cases) if asked.case is None else [asked.case]:
        draw = random.Random(f"{asked.seed}-{case}")
        (family,) = draw.choices(list(SHARES), list(SHARES.values()))
        if asked.family not in (None, family) or (case in known and asked.case is None):
            continue
        place = out / f"case-{asked.seed}-{case}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        began = time.monotonic()
        try:
            outcome = families[family](draw, place, truth)
        except Fault as fault:
            outcome = Outcome("broken", "", str(fault))
        row = {
            "case": case,
            "family": family,
            **outcome._asdict(),
            "seconds": round(time.monotonic() - began, 2),
        }
        known[case] = row
        if asked.case is None:
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if outcome.kind in ("wrong", "broken") or asked.case is not None:
            print(f"case {case}, {family}: {outcome.kind}: {outcome.what}\n  {outcome.seen}")
            sys.stdout.flush()
        else:
            shutil.rmtree(place, ignore_errors=True)
    return summary(known, asked)


def summary(known: dict[int, dict[str, object]], asked: argparse.Namespace) -> int:
    """Print the table, write it where all cases were tried, and say whether any went wrong."""
    found = Counter((row["family"], row["kind"]) for row in known.values())
    print(f"{'family':<15}{'tried':>7}" + "".join(f"{kind:>10}" for kind in KINDS))
    counts = {}
    for family in (*SHARES, "all"):
        row = {
            kind: sum(n for (of, k), n in found.items() if k == kind and family in (of, "all"))
            for kind in KINDS
        }
        counts[family] = {"tried": sum(row.values()), **row}
        print(f"{family:<15}" + f"{sum(row.values()):>7}" + "".join(f"{row[k]:>10}" for k in KINDS))
    total = counts["all"]
    if asked.family is None and asked.case is None and total["tried"] >= asked.cases:
        content = {
            "seed": asked.seed,
            "cases": counts,
            "minutes": round(sum(float(str(row["seconds"])) for row in known.values()) / 60, 1),
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
        }
        RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    return int(total["wrong"] + total["broken"] > 0)


if __name__ == "__main__":
    sys.exit(main())
