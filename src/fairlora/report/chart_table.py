"""The numbers that a chart draws as a table, for every output that draws no picture."""

from __future__ import annotations

from fairlora.report.chart import Chart, ChartPoint, unit_of
from fairlora.report.chart_scale import value_text
from fairlora.report.chart_view import axis_name, place_text, reference_words
from fairlora.report.dots_view import finite, number_text, point_text
from fairlora.report.page import Cell, Column, Row, Table
from fairlora.report.text import one_line


def chart_table(chart: Chart, compact: bool = False) -> Table:
    """Return the numbers of `chart` (checked) as a table; its caption says what they are.

    Bars and lines have a row a category or number and a column a series, a scatter a row a point.
    A point that a series lacks is a dash, one that is missing says so. `compact` is for narrow
    places: shares in percent without the sign, intervals in brackets: "84.1 [80.2, 87.5]".
    """
    rows, columns = (
        _scatter(chart, compact) if chart["kind"] == "scatter" else _grid(chart, compact)
    )
    sentences = [chart.get("caption", ""), _what(chart, compact), *_references(chart)]
    return {
        "title": chart["title"],
        "caption": " ".join(_sentence(text) for text in sentences if one_line(text)),
        "columns": columns,
        "rows": rows,
    }


def _grid(chart: Chart, compact: bool) -> tuple[list[Row], list[Column]]:
    columns: list[Column] = [{"name": chart["x"]["label"], "align": "left"}]
    counted = any(category.get("n") is not None for category in chart.get("categories", []))
    if counted:
        columns.append({"name": "n", "align": "right"})
    columns.extend({"name": series["name"], "align": "right"} for series in chart["series"])
    points = [{point["x"]: point for point in series["points"]} for series in chart["series"]]
    places: list[float]
    if chart["kind"] == "bars":
        places = list(range(len(chart["categories"])))
    else:
        places = sorted({x for by_place in points for x in by_place if x is not None})
    rows: list[Row] = []
    for place in places:
        bars = chart["kind"] == "bars"
        name = (
            chart["categories"][int(place)]["label"]
            if bars
            else place_text({"x": place, "y": None}, chart)
        )
        cells: list[Cell] = [{"text": name}]
        if counted:
            n = chart["categories"][int(place)].get("n")
            cells.append({"text": "" if n is None else f"{n:,}"})
        cells.extend(
            {"text": _labelled(by_place[place], chart, compact) if place in by_place else "–"}
            for by_place in points
        )
        rows.append({"cells": cells, "header": True})
    return rows, columns


def _labelled(point: ChartPoint, chart: Chart, compact: bool) -> str:
    label = one_line(point.get("label", ""))
    return _text(point, chart, "y", compact) + (f" ({label})" if label else "")


def _scatter(chart: Chart, compact: bool) -> tuple[list[Row], list[Column]]:
    pairs = [(series["name"], point) for series in chart["series"] for point in series["points"]]
    labelled = any(point.get("label") for _, point in pairs)
    columns: list[Column] = [{"name": "", "align": "left"}]
    if labelled:
        columns.append({"name": "point", "align": "left"})
    columns += [{"name": axis_name(chart, key), "align": "right"} for key in ("x", "y")]
    rows: list[Row] = []
    for name, point in pairs:
        cells: list[Cell] = [{"text": name}]
        if labelled:
            cells.append({"text": point.get("label", "")})
        cells += [{"text": _text(point, chart, key, compact)} for key in ("x", "y")]
        rows.append({"cells": cells, "header": True})
    return rows, columns


def _text(point: ChartPoint, chart: Chart, key: str, compact: bool) -> str:
    if key == "x":
        value, low, high = point["x"], point.get("x_low"), point.get("x_high")
        unit = unit_of(chart["x"])
        if finite(low) is None and finite(high) is None and value is not None and unit == "number":
            return value_text(value, unit) if finite(value) is not None else "no value"
    else:
        value, low, high = point["y"], point.get("low"), point.get("high")
        unit = unit_of(chart["y"])
    words = point_text({"series": "", "value": value, "low": low, "high": high}, unit)
    if not compact or finite(value) is None:
        return words
    text = number_text(value, unit).rstrip("%")
    if finite(low) is None and finite(high) is None:
        return text
    ends = ", ".join(number_text(end, unit).rstrip("%") for end in (low, high))
    return f"{text} [{ends}]"


def _what(chart: Chart, compact: bool) -> str:
    """Return what the numbers are, where the columns' names do not say so."""
    keys = ("x", "y") if chart["kind"] == "scatter" else ("y",)
    text = axis_name(chart, "y") if keys == ("y",) else ""
    shares = [key for key in keys if unit_of(chart["x"] if key == "x" else chart["y"]) == "share"]
    if compact and shares:
        text = f"{text}, in percent" if text else "Shares in percent"
    spans = any(
        finite(end) is not None
        for series in chart["series"]
        for point in series["points"]
        for end in (point.get("low"), point.get("high"), point.get("x_low"), point.get("x_high"))
    )
    if not spans:
        return text
    return f"{text}; intervals in brackets" if text else "Intervals in brackets"


def _references(chart: Chart) -> list[str]:
    told = [reference_words(one, chart) for one in chart.get("references", [])]
    return [f"To compare with: {'; '.join(told)}"] if told else []


def _sentence(text: str) -> str:
    text = one_line(text)
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."
