"""Shared by the commands: progress bars, printing, writing files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fairlora.errors import InputError, clean, escape_json
from fairlora.io import replacing

if TYPE_CHECKING:
    from rich.console import Console

    from fairlora.study.runs.progress import Progress


def make_console(*, stderr: bool = False) -> Console:
    """Make a console for texts with names from files in them: rich reads no markup in them."""
    from rich.console import Console
    from rich.text import Text

    class Clean(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            return super().render_str(clean(text), **how)

    return Clean(stderr=stderr, markup=False, emoji=False, highlight=False)


class RunBar:
    """A progress bar for one run on a terminal, and plain lines elsewhere."""

    def __init__(self, label: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.label = clean(label)
        self.console = make_console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            # Steps of minutes have a pace too: by rich's 30 seconds they would have none.
            speed_estimate_period=3600,
        )
        self.task: Any = None
        self.phase = ""

    def __enter__(self) -> RunBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Take one report of a run."""
        if progress.phase != self.phase:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.phase = progress.phase
            self.task = self.bar.add_task(f"{self.label}: {progress.phase}", total=progress.total)
            if not self.console.is_terminal:
                say(f"{self.label}: {progress.phase}", sys.stderr)
        said = f"{self.label}: {progress.phase}"
        if progress.detail:
            said += f", {progress.detail}"
        done, total = progress.done, progress.total
        self.bar.update(self.task, completed=done, total=total, description=clean(said))
        if progress.message:
            if self.console.is_terminal:
                self.bar.console.print(f"{self.label}: {progress.message}")
            else:
                say(f"{self.label}: {progress.message}", sys.stderr)


def say(text: str, file: TextIO | None = None) -> None:
    """Print text with names from files in it: on standard output, or to `file`."""
    print(clean(text), file=sys.stdout if file is None else file, flush=True)


def say_json(text: str) -> None:
    """Print JSON on standard output."""
    print(escape_json(text.rstrip("\n")), flush=True)


def note(text: str) -> None:
    """A line for people, on standard error."""
    say(f"fairlora: {text}", sys.stderr)


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """A partial file that takes its name when it is whole; its folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("cannot write here", where=path.parent, found=error.strerror) from error
    try:
        with replacing(path) as partial:
            yield partial
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError("cannot write here", where=path, found=error.strerror) from error


@contextlib.contextmanager
def reading_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of rows, told ``(done, total)``; on standard error, on a terminal alone."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = make_console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(clean(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
