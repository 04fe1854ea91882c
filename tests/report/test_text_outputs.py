"""Terminal, Markdown and JSON."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from fairlora.report import check_page, print_page, to_json, to_markdown
from fairlora.report.markdown import escape


def printed(page: Any, width: int = 100, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    print_page(page, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_terminal_shows_tables_marks_and_notes(study_page: dict[str, Any]) -> None:
    text = printed(study_page)
    for part in ("Two methods", "91.2% ★", "12.3 ▼", "7.9 †", "★ best", "▼ worst", "† few cases"):
        assert part in text
    assert text.index("Side by side") < text.index("What this does not show")
    assert "Three seeds are few." in text


def test_the_terminal_reads_no_markup_and_sends_no_escape_codes() -> None:
    cells = [{"text": "[red]x"}, {"text": ":smile: \x1b[31m"}]
    page = {
        "title": "[bold]t[/bold]",
        "tables": [
            {
                "title": "[link=x]y",
                "columns": [{"name": "[b]c"}, {"name": "d"}],
                "rows": [{"cells": cells}],
            }
        ],
        "notes": ["[/]"],
    }
    text = printed(page, force_terminal=True, color_system=None)
    for part in ("[red]x", ":smile: \ufffd[31m", "[bold]t[/bold]", "[link=x]y", "[b]c", "[/]"):
        assert part in text
    assert "\x1b[31m" not in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_narrow_terminal_gets_the_table_in_parts(width: int) -> None:
    columns = [{"name": f"metric {i}", "align": "right"} for i in range(10)]
    rows = [
        {"header": True, "cells": [{"text": name}, *({"text": f"0.{i:03}"} for i in range(1, 10))]}
        for name in ("LoRA", "FairLoRA")
    ]
    text = printed(
        {"title": "t", "tables": [{"title": "", "columns": columns, "rows": rows}]}, width
    )
    assert all(cell_len(line) <= width for line in text.splitlines())
    for i in range(1, 10):
        assert text.count(f"0.{i:03}") == 2
    # Every name stands once above its values or, where that is too wide, before each of them.
    joined = " ".join(text.split())
    assert joined.count("metric") == (10 if width >= 80 else 2 * 9)
    if width != 80:  # there, headings are broken into lines
        assert {joined.count(f"metric {i}") for i in range(1, 10)} == {1 if width > 80 else 2}
    # Each row stands in one place.
    assert text.count("FairLoRA") == 1


def test_one_screen_has_the_findings_the_limits_and_where_the_rest_is() -> None:
    table = {"title": "t", "columns": [{"name": "a"}], "rows": []}
    finding = {"text": "b is failed.", "size": "3 points", "verdict": "shown", "mark": "beyond"}
    page: Any = {
        "title": "Page",
        "lead": "A lead.",
        "facts": [{"name": "Rows", "value": "7"}],
        "findings": [{**finding, "text": f"{k} is failed."} for k in range(9)],
        "limits": ["too few"],
        "tables": [table, table],
        "dots": [{"title": "d", "unit": "share", "panels": []}],
        "notes": ["not on one screen"],
    }
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=False)
    print_page(page, console, full=False, rest="--full")
    text = stream.getvalue()
    for said in ("A lead.", "Rows: 7", "0 is failed.", "3 points", "shown ●", "too few"):
        assert said in text
    assert "8 is failed." not in text
    assert "not on one screen" not in text
    assert "In all 2 tables and 1 figure: --full." in text


def test_one_screen_of_main_tables_has_what_fits() -> None:
    columns = [{"name": f"metric{i}", "align": "right"} for i in range(20)]
    rows = [{"cells": [{"text": f"{row}.{i:04}"} for i in range(20)]} for row in range(30)]
    table = {"title": "wide", "caption": "One. Two.", "columns": columns, "rows": rows}
    page: Any = {"title": "", "tables": [{**table, "title": "other"}, {**table, "main": True}]}
    stream = io.StringIO()
    print_page(page, Console(file=stream, width=80), full=False)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "other" not in lines
    assert "One." in lines
    assert lines[-1].startswith("and 18 rows and 1")


@pytest.mark.parametrize("width", [30, 80, 120])
def test_long_names_are_folded_and_nothing_is_cut(width: int) -> None:
    names = ["(all)", "skin tone dark and language Swiss German of the upper Valais", "x" * 150]
    heads = ["group", "rows", "worst group accuracy difference", *(f"metric {i}" for i in range(6))]
    rows = [
        {"cells": [{"text": name}, *({"text": f"{j}{i}.5% (1% to 9%)"} for i in range(8))]}
        for j, name in enumerate(names)
    ]
    table = {"title": "t", "columns": [{"name": head} for head in heads], "rows": rows}
    text = printed({"title": "t", "tables": [table]}, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…" not in text
    for words in (*names[:2], *heads):
        for word in words.split():
            assert word in text
    parts = text.count("(all)")
    assert text.count("x") == 150 * parts
    for j in range(3):
        assert all(f"{j}{i}.5%" in text for i in range(8))
    # Names in lines leave room for more columns beside them.
    assert parts <= {30: 8, 80: 4, 120: 3}[width]


def test_a_terminal_without_unicode_still_prints(
    study_page: dict[str, Any], hostile_page: dict[str, Any]
) -> None:
    for page in (study_page, hostile_page):
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding="ascii")
        print_page(check_page(page), Console(file=file, width=80))
        file.flush()
        assert raw.getvalue().decode("ascii")
    print_page(check_page(study_page), Console(file=io.StringIO(), width=1))


def test_empty_pages_print() -> None:
    assert printed({"title": "Nothing"}) == "Nothing\n"
    table = {"title": "t", "columns": [{"name": "a"}], "rows": []}
    assert "No rows." in printed({"title": "", "tables": [table]})
    assert to_markdown({"title": "Nothing"}) == "# Nothing\n"
    assert json.loads(to_json({"title": "Nothing"})) == {"title": "Nothing"}


def test_markdown_has_tables_and_numbers(study_page: dict[str, Any]) -> None:
    lines = to_markdown(study_page).splitlines()
    assert lines[0] == "# Two methods"
    assert "| method | accuracy | gap |" in lines
    assert "| --- | ---: | ---: |" in lines
    assert "| **LoRA** | **91.2%** ★ | 12.3 ▼ |" in lines
    assert "### skin_tone" in lines
    assert "| **dark** |  | 82.0% (70.0% to 90.0%) | no value |" in lines
    assert lines[-3:] == ["## What this does not show", "", "- Three seeds are few."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a\\|b"),
        ("one\ntwo\r\n\n three", "one two three"),
        ("<script>", "\\<script\\>"),
        ("[a](javascript:x)", "\\[a\\](javascript:x)"),
        ("# no heading", "\\# no heading"),
        ("- no item", "\\- no item"),
        ("1. no item", "1\\. no item"),
        ("---", "\\---"),
        ("-0.5", "-0.5"),
        ("1.0", "1.0"),
        ("skin_tone", "skin_tone"),
        ("_a_ `b` **c** ~~d~~ $e$", "\\_a\\_ \\`b\\` \\*\\*c\\*\\* \\~\\~d\\~\\~ \\$e\\$"),
        ("back\\slash", "back\\\\slash"),
        ("", ""),
    ],
)
def test_markdown_escapes(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_hostile_texts_break_no_markdown_table(hostile_page: dict[str, Any]) -> None:
    text = to_markdown(hostile_page)
    assert "<" not in text.replace("\\<", "")
    text.encode()
    width = None
    for line in text.splitlines():
        bars = line.replace("\\\\", "").replace("\\|", "").count("|")
        if not line.startswith("|"):
            assert bars == 0
            width = None
        else:
            assert bars == (width or bars)
            width = bars


def test_json_comes_back_the_same(study_page: dict[str, Any], hostile_page: dict[str, Any]) -> None:
    for page in (study_page, hostile_page):
        text = to_json(check_page(page))
        text.encode("utf-8")
        assert json.loads(text) == page


def test_json_has_no_nan_and_knows_numpy(study_page: dict[str, Any]) -> None:
    row = study_page["dots"][0]["panels"][0]["rows"][0]
    row["n"] = np.int64(7)
    row["points"][0].update(
        value=math.nan, low=-math.inf, high=np.float32(0.5), marks=[math.inf, 1]
    )
    back = json.loads(to_json(study_page))["dots"][0]["panels"][0]["rows"][0]
    assert back["n"] == 7
    assert back["points"][0]["value"] is None
    assert back["points"][0]["low"] is None
    assert back["points"][0]["high"] == 0.5
    assert back["points"][0]["marks"] == [None, 1]


def test_a_reference_is_told_in_markdown(study_page: dict[str, Any]) -> None:
    study_page["dots"][0]["reference"] = 0
    assert "To compare with: 0.0%." in to_markdown(study_page).splitlines()


def test_malformed_pages_are_refused_everywhere() -> None:
    broken: Any = {"title": "t", "notes": [1]}
    for output in (to_json, to_markdown, printed):
        with pytest.raises(ValueError, match=r"page\.notes\[0\]"):
            output(broken)
