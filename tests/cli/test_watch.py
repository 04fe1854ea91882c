"""`fairlora watch`: what is added, refused and shown; what the store keeps and what it does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

COLUMNS = ("--label", "y", "--pred", "h", "--group", "g")
Run = Callable[..., Any]


def batch(path: Path, seed: int, right: float = 0.9, n: int = 400, **columns: Any) -> Path:
    """Rows of groups a, b and (a tenth) c, whose accuracy is `right`; of a and b it is 90 %."""
    rng = np.random.default_rng(seed)
    g = rng.choice(["a", "b", "c"], n, p=[0.5, 0.4, 0.1])
    y = rng.integers(0, 2, n)
    h = np.where(rng.random(n) < np.where(g == "c", right, 0.9), y, 1 - y)
    ids = [f"person-{seed}-{k}" for k in range(n)]
    table = pd.DataFrame({"id": ids, "y": y, "h": h, "g": g, **columns})
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def store(fairlora: Run, tmp_path: Path) -> Path:
    """A baseline and a month."""
    path = tmp_path / "watch.parquet"
    first = batch(tmp_path / "1.csv", 1, n=4000)
    done = fairlora("watch", "add", path, first, "--period", "2026-01", *COLUMNS, "--positive", 1)
    assert done.code == 0, done.err
    assert done.out == "2026-01: 4,000 rows added\n"
    done = fairlora("watch", "add", path, batch(tmp_path / "2.csv", 2), "--period", "2026-02")
    assert (done.code, done.out) == (0, "2026-02: 400 rows added\n")
    return path


def report(fairlora: Run, store: Path, *options: object) -> dict[str, Any]:
    done = fairlora("watch", "report", store, "--json", *options)
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def refused(fairlora: Run, store: Path, *command: object) -> str:
    """The one line of a command that is refused; the store stays as it was."""
    before = store.read_bytes() if store.exists() else None
    done = fairlora("watch", *command)
    assert done.code == 2, done.out
    *_, line = done.err.strip().splitlines()
    assert line.startswith("fairlora: ")
    assert (store.read_bytes() if store.exists() else None) == before
    return str(line)


def test_the_rates_are_those_of_an_audit(fairlora: Run, store: Path, tmp_path: Path) -> None:
    found = report(fairlora, store)
    audited = fairlora("audit", tmp_path / "2.csv", *COLUMNS, "--positive", 1, "--json")
    audit = json.loads(audited.out)["by_group"]["g"]
    for name, group in found["by_group"]["g"].items():
        for metric in ("accuracy", "selection_rate", "tpr", "fpr"):
            watched = group[metric]
            assert watched["value"] == pytest.approx(audit[name][metric]["value"])
            assert watched["low"] < watched["value"] < watched["high"]
            assert watched["course"]["value"][1] == watched["value"]
        difference = group["selection_rate"]["difference"]["value"]
        assert abs(difference) == pytest.approx(abs(audit[name]["dpd"]["value"]))
    assert (found["n"], found["alarms"], found["settings"]["tests"]) == (4400, [], 5 * 4 + 4 * 3)
    schema = json.loads(fairlora("schema", "watch").out)
    jsonschema.Draft202012Validator(schema).validate(found)


def test_a_drop_of_one_group_is_found_and_drawn(fairlora: Run, store: Path, tmp_path: Path) -> None:
    for month in range(3, 9):
        rows = batch(tmp_path / "m.csv", month, right=0.5 if month > 3 else 0.9, n=1000)
        assert fairlora("watch", "add", store, rows, "--period", f"2026-0{month}").code == 0
    found = report(fairlora, store)
    first = found["alarms"][0]
    assert (first["group"], first["metric"], first["direction"]) == ("c", "accuracy", "fell")
    assert "2026-04" <= first["period"] <= "2026-05"
    assert {alarm["group"] for alarm in found["alarms"]} == {"c"}
    assert {alarm["against"] for alarm in found["alarms"]} == {"baseline", "rest"}
    assert found["gaps"]["g"]["accuracy"]["lowest"] == ["c"]
    assert report(fairlora, store, "--margin", 0.6)["alarms"] == []
    done = fairlora(
        "watch", "report", store, "--out", tmp_path / "w.html", "--out", tmp_path / "w.md"
    )
    assert "Accuracy of g: c fell, first shown in 2026-0" in " ".join(done.out.split())
    assert "Accuracy of g: c" in (tmp_path / "w.md").read_text(encoding="utf-8")


def test_late_labels_join_by_id_and_no_id_is_kept(
    fairlora: Run, store: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(batch(tmp_path / "3.csv", 3))
    early, labels = tmp_path / "early.csv", tmp_path / "labels.csv"
    rows.drop(columns="y").to_csv(early, index=False)
    done = fairlora("watch", "add", store, early, "--period", "2026-03")
    assert done.out == "no labels yet: selection rates alone until they come\n"
    assert "has no column 'y'" in done.err
    found = report(fairlora, store)
    assert found["unlabelled"] == {"2026-03": 400}
    assert found["overall"]["selection_rate"]["n"] == 800
    assert found["overall"]["accuracy"]["n"] == 400
    rows.sample(frac=1, random_state=0)[["id", "y"]].to_csv(labels, index=False)
    join = ("--join", labels, "--on", "id")
    assert fairlora("watch", "add", store, early, "--period", "2026-03", *join).out == (
        "2026-03: labels of 400 of 400 rows added\n"
    )
    assert report(fairlora, store)["overall"]["accuracy"]["n"] == 800
    assert report(fairlora, store)["unlabelled"] == {}
    again = fairlora("watch", "add", store, early, "--period", "2026-03", *join)
    assert again.out == "2026-03 is there already, with the same tallies: nothing to do\n"
    rows.assign(y=1 - rows["y"])[["id", "y"]].to_csv(labels, index=False)
    line = refused(fairlora, store, "add", store, early, "--period", "2026-03", *join)
    assert "labels that changed" in line
    # Nothing of a row is in the file: neither an id nor as many tallies as there are rows.
    assert b"person-" not in store.read_bytes()
    kept = pq.read_table(store)
    assert kept.column_names == ["entry", "attribute", "group", "label", "pred", "rows"]
    assert kept.num_rows < 80


def test_some_labels_now_and_the_rest_later(fairlora: Run, tmp_path: Path) -> None:
    store, rows = tmp_path / "w.parquet", pd.read_csv(batch(tmp_path / "1.csv", 1))
    options = ("--pred", "h", "--group", "g", "--positive", 1, "--missing-label", "drop")
    early = tmp_path / "early.csv"
    rows.drop(columns="y").to_csv(early, index=False)
    assert fairlora("watch", "add", store, early, "--period", "2026", *options).code == 0
    half = rows.assign(y=rows["y"].astype("Int64").where(np.arange(400) < 200))
    half.to_csv(tmp_path / "half.csv", index=False)
    add = ("watch", "add", store, tmp_path / "half.csv", "--period", "2026", "--label", "y")
    assert fairlora(*add).out == "2026: labels of 200 of 400 rows added\n"
    assert report(fairlora, store)["unlabelled"] == {"2026": 200}
    full = ("watch", "add", store, tmp_path / "1.csv", "--period", "2026")
    assert fairlora(*full).out == "2026: labels of 200 of 400 rows added\n"
    assert report(fairlora, store)["unlabelled"] == {}


def test_periods_and_columns_that_do_not_fit(fairlora: Run, store: Path, tmp_path: Path) -> None:
    rows = batch(tmp_path / "3.csv", 3)

    def add(*options: object, file: Path = rows) -> str:
        return refused(fairlora, store, "add", store, file, *options)

    assert "already, with other content" in add("--period", "2026-02")
    assert "out of order" in add("--period", "2025-12")
    assert "another kind" in add("--period", "2026-Q3")
    assert "not a period" in add("--period", "soon")
    assert "not a period" in add("--period", "2026-13")
    assert "other group columns" in add("--period", "2026-03", "--group", "y")
    assert "another pred" in add("--period", "2026-03", "--pred", "y")
    assert "another positive" in add("--period", "2026-03", "--positive", 0)
    other = tmp_path / "other.csv"
    pd.read_csv(rows).rename(columns={"h": "guess"}).to_csv(other, index=False)
    assert "no column 'h'" in add("--period", "2026-03", file=other)
    line = refused(
        fairlora, tmp_path / "no", "add", tmp_path / "no", rows, "--period", "2026", *COLUMNS,
        "--bin", "g=quantiles:4",
    )  # fmt: skip
    assert "move from batch to batch" in line
    assert "no such store" in refused(fairlora, tmp_path / "no", "report", tmp_path / "no")


def test_new_groups_and_classes_are_counted_aloud(
    fairlora: Run, store: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(batch(tmp_path / "3.csv", 3))
    rows.loc[:6, "g"], rows.loc[:2, "h"] = "d", 2
    rows.to_csv(tmp_path / "3.csv", index=False)
    done = fairlora("watch", "add", store, tmp_path / "3.csv", "--period", "2026-03")
    assert "a new group of g: d (7 rows)" in done.err
    assert "a new class: 2 (predicted for 3 rows)" in done.err
    found = report(fairlora, store)
    new = found["by_group"]["g"]["d"]
    assert (new["new"], new["n"], new["accuracy"]["baseline"]["value"]) == (True, 7, None)
    one = new["accuracy"]
    assert one["low"] < one["value"] < one["high"]
    # Of class 2 rows are neither positive nor selected.
    assert found["overall"]["selection_rate"]["course"]["value"][2] == (rows["h"] == 1).mean()


def test_many_classes_and_lists_of_groups(fairlora: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    lists = [[["a"], ["a", "b"], ["b"], None][k] for k in rng.integers(0, 4, 300)]
    table = pa.table({"y": y, "h": np.where(rng.random(300) < 0.8, y, 0), "g": lists})
    pq.write_table(table, tmp_path / "rows.parquet")
    store = tmp_path / "w.parquet"
    for year in (2025, 2026):
        done = fairlora(
            "watch", "add", store, tmp_path / "rows.parquet", "--period", year, *COLUMNS
        )
        assert done.code == 0, done.err
    found = report(fairlora, store)
    assert found["positive"] is None
    assert "tpr" not in found["overall"]
    sizes = {name: sum(name in (one or []) for one in lists) for name in "ab"}
    assert {k: v["n"] for k, v in found["by_group"]["g"].items()} == {
        k: 2 * n for k, n in sizes.items()
    }
    in_a = np.array(["a" in (one or []) for one in lists])
    known = np.array([one is not None for one in lists])
    hits = table["y"].to_numpy() == table["h"].to_numpy()
    difference = found["by_group"]["g"]["a"]["accuracy"]["difference"]["value"]
    assert difference == pytest.approx(hits[in_a].mean() - hits[known & ~in_a].mean())
    assert "have no group value" in found["warnings"][0]


@pytest.mark.parametrize("harm", ["cut", "empty", "other", "bits", "negative", "later", "key"])
def test_a_store_that_is_broken(fairlora: Run, store: Path, harm: str) -> None:
    content = store.read_bytes()
    if harm == "cut":
        store.write_bytes(content[: len(content) // 2])
    elif harm == "empty":
        store.write_bytes(b"")
    elif harm == "other":
        pq.write_table(pa.table({"x": [1]}), store)
    elif harm == "bits":
        store.write_bytes(content[:40] + bytes(b ^ 255 for b in content[40:60]) + content[60:])
    else:
        table = pq.read_table(store)
        if harm == "negative":
            at = table.column_names.index("rows")
            table = table.set_column(at, "rows", pa.array([-1] * table.num_rows, pa.int64()))
        else:
            text = b'{"version":2}' if harm == "later" else b'{"version":1,"periods":[]}'
            table = table.replace_schema_metadata({b"fairlora.watch": text})
        pq.write_table(table, store)
    assert str(store) in refused(fairlora, store, "report", store)
    rows = store.parent / "2.csv"
    assert str(store) in refused(fairlora, store, "add", store, rows, "--period", "2026-03")


def test_two_writers_at_once(
    fairlora: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlora.metrics.watch.store._SECONDS", 0.1)
    rows = batch(tmp_path / "3.csv", 3)
    with FileLock(store.with_name(f".{store.name}.lock")):
        line = refused(fairlora, store, "add", store, rows, "--period", "2026-03")
        assert "another process is writing this store" in line
        assert report(fairlora, store)["n"] == 4400
    assert fairlora("watch", "add", store, rows, "--period", "2026-03").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes here")
def test_a_full_disk_leaves_the_store_as_it_was(store: Path, tmp_path: Path) -> None:
    import resource

    rows, before = batch(tmp_path / "3.csv", 3), store.read_bytes()

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    command = [sys.executable, "-m", "fairlora", "watch", "add", store, rows, "--period", "2026-03"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=no_room,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"fairlora: {store}: the file is larger")
    assert store.read_bytes() == before
    assert not list(tmp_path.glob("*.partial*"))


def test_rows_that_stream_are_counted_alike(
    fairlora: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlora.predictions.opened.STREAM_ROWS", 10)
    done = fairlora("watch", "add", store, tmp_path / "2.csv", "--period", "2026-02")
    assert done.out == "2026-02 is there already, with the same tallies: nothing to do\n"


def test_names_from_files_do_nothing_to_a_page(fairlora: Run, tmp_path: Path) -> None:
    rows = pd.read_csv(batch(tmp_path / "1.csv", 1))
    rows["g"] = rows["g"].replace({"c": "<script>\x1b[31m"})
    rows.to_csv(tmp_path / "1.csv", index=False)
    store = tmp_path / "w.parquet"
    for year in (2025, 2026):
        fairlora("watch", "add", store, tmp_path / "1.csv", "--period", year, *COLUMNS)
    done = fairlora("watch", "report", store, "--full", "--out", tmp_path / "w.html")
    assert done.code == 0
    assert "\x1b[31m" not in done.out
    assert "<script>\x1b" not in (tmp_path / "w.html").read_text(encoding="utf-8")
    page = (tmp_path / "w.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert page.count("<figure") >= 3
