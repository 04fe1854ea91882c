"""Coverage of the audit's intervals by simulation: how often each kind holds the true value.

    python benchmarks/coverage              # all of it, about 40 minutes of one core
    python benchmarks/coverage --quick      # few simulations, about a minute
    python benchmarks/coverage --only AUC   # the scenarios whose name has it (a pattern)
    python benchmarks/coverage --only seeds --out runs/seeds    # comparisons over seeds alone,
    python benchmarks/coverage --gather runs/seeds              # added to what is published
    python benchmarks/coverage --add runs/new   # the same, and all else stays as it was published

Every scenario's results are appended to `coverage.jsonl` as soon as it ends, and a run that was
killed goes on from there: a scenario is computed again if its simulations or the code that they
test changed. At the end come `coverage.json` and the table `docs/coverage.md`.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy: one core, whatever the machine

import argparse
import hashlib
import json
import re
import time
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from registry import scenarios as audit_scenarios
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from scenarios import Scenario
from seeds import FAMILY, seed_scenarios
from seeds_page import seeds_markdown
from truth import Record

import fairlora
from fairlora import metrics

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benchmarks" / "results"
WANTED = 0.94
# Modules that intervals do not depend on: a change of them makes no result stale.
# What an audit's intervals hang on, and what those of a comparison over seeds do: of the room
# `metrics`. Each family has a hash of its own, so neither makes the other stale.
_FAMILIES = ("measurements", "paired", "rates", "rows", "scenarios", "scores", "truth")
_AUDIT = ("counts", "groups", "inference", "numeric", "assemble.py", "auditing.py", "scores.py")
_OVER_SEEDS = ("counts", "inference", "comparison", "settings.py")
TEXT = """# Coverage of the intervals

Written by `python benchmarks/coverage`, never by hand. {scenarios} scenarios, {simulated:,}
simulated data sets, {minutes:.0f} minutes of one core. {shortened} scenarios were given fewer
simulations than planned (`--share`); their errors are larger for it.

Each scenario draws data from a known truth many times and counts how often the audit's 95 %
interval holds the true value. Wanted is 94 % or more at 100 or more rows a group; more than 95 %
is what an interval of a maximum gives where groups are equal. True values are the population's,
by formula or numerical integral, of the groups and classes that the audit counted (one with fewer
than 10 rows is left out, and the audit says so). Intervals that are null count neither way; their
share is the last column. Sizes are of the smallest group.

Groups: 2, 5 and 20; equal or from n to 10 n rows; no disparity, one outlier, or all different;
rates of about 0.5 to 0.8 and of 0.9 to 0.99; 2, 3 and 10 classes. With "no draws" in its name a
scenario has the closed critical value alone; the audit takes the larger of that and the
bootstrap's, so its coverage there is at least what is shown. Where a scenario's name has no
groups, an interval of one group alone was measured, or classes were taken as groups. Scores:
stated confidences spread evenly or near 1, calibrated or off; exponential and lognormal losses;
binormal scores for AUC. Clusters are of 5 to 20 rows; their labels and hits correlate.

Measurements: normal labels, with errors that are normal, lognormal, or normal in clusters of 5;
groups alike, or with errors that double from the first group to the last. The interval of coverage
lies between the predicted quantiles 0.1 and 0.9.

Two models on the same rows: "paired ..." are intervals of differences. "No false verdict of a
family" is the share of comparisons without a verdict of better or worse among the disparities
that do not differ; "no false equivalence" the share without a verdict of equivalent where
accuracy differs by the margin.

Wilson's interval of a proportion is below its level at some rates near 0 and 1 (a rate of 99 % of
100 rows: 92 %), above it at others: hits are whole numbers. It is kept, as the standard that it
is. The macro F1 of ten classes in a group of 100 rows rests on ten rows a class: it is biased, and
intervals of its gaps and lowest value fall short there, far short at 30 rows.

"One class": a group with rows of one class alone, of three classes or of two. Its mean F1 and mean
precision are over the classes that its errors go to in the long run, which few rows do not show.

"error" is the Monte-Carlo standard error of the lowest coverage. A scenario with an interval below
94 % at 100 or more rows was simulated three times as long again. The lowest of many scenarios is
low by chance too: of 50 with a true coverage of 95 %, the lowest is about 2.2 errors below it.
**Bold**: below 94 % by more than two errors.

| interval | rows | scenarios | lowest | error | median | highest | scenario of lowest | null |
|---|---|---|---|---|---|---|---|---|
"""
CHANCE = """
## Expected by chance

Under no disparity: the mean gap over the simulations against the mean of the audit's
`expected_by_chance`. A ratio of 1 is agreement.

