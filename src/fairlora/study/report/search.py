"""Tables and charts of a study's searches: settings chosen, and fronts of objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.report.tables import make_table


def chosen_tables(searches: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each search chose, of how many trials, and how good it was on validation rows."""
    if not searches:
        return []
    rows = []
    for name, search in searches.items():
        for number in search["best"]:
            trial = search["trials"][number]
            values = zip(search["objectives"], trial["values"] or (), strict=False)
            reached = ", ".join(f"{o['name']} {v:.4g}" for o, v in values)
            rows.append([name, str(len(search["trials"])), _settings(trial["params"]), reached])
    caption = "On validation rows; the test rows were not looked at."
    columns = ["<Search", "Trials", "<Chosen", "<Validation"]
    return [make_table("Settings chosen", caption, columns, rows)]


def front_charts(searches: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of searches with two objectives or more: every trial by the first two, with the front."""
    charts = []
    for name, search in searches.items():
        objectives = search["objectives"]
        if len(objectives) < 2:
            continue
        first, second = objectives[:2]
        placed = [(t, t["values"]) for t in search["trials"] if t["values"]]
        if not placed:
            continue
        best = set(search["best"])

        def point(trial: Mapping[str, Any], values: Any) -> dict[str, Any]:
            return {"x": values[1], "y": values[0], "label": _settings(trial["params"])}

        front = [search["trials"][k]["values"] for k in search["front"]]
        series = [
            {"name": "trials", "points": [point(*p) for p in placed if p[0]["number"] not in best]},
            {"name": "chosen", "points": [point(*p) for p in placed if p[0]["number"] in best]},
            {
                "name": "Pareto front",
                "points": [{"x": v[1], "y": v[0]} for v in sorted(front, key=lambda v: v[1])],
                "connected": "stairs",
            },
        ]
        charts.append(
            {
                "title": f"Search of {name}: {first['name']} against {second['name']}",
                "caption": "Validation rows, a point a trial; the front is what the trials attain.",
                "kind": "scatter",
                "x": _axis(second),
                "y": _axis(first),
                "series": [s for s in series if s["points"]],
            }
        )
    return charts


def _axis(objective: Mapping[str, Any]) -> dict[str, Any]:
    from fairlora.metrics.labels import NOT_PERCENT

    axis = {
        "label": str(objective["name"]),
        "better": "higher" if objective["direction"] > 0 else "lower",
    }
    if objective["metric"] not in NOT_PERCENT:
        axis["unit"] = "share"
    return axis


def _settings(params: Mapping[str, Any]) -> str:
    """ "learning_rate 0.001, epochs 4": keys by their last part."""
    return ", ".join(
        f"{key.rsplit('.', 1)[-1]} {value:g}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else f"{key.rsplit('.', 1)[-1]} {value}"
        for key, value in params.items()
    )
