"""An audit that streams is the audit of the same rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.metrics import audit, audit_predictions
from fairlora.metrics.settings import Settings
from fairlora.metrics.stream import audit_stream
from fairlora.predictions import PredictionsWriter, read_table, score_logits

NumbersOf = Callable[[Any], dict[tuple[str, ...], dict[str, Any]]]


def frame(n: int = 600, classes: int = 2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    probs = rng.dirichlet(np.ones(classes), n)
    probs = ((probs + np.eye(classes)[label]) / 2).astype(np.float32)
    out = pd.DataFrame({"y": label, "h": probs.argmax(axis=1)})
    for c in range(classes):
        out[f"p_{c}"] = probs[:, c]
    out["sex"] = rng.choice(["f", "m"], n)
    out["age"] = rng.integers(1, 12, n)
    return out


def parts(folder: Path, table: pa.Table, sizes: tuple[int, ...] = (100, 350)) -> Path:
    """The rows in three files."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = [0, *sizes, table.num_rows]
    for k, (start, end) in enumerate(pairwise(ends)):
        pq.write_table(table.slice(start, end - start), folder / f"part-{k}.parquet")
    return folder


@pytest.fixture
def alike(numbers_of: NumbersOf) -> Callable[[Any, Any], None]:
    def check(streamed: Any, whole: Any) -> None:
        found, expected = numbers_of(streamed), numbers_of(whole)
        assert list(found) == list(expected)
        for path, number in expected.items():
            # Scores are put into histograms; everything else is the same.
            near = 2e-4 if any("auc" in part for part in path) else 1e-6
            for end in ("value", "low", "high"):
                assert found[path][end] == pytest.approx(number[end], abs=near), (path, end)
            assert found[path].get("reason") == number.get("reason"), path
        for name in ("n", "classes", "positive"):
            assert streamed[name] == whole[name]
        # A column of a file has a name, which may say of which class its probabilities are.
        said = [text for text in streamed["warnings"] if "is the probability of" not in text]
        assert said == whole["warnings"]

    return check


Alike = Callable[[Any, Any], None]
PROBS = ["p_0", "p_1"]


def test_a_folder_of_files_is_audited_as_all_rows(tmp_path: Path, alike: Alike) -> None:
    rows = frame()
    folder = parts(tmp_path / "run", pa.Table.from_pandas(rows))
    settings = Settings(positive="1", bootstrap=300)
    found = audit_stream(
        folder, label="y", pred="h", probs="p_", groups=["sex", "age"], settings=settings
    )
    groups = {name: rows[name] for name in ("sex", "age")}
    whole = audit(rows["y"], rows["h"], groups, rows[PROBS], positive=1, bootstrap=300)
    alike(found.to_dict(), whole.to_dict())


def test_whole_numbers_are_in_order_of_size(tmp_path: Path) -> None:
    folder = parts(tmp_path / "run", pa.Table.from_pandas(frame()))
    found = audit_stream(folder, label="y", pred="h", groups=["age"]).to_dict()
    assert list(found["by_group"]["age"]) == [str(k) for k in range(1, 12)]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["lists", "prefix"])
def test_probabilities_of_any_form(tmp_path: Path, alike: Alike, classes: int, kind: str) -> None:
    rows = frame(classes=classes)
    matrix = rows[[f"p_{c}" for c in range(classes)]].to_numpy()
    table = pa.Table.from_pandas(rows)
    if kind == "lists":
        table = table.append_column("p", pa.array(matrix.tolist(), pa.list_(pa.float32())))
    options: dict[str, Any] = {"bootstrap": 0, "positive": "1" if classes == 2 else None}
    found = audit_stream(
        parts(tmp_path / "run", table),
        label="y",
        pred="h",
        probs="p" if kind == "lists" else "p_",
        groups=["sex"],
        settings=Settings(**options),
    )
    alike(
        found.to_dict(),
        audit(rows["y"], rows["h"], {"sex": rows["sex"]}, matrix, **options).to_dict(),
    )


