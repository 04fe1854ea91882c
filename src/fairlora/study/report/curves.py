"""The losses of runs over their training, from their logs: of all rows and of each group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlora.metrics.labels import untracked_name
from fairlora.report.tables import in_topic
from fairlora.study.report.measures import Run
from fairlora.study.runs.seal import LOG

TOPIC = "Training"
# A line has so many points at most: a long run's are means of neighbours.
_MOST_POINTS = 60
# More lines than this in one chart cannot be told apart.
_MOST_LINES = 8
_GROUP = "loss/"


def training_charts(runs: Sequence[tuple[str, Run]]) -> list[dict[str, Any]]:
    """The training loss of every run, and of one run alone the loss of each group.

    Parameters
    ----------
    runs : a name and a run, in order; of many the first are drawn. A run that logged fewer than two
        losses has no line.
    """
    logs = {name: _log(run) for name, run in runs[:_MOST_LINES]}
    lines = {}
    for name, rows in logs.items():
        of = "" if len(runs) == 1 else f"{name}"
        lines[of or "training"] = _points(rows, "loss")
        if len(runs) == 1:
            lines["validation"] = _points(rows, "eval_loss")
    more = len(runs) - len(logs)
    charts = _chart("Loss during training", lines, more)
    if len(runs) == 1:
        rows = next(iter(logs.values()))
        groups = dict.fromkeys(key for row in rows for key in row if key.startswith(_GROUP))
        by_group = {untracked_name(key.removeprefix(_GROUP)): _points(rows, key) for key in groups}
        kept = dict(list(by_group.items())[:_MOST_LINES])
        charts += _chart("Loss of each group during training", kept, len(by_group) - len(kept))
    return in_topic(TOPIC, *charts)


def _log(run: Run) -> list[dict[str, Any]]:
    path, status = run.folder.path / LOG, run.folder.status()
    # Of a run from before logs were sealed, nothing says that this is its own.
    if status is None or LOG not in status.files:
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, float]]:
    """(epoch, value) of a key's rows, in at most so many points."""
    known: dict[float, float] = {}
    for row in rows:
        value, epoch = row.get(key), row.get("epoch")
        if isinstance(value, int | float) and isinstance(epoch, int | float):
            known[float(epoch)] = float(value)
    pairs = list(known.items())
    size = -(-len(pairs) // _MOST_POINTS) or 1
    parts = [pairs[k : k + size] for k in range(0, len(pairs), size)]
    return [
        {
            "x": sum(epoch for epoch, _ in part) / len(part),
            "y": sum(value for _, value in part) / len(part),
        }
        for part in parts
    ]


def _chart(
    title: str, lines: Mapping[str, Sequence[dict[str, float]]], more: int
) -> list[dict[str, Any]]:
    """A chart of lines; none where nothing was logged twice."""
    drawn = {name: points for name, points in lines.items() if len(points) > 1}
    if not drawn:
        return []
    caption = "As logged while training, on the rows of the steps since the line before; where a "
    caption += "run logged often, means of neighbours. No intervals: steps are not independent."
    if more > 0:
        caption += f" {more} more are left out."
    return [
        {
            "title": title,
            "caption": caption,
            "kind": "lines",
            "x": {"label": "Epoch"},
            "y": {"label": "Loss (nats)", "better": "lower"},
            "series": [{"name": name, "points": list(points)} for name, points in drawn.items()],
        }
    ]
