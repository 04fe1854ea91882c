"""Formats as their own tools wrote them (scripts/format_fixtures.py), packed, and broken."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.predictions import opened, read_table, source
from fairlora.predictions.opened import open_tables
from fairlora.predictions.streaming import PredictionStream
from fairlora.predictions.tabular import Asked

HERE = Path(__file__).parent / "formats"
EXTRA = {"xlsx": "python_calamine", "ods": "python_calamine", "xls": "python_calamine"}
EXTRA |= {"sav": "pyreadstat", "zsav": "pyreadstat", "por": "pyreadstat"}
FILES = [
    "excel.xlsx",
    "excel97.xls",
    "opendocument.ods",
    "mlflow.json",
    "wandb.table.json",
    "pandas-records.json",
    "pandas-split.json",
    "pandas-columns.json",
    "pandas-table.json",
    "pandas-lines.json",
    "pandas.feather",
    "pandas.orc",
    "semicolons.txt",
    "stream.arrows",
    "openml.arff",
    "stata118.dta",
    "stata114.dta",
    "spss.sav",
    "spss.zsav",
]
COLUMNS: dict[str, Any] = {
    "label": "y",
    "pred": "h",
    "probs": "p",
    "groups": ["race", "sex"],
    "id_column": "id",
}
LABELS, PREDICTIONS = [1, 1, 0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 1, 1, 1, 0]
RACE = ["black", "black", "white", "white", "black", "white", "black", "(missing)"]
SEX = ["f", "m"] * 4
POSITIVE = [0.9, 0.25, 0.125, 0.375, 0.75, 0.625, 0.5625, 0.0625]


def needs(name: str) -> None:
    package = EXTRA.get(name.rpartition(".")[2])
    if package is not None:
        pytest.importorskip(package, reason=f"{package} (fairlora[files]) is not installed")


def refused(path: Path, *expected: str, **options: Any) -> None:
    """Reading fails with one line that names the file and holds all of `expected`."""
    with pytest.raises(InputError) as caught:
        read_table(path, **(COLUMNS | options))
    message = str(caught.value)
    assert str(path) in message, message
    assert "\n" not in message
    for text in expected:
        assert text in message, message


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_tool_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    needs(name)
    path = tmp_path / "no-ending"  # what it is called says nothing
    shutil.copy(HERE / name, path)
    found = read_table(path, **COLUMNS)
    assert found.ids.tolist() == [f"a{k}" for k in range(1, 9)]
    assert found.labels.tolist() == LABELS
    assert found.predictions.tolist() == PREDICTIONS
    assert found.groups["race"].tolist() == RACE
    assert found.groups["sex"].tolist() == SEX
    assert found.probs is not None
    np.testing.assert_allclose(found.probs[:, 1], POSITIVE, atol=1e-7)


def test_a_portable_file_of_spss_has_values_without_labels() -> None:
    needs("spss.por")
    found = read_table(HERE / "spss.por", label="Y", pred="H", groups=["RACE"])
    assert found.labels.tolist() == LABELS
    assert found.groups["RACE"].tolist() == ["1", "1", "2", "2", "1", "2", "1", "9"]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("semicolons.txt", "read as text with semicolons between columns and decimal commas"),
        ("excel.xlsx", "read from the sheet 'predictions', one of 2"),
        ("stata118.dta", "values are read by their labels: y, h"),
        ("spss.sav", "values are read by their labels: y, h, race"),
    ],
)
def test_what_was_assumed_is_said(name: str, note: str) -> None:
    needs(name)
    assert f"{name}: {note}" in read_table(HERE / name, **COLUMNS).notes


@pytest.mark.parametrize(
    ("race", "sex"),
    [
        ("doc.person.race", "tags.sex"),  # structs, and a map
        ("metadata.race", "doc.person.sex"),  # JSON as text
    ],
)
def test_a_column_may_be_a_path(race: str, sex: str) -> None:
    found = read_table(HERE / "nested.parquet", **(COLUMNS | {"groups": [race, sex]}))
    assert found.groups[race].tolist() == RACE
    assert found.groups[sex].tolist() == SEX


def test_keys_of_hive_partitions_are_columns() -> None:
    columns = {name: COLUMNS[name] for name in ("label", "pred", "probs", "groups")}
    stream = PredictionStream(HERE / "hive", **columns)
    chunks = list(stream.chunks())
    rows = sorted(
        (race, sex, int(y), int(h))
        for chunk in chunks
        for race, sex, y, h in zip(
            chunk.groups["race"], chunk.groups["sex"], chunk.labels, chunk.predictions, strict=True
        )
    )
    assert rows == sorted(zip(RACE, SEX, LABELS, PREDICTIONS, strict=True))


# Packed.


def packed(content: bytes) -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("__MACOSX/._t.csv", b"what macOS adds")
        out.writestr("../../t.csv", content)
    arrow = {}
    for name in ("zstd", "lz4"):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, name) as stream:
            stream.write(content)
        arrow[name] = sink.getvalue().to_pybytes()
    return {
        "gzip": gzip.compress(content),
        "bzip2": bz2.compress(content),
        "xz": lzma.compress(content),
        "zip": archive.getvalue(),
        "UTF-16": content.decode().encode("utf-16"),
        "zip in gzip": gzip.compress(archive.getvalue()),
        **arrow,
    }


PACKED = packed((HERE / "semicolons.txt").read_bytes())


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_table_is_unpacked(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(PACKED[kind])
    found = read_table(path, **COLUMNS)
    assert found.labels.tolist() == LABELS
    assert found.groups["race"].tolist() == RACE
    assert list(tmp_path.iterdir()) == [path]  # a member's name is no path


@pytest.mark.parametrize("name", ["pandas.feather", "nested.parquet", "pandas-split.json"])
def test_what_is_packed_may_be_of_any_format(name: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(gzip.compress((HERE / name).read_bytes()))
    assert read_table(path, label="y", pred="h").labels.tolist() == LABELS


def test_the_unpacked_file_goes_with_its_source(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(PACKED["gzip"])
    inner = source.Source(path).unpacked()
    assert inner is not None
    folder = inner.file.parent
    assert folder.exists()
    del inner
    assert not folder.exists()


def test_standard_input_is_read_as_a_file_is(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom fairlora.predictions import read_table\n"
        "for _ in range(2):\n"
        "    print(read_table(Path('-'), label='y', pred='h').labels.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=PACKED["gzip"], capture_output=True, timeout=60
    )
    assert done.stdout.decode().splitlines() == [str(LABELS)] * 2, done.stderr.decode()


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As of a shell's <(...)."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = threading.Thread(target=path.write_bytes, args=(PACKED["gzip"],))
    writing.start()
    assert read_table(path, label="y", pred="h").labels.tolist() == LABELS
    writing.join()


# What cannot be read.


@pytest.mark.parametrize("name", [one for one in FILES if one not in ("semicolons.txt",)])
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    needs(name)
    content = (HERE / name).read_bytes()
    path = tmp_path / "table"
    # ARFF, like CSV, ends anywhere: half a header, or half a line.
    path.write_bytes(
        content[: content.find(b"@DATA") if name.endswith("arff") else len(content) // 2]
    )
    refused(path)


@pytest.mark.parametrize("kind", [kind for kind in PACKED if kind != "UTF-16"])
def test_a_packed_file_cut_short_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(PACKED[kind][: len(PACKED[kind]) - 30])
    refused(path, "not a readable table")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "an empty file"),
        (b"\x80\x04\x95", "a pickle, which could run any code"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<html><table>", "a page of HTML or XML"),
        (bytes(257) + b"ustar" + bytes(100), "a tar archive"),
        (b"[1, 2, 3]", "no table in this JSON (found a list; expected one object a line"),
        (b'{"a": [1, 2], "b": [1]}', "no table in this JSON (found an object of a, b"),
        (b"[]", "no table in this JSON (found nothing"),
        (b"{}", "no table in this JSON (found nothing"),
        (b'{"columns": ["y", "h"], "data": [[1, 1], [0]]}', "row 2 of data: another number of"),
        (b"[" * 100_000, "not a readable table"),
        (b'{"y": 1, "h": 1}\n{"y": 1, "h"', 'row 2: no JSON object (found \'{"y": 1, "h"\''),
        (b'{"y": 1, "h": 1}\n[1, 1]\n', "row 2: no JSON object"),
        (b"@relation r\n@attribute y numeric\n@data\n{0 1}\n", "sparse ARFF rows"),
        (b"@relation r\n@attribute y relational\n@data\n1\n", "an ARFF attribute of no known"),
    ],
)
def test_what_is_no_table_is_said(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    refused(path, expected)


def test_a_workbook_with_a_password_is_refused() -> None:
    refused(HERE / "locked.xlsx", "the workbook has a password")


def test_a_zip_with_a_password_or_with_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.csv", "y,h\n1,1\n")
    content = path.read_bytes().replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0")
    path.write_bytes(content.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    refused(path, "the zip has a password")
    with zipfile.ZipFile(path, "w") as out:
        for name in ("a.csv", "b.csv"):
            out.writestr(name, "y,h\n1,1\n")
    refused(path, "several files in a zip (found a.csv, b.csv; expected one table")
    with zipfile.ZipFile(path, "w"):
        pass
    refused(path, "several files in a zip (found none")


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd", "zip"])
def test_what_grows_out_of_proportion_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MOST_UNPACKED", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(packed(b"y,h\n" + b"1,1\n" * (1 << 20))[kind])
    refused(path, "too large once unpacked", "that unpack to more than 1,048,576")


def test_a_workbook_that_grows_out_of_proportion_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MOST_UNPACKED", 1 << 20)
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("xl/workbook.xml", b" " * (1 << 22))
    refused(path, "too large once unpacked")


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    for name in ("excel.xlsx", "spss.sav"):
        refused(HERE / name, "pip install 'fairlora[files]', or save it as CSV")


# Text.


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01", "^", "~", ":", " "])
def test_what_stands_between_columns_is_found(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("y,h,g\n1,0,a\n0,0,b\n".replace(",", delimiter))
    found = read_table(path, label="y", pred="h", groups=["g"])
    assert found.groups["g"].tolist() == ["a", "b"]
    assert open_tables(path).schema.names == ["y", "h", "g"]  # without a name to look for, too


@pytest.mark.parametrize("name", ["PK", "FEA1", "BZh", "ORC", "PARS", "Rar"])
def test_a_header_that_looks_like_magic_bytes_is_a_header(name: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text(f"{name},y,h\n1,1,0\n2,0,0\n")
    assert read_table(path, label="y", pred="h").labels.tolist() == [1, 0]


def test_numbers_that_turn_into_fractions_or_words_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block has whole probabilities alone, and a later one has a word."""
    monkeypatch.setattr("fairlora.predictions.delimited._BLOCK_BYTES", 64)
    monkeypatch.setattr(opened, "STREAM_ROWS", 10)
    path = tmp_path / "table.csv"
    rows = ["1,1,1,a", "0,0,0,b"] * 20 + ["1,1,0.75,a", "0,0,0.25,b"] * 20
    path.write_text("y,h,p,g\n" + "\n".join(rows) + "\n")
    columns: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p", "groups": ["g"]}
    found = open_tables(path, Asked(("y", "h", "g"), "p"))
    assert found.streams
    chunks = list(PredictionStream(found, **columns).chunks())
    probs = np.concatenate([chunk.probs[:, 1] for chunk in chunks if chunk.probs is not None])
    np.testing.assert_array_equal(probs, [1, 0] * 20 + [0.75, 0.25] * 20)
    path.write_text("y,h,p,g\n" + "\n".join([*rows, "1,1,high,a"]) + "\n")
    with pytest.raises(InputError, match="column p: probabilities are not numbers|not numbers"):
        list(PredictionStream(path, **columns).chunks())


