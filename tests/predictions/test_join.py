"""Tables joined by id: which rows get what, what is counted, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.predictions import opened, read_table
from fairlora.predictions.join import joins_of
from fairlora.predictions.opened import opened_for
from fairlora.predictions.streaming import PredictionStream

ROWS = "id,y,h\na,1,1\nb,0,1\nc,0,0\na,1,0\n"
PEOPLE = "id,race,age\nc,white,30\na,black,40\nz,other,50\n"


def written(folder: Path, people: str = PEOPLE, rows: str = ROWS) -> tuple[Path, Path]:
    main, other = folder / "rows.csv", folder / "people.csv"
    main.write_text(rows)
    other.write_text(people)
    return main, other


def read(main: Path, *others: Path, on: str = "id", **options: Any) -> Any:
    given: dict[str, Any] = {"label": "y", "pred": "h", "groups": ["race"]} | options
    return read_table(main, **given, joins=joins_of(others, [on]))


def test_groups_of_another_file_are_found_by_id(tmp_path: Path) -> None:
    main, other = written(tmp_path)
    found = read(main, other)
    assert found.groups["race"].tolist() == ["black", "(missing)", "white", "black"]
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert (
        f"{other}: 1 of 4 rows have an id that is not there ('b', for one); race: missing in them"
    ) in found.notes


def test_a_stream_is_joined_as_a_table_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "STREAM_ROWS", 1)
    main, other = written(tmp_path)
    joins = joins_of([other], ["id"])
    table = opened_for(main, None, ["race"], {"label": "y", "pred": "h"}, joins)
    assert table.streams
    stream = PredictionStream(table, label="y", pred="h", groups=["race"])
    groups = [name for chunk in stream.chunks() for name in chunk.groups["race"]]
    assert groups == ["black", "(missing)", "white", "black"]
    assert sum("1 of 4 rows have an id that is not there" in note for note in stream.notes) == 1


def test_labels_may_be_joined_and_ids_have_two_names(tmp_path: Path) -> None:
    labels = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"image": [3, 1, 2], "y": ["no", "yes", "no"]}), labels)
    main, _ = written(tmp_path, rows="file,h,race\n1,yes,a\n2,no,b\n3,yes,a\n")
    found = read(main, labels, on="file=image")
    assert [found.classes[k] for k in found.labels] == ["yes", "no", "no"]


def test_several_files_are_joined_each_by_its_own_id(tmp_path: Path) -> None:
    main, other = written(tmp_path)
    sites = tmp_path / "sites.jsonl"
    sites.write_text('{"key": "1", "site": "x"}\n{"key": "0", "site": "y"}\n')
    joins = joins_of([other, sites], ["id", "y=key"])
    found = read_table(main, label="y", pred="h", groups=["race", "site"], joins=joins)
    assert found.groups["site"].tolist() == ["x", "y", "y", "x"]


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (
            PEOPLE + "a,white,41\nc,white,30\n",
            "people.csv, column id: an id stands twice (found 2 ids in several rows: 'a' in rows 2 "
            "and 4; expected each id once)",
        ),
        (PEOPLE + ",white,41\n", "column id: missing id (found 1 rows without one"),
        (
            PEOPLE.replace("age", "h"),
            "people.csv: column 'h' stands in two files that are joined (found in",
        ),
        (PEOPLE.replace("race", "sex"), "nothing in this file is asked for (found sex, age"),
        ("key,race\na,b\n", "people.csv (--on): no column 'id' (expected one of key, race)"),
        ("id,race\n1,b\n2,w\n", "rows.csv, column id: no id matches (found 'a'; expected ids of"),
    ],
)
def test_a_join_that_cannot_be_meant_is_refused(people: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(*written(tmp_path, people))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("files", "on", "expected"),
    [
        (1, [], "--join: which column holds the ids?"),
        (0, ["id"], "--on: columns of ids without files (found 1 columns, 0 files"),
        (3, ["a", "b"], "--on: columns of ids without files (found 2 columns, 3 files"),
    ],
)
def test_files_and_columns_of_ids_go_together(files: int, on: list[str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        joins_of([Path("p.csv")] * files, on)
    assert expected in str(caught.value)