@pytest.mark.parametrize("positive", ["0", "1"])
def test_one_column_of_the_positive_class(tmp_path: Path, alike: Alike, positive: str) -> None:
    rows = frame()
    found = audit_stream(
        parts(tmp_path / "run", pa.Table.from_pandas(rows)),
        label="y",
        pred="h",
        probs=f"p_{positive}",
        groups=["sex"],
        settings=Settings(positive=positive, bootstrap=0),
    )
    whole = audit(
        rows["y"], rows["h"], {"sex": rows["sex"]}, rows[PROBS], positive=positive, bootstrap=0
    )
    alike(found.to_dict(), whole.to_dict())


def test_predictions_come_from_the_probabilities_where_no_column_holds_them(tmp_path: Path) -> None:
    rows = frame(classes=3)
    folder = parts(tmp_path / "run", pa.Table.from_pandas(rows.drop(columns="h")))
    found = audit_stream(folder, label="y", probs="p_", groups=["sex"]).to_dict()
    assert found["overall"]["accuracy"]["value"] == (rows["y"] == rows["h"]).mean()


def test_dictionaries_that_differ_from_file_to_file(tmp_path: Path, alike: Alike) -> None:
    rows = frame(300)
    # Sorted by group: no two files have the same groups, and the dictionaries begin otherwise.
    rows = rows.sort_values("age", ignore_index=True)
    rows["word"] = [f"w{11 - k}" for k in rows["age"]]
    rows["label"], rows["pred"] = (rows[c].map({0: "no", 1: "yes"}) for c in ("y", "h"))
    folder = tmp_path / "run"
    folder.mkdir()
    for k in range(3):
        part = rows.iloc[100 * k : 100 * (k + 1)].copy()
        for name in ("word", "label", "pred"):
            part[name] = part[name].astype("category")
        pq.write_table(pa.Table.from_pandas(part), folder / f"{k}.parquet")
    found = audit_stream(
        folder, label="label", pred="pred", groups=["word"], settings=Settings(bootstrap=0)
    )
    whole = audit(rows["label"], rows["pred"], {"word": rows["word"]}, bootstrap=0)
    alike(found.to_dict(), whole.to_dict())


def test_a_file_without_a_class_or_a_group(tmp_path: Path, alike: Alike) -> None:
    rows = frame(classes=3).sort_values(["y", "sex"], ignore_index=True)
    found = audit_stream(
        parts(tmp_path / "run", pa.Table.from_pandas(rows)),
        label="y",
        pred="h",
        probs="p_",
        groups=["sex"],
        settings=Settings(bootstrap=0),
    )
    probs = rows[["p_0", "p_1", "p_2"]]
    alike(
        found.to_dict(),
        audit(rows["y"], rows["h"], {"sex": rows["sex"]}, probs, bootstrap=0).to_dict(),
    )


def test_overlapping_groups(tmp_path: Path, alike: Alike) -> None:
    rng = np.random.default_rng(1)
    rows = frame()
    lists = [list(rng.choice(list("abc"), rng.integers(0, 3), replace=False)) for _ in range(600)]
    # The first file has lists that the last has not.
    lists[:100] = [["a", "d"]] * 100
    table = pa.Table.from_pandas(rows).append_column("many", pa.array(lists, pa.list_(pa.string())))
    settings = Settings(positive="1", bootstrap=0)
    found = audit_stream(
        parts(tmp_path / "run", table),
        label="y",
        pred="h",
        probs="p_",
        groups=["many"],
        settings=settings,
    )
    whole = audit(rows["y"], rows["h"], {"many": lists}, rows[PROBS], positive=1, bootstrap=0)
    alike(found.to_dict(), whole.to_dict())