# JSON.


def lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_other_columns_of_json_lines_may_hold_anything(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "t",
        {"y": 1, "h": 1, "x": [1], "doc": {"race": "a", "more": 1}},
        {"y": 0, "h": 1, "x": "s", "doc": {"race": "b", "more": ["s"]}},
        {"y": 0, "h": 0, "doc": None},
        {"y": 1, "h": 0, "late": "z", "doc": {}},
    )
    found = read_table(path, label="y", pred="h", groups=["doc.race"])
    assert found.groups["doc.race"].tolist() == ["a", "b", "(missing)", "(missing)"]
    assert read_table(path, label="y", pred="h", groups=["late"]).groups["late"][3] == "z"
    with pytest.raises(InputError, match="column doc: no row has 'nope.x'"):
        read_table(path, label="y", pred="h", groups=["doc.nope.x"])


def test_values_of_several_kinds_are_read_as_text_and_said(tmp_path: Path) -> None:
    path = lines(tmp_path / "t", {"y": 1, "h": "1"}, {"y": "0", "h": 0}, {"y": 0, "h": 1.0})
    found = read_table(path, label="y", pred="h")
    assert found.labels.tolist() == [1, 0, 0]
    assert found.predictions.tolist() == [1, 0, 1]
    assert "t: column y: values of several kinds, all read as text" in found.notes


