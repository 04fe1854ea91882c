"""Writes tables of benchmarks/README.md and docs/ from the results, so that no figure is typed.

    python benchmarks/speed/tables.py

A table stands between ``<!-- NAME -->`` and ``<!-- end NAME -->``.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]


def result(name: str) -> dict[str, Any]:
    """A file of results."""
    found: dict[str, Any] = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())
    return found


def rows(header: str, lines: list[list[str]]) -> str:
    """A Markdown table."""
    columns = [cell.strip() for cell in header.split("|")]
    body = ["| " + " | ".join(cells) + " |" for cells in (columns, ["---"] * len(columns), *lines)]
    return "\n".join(body)


def time(ms: float) -> str:
    """A time with two or three figures."""
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def audit() -> str:
    """The audit beside its peers: medians."""
    found = result("audit")
    frame, bootstrap = found["metric_frame"], found["bootstrap"]
    calibration, stream = found["calibration"], found["stream"]

    def ms(part: dict[str, Any], number: int) -> str:
        return time(part["lines"][number]["median_ms"])

    lines = [
        [
            "1 M rows, 5 groups, whole audit, closed-form intervals",
            ms(frame, 1),
            f"MetricFrame, 4 metrics: {ms(frame, 0)}",
            f"{frame['ratio']:,.0f}",
        ],
        [
            "the same with 2,000 draws and what chance would give",
            ms(frame, 2),
            "",
            f"{frame['ratio_with_draws']:,.0f}",
        ],
        [
            "100 k rows, 2,000 draws, all threshold metrics",
            ms(bootstrap, 0),
            f"MetricFrame, 4 draws: {ms(bootstrap, 1)}",
            "",
        ],
        [
            "ECE of 50 groups, 1 M rows",
            ms(calibration, 1),
            f"netcal: {ms(calibration, 0)}",
            f"{calibration['ratio']:,.0f}",
        ],
        [
            "`fairlora audit` of a 10,000-row CSV, start-up included",
            ms(found["command"], 0),
            "",
            "",
        ],
    ]
    for one in stream["streams"]:
        what = f"{one['rows'] / 1e6:.0f} M rows of Parquet, {one['what']}"
        lines.append([what, f"{one['seconds']:.1f} s, {one['peak_mib']:.0f} MiB", "", ""])
    return rows("work | fairlora | peer | ratio", lines)


def training() -> str:
    """What the objectives cost a step, and whole runs beside a plain script."""
    found = result("train_step")
    lines = [
        [
            f"{row['objective']}, {row['adapter']}",
            f"{row['plain_ms']:.0f} ms",
            f"{100 * (row['ratio'] - 1):+.1f} %",
            f"{100 * (row['high'] - 1):+.1f} %",
        ]
        for row in found["steps"]
    ]
    runs = found["runs"]
    seconds = {side: ", ".join(map(str, values)) for side, values in runs["seconds"].items()}
    return (
        rows("objective, adapter | plain step | slower by | at most (95 %)", lines)
        + "\n\nWhole runs (data, two epochs, predictions of all splits), seconds: `fairlora train`"
        + f", with audit\nand page, {seconds['fairlora']}; `plain_trainer.py`, the Trainer and "
        + f"PEFT alone, {seconds['plain']}.\nRatio of the pairs: {runs['ratio']:.3f}"
        + f" ({runs['low']:.3f} to {runs['high']:.3f}, 95 %); in processor seconds"
        + f" {runs['processor']['ratio']:.3f} ({runs['processor']['low']:.3f} to "
        + f"{runs['processor']['high']:.3f})."
    )


def reach(file: str = "reach") -> str:
    """Studies and runs beside the build before, a plain script, and one core."""
    rivals = {
        "before": "the build before",
        "plain": "the Trainer and PEFT, as they are",
        "plain alike": "the Trainer and PEFT, same precision",
        "one core": "one core",
    }
    lines = []
    for name, row in result(file)["rows"].items():
        if "ratio" in row:
            ends = f"{row['ratio']:.2f}"
            if row["rounds"] > 1:
                ends += f" ({row['least']:.2f} to {row['most']:.2f})"
            seconds = [f"{row[side]:.1f} s" for side in ("now_s", "rival_s")]
            wanted = f"{row['wanted']:g}"
            lines.append([name, rivals[row["rival"]], *seconds, ends, wanted, str(row["rounds"])])
    return rows("work | beside | now | then | ratio | wanted | rounds", lines)


def switches() -> str:
    """What each switch of a step gains by itself."""
    lines = []
    for row in (row for rows in result("switches")["rows"].values() for row in rows):
        paid = row.get("pays_after_steps")
        more = f"costs {row['cost_s']} s: pays after {paid} steps" if paid else ""
        ends = f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
        lines.append([row["switch"], time(row["without_ms"]), time(row["with_ms"]), ends, more])
    return rows("switch | without | with | ratio | its own cost", lines)


def studies() -> str:
    """Studies of 10,000 cells, second runs, and what kills leave."""
    found, kills = result("studies"), result("kill")
    lines = []
    for what, seconds in found["seconds"].items():
        middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
        lines.append([what, f"{middle:.2f} s", f"{low:.2f} to {high:.2f}"])
    same = "identical" if kills["identical"] else "NOT identical"
    return (
        rows("work | median | range", lines)
        + f"\n\nKilled {kills['kills']} times with SIGKILL at random moments, {kills['studies']} "
        + f"studies of {kills['cells']} cells ended with predictions\nand metrics {same} to those "
        + "of an undisturbed one."
    )


def seals() -> str:
    """What sealing a cell and checking it cost."""
    lines = [
        [
            name,
            f"{cell['megabytes']:,.1f} MB",
            *(time(cell[key]) for key in ("sealed", "checked", "checked with weights")),
            f"{0.1 * cell['sealed'] / cell['seconds']:.2f} %" if cell["seconds"] else "",
        ]
        for name, cell in result("seal")["cells"].items()
    ]
    return rows("cell | size | sealed | checked | with its weights | of the cell's time", lines)


def curves() -> str:
    """Coverage of curves and operating points."""
    found = result("curves")["rows"]
    kinds = [name for name in found[0] if name not in ("n", "positives", "distance")]
    lines = [
        [f"{row['n']:,}", f"{100 * row['positives']:.0f} %", f"{row['distance']:g}"]
        + [f"{100 * row[kind]:.1f}" for kind in kinds]
        for row in found
    ]
    times = result("curves")["work"].split(", ", 1)[1]
    header = " | ".join(["rows a group", "positives", "distance of the classes", *kinds])
    return f"{rows(header, lines)}\n\nIn percent; {times}, of two groups of normal scores."


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "benchmarks/README.md": {
        "audit": audit,
        "training": training,
        "reach": reach,
        "reach-bf16": partial(reach, "reach-bf16"),
        "switches": switches,
        "studies": studies,
        "seals": seals,
    },
    "docs/curves.md": {"curves": curves},
}


def filled(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """A page with its tables written anew."""
    for name, make in tables.items():
        block = f"<!-- {name} -->\n{make()}\n<!-- end {name} -->"
        text, count = re.subn(
            f"<!-- {name} -->.*?<!-- end {name} -->", lambda _, b=block: b, text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"{count} tables named {name!r}, expected one")
    return text


def main() -> None:
    for name, tables in PAGES.items():
        page = BENCHMARKS.parent / name
        page.write_text(filled(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main()
