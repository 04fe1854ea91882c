"""What share of a large product's rate whole runs reach: behind the estimate of a study's plan.

    python benchmarks/speed/estimate.py RUN_FOLDER [RUN_FOLDER ...]

The runs must have had this machine for themselves; the product is timed now, with the threads and
the precision of each run. `fairlora.study.runs.cost.EFFICIENCY` is the middle of these shares.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

from fairlora.models.adapter_spec import Adapter
from fairlora.models.counting import count_of
from fairlora.study import RunFolder
from fairlora.study.runs.cost import FIXED_SECONDS, flops_per_second, work_of

RESULTS = Path(__file__).resolve().parents[1] / "results" / "estimate.json"


def share(folder: RunFolder) -> dict[str, Any]:
    """A finished run's share of the rate of one large product."""
    spec, metrics, environment = folder.spec(), folder.metrics(), folder.environment()
    texts = spec.data.name in ("text-table", "dlab-hatespeech")
    counts = count_of(
        spec.model.id,
        len(metrics["audit"]["classes"]),
        kind="text" if texts else "image",
        adapter=Adapter(**spec.adapter.model_dump()),
        image_size=spec.model.image_size,
    )
    if counts.tokens is None:
        raise SystemExit(f"{folder.path}: how many tokens an example has is not known")
    passes = work_of(spec, metrics["rows"]).passes(spec.adapter.kind)
    products = 2 * counts.encoder * counts.tokens * passes
    seconds = float(environment["seconds"])
    rate = flops_per_second(bf16=spec.training.bf16, threads=environment["threads"])
    return {
        "model": Path(spec.model.id).name,
        "adapter": spec.adapter.kind,
        "bf16": spec.training.bf16,
        "threads": environment["threads"],
        "seconds": seconds,
        "gflops_product": round(rate / 1e9, 1),
        "gflops_run": round(products / (seconds - FIXED_SECONDS) / 1e9, 1),
        "share": round(products / (seconds - FIXED_SECONDS) / rate, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    rows = []
    for path in parser.parse_args().runs:
        rows.append(share(RunFolder(path)))
        print(rows[-1], flush=True)
    middle = statistics.median(row["share"] for row in rows)
    print(f"median share: {middle:.2f}")
    content = {
        "runs": rows,
        "median": middle,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