def test_a_kind_that_changes_far_down_is_read_in_whole_and_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlora.predictions.json_tables._BLOCK_BYTES", 100)
    monkeypatch.setattr("fairlora.predictions.json_tables._FIRST_RECORDS", 2)
    records = [{"y": k % 2, "h": k % 2, "g": "a"} for k in range(20)]
    records += [{"y": str(k % 2), "h": 1, "g": None} for k in range(20)]
    path = lines(tmp_path / "t", *records)
    found = read_table(path, label="y", pred="h", groups=["g"])
    assert found.labels.tolist() == [0, 1] * 20
    (stream,) = [PredictionStream(path, label="y", pred="h", groups=["g"])]
    assert np.concatenate([c.labels for c in stream.chunks()]).tolist() == [0, 1] * 20


def test_nan_in_json_lines_is_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text('{"y": 1, "h": 1, "g": NaN}\n{"y": 0, "h": 0, "g": 2}\n')
    groups = read_table(path, label="y", pred="h", groups=["g"]).groups["g"]
    assert groups.tolist() == ["(missing)", "2"]


def test_lists_as_classes_are_their_one_item_or_their_text(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"y": [["a"], ["b"]], "h": ["a", "b"], "z": [["a", "b"], ["b"]]}), path)
    found = read_table(path, label="y", pred="h")
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1]
    assert "column y: lists, read by the one item of each" in " ".join(found.notes)
    found = read_table(path, label="z", pred="z")
    assert found.classes == ('["a", "b"]', "b")


# Folders.


@pytest.mark.parametrize("kind", ["csv", "jsonl", "feather", "orc"])
def test_a_folder_of_any_streaming_format_is_read(kind: str, tmp_path: Path) -> None:
    name = {"csv": "semicolons.txt", "jsonl": "pandas-lines.json"}.get(kind, f"pandas.{kind}")
    for k in range(2):
        (tmp_path / f"sex={k}").mkdir()
        shutil.copy(HERE / name, tmp_path / f"sex={k}" / f"part.{kind}")
    (tmp_path / "README").write_text("what this is, and whose\n")
    stream = PredictionStream(tmp_path, label="y", pred="h", groups=["race"])
    assert np.concatenate([c.labels for c in stream.chunks()]).tolist() == LABELS * 2
    assert f"{tmp_path.name}: files of other formats were not read: README" in stream.notes


def test_a_part_of_another_format_is_refused(tmp_path: Path) -> None:
    shutil.copy(HERE / "pandas-lines.json", tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\0\1\2")
    refused(tmp_path, "b.jsonl: not a readable table (found", "expected JSON lines, as the other")