| gap | scenarios | lowest ratio | median | highest | scenario farthest from 1 |
|---|---|---|---|---|---|
"""


def code_hash(family: str | None = None) -> str:
    """Of the files that a result depends on: of the family over seeds, or of all others."""
    own = ("scenarios", "seeds", "truth") if family == FAMILY else _FAMILIES
    files = [HERE / f"{name}.py" for name in own]
    room = Path(metrics.__file__).parent
    for name in _OVER_SEEDS if family == FAMILY else _AUDIT:
        files += sorted((room / name).glob("*.py")) if (room / name).is_dir() else [room / name]
    found = hashlib.sha256()
    for path in files:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def over_seeds(name: str) -> bool:
    """Whether a scenario is of the family over seeds."""
    return name.startswith(f"{FAMILY}: ")


def codes() -> dict[bool, str]:
    """The hash of a scenario's code, by whether it is of the family over seeds."""
    return {False: code_hash(), True: code_hash(FAMILY)}


def scenarios() -> list[Scenario]:
    """All of them."""
    return [*audit_scenarios(), *seed_scenarios()]


def run(scenario: Scenario, sims: int, code: str, *, again: bool) -> dict[str, Any]:
    """One scenario's row of results."""
    record, start = Record(), time.perf_counter()
    # Seeded by name: adding a scenario changes no other's numbers.
    seed = zlib.crc32(scenario.name.encode())
    scenario.simulate(record, np.random.default_rng([seed, 7]), sims)
    found = (count.row()["coverage"] for count in record.counts.values())
    extra = 0
    if again and scenario.size >= 100 and any(c is not None and c < WANTED for c in found):
        # The lowest of many is low by chance too: what looks low is looked at longer.
        extra = 3 * sims
        scenario.simulate(record, np.random.default_rng([seed, 8]), extra)
    return {
        "scenario": scenario.name,
        "size": scenario.size,
        "sims": sims,
        "extra": extra,
        "seconds": round(time.perf_counter() - start, 2),
        "code": code,
        "intervals": {kind: count.row() for kind, count in record.counts.items()},
        "chance": {
            kind: {"mean_gap": value / n, "expected_by_chance": expected / n}
            for kind, (value, expected, n) in record.chance.items()
            if n
        },
    }


def done(path: Path, code: dict[bool, str]) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows of an earlier run that still hold, by scenario and simulations."""
    if not path.exists():
        return {}
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # the line that a killed run was writing
            continue
    return {(row["scenario"], row["sims"]): row for row in held(rows, code)}


def held(rows: list[dict[str, Any]], code: dict[bool, str]) -> list[dict[str, Any]]:
    """The rows whose code is still the same."""
    return [row for row in rows if row["code"] == code[over_seeds(row["scenario"])]]


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the audit's intervals, and rows over seeds."""
    each = [over_seeds(row["scenario"]) for row in rows]
    seeds = [row for row, is_seeds in zip(rows, each, strict=True) if is_seeds]
    return [row for row, is_seeds in zip(rows, each, strict=True) if not is_seeds], seeds


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row an interval and size: lowest, median and highest coverage over scenarios."""
    return coverage_rows(split(rows)[0])


def coverage_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As `table`, of any rows."""
    cells: dict[tuple[str, str], list[tuple[float, float, str, float]]] = defaultdict(list)
    for row in rows:
        size = "100+" if row["size"] >= 100 else "30" if row["size"] >= 30 else "8 to 24"
        for kind, one in row["intervals"].items():
            if one["coverage"] is not None:
                found = one["coverage"], one["error"], row["scenario"], one["null"]
                cells[kind, size].append(found)
    out = []
    for (kind, size), found in sorted(cells.items()):
        lowest = min(found)
        each = [one[0] for one in found]
        out.append(
            {
                "interval": kind,
                "rows": size,
                "scenarios": len(found),
                "lowest": lowest[0],
                "error": lowest[1],
                "median": float(np.median(each)),
                "highest": max(each),
                "scenario": lowest[2],
                "null": max(one[3] for one in found),
                "short": lowest[0] + 2 * lowest[1] < WANTED,
            }
        )
    return out


