"""What several commands share: progress, quiet libraries, printing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from fairlora.study.progress import Progress


def stderr_console() -> Console:
    """Where everything for people goes when standard output is for machines."""
    from rich.console import Console

    return Console(stderr=True)


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

        self.label = label
        self.console = stderr_console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
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
                print(f"{self.label}: {progress.phase}", file=sys.stderr, flush=True)
        self.bar.update(self.task, completed=progress.done, total=progress.total)
        if progress.message:
            if self.console.is_terminal:
                self.bar.console.print(f"{self.label}: {progress.message}", highlight=False)
            else:
                print(f"{self.label}: {progress.message}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """A line for people, on standard error."""
    print(f"fairlora: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """A partial file that takes its name when it is whole; its folder is made."""
    from fairlora.errors import InputError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("cannot write here", where=path.parent, found=error.strerror) from error
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError("cannot write here", where=path, found=error.strerror) from error
    finally:
        partial.unlink(missing_ok=True)


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

    console = stderr_console()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
