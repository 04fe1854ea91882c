"""Membership inference: speed beside the formulas written plainly, and proof by simulation.

    python benchmarks/privacy.py                 # all of it: about a quarter of an hour
    python benchmarks/privacy.py --only speed    # the timings alone, two minutes
    python benchmarks/privacy.py --share 0.1     # a tenth of the simulations

Timings (`privacy_speed.py`) want a machine that does nothing else; simulations
(`privacy_proofs.py`) do not mind. Results go to benchmarks/results/privacy.json with the machine
and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import privacy_proofs as proofs  # noqa: E402  (after the threads are set)
from speed import privacy_speed as speed  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "privacy.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="the parts whose name holds this")
    parser.add_argument("--share", type=float, default=1.0, help="of the simulations")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "speed_lira": speed.speed_lira,
        "speed_rmia": speed.speed_rmia,
        "speed_curves": speed.speed_curves,
        "proof_nothing": lambda: proofs.proof_nothing(chosen.share),
        "proof_power": lambda: proofs.proof_power(chosen.share),
        "proof_bands": lambda: proofs.proof_bands(chosen.share),
        "proof_paired": lambda: proofs.proof_paired(chosen.share),
        "proof_counts": lambda: proofs.proof_counts(chosen.share),
        "proof_crossed": lambda: proofs.proof_crossed(chosen.share),
        "proof_shift": lambda: proofs.proof_shift(chosen.share),
    }
    found: dict[str, Any] = {}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    found["machine"] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
    }
    for name, part in parts.items():
        if chosen.only in name:
            load = os.getloadavg()[0]
            found[name] = {**part(), "load_at_start": round(load, 2)}
            print(json.dumps(found[name], indent=1), flush=True)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()
