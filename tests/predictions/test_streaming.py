"""Parquet files chunk by chunk: what streams, what the chunks hold, and what is refused where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.predictions import PredictionsWriter, opened, score_logits, streaming
from fairlora.predictions.opened import open_tables
from fairlora.predictions.streaming import PredictionStream
from fairlora.predictions.table import METADATA_KEY

Columns = dict[str, Any]


def columns(n: int = 10) -> Columns:
    labels = [k % 2 for k in range(n)]
    return {
        "y": labels,
        "h": labels,
        "p": [0.25 + y / 2 for y in labels],
        "g": ["a", "b"] * (n // 2),
    }


def write(folder: Path, *tables: Columns | pa.Table) -> Path:
    folder.mkdir(exist_ok=True)
    for k, table in enumerate(tables):
        whole = pa.table(table) if isinstance(table, dict) else table
        pq.write_table(whole, folder / f"part-{k}.parquet")
    return folder


def stream(path: Path, **options: Any) -> PredictionStream:
    given: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p", "groups": ["g"]}
    return PredictionStream(path, **(given | options))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        list(stream(path, **options).chunks())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_streams_and_a_small_file_does_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", columns())
    (tmp_path / "table.csv").write_text("y,h\n1,1\n")
    assert open_tables(folder).streams
    assert not open_tables(folder / "part-0.parquet").streams
    assert not open_tables(tmp_path / "table.csv").streams


def test_a_large_file_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "run", columns()) / "part-0.parquet"
    monkeypatch.setattr(opened, "STREAM_ROWS", 9)
    assert open_tables(file).streams
    monkeypatch.setattr(opened, "STREAM_ROWS", 10)
    assert not open_tables(file).streams


def test_every_row_comes_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_BATCH_VALUES", 1)
    rng = np.random.default_rng(0)
    tables = []
    for n in (20_000, 40_000, 10):
        labels = rng.integers(0, 2, n)
        tables.append(
            {
                "y": labels,
                "h": 1 - labels,
                "p": (rng.random(n) + 1 - labels) / 2,
                "g": rng.integers(0, 5, n),
            }
        )
    chunks = list(stream(write(tmp_path / "run", *tables)).chunks())
    assert len(chunks) > 3
    assert max(len(chunk.labels) for chunk in chunks) <= 1 << 14
    for name, found in (
        ("y", [chunk.labels for chunk in chunks]),
        ("h", [chunk.predictions for chunk in chunks]),
        ("g", [chunk.groups["g"].codes for chunk in chunks]),
    ):
        np.testing.assert_array_equal(
            np.concatenate(found), np.concatenate([np.asarray(table[name]) for table in tables])
        )
    probs = [chunk.probs for chunk in chunks]
    whole = np.concatenate([np.asarray(table["p"]) for table in tables])
    np.testing.assert_allclose(np.concatenate(probs)[:, 1], whole, rtol=1e-6)  # type: ignore[arg-type]


def test_each_chunk_is_over_the_classes_and_groups_of_all_files(tmp_path: Path) -> None:
    one = {"y": ["no"] * 4, "h": ["no"] * 4, "g": ["a"] * 4}
    two = {"y": ["yes"] * 4, "h": ["no"] * 4, "g": ["b"] * 4}
    found = stream(write(tmp_path / "run", one, two), probs=None)
    assert found.classes == ("no", "yes")
    assert found.names == {"g": ("a", "b")}
    chunks = list(found.chunks())
    assert [chunk.labels.tolist() for chunk in chunks] == [[0] * 4, [1] * 4]
    assert [chunk.groups["g"].tolist() for chunk in chunks] == [["a"] * 4, ["b"] * 4]
    assert all(chunk.groups["g"].names == ("a", "b") for chunk in chunks)


def test_files_in_folders_count_and_hidden_ones_do_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", columns())
    (folder / "deeper").mkdir()
    pq.write_table(pa.table(columns(4)), folder / "deeper" / "x.parquet")
    (folder / "_partial.parquet").write_bytes(b"half")
    (folder / ".hidden.parquet").write_bytes(b"half")
    (folder / "notes.txt").write_text("none")
    assert sum(len(chunk.labels) for chunk in stream(folder).chunks()) == 14


def changed(name: str, row: int, value: Any, n: int = 10) -> Columns:
    out = columns(n)
    out[name] = [*out[name][:row], value, *out[name][row + 1 :]]
    return out


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (changed("p", 3, 1.5), ("part-1.parquet, column p, row 4", "outside 0 to 1", "1.5")),
        (changed("p", 3, None), ("part-1.parquet, column p, row 4", "outside 0 to 1")),
        (changed("y", 6, None), ("part-1.parquet, column y, row 7", "missing value")),
        (changed("h", 9, None), ("part-1.parquet, column h, row 10", "missing value")),
        (columns() | {"y": [0.5] * 10}, ("part-1.parquet, column y, row 1", "0.5")),
        (columns() | {"p": ["x"] * 10}, ("part-1.parquet, column p", "not numbers")),
        (columns() | {"g": [b"\xff"] * 10}, ("part-1.parquet, column g", "group names")),
        ({"y": [0], "h": [0], "p": [0.2]}, ("part-1.parquet", "no column 'g'", "y, h, p")),
        ({"y": [0], "g": ["a"], "p": [0.2]}, ("part-1.parquet", "no column 'h'")),
        ({"y": [0], "h": [0], "g": ["a"]}, ("part-1.parquet", "'p'", "y, h, g")),
    ],
)
def test_a_fault_of_the_second_file_names_it(
    tmp_path: Path, second: Columns, expected: tuple[str, ...]
) -> None:
    message = refused(write(tmp_path / "run", columns(), second))
    for text in expected:
        assert text in message


FAULTS = {
    "p": ("p", 2.0, "outside 0 to 1"),
    "lists": ("lists", [1.0], "another number of probabilities"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_a_later_batch_has_the_row_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(streaming, "_BATCH_VALUES", 1)
    n, (name, value, problem) = 20_000, FAULTS[kind]
    table = columns(n) | {"lists": [[0.5, 0.5]] * n}
    table[name] = [*table[name][: n - 1], value]
    message = refused(write(tmp_path / "run", table), probs=name)
    assert problem in message
    assert "row 20000" in message


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing, that is, but words\n")
    assert "no tables in this folder (found notes.txt; expected files of Parquet," in refused(
        tmp_path
    )


def test_what_is_not_parquet_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", columns())
    (folder / "part-9.parquet").write_text("y,h\n1,1\n")
    assert "part-9.parquet: not a readable table" in refused(folder)


def test_a_file_that_breaks_off_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", columns(), columns(1000))
    file = folder / "part-1.parquet"
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)  # the footer is whole, the pages are not
    file.write_bytes(bytes(content))
    assert "part-1.parquet" in refused(folder)


def test_files_without_rows_are_refused(tmp_path: Path) -> None:
    empty = pa.table(columns()).slice(0, 0)
    assert "the table has no rows" in refused(write(tmp_path / "run", empty, empty))
    # One of them is no fault.
    assert len(list(stream(write(tmp_path / "other", empty, columns())).chunks())) >= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"label": None}, "--label: which column"),
        ({"pred": None, "probs": None}, "--pred: which column"),
        ({"groups": []}, "--group: no group column"),
        ({"label": "z"}, "no column 'z'"),
        ({"groups": ["z"]}, "no column 'z'"),
        ({"probs": "z_"}, "no column 'z_"),
        ({"split": "validation"}, "no column 'split'"),
    ],
)
def test_options_that_no_file_answers_are_refused(
    tmp_path: Path, options: Any, expected: str
) -> None:
    assert expected in refused(write(tmp_path / "run", columns(), columns()), **options)


def own(path: Path, classes: tuple[str, ...], labels: list[int], groups: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    logits = np.eye(len(classes))[labels]
    with PredictionsWriter(path, classes, ["g"]) as writer:
        ids = [f"{path.stem}{k}" for k in range(len(labels))]
        splits = ["test"] * len(labels)
        writer.append(ids, splits, labels, score_logits(logits, labels), {"g": groups})


def test_a_table_of_fairlora_needs_no_options(tmp_path: Path) -> None:
    own(tmp_path / "run" / "0.parquet", ("no", "yes"), [0, 1], ["a", "b"])
    found = PredictionStream(tmp_path / "run")
    (chunk,) = found.chunks()
    assert found.classes == ("no", "yes")
    assert chunk.labels.tolist() == [0, 1]
    assert chunk.loss is not None
    assert chunk.probs is not None


@pytest.mark.parametrize("other", [("yes", "no"), ("no", "yes", "maybe")])
def test_tables_of_fairlora_of_other_classes_do_not_mix(
    tmp_path: Path, other: tuple[str, ...]
) -> None:
    """The labels are indices into each file's own classes."""
    own(tmp_path / "run" / "0.parquet", ("no", "yes"), [0, 1], ["a", "b"])
    own(tmp_path / "run" / "1.parquet", other, [0, 1], ["a", "b"])
    with pytest.raises(InputError, match=r"1\.parquet.*classes"):
        list(PredictionStream(tmp_path / "run").chunks())


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (b"{", "broken metadata"),
        (b"{}", "broken metadata"),
        (json.dumps({"version": 99, "classes": ["0"], "groups": []}).encode(), "version 99"),
    ],
)
def test_metadata_that_is_none_is_refused_as_in_memory(
    tmp_path: Path, meta: bytes, message: str
) -> None:
    table = pa.table(columns()).replace_schema_metadata({METADATA_KEY: meta})
    folder = write(tmp_path / "run", table)
    with pytest.raises(InputError, match=message):
        PredictionStream(folder)


