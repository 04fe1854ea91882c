"""Many classes of probabilities: streamed as held, by bytes, and exact against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import fairlora
from fairlora.metrics import auditing, streamed_auc
from fairlora.metrics.counts.auc import auc_of_rows, mean_auc
from fairlora.metrics.counts.one_vs_rest import auc_against_rest
from fairlora.predictions import group_column, opened, spill

CLASSES = 8
GROUPS = ["race", "many"]


def rows(n: int = 600, seed: int = 0, rounded: bool = False) -> dict[str, Any]:
    """Probabilities that are shares of 200, so that there are ties; no row is of the last class.

    Rounded, they are so to three places and do not sum to one.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES - 1, n)
    logits = rng.normal(size=(n, CLASSES)) * 2
    logits[np.arange(n), label] += 2
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    shares = probs.round(3) if rounded else rng.multinomial(200, probs) / 200
    probs = shares.astype(np.float32)
    lists = [list(rng.choice(list("xyz"), rng.integers(0, 3), replace=False)) for _ in range(n)]
    # One that the first chunks have not.
    lists[-1] = list("xyz")
    return {
        "y": label,
        "h": probs.argmax(axis=1),
        "race": rng.choice(["a", "b", "c"], n),
        "many": lists,
        "w": rng.uniform(0.1, 3, n),
        "probs": probs,
    }


def written(path: Path, data: dict[str, Any], kind: str) -> Path:
    probs = data["probs"]
    columns = {name: pa.array(values) for name, values in data.items() if name != "probs"}
    if kind == "lists":
        columns["p_"] = pa.array(list(probs), pa.list_(pa.float32()))
    else:
        columns |= {f"p_{c}": pa.array(probs[:, c].copy()) for c in range(CLASSES)}
    pq.write_table(pa.table(columns), path, row_group_size=250)
    return path


def near(found: Any, expected: Any) -> None:
    """The same to the last digits that adding up in another order leaves."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            near(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            near(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    else:
        assert found == expected


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
@pytest.mark.parametrize("kind", ["lists", "columns"])
def test_streamed_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, weighted: bool
) -> None:
    path = written(tmp_path / "p.parquet", rows(rounded=True), kind)
    options: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p_", "groups": GROUPS}
    options |= {"bootstrap": 50, "weight": "w" if weighted else None, "intersect": [GROUPS]}
    held = fairlora.audit(path, **options).to_dict()
    assert any("sum to 1" in warning for warning in held["warnings"])
    assert held["disparities"]["race&many"]["accuracy_gap"]["expected_by_chance"]
    streamed: list[Any] = []
    whole = auditing.audit_stream

    def seen(*given: Any, **named: Any) -> Any:
        streamed.append(given)
        return whole(*given, **named)

    monkeypatch.setattr(auditing, "audit_stream", seen)
    monkeypatch.setattr(opened, "STREAM_BYTES", 100_000)
    fairlora.audit(path, **options)
    assert not streamed
    monkeypatch.setattr(opened, "STREAM_BYTES", 20_000)
    # Several passes, chunks that are no whole block, and columns by way of the disk.
    monkeypatch.setattr(streamed_auc, "_MOST_BYTES", 1 << 17)
    monkeypatch.setattr(spill, "_MOST_BYTES", 0)
    monkeypatch.setattr(spill, "_OPEN", 3)
    found = fairlora.audit(path, **options).to_dict()
    assert len(streamed) == 1
    near(found, held)
    assert held["overall"]["auc"]["value"] is not None


def test_the_mean_of_the_classes_is_that_of_scikit_learn() -> None:
    data = rows(900)
    y, probs, race = data["y"], data["probs"], data["race"]
    found = fairlora.audit(y, data["h"], {"race": race}, probs, bootstrap=0).to_dict()
    for group in ("a", "b", "c"):
        here = race == group
        each = [
            roc_auc_score(y[here] == c, probs[here, c])
            for c in range(CLASSES)
            if (y[here] == c).any()
        ]
        value = found["by_group"]["race"][group]["auc"]["value"]
        assert value == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
def test_counting_around_own_scores_is_sorting_all(weighted: bool) -> None:
    data = rows(500)
    y, probs = data["y"], data["probs"]
    weights = data["w"] if weighted else None
    columns = {name: group_column(data[name]) for name in GROUPS}
    found = auc_against_rest(probs, y, columns, weights)
    for name, column in columns.items():
        each = [auc_of_rows(probs[:, c], y == c, column, None, weights) for c in range(CLASSES)]
        for one, other in zip(found[name], mean_auc(each), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_too_many_groups_for_either_way_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "p.parquet", rows(200), "lists")
    monkeypatch.setattr(opened, "STREAM_BYTES", 1000)
    monkeypatch.setattr(streamed_auc, "_MOST_BYTES", 10)
    monkeypatch.setattr("fairlora.metrics.stream._MOST_LEVELS", 10)
    found = fairlora.audit(path, label="y", pred="h", probs="p_", groups=["race"], bootstrap=0)
    assert found.to_dict()["overall"]["auc"]["reason"].startswith("too many groups and classes")


@pytest.mark.parametrize("kind", ["lists", "columns"])
def test_a_row_at_fault_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    data = rows(600)
    data["probs"][431] *= 1.5
    path = written(tmp_path / "p.parquet", data, kind)
    monkeypatch.setattr(opened, "STREAM_BYTES", 20_000)
    monkeypatch.setattr(spill, "_MOST_BYTES", 0)
    monkeypatch.setattr(spill, "_OPEN", 3)
    with pytest.raises(fairlora.errors.InputError, match="row 432"):
        fairlora.audit(path, label="y", pred="h", probs="p_", groups=["race"])


def test_a_frame_of_many_columns_streams_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = rows()
    frame = pd.DataFrame({name: data[name] for name in ("y", "h", "race")})
    frame[[f"p_{c}" for c in range(CLASSES)]] = data["probs"]
    options: dict[str, Any] = {"label": "y", "pred": "h", "probs": "p_", "groups": ["race"]}
    options["bootstrap"] = 0
    held = fairlora.audit(frame, **options).to_dict()
    monkeypatch.setattr(opened, "STREAM_BYTES", 20_000)
    near(fairlora.audit(frame, **options).to_dict(), held)