def test_missing_groups(tmp_path: Path, alike: Alike) -> None:
    rows = frame()
    some = [None if k % 7 == 0 else k % 11 for k in range(600)]
    word = [None if k < 150 else "x" for k in range(600)]
    table = pa.Table.from_pandas(rows).append_column("some", pa.array(some))
    table = table.append_column("word", pa.array(word))
    pq.write_table(table, tmp_path / "whole.parquet")
    columns: dict[str, Any] = {"label": "y", "pred": "h", "groups": ["some", "word"]}
    settings = Settings(bootstrap=0)
    found = audit_stream(parts(tmp_path / "run", table), **columns, settings=settings)
    expected = [*(str(k) for k in range(11)), "(missing)"]
    assert list(found.to_dict()["by_group"]["some"]) == expected
    whole = read_table(tmp_path / "whole.parquet", **columns)
    alike(found.to_dict(), audit_predictions(whole, settings).to_dict())


def test_combinations_are_those_that_rows_have(tmp_path: Path, alike: Alike) -> None:
    rows = frame()
    # Nobody is f and 1: that is no group.
    rows.loc[rows["age"] == 1, "sex"] = "m"
    settings = Settings(bootstrap=0, intersect=(("sex", "age"),))
    found = audit_stream(
        parts(tmp_path / "run", pa.Table.from_pandas(rows)),
        label="y",
        pred="h",
        groups=["sex", "age"],
        settings=settings,
    )
    groups = {name: rows[name] for name in ("sex", "age")}
    whole = audit(rows["y"], rows["h"], groups, bootstrap=0, intersect=[["sex", "age"]])
    assert set(found.to_dict()["by_group"]["sex&age"]) == set(
        whole.to_dict()["by_group"]["sex&age"]
    )
    alike(found.to_dict(), whole.to_dict())


def test_combinations_of_overlapping_groups(tmp_path: Path, alike: Alike) -> None:
    rows = frame()
    lists = [[["a"], ["b"], ["a", "b"], []][k % 4] for k in range(600)]
    table = pa.Table.from_pandas(rows).append_column("many", pa.array(lists, pa.list_(pa.string())))
    settings = Settings(bootstrap=0, intersect=(("many", "sex"),))
    found = audit_stream(
        parts(tmp_path / "run", table),
        label="y",
        pred="h",
        groups=["many", "sex"],
        settings=settings,
    )
    groups = {"many": lists, "sex": rows["sex"]}
    whole = audit(rows["y"], rows["h"], groups, bootstrap=0, intersect=[["many", "sex"]])
    alike(found.to_dict(), whole.to_dict())


