"""Full disks: commands that write, where there is no room for what they write; then there is."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
from forked import Done, fairlora
from outcome import Outcome, keeps_its_word

from study import Truth, differences, leftovers

FULL = ("the disk is full; make room", "the file is larger than its file system")
ENDINGS = ("html", "json", "md", "tex", "png", "svg", "pdf")
Run = Callable[[Path, "Callable[[], None] | None"], Done]


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """A command on a disk that is too small, or under a limit on its files, and then again."""
    words, name = _command(draw, truth)
    calm = place / "calm"
    calm.mkdir()
    done = _run(words, calm, None)
    if done.code != 0:
        return Outcome("broken", f"undisturbed {' '.join(map(str, words))}", done.err[-400:])
    size = max(file.stat().st_size for file in calm.rglob("*") if file.is_file())
    # No room at all, room for a part, and (to see that it is then used) just enough.
    room = int(size * draw.choice([0.0, draw.random(), draw.random(), 1.5]))
    # Of several pictures each has a name of its own.
    before = draw.random() < 0.5 and (calm / name).is_file()
    disk = draw.random() < 0.6 and sys.platform == "linux" and os.geteuid() == 0
    what = f"{' '.join(map(str, words))}: {room} of {size} bytes, {'disk' if disk else 'limit'}"
    full = place / "full"
    full.mkdir()
    with _disk(full, room) if disk else _limit(room) as (prepare, freed):
        old = "what was there" if before and not disk else None
        if old is not None:
            (full / name).write_text(old)
        done = _run(words, full, prepare)
        refused = keeps_its_word(done)
        # Cells of a study fail each for itself, with the same line as reason.
        if done.code == 1 and name == "small" and any(line in done.err for line in FULL):
            refused = True
        elif done.code == 1:
            return Outcome("broken", what, f"exit code 1: {done.err[-400:]}")
        seen = ", ".join(leftovers(full))
        if refused and name != "small":
            there = (full / name).read_text("latin-1") if (full / name).is_file() else None
            seen = seen or ("" if there == old else f"{name} is there, though refused")
        seen = seen or ("" if refused else _other(full, calm, name, truth))
        if seen:
            return Outcome("wrong", what, seen)
        freed()
        done = _run(words, full, None)
        if done.code != 0:
            return Outcome("broken", f"{what}, with room again", done.err[-400:])
        seen = _other(full, calm, name, truth)
    return Outcome("wrong" if seen else "refused" if refused else "survived", what, seen)


def _run(words: list[object], folder: Path, prepare: Callable[[], None] | None) -> Done:
    """The command, writing in a folder; what it prints goes to where there is room."""
    real = [folder / word[4:] if str(word).startswith("OUT/") else word for word in words]
    return fairlora(*real, prepare=prepare)


def _command(draw: Random, truth: Truth) -> tuple[list[object], str]:
    """A command and the file that it writes; "small" is a study's folder."""
    cells = [truth.store / cell for cell in truth.cells]
    table = cells[0] / "predictions.parquet"
    page = f"page.{draw.choice(ENDINGS)}"
    scores = truth.root / "scores.csv"
    if not scores.is_file():
        rows = [f"{k},{k % 2},{k * 7 % 11},{'fm'[k % 3 > 1]}\n" for k in range(80)]
        scores.write_text("id,member,score,sex\n" + "".join(rows))
    few = ["--bootstrap", 20, "--out", f"OUT/{page}"]
    by = ["--group", "sex", *few]
    numbers = ["--numeric", "--label", "member", "--pred", "score", *by]
    other = cells[1] / table.name
    return draw.choice(
        [
            (["audit", table, *few], page),
            (["audit", table, *few, "--curves"], page),
            (["audit", table, "--against", other, *few], page),
            (["audit", scores, "--score", "score", *by], page),
            (["audit", scores, *numbers], page),
            (["attack", "--scores", scores, "--permutations", 20, "--out", f"OUT/{page}"], page),
            (["compare", *cells, "--out", f"OUT/{page}"], page),
            (["thresholds", table, "--group", "place", "--out", "OUT/t.json"], "t.json"),
            (["schema", "audit", "--out", "OUT/schema.json"], "schema.json"),
            (["predict", cells[0], "--out", "OUT/p.parquet"], "p.parquet"),
            (["study", "run", truth.file, "--out", "OUT/runs"], "small"),
            (["study", "run", truth.file, "--out", "OUT/runs"], "small"),
        ]
    )


def _other(folder: Path, calm: Path, name: str, truth: Truth) -> str:
    """In what the file written differs from the one of a calm run."""
    if name == "small":
        return differences(folder / "runs" / "small", truth)
    names = sorted(path.name for path in calm.iterdir())
    found = sorted(path.name for path in folder.iterdir())
    if names != found:
        return f"{found} instead of {names}"
    for each in names:
        one, other = folder / each, calm / each
        if name.endswith(".parquet"):
            same = pq.read_table(one).equals(pq.read_table(other))
        elif name.endswith(".pdf"):  # it holds the time
            same = one.read_bytes()[-6:] == other.read_bytes()[-6:]
        else:
            same = one.read_bytes() == other.read_bytes()
        if not same:
            return f"{each} differs"
    return ""


@contextmanager
def _limit(room: int) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    yield no_room, lambda: None


@contextmanager
def _disk(folder: Path, room: int) -> Iterator[tuple[None, Callable[[], None]]]:
    """A file system of its own at `folder`, of so many bytes (whole pages)."""
    size = max(room // 4096, 1) * 4096

    def mount(how: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)], check=True)

    mount(f"size={size}")
    try:
        yield None, lambda: mount("remount,size=64m")
    finally:
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        subprocess.run(["umount", str(folder)], check=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
