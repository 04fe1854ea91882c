"""inspect_ai: `.eval` (a zip of JSON, deflated or Zstandard) and `.json`, format version 2."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.logs.log import Log, flat, loads, table_of
from fairlora.predictions.spellings import number_of

FORMAT = "inspect_ai log"
_ZSTANDARD = 93
# `value_to_float` of inspect_ai: correct, partly, incorrect, no answer, and words.
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}

_OWN = ("id", "sample", "epoch", "target")


def is_inspect(path: Path, head: bytes) -> bool:
    """Whether a file is a log: a zip with its header or its start, or JSON that begins as one."""
    if head[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
        except (zipfile.BadZipFile, OSError):
            return path.suffix == ".eval"
        return bool(names & {"header.json", "_journal/start.json"})
    return re.match(rb'\s*\{\s*"version":\s*\d+,\s*"status":\s*"', head) is not None


def read_inspect(path: Path) -> Log:
    """Read the samples of a log, those of a run that did not finish too.

    Raises `InputError` for a log that is damaged or holds no samples.
    """
    if path.open("rb").read(2) == b"PK":
        try:
            with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
                return _log(path, *_of_zip(path, archive, raw))
        except zipfile.BadZipFile as error:
            raise InputError(
                "the log is cut short",
                where=path,
                found=str(error),
                expected="a whole .eval file",
            ) from error
    whole = loads(path.read_bytes(), path)
    if not isinstance(whole, dict) or not isinstance(whole.get("eval"), dict):
        raise InputError("not an inspect_ai log", where=path, expected="version, status and eval")
    samples = whole.get("samples") or []
    return _log(path, {key: v for key, v in whole.items() if key != "samples"}, iter(samples))


def _of_zip(
    path: Path, archive: zipfile.ZipFile, raw: IO[bytes]
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    # A later member of a name replaces an earlier one: a sample that was run again.
    members = {info.filename: info for info in archive.infolist()}

    def read(name: str) -> Any:
        return loads(_member(archive, raw, members[name], path), f"{path}, {name}")

    if "header.json" in members:
        header = read("header.json")
    else:
        header = {"status": "started", **read("_journal/start.json")}

    def samples() -> Iterator[dict[str, Any]]:
        for name in members:
            parts = name.split("/")
            if parts[0] != "samples" or not name.endswith(".json"):
                continue
            if len(parts) == 2:
                yield read(name)
            elif parts[-1] == "sample.json":  # of a large sample, in pieces
                sample = read(name)
                metadata = "/".join([*parts[:-1], "metadata.json"])
                yield {**sample, **({"metadata": read(metadata)} if metadata in members else {})}

    return header, samples()


def _member(archive: zipfile.ZipFile, raw: IO[bytes], info: zipfile.ZipInfo, path: Path) -> bytes:
    """A member's bytes; Python's zipfile before 3.14 cannot decompress Zstandard."""
    where = f"{path}, {info.filename}"
    try:
        if info.compress_type != _ZSTANDARD:
            return archive.read(info)
        raw.seek(info.header_offset)
        local = raw.read(30)
        if local[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no header where the member should be")
        raw.seek(int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"), 1)
        packed = pa.BufferReader(raw.read(info.compress_size))
        data = bytes(pa.CompressedInputStream(packed, "zstd").read())
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("another checksum than the archive says")
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "a damaged member", where=where, found=str(error)[:120], expected="a whole .eval file"
        ) from error
    return data


def _log(path: Path, header: dict[str, Any], samples: Iterator[dict[str, Any]]) -> Log:
    rows: list[dict[str, Any]] = []
    lost: Counter[str] = Counter()
    scores: dict[str, None] = {}
    seen: dict[tuple[str, int], int] = {}
    for sample in samples:
        if not isinstance(sample, dict) or "id" not in sample:
            raise InputError("not a sample", where=path, found=str(sample)[:60])
        key = str(sample["id"]), int(sample.get("epoch", 1))
        if key in seen:
            raise InputError(
                "a sample stands twice",
                where=path,
                found=f"id {key[0]!r} in epoch {key[1]}",
                expected="each sample once an epoch",
            )
        seen[key] = len(rows)
        row: dict[str, Any] = {"id": f"{key[0]}/{key[1]}", "sample": key[0], "epoch": key[1]}
        for name, score in (sample.get("scores") or {}).items():
            name = f"score.{name}" if name in _OWN else name
            row |= _values(score.get("value") if isinstance(score, dict) else score, name, path)
        scores |= dict.fromkeys(name for name in row if name not in _OWN)
        if sample.get("error") is not None and len(row) == 3:
            lost["samples with an error"] += 1
            continue
        row["target"] = _plain(sample.get("target"))
        rows.append({**row, **flat(sample.get("metadata") or {}, "metadata.")})
    epochs = {row["epoch"] for row in rows}
    notes = _notes(header, len(rows) + sum(lost.values()))
    if len(epochs) > 1:
        notes.append(f"{len(epochs)} epochs: the rows of one sample count as drawn together")
    return Log(
        path,
        FORMAT,
        table_of(rows, path),
        tuple(scores),
        "id",
        "sample" if len(epochs) > 1 else None,
        (),
        tuple(notes),
        dict(lost),
    )


def _notes(header: dict[str, Any], have: int) -> list[str]:
    """What is odd of the run: that it did not finish, that samples were marked invalid."""
    spec = header.get("eval") or {}
    config, dataset = spec.get("config") or {}, spec.get("dataset") or {}
    status = header.get("status")
    notes = []
    if status != "success":
        planned = dataset.get("samples")
        of = ""
        if isinstance(planned, int):
            of = f" of {planned * int(config.get('epochs') or 1):,}"
        notes.append(f"the run did not finish (status {status!r}): {have:,}{of} samples are here")
    if header.get("invalidated"):
        notes.append("samples of this log were marked invalid after the run; they are counted here")
    return notes


def _values(value: Any, name: str, path: Path) -> dict[str, float | None]:
    """A score as numbers by name: of a dict one a key, `scorer.key`."""
    if isinstance(value, dict):
        return {
            f"{name}.{key}": _value(inner, f"{name}.{key}", path) for key, inner in value.items()
        }
    if isinstance(value, list):
        return {f"{name}.{k}": _value(inner, f"{name}.{k}", path) for k, inner in enumerate(value)}
    return {name: _value(value, name, path)}


def _value(value: Any, name: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    word = str(value)
    known = _VALUES.get(word, _VALUES.get(word.strip().lower(), number_of(word)))
    if known is None:
        raise InputError(
            "not a score",
            where=f"{path}, scorer {name}",
            found=repr(word[:60]),
            expected="C, I, P, N, yes, no, true, false or a number",
        )
    return known


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else str(value)
