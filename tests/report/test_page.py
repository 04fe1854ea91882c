"""Pages: what passes unchanged, what is refused by its key, and what importing loads."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.report import check_dots, check_page
from fairlora.report.page import clean_page, marks_used


def test_a_whole_page_and_an_empty_one_pass_unchanged(study_page: dict[str, Any]) -> None:
    before = copy.deepcopy(study_page)
    assert check_page(study_page) is study_page
    assert study_page == before
    check_page({"title": ""})


def test_numpy_numbers_are_numbers(study_page: dict[str, Any]) -> None:
    row = study_page["dots"][0]["panels"][0]["rows"][0]
    row["n"] = np.int64(4)
    row["points"][0]["value"] = np.float32(0.5)
    check_page(study_page)


Change = Callable[[dict[str, Any]], object]
BROKEN: list[tuple[str, Change]] = [
    ("page.title", lambda p: p.pop("title")),
    ("page.title", lambda p: p.update(title=3)),
    ("page.table", lambda p: p.update(table=[])),
    ("page.lead", lambda p: p.update(lead=None)),
    ("page.notes", lambda p: p.update(notes="one note")),
    ("page.notes[1]", lambda p: p.update(notes=["a", 2])),
    ("page.facts[0].value", lambda p: p["facts"][0].pop("value")),
    ("page.tables[0].columns", lambda p: p["tables"][0].update(columns=[], rows=[])),
    ("page.tables[0].columns[1].align", lambda p: p["tables"][0]["columns"][1].update(align="up")),
    ("page.tables[0].rows[1].cells", lambda p: p["tables"][0]["rows"][1]["cells"].pop()),
    (
        "page.tables[0].rows[0].cells[1].mark",
        lambda p: p["tables"][0]["rows"][0]["cells"][1].update(mark="good"),
    ),
    (
        "page.tables[0].rows[0].cells[1].mark",
        lambda p: p["tables"][0]["rows"][0]["cells"][1].update(mark=["best"]),
    ),
    ("page.tables[0].rows[0].header", lambda p: p["tables"][0]["rows"][0].update(header=1)),
    ("page.dots[0].unit", lambda p: p["dots"][0].update(unit="percent")),
    ("page.dots[0].panels[0]", lambda p: p["dots"][0].update(panels=[None])),
    (
        "page.dots[0].panels[0].rows[0].n",
        lambda p: p["dots"][0]["panels"][0]["rows"][0].update(n=1.5),
    ),
    (
        "page.dots[0].panels[0].rows[0].points[0].value",
        lambda p: p["dots"][0]["panels"][0]["rows"][0]["points"][0].update(value=True),
    ),
    (
        "page.dots[0].panels[0].rows[0].points[0].marks[0]",
        lambda p: p["dots"][0]["panels"][0]["rows"][0]["points"][0].update(marks=["0.5"]),
    ),
    ("page.dots[0].reference", lambda p: p["dots"][0].update(reference=None)),
    ("page.dots[0].reference", lambda p: p["dots"][0].update(reference=float("nan"))),
    (
        "page.dots[0].panels[0].rows[0].points[0].strong",
        lambda p: p["dots"][0]["panels"][0]["rows"][0]["points"][0].update(strong=1),
    ),
    (
        "page.dots[0].panels[0].rows[0].points[1].series",
        lambda p: p["dots"][0]["panels"][0]["rows"][0]["points"][1].update(series="LoRA"),
    ),
]


@pytest.mark.parametrize(("where", "change"), BROKEN)
def test_an_error_names_the_key(study_page: dict[str, Any], where: str, change: Change) -> None:
    change(study_page)
    with pytest.raises(ValueError) as caught:
        check_page(study_page)
    assert isinstance(caught.value, InputError)
    assert str(caught.value).startswith(f"{where}:")


@pytest.mark.parametrize("page", [None, [], "title", 3])
def test_what_is_no_dict_is_refused(page: object) -> None:
    with pytest.raises(ValueError, match="not a dict"):
        check_page(page)
    with pytest.raises(ValueError, match="dots: not a dict"):
        check_dots(page)


def test_cleaning_copies_and_takes_out_control_characters() -> None:
    page = {"title": "a\x1b[31mb", "notes": ["x\u202ey", "one\r\ntwo"]}
    assert clean_page(page) == {"title": "a\ufffd[31mb", "notes": ["xy", "one\ntwo"]}
    assert page["notes"] == ["x\u202ey", "one\r\ntwo"]


def test_marks_come_once_and_in_order(study_page: dict[str, Any]) -> None:
    assert marks_used(check_page(study_page)["tables"][0]) == ["best", "worst", "small"]


def test_importing_the_room_loads_no_output_library() -> None:
    code = (
        "import sys, fairlora.report as r; r.check_page({'title': ''}); r.to_json({'title': ''});"
        "print({'rich', 'jinja2', 'matplotlib', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_unknown_name_is_an_attribute_error() -> None:
    import fairlora.report

    with pytest.raises(AttributeError, match="no attribute 'to_word'"):
        _ = fairlora.report.to_word  # type: ignore[attr-defined]
