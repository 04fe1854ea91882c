"""What `fairlora study run` and `status` show while cells run: read from the cells' folders."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.cli.common import make_console, say
from fairlora.errors import clean

if TYPE_CHECKING:
    from fairlora.study.engines.jobs import Report
    from fairlora.study.runs.cells import Cell
    from fairlora.study.runs.folder import RunFolder
    from fairlora.study.runs.status import CellState

# From this share of the training on its pace says how long the rest of it takes.
_TELLING = 0.05
ORDER = ("running", "failed", "preempted", "broken", "waiting", "done")


class StudyLive:
    """A live table on a terminal, and a line a cell elsewhere."""

    def __init__(self, name: str, root: Path, slots: int) -> None:
        self.name, self.root, self.slots = name, root, slots
        self.console = make_console(stderr=True)
        self.cells: list[RunFolder] = []
        self.reports: dict[str, str] = {}
        self.began = time.monotonic()
        self.live: Any = None

    def __enter__(self) -> StudyLive:
        if self.console.is_terminal:
            from rich.live import Live

            self.live = Live(
                console=self.console, get_renderable=self._render, refresh_per_second=1
            )
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def starting(self, cells: Sequence[Cell]) -> None:
        """Take note of the cells that are about to run."""
        known = {folder.path for folder in self.cells}
        self.cells += [cell.folder for cell in cells if cell.folder.path not in known]
        if self.live is None:
            say(f"{self.name}: {len(cells)} cells to run", sys.stderr)

    def ended(self, report: Report) -> None:
        """Take note of a cell's end."""
        from fairlora.study.runs.cost import readable_time

        self.reports[report.folder] = report.state
        if self.live is None:
            done = sum(state != "busy" for state in self.reports.values())
            why = f": {report.reason}" if report.reason else ""
            took = f" in {readable_time(report.seconds)}" if report.state == "finished" else ""
            name = Path(report.folder).name
            waiting = len(self.cells) - done
            pace = (time.monotonic() - self.began) / max(1, done)
            left = f"; about {readable_time(pace * waiting)} left" if done and waiting else ""
            say(
                f"{self.name}: {done} of {len(self.cells)}: {name} {report.state}{took}{why}{left}",
                sys.stderr,
            )

    def _render(self) -> Any:
        from fairlora.study.runs.status import state_of

        return render([state_of(folder) for folder in self.cells], self.slots, self.name)


def render(states: Sequence[CellState], slots: int, title: str) -> Any:
    """The table: counts and time left above, running and failed cells below."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from fairlora.study.runs.cost import readable_time
    from fairlora.study.runs.status import tally

    found = tally(states, slots)
    words = ", ".join(f"{found.counts[s]} {s}" for s in ORDER if found.counts[s])
    left = "" if not found.seconds_left else f"; about {readable_time(found.seconds_left)} left"
    done = found.counts["done"] + sum(s.share for s in states if s.state == "running")
    table = Table(box=None, show_header=False)
    # Of those that are done, the ones that somebody changed since.
    shown = [s for s in states if s.state not in ("waiting", "done") or s.reason]
    shown.sort(key=lambda s: ORDER.index(s.state))
    for one in shown[:20]:
        if one.state == "running":
            bar: Any = ProgressBar(total=1.0, completed=one.share, width=24)
            took = readable_time(one.seconds)
            if one.seconds is not None and one.phase == "training" and one.share >= _TELLING:
                rest = one.seconds / one.share * (1 - one.share)
                took += f", about {readable_time(rest)} left"
            table.add_row(one.name, one.phase, bar, took)
        else:
            table.add_row(one.name, one.state, one.reason, "")
    if len(shown) > 20:
        table.add_row(f"and {len(shown) - 20} more", "", "", "")
    whole = ProgressBar(total=max(1, len(states)), completed=done, width=60)
    return Group(f"{title}: {words or 'nothing yet'}{left}", whole, table)


def print_states(root: Path) -> None:
    """The state of every cell on disk, once."""
    from fairlora.study.runs.status import list_store

    states = list_store(root)
    console = make_console()
    if not states:
        console.print(f"{root}: no cell yet")
        return
    console.print(render(states, _running(states), root.name))


def watch_states(root: Path) -> None:
    """The same, live, until all are done or Ctrl-C."""
    from rich.live import Live

    from fairlora.study.runs.status import list_store

    with Live(console=make_console(), refresh_per_second=1) as live:
        while True:
            states = list_store(root)
            live.update(render(states, _running(states), root.name))
            time.sleep(1)


def states_json(root: Path) -> str:
    """Every cell's state as JSON."""
    from fairlora.study.runs.status import list_store, tally

    states = list_store(root)
    found = tally(states, _running(states))
    return json.dumps(
        {
            "counts": dict(found.counts),
            "seconds_left": found.seconds_left,
            "cells": [asdict(state) for state in states],
        },
        indent=1,
    )


def _running(states: Sequence[CellState]) -> int:
    return max(1, sum(state.state == "running" for state in states))


class ReportBar:
    """A progress bar while a report is made."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = make_console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> ReportBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take one report of progress."""
        if what not in self.tasks:
            self.tasks[what] = self.bar.add_task(clean(what), total=total)
        self.bar.update(self.tasks[what], completed=done, total=total)
