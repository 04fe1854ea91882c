"""The watch's promise by simulation: false alarms over 500 looks, and how late a drop is found.

    python benchmarks/watch             # the watch and fixed intervals, then docs/watch.md
    python benchmarks/watch --rivals    # evidently and nannyml too, in environments of their own
    python benchmarks/watch --page      # docs/watch.md alone, from the results

Results go to `benchmarks/results/watch.json`, and from there between the marks of `docs/watch.md`.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy: one core, whatever the machine

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streams import BASELINE, CHANGE, DROP, GROUPS, LOOKS, RIGHT, ROWS, Stream, stream

from fairlora.metrics.inference.sequences import running_limits
from fairlora.metrics.watch.alarms import alarms_of, test_count
from fairlora.metrics.watch.series import Counted, Rates

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "watch.json"
PAGE = ROOT / "docs" / "watch.md"
# With pandas 3 neither can be imported; nannyml 0.13.1 imports statsmodels and does not ask for it.
RIVALS = {
    "nannyml": ("nannyml==0.13.1", "pandas<3", "statsmodels"),
    "evidently": ("evidently==0.7.23", "pandas<3"),
}
ALPHA = 0.05
TESTS = test_count(len(GROUPS), True)


def with_everyone(values: NDArray[Any]) -> NDArray[Any]:
    """(T, 1 + G): all rows before the groups."""
    return np.concatenate([values.sum(axis=1, keepdims=True), values], axis=1)


def rates_of(counts: Stream) -> Rates:
    """What a report counts, of a stream."""
    pos, neg, tp, fp = (with_everyone(values) for values in counts)
    n, at = pos + neg, np.arange(1 + LOOKS)
    hits = {
        "accuracy": (tp + neg - fp, n),
        "selection_rate": (tp + fp, n),
        "tpr": (tp, pos),
        "fpr": (fp, neg),
    }
    counted = {name: Counted(*pair, at, 0) for name, pair in hits.items()}
    groups: list[tuple[str | None, str | None]] = [(None, None), *(("g", name) for name in GROUPS)]
    rest = np.array([-2, *[-1] * len(GROUPS)])
    return Rates(groups, counted, n, n[:, 0], rest)


def by_watch(rates: Rates) -> tuple[int | None, int | None]:
    """The look of the first alarm of all, and of the first of group d; None where there is none."""
    groups = np.arange(1 + len(GROUPS))
    names = tuple(str(k) for k in range(1 + LOOKS))
    found = alarms_of(rates, groups, names, ALPHA, 0.0)
    own = [int(alarm.period) for alarm in found if alarm.group == "d"]
    return (int(found[0].period) if found else None), (own[0] if own else None)


def by_fixed(rates: Rates, z: float, so_far: bool) -> tuple[int | None, int | None]:
    """As `by_watch`, of intervals of the difference to the baseline, looked at each time."""
    firsts = []
    for counted in rates.counted.values():
        hits, n = counted.hits[1:], counted.n[1:]
        if so_far:
            hits, n = hits.cumsum(axis=0), n.cumsum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            p, q = hits / n, counted.hits[0] / counted.n[0]
            error = np.sqrt(p * (1 - p) / n + q * (1 - q) / counted.n[0])
            out = np.abs(p - q) > z * error
        firsts.append(np.where(out.any(axis=0), out.argmax(axis=0) + 1, LOOKS + 1))
    first = np.min(firsts, axis=0)
    anyone, own = int(first.min()), int(first[-1])
    return (anyone if anyone <= LOOKS else None), (own if own <= LOOKS else None)


def bounds_hold(rates: Rates) -> bool:
    """Whether no bound of any group and metric ever misses the mean rate."""
    share = ALPHA / (len(rates.counted) * (2 * len(GROUPS) + 2))
    truth = {"accuracy": RIGHT, "selection_rate": 0.4 * RIGHT + 0.6 * (1 - RIGHT), "tpr": RIGHT}
    truth["fpr"] = 1 - RIGHT
    for name, counted in rates.counted.items():
        hits, n = counted.hits[1:].cumsum(axis=0), counted.n[1:].cumsum(axis=0)
        limits = running_limits(hits, n, share)
        if ((limits.low > truth[name]) | (limits.high < truth[name])).any():
            return False
    return True


def summary(null: list[int | None], changed: list[tuple[int | None, int | None]]) -> dict[str, Any]:
    """False alarms, and delays of group d's alarm where none came before the change."""
    early = sum(own is not None and own <= CHANGE for _, own in changed)
    delays = [own - CHANGE for _, own in changed if own is not None and own > CHANGE]
    quartiles = np.percentile(delays, [25, 50, 75]).tolist() if delays else None
    return {
        "streams": len(null),
        "false": sum(one is not None for one in null) / len(null),
        "changed": len(changed),
        "early": early / len(changed),
        "found": len(delays) / len(changed),
        "delay": quartiles,
    }


