"""A column of ids that repeats is said, and rows of one are not taken as independent in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairlora

ROWS = {
    "label": ["yes", "no"] * 30, "pred": ["yes", "yes", "no"] * 20, "sex": ["f", "m", "m"] * 20,
}  # fmt: skip


def warnings_of(tmp_path: Path, columns: dict[str, Any], **options: Any) -> list[str]:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({**ROWS, **columns}), path)
    given = {"label": "label", "pred": "pred", "groups": ["sex"], "bootstrap": 0, **options}
    return fairlora.audit(path, **given).content.warnings


@pytest.mark.parametrize("name", ["id", "doc_id", "sample_id", "ID"])
def test_three_epochs_of_twenty_questions(tmp_path: Path, name: str) -> None:
    said = [text for text in warnings_of(tmp_path, {name: list(range(20)) * 3}) if name in text]
    assert said == [
        f"column {name} has 20 values in 60 rows: where the rows of one belong together (epochs, "
        f"filters, crops), intervals need --cluster {name}"
    ]


def test_ids_of_their_own_and_clusters_are_not_said(tmp_path: Path) -> None:
    unique = warnings_of(tmp_path, {"id": np.arange(60)})
    lists = warnings_of(tmp_path, {"id": [[1]] * 60})
    clustered = warnings_of(tmp_path, {"id": [str(k // 3) for k in range(60)]}, clusters="id")
    assert not [text for text in (*unique, *lists, *clustered) if text.startswith("column id")]


def test_scores_have_the_note_too(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({**ROWS, "id": [1] * 60, "s": [0.5, 0.7] * 30}), path)
    from fairlora.predictions.scores import read_scores

    notes = read_scores(path, "s", groups=["sex"]).notes
    assert any(note.startswith("column id has 1 values in 60 rows") for note in notes)
