"""Figures and tables as CSV: a row a point, numbers in full, texts that are no formulas."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest

from fairlora.report import chart_csv, dots_csv, records_csv, table_csv


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def table_of(*texts: str) -> Any:
    columns = [{"name": "c"}]
    return {"title": "", "columns": columns, "rows": [{"cells": [{"text": t}]} for t in texts]}


def test_bars_have_a_row_a_point_in_full_precision(make_chart: Any) -> None:
    chart = make_chart("bars")
    chart["series"][0]["points"][0].update(y=0.1 + 0.2, low=np.float64(1) / 3)
    text = chart_csv(chart)
    assert text.splitlines()[0] == "role,series,category,n,y,low,high,mark_1,mark_2"
    rows = read(text)
    assert [row["role"] for row in rows] == ["point"] * 6 + ["reference"]
    first = rows[0]
    assert (first["series"], first["category"], first["n"]) == ("method 0", "group 0", "1000")
    assert float(first["y"]) == 0.1 + 0.2
    assert float(first["low"]) == 1 / 3
    assert first["mark_2"] == "0.91"
    assert rows[5]["y"] == rows[5]["low"] == rows[5]["mark_1"] == ""
    assert (rows[6]["series"], rows[6]["y"], rows[6]["category"]) == ("everyone", "0.92", "")


def test_lines_and_scatter_have_their_x(make_chart: Any) -> None:
    text = chart_csv(make_chart("lines"))
    assert text.splitlines()[0] == "role,series,x,y,low,high"
    assert text.splitlines()[3] == "point,method 0,8,,,"
    assert text.splitlines()[-1] == "reference,full,,0.93,0.92,0.94"
    text = chart_csv(make_chart("scatter"))
    assert text.splitlines()[0] == "role,series,label,x,x_low,x_high,y,low,high"
    assert "point,LoRA,,0.05,0.03,0.07,0.9,0.89,0.91" in text.splitlines()
    assert "point,Full,rank 1,,,,0.9,," in text.splitlines()


def test_dots_have_a_row_a_point(study_page: dict[str, Any]) -> None:
    dots = study_page["dots"][0]
    dots["reference"] = 0
    dots["panels"][0]["rows"][0]["points"][0].update(strong=False, high=math.inf)
    lines = dots_csv(dots).splitlines()
    assert lines[0] == "role,panel,label,n,series,value,low,high,strong,mark_1,mark_2"
    assert lines[1] == "point,skin_tone,light,1318,LoRA,0.93,0.91,,false,0.92,0.94"
    assert lines[4] == "point,skin_tone,dark,,FairLoRA,,,,,,"
    assert lines[5].startswith("reference,,,,,0,")


def test_a_table_is_its_texts(study_page: dict[str, Any]) -> None:
    assert table_csv(study_page["tables"][0]) == (
        "method,accuracy,gap\nLoRA,91.2%,12.3\nFairLoRA,90.8%,7.9\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "  =1",
        "\r=1",
        "\uff1d1+1",
        "-x",
        "=",
    ],
)
def test_a_text_that_begins_a_formula_gets_an_apostrophe(text: str, make_chart: Any) -> None:
    cell = read(table_csv(table_of(text)))[0]["c"]
    assert cell.startswith("'")
    chart = make_chart("bars")
    chart["series"][0]["name"] = chart["categories"][0]["label"] = text
    first = read(chart_csv(chart))[0]
    assert first["series"].startswith("'")
    assert first["category"].startswith("'")


@pytest.mark.parametrize("text", ["-0.5", "+1,234.5", "-3.2%", "-1e-05", "−0.5", "a=b", "", "x-y"])
def test_numbers_and_plain_texts_stay(text: str) -> None:
    assert table_csv(table_of(text)) == f"c\n{text}\n" or "," in text
    assert (read(table_csv(table_of(text))) or [{"c": ""}])[0]["c"] == text


def test_negative_numbers_are_numbers(make_chart: Any) -> None:
    chart = make_chart("bars")
    chart["series"][0]["points"][0].update(y=-0.25, low=-0.5, high=0)
    assert chart_csv(chart).splitlines()[1].startswith("point,method 0,group 0,1000,-0.25,-0.5,0,")


def test_hostile_texts_come_back_whole(hostile_texts: tuple[str, ...]) -> None:
    texts = ['say "no", twice', "one\ntwo", "a;=1+1", *hostile_texts]
    rows = read(table_csv(table_of(*texts)))
    assert len(rows) == len(texts)
    assert rows[0]["c"] == texts[0]
    assert rows[1]["c"] == texts[1]
    # Read by semicolons, what follows one must not begin a cell.
    assert '"a;=1+1"' in table_csv(table_of("a;=1+1"))


def test_malformed_input_is_refused(make_chart: Any) -> None:
    with pytest.raises(ValueError, match=r"chart\.kind"):
        chart_csv({**make_chart("bars"), "kind": 3})
    with pytest.raises(ValueError, match=r"dots\.unit"):
        dots_csv({"title": "", "panels": []})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=r"table\.columns"):
        table_csv({"title": "", "columns": [], "rows": []})


def test_a_cell_holds_no_control_character() -> None:
    assert records_csv([{"name\x1b[31m": "a\x1b[31m\u202e"}]) == "name\ufffd[31m\na\ufffd[31m\n"
