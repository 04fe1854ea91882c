"""`fairlora.audit` of a path or a frame: the same numbers as of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fairlora
from fairlora.errors import InputError
from fairlora.predictions import opened


def frame(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    p = rng.random(n).round(6)  # JSON keeps ten decimals
    return pd.DataFrame(
        {
            "y": np.where(rng.random(n) < 0.5, "yes", "no"),
            "h": np.where(p > 0.5, "yes", "no"),
            "p": p,
            "sex": rng.choice(["f", "m", None], n),
            "person": rng.integers(0, 50, n),
        }
    )


OPTIONS: dict[str, Any] = {"bootstrap": 50, "positive": "yes"}
NAMED: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p", "groups": ["sex"], **OPTIONS}


def of_columns(rows: pd.DataFrame, **options: Any) -> dict[str, Any]:
    return fairlora.audit(
        rows["y"], rows["h"], {"sex": rows["sex"]}, rows["p"], **OPTIONS, **options
    ).to_dict()


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {k: v for k, v in found.items() if k != "warnings"} == {
        k: v for k, v in expected.items() if k != "warnings"
    }


@pytest.mark.parametrize(
    "kind",
    {
        "pandas": lambda rows, _: rows,
        "polars": lambda rows, _: pl.from_pandas(rows),
        "arrow": lambda rows, _: pa.Table.from_pandas(rows),
        "columns": lambda rows, _: {name: rows[name] for name in rows},
    }.items(),
    ids=lambda kind: kind[0],
)
def test_a_frame_is_audited_by_the_names_of_its_columns(kind: Any) -> None:
    rows = frame()
    same(fairlora.audit(kind[1](rows, None), **NAMED).to_dict(), of_columns(rows))


def test_a_path_is_audited_and_joined_as_the_command_does(tmp_path: Path) -> None:
    rows = frame().assign(id=range(400))
    path, people = tmp_path / "rows.json", tmp_path / "people.csv"
    rows.drop(columns="sex").to_json(path, orient="split")
    rows[["id", "sex"]].to_csv(people, index=False)
    expected = of_columns(rows, clusters=rows["person"])
    for given in (path, str(path)):
        found = fairlora.audit(given, **NAMED, clusters="person", join={people: "id"})
        same(found.to_dict(), expected)


def test_a_large_csv_streams_and_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = frame()
    path = tmp_path / "rows.csv"
    rows.to_csv(path, index=False)
    whole = fairlora.audit(path, **NAMED).to_dict()
    same(whole, of_columns(rows))
    monkeypatch.setattr(opened, "STREAM_ROWS", 10)
    streamed = fairlora.audit(path, **NAMED).to_dict()
    for group in ("f", "m"):
        for metric in ("accuracy", "tpr", "fpr", "selection_rate", "ece"):
            assert streamed["by_group"]["sex"][group][metric] == pytest.approx(
                whole["by_group"]["sex"][group][metric], rel=1e-6
            )


def test_a_search_for_subgroups_and_clusters_have_the_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "STREAM_ROWS", 10)
    rows = frame()
    path = tmp_path / "rows.csv"
    rows.to_csv(path, index=False)
    same(fairlora.audit(path, **NAMED, subgroups=1).to_dict(), of_columns(rows, subgroups=1))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a list; expected a path or a frame; or labels"):
        fairlora.audit([1, 0], label="y")
    with pytest.raises(InputError, match="groups: no groups"):
        fairlora.audit([1, 0], [1, 0])
    with pytest.raises(InputError, match="no column 'z'"):
        fairlora.audit(frame(), label="z", pred="h", groups="sex")
    frame().to_csv(tmp_path / "a.csv")
    with pytest.raises(InputError, match="clusters need the rows in memory"):
        fairlora.audit(tmp_path, **NAMED, clusters="person")
