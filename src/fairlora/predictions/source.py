"""A file as its user named it: its content unpacked, and what its beginning shows of its format.

Content comes from a file, a folder or standard input; gzip, bzip2, xz, zstd, lz4 and a zip of one
file are unpacked into a temporary file, whose size is bounded.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import shutil
import sys
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from fairlora.errors import InputError

STANDARD_INPUT = Path("-")
# So much of a file says what it is and how it is written.
HEAD_BYTES = 1 << 16
# What unpacks to more than this, and to more than so many times its own size, is no table.
_MOST_UNPACKED = 1 << 30
_MOST_RATIO = 200
_BLOCK = 1 << 20
# A table in a zip in a gzip is one; deeper, somebody plays.
_MOST_LAYERS = 3
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second is of no files
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowInvalid)


class Source:
    """What a user named, and its content.

    Parameters
    ----------
    path : a file, a folder, or ``-`` for standard input.

    Attributes
    ----------
    path : as the user named it, for messages.
    file : the content on the disk: `path` itself, or a temporary file with what was unpacked.
    layers : what was unpacked to get there, outermost first: "gzip", "zip".

    Raises `InputError` for what is not there or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path("standard input") if path == STANDARD_INPUT else path
        self.layers: tuple[str, ...] = ()
        if path == STANDARD_INPUT or path.is_fifo():
            self.file = _read_once(path)
        else:
            self.file = path
            if not path.exists():
                raise InputError("no such file", where=path)

    @property
    def is_folder(self) -> bool:
        return self.file.is_dir()

    @cached_property
    def start(self) -> bytes:
        """The first bytes of the content; none of a folder."""
        if self.is_folder:
            return b""
        try:
            with self.file.open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError as error:
            raise InputError("cannot read this", where=self.path, found=error.strerror) from error

    @cached_property
    def text(self) -> str:
        """The first bytes as text; what is no UTF-8 is replaced."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a cut letter is left
        return decoder.decode(self.start).removeprefix("\ufeff")

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The files in a zip by their names; none for anything else. Names are never paths."""
        if not self.start.startswith(_ZIP):
            return ()
        try:
            with zipfile.ZipFile(self.file) as archive:
                return tuple(one.filename for one in archive.infolist() if not one.is_dir())
        except (*_BROKEN, NotImplementedError, UnicodeDecodeError) as error:
            raise self.broken(error, "a whole zip") from error

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Keys of the first JSON object, as far as the first bytes go; none for anything else."""
        return _keys(self.text)

    @cached_property
    def record(self) -> dict[str, Any] | None:
        """The first JSON object, where the first bytes hold it whole: a record of JSON lines."""
        try:
            value, _ = json.JSONDecoder().raw_decode(self.text.lstrip())
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def estimated_lines(self) -> int:
        """How many lines the content has, by the length of its first ones."""
        size = self.file.stat().st_size
        return int(self.start.count(b"\n") * size / max(len(self.start), 1))

    def broken(self, error: Exception, expected: str) -> InputError:
        """What to raise where the content cannot be read as `expected`."""
        found = str(error).strip().split("\n")[0][:160] or type(error).__name__
        return InputError("not a readable table", where=self.path, found=found, expected=expected)

    def check_members(self) -> None:
        """Raise `InputError` for a zip whose files together grow out of all proportion."""
        with contextlib.suppress(*_BROKEN), zipfile.ZipFile(self.file) as archive:
            total = sum(one.file_size for one in archive.infolist())
            _check_size(total, self.file.stat().st_size, self.path)

    def unpacked(self) -> Source | None:
        """What is inside, or None for content that is not packed.

        Raises `InputError` for a broken or locked archive, for several files in a zip, and for what
        grows out of all proportion.
        """
        kind = next((name for name, magic, _ in _PACKED if self.start.startswith(magic)), None)
        if self.is_folder or kind is None:
            return None
        if len(self.layers) == _MOST_LAYERS:
            raise InputError("packed too often", where=self.path, found=" in ".join(self.layers))
        opened = next(opened for name, _, opened in _PACKED if name == kind)
        inner = object.__new__(Source)
        inner.path, inner.layers = self.path, (*self.layers, kind)
        inner.file = _temporary(inner)
        try:
            with opened(self.file) as packed, inner.file.open("wb") as out:
                _copy(packed, out, self.file.stat().st_size, self.path)
        except _Locked as error:
            raise InputError("the zip has a password", where=self.path) from error
        except _Several as error:
            raise InputError(
                "several files in a zip",
                where=self.path,
                found=str(error),
                expected="one table; unpack it and name one of them",
            ) from error
        except (*_BROKEN, NotImplementedError, UnicodeError) as error:
            raise self.broken(error, f"whole {kind} content") from error
        return inner


class _Locked(Exception):
    """A member of a zip that needs a password."""


class _Several(Exception):
    """A zip of no file, or of more than one."""


def _open_member(path: Path) -> IO[bytes]:
    """The one file in a zip, read as a stream; its name is not used."""
    archive = zipfile.ZipFile(path)
    # What macOS adds beside the files is nobody's table.
    members = [
        one
        for one in archive.infolist()
        if not one.is_dir()
        and not one.filename.startswith("__MACOSX/")
        and not one.filename.rpartition("/")[2].startswith(".")
    ]
    if len(members) != 1:
        listed = ", ".join(one.filename for one in members[:5]) + ", ..." * (len(members) > 5)
        raise _Several(listed or "none")
    if members[0].flag_bits & 1:
        raise _Locked
    return archive.open(members[0])


def _open_utf16(path: Path) -> codecs.StreamRecoder:
    """UTF-16 text with a byte order mark, as spreadsheets write "Unicode text", in UTF-8."""
    return codecs.EncodedFile(path.open("rb"), "utf-8", "utf-16")


def _open_arrow(compression: str) -> Callable[[Path], Any]:
    return lambda path: pa.input_stream(str(path), compression=compression)


_PACKED: tuple[tuple[str, tuple[bytes, ...], Callable[[Path], Any]], ...] = (
    ("gzip", (b"\x1f\x8b",), gzip.open),
    ("bzip2", tuple(b"BZh%d1AY&SY" % k for k in range(1, 10)), bz2.open),
    ("xz", (b"\xfd7zXZ\x00",), lzma.open),
    ("zstd", (b"\x28\xb5\x2f\xfd",), _open_arrow("zstd")),
    ("lz4", (b"\x04\x22\x4d\x18",), _open_arrow("lz4")),
    ("zip", _ZIP, _open_member),
    ("UTF-16", (b"\xff\xfe", b"\xfe\xff"), _open_utf16),
)


def _copy(packed: IO[bytes], out: io.BufferedWriter, size: int, path: Path) -> None:
    written = 0
    while block := packed.read(_BLOCK):
        written += len(block)
        _check_size(written, size, path)
        out.write(block)


def _check_size(unpacked: int, packed: int, path: Path) -> None:
    most = max(_MOST_UNPACKED, _MOST_RATIO * packed)
    if unpacked > most:
        raise InputError(
            "too large once unpacked",
            where=path,
            found=f"{packed:,} bytes that unpack to more than {most:,}",
            expected=f"at most {_MOST_RATIO} times as much; unpack it first if it is sound",
        )


@cache
def _read_once(path: Path) -> Path:
    """What comes by a pipe, which can be read but once, as a file for as long as we run."""
    file = _temporary(_read_once)
    with contextlib.ExitStack() as stack:
        pipe = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(path.open("rb"))
        shutil.copyfileobj(pipe, stack.enter_context(file.open("wb")), _BLOCK)
    return file


def _temporary(owner: object) -> Path:
    """A temporary file that goes when its owner goes, or with the process."""
    folder = tempfile.mkdtemp(prefix="fairlora-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "content"


def _keys(text: str) -> tuple[str, ...]:
    decode, out = json.JSONDecoder().raw_decode, []
    text = text.lstrip()
    if not text.startswith("{"):
        return ()
    place = 1
    try:
        while True:
            place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
            key, place = decode(text, place)
            if not isinstance(key, str):
                break
            out.append(key)
            place = text.index(":", place) + 1
            place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n"))
            _, place = decode(text, place)
    except (ValueError, RecursionError):  # cut off, or at its end
        pass
    return tuple(out)