def simulated(streams: int) -> dict[str, Any]:
    """Ours and fixed intervals, on the same streams."""
    from statistics import NormalDist

    start = time.process_time()
    ways = {
        "fairlora watch": by_watch,
        "95 % interval of each look": lambda r: by_fixed(r, 1.96, False),
        "95 % interval of all rows so far": lambda r: by_fixed(r, 1.96, True),
        "the same, corrected for the tests alone": lambda r: by_fixed(
            r, NormalDist().inv_cdf(1 - ALPHA / TESTS / 2), True
        ),
    }
    null: dict[str, list[int | None]] = {name: [] for name in ways}
    changed: dict[str, list[tuple[int | None, int | None]]] = {name: [] for name in ways}
    held = 0
    for number in range(streams):
        still, moved = rates_of(stream(number, False)), rates_of(stream(number, True))
        held += bounds_hold(still)
        for name, way in ways.items():
            null[name].append(way(still)[0])
            changed[name].append(way(moved))
    return {
        "rows": {name: summary(null[name], changed[name]) for name in ways},
        "bounds_hold": held / streams,
        "tests": TESTS,
        "streams": streams,
        "seconds": round(time.process_time() - start, 1),
    }


def rivals(venvs: Path | None, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Evidently and nannyml, each in an environment of its own with a pinned version."""
    with tempfile.TemporaryDirectory() as made:
        for name in names:
            pinned, *others = RIVALS[name]
            folder = (venvs or Path(made)) / name
            python = folder / "bin" / "python"
            if not python.exists():
                subprocess.run(["uv", "venv", "-q", "-p", sys.executable, folder], check=True)
                install = ["uv", "pip", "install", "-q", "-p", python, pinned, *others]
                done = subprocess.run(install, capture_output=True, text=True, check=False)
                if done.returncode:
                    yield name, {"pinned": pinned, "error": done.stderr.strip().splitlines()[-1]}
                    continue
            result = Path(made) / f"{name}.json"
            command = [python, HERE / "rivals.py", name, result]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                yield name, {"pinned": pinned, "error": done.stderr.strip().splitlines()[-1]}
                continue
            found = json.loads(result.read_text())
            null = [one[0] for one in found["null"]]
            changed = [(one[0], one[1]) for one in found["changed"]]
            about = {"pinned": pinned, "how": found["how"], "numpy": found["numpy"]}
            yield name, {**about, **summary(null, changed)}


def table(found: dict[str, Any]) -> str:
    """The part of docs/watch.md that has numbers."""

    def line(name: str, row: dict[str, Any]) -> str:
        if "error" in row:
            return f"| {name} | did not run: `{row['error'][:120]}` | | | | |"
        delay = row["delay"]
        looks = "" if delay is None else f"{delay[1]:.0f} ({delay[0]:.0f} to {delay[2]:.0f})"
        return (
            f"| {name} | {row['streams']:,} | {100 * row['false']:.1f} % | "
            f"{100 * row['early']:.1f} % | {100 * row['found']:.1f} % | {looks} |"
        )

    lines = [line(name, row) for name, row in found["rows"].items()]
    others = found.get("rivals", {})
    lines += [line(f"{row['pinned'].replace('==', ' ')}", row) for row in others.values()]
    shares = ", ".join(f"{100 * share:g} %" for share in GROUPS.values())
    hows = "".join(
        f" {row['pinned'].replace('==', ' ')}: {row['how']}."
        for row in others.values()
        if "how" in row
    )
    return f"""
{found["streams"]:,} streams of {LOOKS} looks at {ROWS:,} rows, after a baseline of {BASELINE:,}; \
four groups of {shares} of the rows; accuracy, TPR and 1 - FPR of {100 * RIGHT:g} %; \
{found["tests"]} tests. A false alarm is any alarm in a stream where nothing changes. The drop: \
after {CHANGE} looks the group of {100 * GROUPS["d"]:g} % loses {100 * DROP:g} points ("too \
early": an alarm of that group before it). Delays are looks until that group's alarm: the median, \
and the quartiles.

| way | streams | false alarm | too early | drop found | delay in looks |
|---|---|---|---|---|---|
""" + "\n".join(lines) + f"""

All bounds of all groups and metrics held at all {LOOKS} looks in \
{100 * found["bounds_hold"]:.1f} % of the streams.{hows}
"""  # fmt: skip


def reach() -> str:
    """What `benchmarks/speed/watch.py` measured, in sentences."""
    path = RESULTS.with_name("watch-speed.json")
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    seconds = found["processor_seconds"]["opened and reported"]["median"]
    command = "report, whole command"
    whole, mib = found["processor_seconds"][command]["median"], found["mib"][command]
    return f"""
A store of 1,000 periods and 100 groups is opened and reported in {seconds:.2f} s of processor \
time (the whole command with its start: {whole:.1f} s, {mib:.0f} MiB). \
Adding a million rows takes {found["add_over_audit"]:.2f} times one audit of them.
"""


def write_page(found: dict[str, Any]) -> None:
    """The table between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- proof -->")
    after = rest.partition("<!-- end proof -->")[2]
    PAGE.write_text(
        f"{before}<!-- proof -->{table(found)}{reach()}<!-- end proof -->{after}", encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), help="run them (all) too")
    parser.add_argument("--only-rivals", action="store_true", help="keep the other results")
    parser.add_argument("--venvs", type=Path, help="a folder that has, or gets, their environments")
    parser.add_argument("--page", action="store_true", help="write the page from the results")
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not asked.page:
        if not asked.only_rivals:
            found = {**simulated(asked.streams), "rivals": found.get("rivals", {})}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        if asked.rivals is not None or asked.only_rivals:
            for name, row in rivals(asked.venvs, asked.rivals or list(RIVALS)):
                found["rivals"][name] = row
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    write_page(found)
    print(table(found))


if __name__ == "__main__":
    main()
