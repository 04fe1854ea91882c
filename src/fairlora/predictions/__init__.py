"""Room `predictions`: the predictions table: schema, writing, reading, checking."""

from __future__ import annotations

from fairlora.predictions.columns import GroupColumn, group_column
from fairlora.predictions.files import read_predictions, read_table
from fairlora.predictions.table import (
    OWN_COLUMNS,
    Predictions,
    PredictionsWriter,
    Scores,
    score_logits,
    write_predictions,
)

__all__ = [
    "OWN_COLUMNS",
    "GroupColumn",
    "Predictions",
    "PredictionsWriter",
    "Scores",
    "group_column",
    "read_predictions",
    "read_table",
    "score_logits",
    "write_predictions",
]
