"""Two writers: two commands at once in the same folder or to the same file."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
from forked import Done, Running, fairlora, start
from outcome import Outcome, keeps_its_word

from study import Truth, differences, leftovers, numbers


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """Two at once; what is left must be what one of them alone leaves."""
    kind = draw.choice([_runs, _runs, _audits, _audits, _predictions, _reports, _run_and_report])
    most = truth.seconds if kind in (_runs, _run_and_report) else 0.5
    pause = draw.choice([0.0, draw.random() * 0.1, draw.random() * most])
    return kind(draw, place, truth, pause)


def _both(words: list[list[object]], pause: float) -> list[Done]:
    """Both started, a pause between, and waited for."""
    running: list[Running] = []
    for each in words:
        running.append(start(each))
        time.sleep(pause)
    return [each.wait() for each in running]


def _runs(draw: Random, place: Path, truth: Truth, pause: float) -> Outcome:
    run: list[object] = ["study", "run", truth.file, "--out", place / "runs"]
    what = f"two study run, {pause:.2f} s apart"
    ends = _both([run, run], pause)
    refused = sum(keeps_its_word(done) for done in ends)
    if refused == 2 or any(done.code == 1 for done in ends):
        return Outcome("broken", what, " | ".join(done.err[-300:] for done in ends))
    seen = differences(place / "runs" / "small", truth)
    return Outcome("wrong" if seen else "refused" if refused else "survived", what, seen)


def _run_and_report(draw: Random, place: Path, truth: Truth, pause: float) -> Outcome:
    study: list[object] = [truth.file, "--out", place / "runs"]
    reader = draw.choice(["report", "status"])
    what = f"study run, and study {reader} {pause:.2f} s later"
    ends = _both([["study", "run", *study], ["study", reader, *study]], pause)
    for done in ends:
        keeps_its_word(done)
    if ends[0].code:
        return Outcome("broken", what, ends[0].err[-400:])
    # The report is of what was there when it was asked for; a last one is of all.
    if keeps_its_word(done := fairlora("study", "report", *study)):
        return Outcome("broken", what, done.err[-400:])
    seen = differences(place / "runs" / "small", truth)
    return Outcome("wrong" if seen else "survived", what, seen)


def _reports(draw: Random, place: Path, truth: Truth, pause: float) -> Outcome:
    """The cache of verdicts and the page have two writers."""
    store = truth.copy(place)
    for path in (store / "report" / "verdicts").glob("[!.]*.json"):
        path.unlink()
    report: list[object] = ["study", "report", truth.file, "--out", store.parent, "--again"]
    what = f"two study report --again, {pause:.2f} s apart"
    ends = _both([report, report], pause)
    refused = sum(keeps_its_word(done) for done in ends)
    if any(done.code == 1 for done in ends):
        return Outcome("broken", what, " | ".join(done.err[-300:] for done in ends))
    seen = differences(store, truth) or ", ".join(leftovers(store))
    if not seen and fairlora("study", "report", truth.file, "--out", store.parent).code:
        return Outcome("broken", what, "no report afterwards")
    seen = seen or ("" if numbers(store) == truth.without([]) else "another report afterwards")
    return Outcome("wrong" if seen else "refused" if refused else "survived", what, seen)


def _audits(draw: Random, place: Path, truth: Truth, pause: float) -> Outcome:
    ending = draw.choice(["html", "json", "md", "tex", "svg", "png"])
    tables = [truth.store / cell / "predictions.parquet" for cell in draw.sample(truth.cells, 2)]
    what = f"two audits to one .{ending}, {pause:.2f} s apart"
    base: list[object] = ["--bootstrap", 20, "--out"]
    (place / "calm").mkdir()
    for number, table in enumerate(tables):
        done = fairlora("audit", table, *base, place / "calm" / f"{number}.{ending}")
        if keeps_its_word(done) or done.code:
            return Outcome("broken", what, done.err[-400:])
    out = place / "both" / f"page.{ending}"
    ends = _both([["audit", table, *base, out] for table in tables], pause)
    refused = sum(keeps_its_word(done) for done in ends)
    calm = {
        number: {
            path.name.replace(str(number), "page", 1): path.read_bytes()
            for path in (place / "calm").glob(f"{number}*")
        }
        for number in (0, 1)
    }
    seen = ", ".join(leftovers(place))
    for path in sorted((place / "both").iterdir()):
        if path.read_bytes() not in [found.get(path.name) for found in calm.values()]:
            seen = seen or f"{path.name} is neither's"
    return Outcome("wrong" if seen else "refused" if refused else "survived", what, seen)


def _predictions(draw: Random, place: Path, truth: Truth, pause: float) -> Outcome:
    cells = [truth.store / cell for cell in draw.sample(truth.cells, 2)]
    out = place / "p.parquet"
    what = f"two predictions to one file, {pause:.2f} s apart"
    ends = _both([["predict", cell, "--out", out] for cell in cells], pause)
    refused = sum(keeps_its_word(done) for done in ends)
    found, expected = pq.read_table(out), []
    for number, cell in enumerate(cells):
        alone = place / f"{number}.parquet"
        fairlora("predict", cell, "--out", alone)
        expected.append(pq.read_table(alone))
    seen = ", ".join(leftovers(place))
    seen = seen or ("" if any(found.equals(one) for one in expected) else "neither's table")
    return Outcome("wrong" if seen else "refused" if refused else "survived", what, seen)
