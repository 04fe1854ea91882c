"""Metrics of a classifier's run from its table of predictions: when it ends, and to verify it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from fairlora.metrics import audit_predictions
from fairlora.metrics.settings import AuditSettings
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.runs.folder import RunFolder

# Sums in another order differ in their last digits.
_CLOSE = 1e-9


def measure(
    predictions: Predictions, audit: AuditSettings, splits: Collection[str]
) -> dict[str, Any]:
    """What ``metrics.json`` holds of a table: the audit of the test rows, and means by split.

    Parameters
    ----------
    predictions : of all splits.
    audit : as the run's spec has it.
    splits : those that have means; None of one that no row is of.
    """
    there = set(np.unique(predictions.split).tolist())
    parts = {name: predictions.select(name) if name in there else None for name in splits}
    test = predictions.select("test")
    return {
        "audit": audit_predictions(test, **audit.model_dump()).to_dict(),
        "mean_loss": {split: part and _mean_loss(part) for split, part in parts.items()},
        "split_accuracy": {split: part and _accuracy(part) for split, part in parts.items()},
    }


def _accuracy(predictions: Predictions) -> float:
    return float(np.mean(predictions.labels == predictions.predictions))


def _mean_loss(predictions: Predictions) -> float | None:
    if predictions.loss is None:
        return None
    return float(np.mean(predictions.loss, dtype=np.float64))


def has_predictions(metrics: Mapping[str, Any]) -> bool:
    """Whether a run's metrics come from a table; a language model predicts no class."""
    return metrics.get("task") != "language"


def difference(folder: RunFolder, audit: AuditSettings) -> str | None:
    """Where a run's metrics are not what its predictions give, in a few words; None where nowhere.

    Parameters
    ----------
    folder : of a classifier's finished run.
    audit : as the run's spec has it.

    Raises
    ------
    InputError : a file of the run cannot be read.
    """
    said = folder.metrics()
    table = read_predictions(folder.predictions)
    found = measure(table, audit, list(said["mean_loss"]))
    found["rows"] = {split: int(np.sum(table.split == split)) for split in said["rows"]}
    said = {**said, "rows": {**said["rows"], **said.get("predicted", {})}}
    return _first_difference({key: said[key] for key in found}, json.loads(json.dumps(found)), "")


def _first_difference(said: Any, found: Any, where: str) -> str | None:
    if isinstance(said, dict) and isinstance(found, dict):
        for key in {**said, **found}:
            spot = f"{where}.{key}" if where else key
            if key not in said or key not in found:
                return f"{spot}: in {'the metrics' if key in said else 'the predictions'} alone"
            deeper = _first_difference(said[key], found[key], spot)
            if deeper is not None:
                return deeper
        return None
    if isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        pairs = enumerate(zip(said, found, strict=True))
        every = (_first_difference(a, b, f"{where}.{k}") for k, (a, b) in pairs)
        return next((one for one in every if one is not None), None)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (said, found))
    same = math.isclose(said, found, rel_tol=_CLOSE, abs_tol=_CLOSE) if numbers else said == found
    return None if same else f"{where}: {said} in the metrics, {found} from the predictions"