def own_table(path: Path, rows: pd.DataFrame, splits: list[str], start: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    logits = np.log(rows[PROBS].to_numpy())
    with PredictionsWriter(path, ("no", "yes"), ["sex"]) as writer:
        ids = [str(start + k) for k in range(len(rows))]
        labels = rows["y"].to_numpy()
        writer.append(ids, splits, labels, score_logits(logits, labels), {"sex": rows["sex"]})


@pytest.mark.parametrize("split", [None, "train"])
def test_tables_of_fairlora_by_their_split(tmp_path: Path, alike: Alike, split: str | None) -> None:
    rows = frame(400)
    # A group that the test split has not is no group of its audit.
    rows.loc[rows.index % 4 == 3, "sex"] = "x"
    splits = ["train" if k % 4 == 3 else "test" for k in range(400)]
    own_table(tmp_path / "run" / "0.parquet", rows[:150], splits[:150])
    own_table(tmp_path / "run" / "1.parquet", rows[150:], splits[150:], 150)
    own_table(tmp_path / "whole.parquet", rows, splits)
    settings = Settings(bootstrap=0, positive="yes")
    found = audit_stream(tmp_path / "run", split=split, settings=settings).to_dict()
    table = read_table(tmp_path / "whole.parquet").select(split or "test")
    alike(found, audit_predictions(table, settings).to_dict())


def test_power_and_suggestions_stream_too(tmp_path: Path, alike: Alike) -> None:
    rows = frame()
    options: dict[str, Any] = {
        "bootstrap": 0,
        "positive": "1",
        "power": 0.05,
        "suggests": {"sex": {"f": "0", "m": "1"}},
    }
    folder = parts(tmp_path / "run", pa.Table.from_pandas(rows))
    found = audit_stream(folder, label="y", pred="h", groups=["sex"], settings=Settings(**options))
    whole = audit(rows["y"], rows["h"], {"sex": rows["sex"]}, **options)
    alike(found.to_dict(), whole.to_dict())
    assert found.to_dict()["power"] == whole.to_dict()["power"]


def test_progress_counts_both_passes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = parts(tmp_path / "run", pa.Table.from_pandas(frame()))
    audit_stream(
        folder,
        label="y",
        pred="h",
        groups=["sex"],
        settings=Settings(bootstrap=0),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (1200, 1200)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_too_many_groups_are_refused_as_soon_as_they_are_seen(tmp_path: Path) -> None:
    rows = frame().assign(id=range(600))
    folder = parts(tmp_path / "run", pa.Table.from_pandas(rows))
    with pytest.raises(InputError, match=r"group column 'id': too many groups \(found 350 "):
        audit_stream(folder, label="y", pred="h", groups=["id"], settings=Settings(max_groups=300))


def test_too_many_combinations_are_refused_as_in_memory(tmp_path: Path) -> None:
    rows = frame()
    options: dict[str, Any] = {"intersect": (("sex", "age"),), "max_groups": 20, "bootstrap": 0}
    with pytest.raises(InputError, match="'sex&age': too many groups"):
        audit(rows["y"], rows["h"], {"sex": rows["sex"], "age": rows["age"]}, **options)
    folder = parts(tmp_path / "run", pa.Table.from_pandas(rows))
    with pytest.raises(InputError, match="'sex&age': too many groups"):
        audit_stream(
            folder, label="y", pred="h", groups=["sex", "age"], settings=Settings(**options)
        )


def test_an_unknown_combination_is_refused(tmp_path: Path) -> None:
    folder = parts(tmp_path / "run", pa.Table.from_pandas(frame()))
    settings = Settings(intersect=(("sex", "nope"),))
    with pytest.raises(InputError, match="found sex,nope"):
        audit_stream(folder, label="y", pred="h", groups=["sex"], settings=settings)


def test_a_search_for_subgroups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--subgroups: a search .* in memory"):
        audit_stream(tmp_path, settings=Settings(subgroups=2))


def test_lists_of_groups_in_one_file_and_words_in_another(tmp_path: Path) -> None:
    base = {"y": [0, 1] * 10, "h": [0, 1] * 10}
    pq.write_table(pa.table({**base, "g": [["a", "b"]] * 20}), tmp_path / "0.parquet")
    pq.write_table(pa.table({**base, "g": ["b"] * 20}), tmp_path / "1.parquet")
    found = audit_stream(tmp_path, label="y", pred="h", groups=["g"]).to_dict()
    sizes = {name: row["n"] for name, row in found["by_group"]["g"].items()}
    assert sizes == {"a": 20, "b": 40}


def test_files_of_other_endings_are_read_or_said(tmp_path: Path) -> None:
    table = pa.table({"y": [0, 1] * 10, "h": [0, 1] * 10, "g": ["a", "b"] * 10})
    for name in ("0.parquet", "1.pq", "2.PARQUET", "3.parq", "_part.parquet", ".hidden"):
        pq.write_table(table, tmp_path / name)
    (tmp_path / "4.csv").write_text("y,h,g\n0,0,a\n")
    (tmp_path / "_SUCCESS").write_text("")
    found = audit_stream(tmp_path, label="y", pred="h", groups=["g"]).to_dict()
    assert found["n"] == 80
    assert [text for text in found["warnings"] if "not read" in text] == [
        f"{tmp_path.name}: files of other formats were not read: 4.csv"
    ]