def test_labels_that_are_words_in_one_file_and_numbers_in_another_are_the_same_names(
    tmp_path: Path,
) -> None:
    one = {"y": [0, 1], "h": [0, 1], "g": ["a", "b"]}
    two = {"y": ["0", "1"], "h": ["0", "1"], "g": ["a", "b"]}
    found = stream(write(tmp_path / "run", one, two), probs=None)
    assert found.classes == ("0", "1")
    assert [chunk.labels.tolist() for chunk in found.chunks()] == [[0, 1], [0, 1]]


def test_check_groups_sees_the_groups_as_they_are_found(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    two = columns() | {"g": ["c", "d"] * 5}
    stream(
        write(tmp_path / "run", columns(), two),
        check_groups=lambda name, names, rows: seen.append((name, len(names))),
    )
    assert seen == [("g", 2), ("g", 4)]


def test_fields_of_a_struct_in_another_order_in_another_file(tmp_path: Path) -> None:
    names = ["cat", "dog", "owl"]
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 40)
    words = np.array(names)[probs.argmax(axis=1)]
    for k, order in enumerate(([0, 1, 2], [2, 0, 1])):
        rows = slice(20 * k, 20 * k + 20)
        parts = [pa.array(probs[rows, j]) for j in order]
        struct = pa.StructArray.from_arrays(parts, names=[names[j] for j in order])
        columns = {"y": words[rows], "h": words[rows], "g": ["a"] * 20, "p": struct}
        pq.write_table(pa.table(columns), tmp_path / f"{k}.parquet")
    stream = PredictionStream(tmp_path, label="y", pred="h", probs="p", groups=["g"])
    read = np.concatenate([chunk.probs for chunk in stream.chunks() if chunk.probs is not None])
    assert read == pytest.approx(probs, abs=1e-6)
