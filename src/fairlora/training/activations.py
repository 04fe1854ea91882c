"""What a frozen part answers, or a picture is, kept in a folder: a row once, for all processes.

Files are mapped into memory: processes that read the same rows have them there once.

A file holds the answers of some rows, and is there whole or not at all. No process waits for
another: each takes, again and again, some of the rows that no file has yet, and says which in a
claim beside the files. Rows that another has claimed come last, so that two seldom do the same
work; none is wrong where they do, or where a claim's process is gone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fairlora.errors import WriteError
from fairlora.io import replacing

# Without a disk, at most so much is kept in memory.
MEMORY_BYTES = 2 << 30
# The share of a disk's free space that may be filled, and bytes: nobody asked for a copy of a large
# data set's activations.
SHARE, DISK_BYTES = 0.5, 16 << 30
FEWEST, MOST_BYTES, FILES = 256, 64 << 20, 32
# After so many seconds a claim is of a process that is gone.
CLAIM, CLAIM_SECONDS = ".claim", 600.0


_Values = Tensor | Sequence[Tensor]


class NoRoom(Exception):
    """Neither the disk nor the memory has room for the answers."""


class Asked(NamedTuple):
    """A row's id, and whether its picture is mirrored."""

    id: str
    mirrored: bool


class Activations:
    """Answers of one frozen part, or pictures as they are decoded, by row.

    Parameters
    ----------
    folder : theirs alone; None keeps them in memory.
    key : a hash of all that they depend on; files of another are left out.
    called : what they are, in notes.

    Attributes
    ----------
    notes : what went wrong with the folder, a line each; all goes on in memory.
    """

    def __init__(self, folder: Path | None, key: str, called: str = "activations") -> None:
        self.folder, self.key, self.called = folder, key, called
        self._row_bytes = 1
        self.notes: list[str] = []
        self._rows: dict[Asked, tuple[_Values, int]] = {}
        self._read: set[str] = set()
        self._in_memory = 0

    def __getitem__(self, asked: Asked) -> Tensor:
        """(...) the answer to one row, which `fill` has seen to."""
        values, place = self._rows[asked]
        return values[place]

    def __contains__(self, asked: Asked) -> bool:
        return asked in self._rows

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # A loader's own process maps the files itself.
        return state if self.folder is None else {**state, "_rows": {}, "_read": set()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._look()

    def make_room(self, rows: int, row_bytes: int) -> None:
        """Look for room for so many more rows: on the disk, or else in memory.

        Parameters
        ----------
        rows : how many there are.
        row_bytes : of one of them.

        Raises
        ------
        NoRoom : there is none.
        """
        size, self._row_bytes = rows * row_bytes, max(1, row_bytes)
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with suppress(OSError):  # says when it was used last
                    os.utime(self.folder)
                free = min(DISK_BYTES, int(SHARE * shutil.disk_usage(self.folder).free))
            except OSError as error:
                self._leave_disk(error.strerror or type(error).__name__)
            else:
                if size <= free:
                    return
                self._leave_disk(f"{_mb(size)} are needed, {_mb(free)} may be filled")
        if size > MEMORY_BYTES:
            raise NoRoom(f"{_mb(size)} are needed")

    def missing(self, asked: Iterable[Asked]) -> list[Asked]:
        """The rows among them that are not known yet, to any process; each once."""
        self._look()
        return [one for one in dict.fromkeys(asked) if one not in self._rows]

    def fill(
        self,
        asked: Iterable[Asked],
        compute: Callable[[Sequence[Asked]], Tensor | Sequence[Tensor]],
        tell: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """See to it that these rows are known.

        Parameters
        ----------
        asked : rows.
        compute : (n, ...) the answers to some of them; several of (L, ...), each of its own L.
        tell : gets how many are done, and how many there are.

        Raises
        ------
        NoRoom : the disk went full, and the memory has no room.
        """
        wanted = self.missing(asked)
        # No more at a time than a file holds, for they are in memory twice while it is written.
        most = max(1, MOST_BYTES // self._row_bytes)
        several = min(most, max(FEWEST, -(-len(wanted) // FILES)))
        # Of its own, for the run's generators must be left alone; two processes draw otherwise.
        draw = random.SystemRandom()
        left, claimed = wanted, self._claimed()
        while left:
            free = [one for one in left if one not in claimed] or left
            start = draw.randrange(-(-len(free) // several)) * several
            some = free[start : start + several]
            with self._claiming(some):
                values = compute(some)
                if isinstance(values, Tensor):
                    values = values.detach().cpu().contiguous()
                self._keep(some, values)
            # Before the files are looked at: a claim that has gone since is of a file that is seen.
            claimed = self._claimed()
            before, left = left, self.missing(left)
            if len(left) == len(before) and self.folder is not None:
                # A disk that does not hold what it was given, or somebody who removes it.
                self._leave_disk("what was written is not there")
                self._keep(some, values)
                left = self.missing(left)
            tell(len(wanted) - len(left), len(wanted))

    @contextmanager
    def _claiming(self, some: Sequence[Asked]) -> Iterator[None]:
        """Tell others that these rows are being computed; where that fails, they do not hear."""
        path = None
        if self.folder is not None:
            path = self.folder / f"{os.urandom(8).hex()}{CLAIM}"
            with suppress(OSError), path.open("x", encoding="utf-8") as file:
                json.dump(some, file)
        try:
            yield
        finally:
            if path is not None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _claimed(self) -> set[Asked]:
        """The rows that others say they compute."""
        found: set[Asked] = set()
        if self.folder is None:
            return found
        with suppress(OSError):
            for path in self.folder.glob(f"*{CLAIM}"):
                with suppress(OSError, ValueError, TypeError, RecursionError):
                    if time.time() - path.stat().st_mtime > CLAIM_SECONDS:
                        path.unlink(missing_ok=True)
                        continue
                    rows = json.loads(path.read_text(encoding="utf-8"))
                    found.update(Asked(str(one), bool(mirrored)) for one, mirrored in rows)
        return found

    def _keep(self, some: Sequence[Asked], values: _Values) -> None:
        if self.folder is not None:
            size = max(1, MOST_BYTES * len(some) // max(1, _nbytes(values)))
            try:
                for start in range(0, len(some), size):
                    self._write(some[start : start + size], values[start : start + size])
            except (WriteError, OSError, SafetensorError) as error:
                self._leave_disk(_reason(error))
            else:
                return
        self._in_memory += _nbytes(values)
        if self._in_memory > MEMORY_BYTES:
            raise NoRoom(f"more than {_mb(MEMORY_BYTES)}")
        for place, one in enumerate(some):
            self._rows[one] = values, place

    def _write(self, some: Sequence[Asked], values: _Values) -> None:
        assert self.folder is not None
        lengths = None if isinstance(values, Tensor) else [len(value) for value in values]
        if not isinstance(values, Tensor):
            values = torch.cat(list(values))
        said = {
            "key": self.key,
            "rows": json.dumps([[one.id, one.mirrored] for one in some]),
            "crc32": str(_crc32(values)),
            "lengths": json.dumps(lengths),
        }
        name = f"{os.urandom(8).hex()}.safetensors"
        with replacing(self.folder / name) as partial:
            save_file({"values": values.contiguous()}, partial, said)

    def _look(self) -> None:
        """Take up what lies in the folder, of any process."""
        if self.folder is None:
            return
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder))
        except FileNotFoundError:
            return
        except OSError as error:
            self._leave_disk(_reason(error))
            return
        for name in names:
            if name in self._read or name.startswith(".") or not name.endswith(".safetensors"):
                continue
            self._read.add(name)
            fault = self._take(self.folder / name)
            if fault is not None:
                self.notes.append(
                    f"kept {self.called} are made again: {self.folder / name} {fault}"
                )
                with suppress(OSError):
                    (self.folder / name).unlink()

    def _take(self, path: Path) -> str | None:
        """Take up a file's rows; what is wrong with it, in a few words."""
        try:
            with safe_open(path, "pt") as file:
                said, values = file.metadata() or {}, file.get_tensor("values")
            if said.get("key") != self.key:
                return "is of another version"
            rows = [Asked(str(one), bool(mirrored)) for one, mirrored in json.loads(said["rows"])]
            whole = said["crc32"] == str(_crc32(values))
            lengths = json.loads(said["lengths"])
            parts = values if lengths is None else values.split(lengths)
            whole = whole and len(parts) == len(rows)
        except FileNotFoundError:
            return None
        except Exception:  # cut or edited: its reader may stumble anywhere
            return "is cut off"
        if not whole:
            return "is not as it was written"
        for place, one in enumerate(rows):
            self._rows.setdefault(one, (parts, place))
        return None

    def _leave_disk(self, reason: str) -> None:
        self.notes.append(f"{self.called} are kept in memory alone: {self.folder}: {reason}")
        self.folder = None


def _nbytes(values: _Values) -> int:
    return values.nbytes if isinstance(values, Tensor) else sum(value.nbytes for value in values)


def _crc32(values: Tensor) -> int:
    return zlib.crc32(values.contiguous().view(torch.uint8).numpy().reshape(-1).data)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n")[0][:160]


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