def chance_table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a gap: simulated mean over expectation by chance, over scenarios of no disparity."""
    cells: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in rows:
        for kind, one in row["chance"].items():
            if one["expected_by_chance"] > 0:
                ratio = one["mean_gap"] / one["expected_by_chance"]
                cells[kind].append((ratio, row["scenario"]))
    out = []
    for kind, found in sorted(cells.items()):
        each = [one[0] for one in found]
        farthest = max(found, key=lambda one: abs(one[0] - 1))
        ends = {"lowest": min(each), "median": float(np.median(each)), "highest": max(each)}
        out.append({"gap": kind, "scenarios": len(found), **ends, "scenario": farthest[1]})
    return out


def markdown(rows: list[dict[str, Any]]) -> str:
    """The page of the docs."""
    planned = {scenario.name: scenario.sims for scenario in scenarios()}
    rows, of_seeds = split(rows)
    text = TEXT.format(
        scenarios=len(rows),
        simulated=sum(row["sims"] + row["extra"] for row in rows),
        minutes=sum(row["seconds"] for row in rows) / 60,
        shortened=sum(row["sims"] < planned[row["scenario"]] for row in rows),
    )
    for row in table(rows):
        mark = "**" if row["short"] else ""
        text += (
            f"| {row['interval']} | {row['rows']} | {row['scenarios']} "
            f"| {mark}{100 * row['lowest']:.1f} %{mark} | {100 * row['error']:.1f} % "
            f"| {100 * row['median']:.1f} % | {100 * row['highest']:.1f} % "
            f"| {row['scenario']} | {100 * row['null']:.0f} % |\n"
        )
    text += CHANCE
    for row in chance_table(rows):
        ends = " | ".join(f"{row[key]:.2f}" for key in ("lowest", "median", "highest"))
        text += f"| {row['gap']} | {row['scenarios']} | {ends} | {row['scenario']} |\n"
    return text + (seeds_markdown(of_seeds, coverage_rows(of_seeds)) if of_seeds else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few simulations; no file in the docs")
    parser.add_argument("--share", type=float, default=1.0, help="of each scenario's simulations")
    parser.add_argument("--only", metavar="PATTERN", help="scenarios whose name has this pattern")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument(
        "--gather",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="simulate nothing: write the results and the docs from what runs with --only and "
        "--out left in these folders",
    )
    parser.add_argument(
        "--add",
        type=Path,
        metavar="FOLDER",
        help="simulate nothing: publish what a run with --only and --out left in this folder, "
        "beside what is published, whatever code that is of",
    )
    args = parser.parse_args()
    if args.add:
        add(args.add)
        return
    if args.gather:
        gather(args.gather)
        return
    out = args.out or (ROOT / "runs" / "coverage" if args.quick else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    console, code = Console(), codes()
    lines = out / "coverage.jsonl"
    every = scenarios()
    wanted = [s for s in every if not args.only or re.search(args.only, s.name)]
    # Quick: a third of a second a scenario.
    sims = {
        s.name: min(s.sims, int(330 / s.cost) + 2) if args.quick else int(s.sims * args.share)
        for s in wanted
    }
    known = done(lines, code)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    rows = []
    with Progress(*columns, console=console) as progress, lines.open("a") as file:
        task = progress.add_task("coverage", total=sum(s.cost * sims[s.name] for s in wanted))
        for k, scenario in enumerate(wanted, 1):
            progress.update(task, description=f"{k}/{len(wanted)} {scenario.name}")
            count = sims[scenario.name]
            row = known.get((scenario.name, count))
            if row is None:
                # Over seeds a simulation costs much, and has twenty intervals to be low by chance.
                again = not args.quick and not over_seeds(scenario.name)
                row = run(scenario, count, code[over_seeds(scenario.name)], again=again)
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
            progress.advance(task, scenario.cost * count)
            if not console.is_terminal:
                print(f"{k}/{len(wanted)} {scenario.name}: {row['seconds']} s", flush=True)
    if args.quick or args.only:
        console.print(markdown(rows), markup=False, soft_wrap=True)
        return
    publish(rows, out, code)


def gather(folders: list[Path]) -> None:
    """Publish what several processes simulated, if no scenario is missing.

    What is published already and still holds need not be in the folders.
    """
    code, published = codes(), RESULTS / "coverage.json"
    rows = json.loads(published.read_text())["rows"] if published.exists() else []
    found = {row["scenario"]: row for row in held(rows, code)} | {
        name: row
        for folder in folders
        for (name, _), row in done(folder / "coverage.jsonl", code).items()
    }
    names = [scenario.name for scenario in scenarios()]
    if missing := [name for name in names if name not in found]:
        raise SystemExit(f"{len(missing)} scenarios are missing, the first: {missing[0]}")
    publish([found[name] for name in names], RESULTS, code)


def add(folder: Path) -> None:
    """Publish the scenarios of a folder; all stay as they are, each with its code's hash."""
    file = RESULTS / "coverage.json"
    content = json.loads(file.read_text())
    rows = {row["scenario"]: row for row in content["rows"]}
    lines = (folder / "coverage.jsonl").read_text().splitlines()
    rows |= {row["scenario"]: row for row in map(json.loads, lines)}
    listed = [rows[s.name] for s in scenarios() if s.name in rows]
    content |= {"table": table(listed), "chance": chance_table(listed), "rows": listed}
    write(content, RESULTS)


def publish(rows: list[dict[str, Any]], out: Path, code: dict[bool, str]) -> None:
    """Write ``coverage.json`` and the page of the docs."""
    about = {"fairlora": fairlora.__version__, "numpy": np.__version__}
    about |= {"code": code[False], "code_over_seeds": code[True]}
    content = {"about": about, "table": table(rows), "chance": chance_table(rows), "rows": rows}
    write(content, out)


def write(content: dict[str, Any], out: Path) -> None:
    """Write the results and the page that is made of them."""
    (out / "coverage.json").write_text(json.dumps(content) + "\n")
    (ROOT / "docs" / "coverage.md").write_text(markdown(content["rows"]))
    print(f"{out / 'coverage.json'} and docs/coverage.md are written")


if __name__ == "__main__":
    main()
