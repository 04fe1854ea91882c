"""The page: the one plain dict that every output of this room is made from.

A page is text and numbers that are ready to show. Whoever builds it decides what they mean; this
room lays them out. It is a plain dict (see the TypedDicts), so that it can be stored as JSON and
drawn again later without whatever computed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Literal, NotRequired, TypedDict, cast

from fairlora.errors import InputError
from fairlora.report.text import clean

Mark = Literal["best", "worst", "small"]
Unit = Literal["share", "number"]


class Fact(TypedDict):
    """One entry of the definition list at the top: the data, the model, the seeds."""

    name: str
    value: str


class Column(TypedDict):
    """A column of a table. `help` says in a sentence what the column holds."""

    name: str
    align: NotRequired[Literal["left", "right"]]
    help: NotRequired[str]


class Cell(TypedDict):
    """A cell of a table: its text, and whether it stands out as best, worst or small."""

    text: str
    mark: NotRequired[Mark | None]


class Row(TypedDict):
    """A row of a table, one cell a column. With `header` the first cell names the row."""

    cells: list[Cell]
    header: NotRequired[bool]


class Table(TypedDict):
    """A table with its title and caption."""

    title: str
    caption: NotRequired[str]
    columns: list[Column]
    rows: list[Row]


class Point(TypedDict):
    """One series' value in one row, its interval, and the individual values behind it.

    A value that is None (or not finite) is missing and is shown as missing.
    """

    series: str
    value: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    marks: NotRequired[list[float]]


class DotRow(TypedDict):
    """One row of a dot plot: a label, how many cases it stands for, and a point a series."""

    label: str
    n: NotRequired[int | None]
    points: list[Point]


class Panel(TypedDict):
    """Rows that belong together. All panels of one plot share the axis."""

    name: str
    rows: list[DotRow]


class Dots(TypedDict):
    """A dot plot. With the unit "share" the values 0 to 1 are shown as 0 % to 100 %."""

    title: str
    caption: NotRequired[str]
    unit: Unit
    panels: list[Panel]


class Page(TypedDict):
    """A whole page. `notes` are what the reader must not conclude from it."""

    title: str
    lead: NotRequired[str]
    facts: NotRequired[list[Fact]]
    tables: NotRequired[list[Table]]
    dots: NotRequired[list[Dots]]
    notes: NotRequired[list[str]]


Check = Callable[[object, str], None]


def _text(value: object, where: str) -> None:
    if not isinstance(value, str):
        raise InputError("not a text", where=where, found=repr(value), expected="a string")


def _flag(value: object, where: str) -> None:
    if not isinstance(value, bool):
        raise InputError("not a flag", where=where, found=repr(value), expected="true or false")


def _number(value: object, where: str) -> None:
    # bool is an int in Python; a True where a number belongs is a mistake, not a 1.
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError("not a number", where=where, found=repr(value), expected="a number")


def _count(value: object, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise InputError("not a count", where=where, found=repr(value), expected="an integer >= 0")


def _or_none(check: Check) -> Check:
    def checked(value: object, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def _one_of(*choices: object) -> Check:
    def checked(value: object, where: str) -> None:
        # A list or dict cannot be compared with `in` a set, so the choices stay a tuple.
        if value not in choices:
            expected = ", ".join(repr(choice) for choice in choices)
            raise InputError("unknown", where=where, found=repr(value), expected=expected)

    return checked


def _list_of(check: Check) -> Check:
    def checked(value: object, where: str) -> None:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise InputError("not a list", where=where, found=repr(value), expected="a list")
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")

    return checked


def _record(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    known = {**required, **optional}

    def checked(value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InputError("not a dict", where=where, found=repr(value), expected="a dict")
        for key in required:
            if key not in value:
                raise InputError("missing", where=f"{where}.{key}")
        for key, item in value.items():
            if key not in known:
                raise InputError(
                    "unknown key", where=f"{where}.{key}", expected="one of " + ", ".join(known)
                )
            known[key](item, f"{where}.{key}")

    return checked


_FACT = _record({"name": _text, "value": _text}, {})
_COLUMN = _record({"name": _text}, {"align": _one_of("left", "right"), "help": _text})
_CELL = _record({"text": _text}, {"mark": _one_of(None, "best", "worst", "small")})
_ROW = _record({"cells": _list_of(_CELL)}, {"header": _flag})
_TABLE_SHAPE = _record(
    {"title": _text, "columns": _list_of(_COLUMN), "rows": _list_of(_ROW)}, {"caption": _text}
)
_POINT = _record(
    {"series": _text, "value": _or_none(_number)},
    {"low": _or_none(_number), "high": _or_none(_number), "marks": _list_of(_number)},
)
_DOT_ROW_SHAPE = _record({"label": _text, "points": _list_of(_POINT)}, {"n": _or_none(_count)})


def _table(value: object, where: str) -> None:
    _TABLE_SHAPE(value, where)
    table = cast(Table, value)
    width = len(table["columns"])
    if width == 0:
        raise InputError("no columns", where=f"{where}.columns", expected="at least one")
    for index, row in enumerate(table["rows"]):
        if len(row["cells"]) != width:
            raise InputError(
                "wrong number of cells",
                where=f"{where}.rows[{index}].cells",
                found=len(row["cells"]),
                expected=f"{width}, one a column",
            )


def _dot_row(value: object, where: str) -> None:
    _DOT_ROW_SHAPE(value, where)
    row = cast(DotRow, value)
    seen: set[str] = set()
    for index, point in enumerate(row["points"]):
        if point["series"] in seen:
            raise InputError(
                "series given twice in one row",
                where=f"{where}.points[{index}].series",
                found=repr(point["series"]),
            )
        seen.add(point["series"])


_PANEL = _record({"name": _text, "rows": _list_of(_dot_row)}, {})
_DOTS = _record(
    {"title": _text, "unit": _one_of("share", "number"), "panels": _list_of(_PANEL)},
    {"caption": _text},
)
_PAGE = _record(
    {"title": _text},
    {
        "lead": _text,
        "facts": _list_of(_FACT),
        "tables": _list_of(_table),
        "dots": _list_of(_DOTS),
        "notes": _list_of(_text),
    },
)


def marks_used(table: Table) -> list[Mark]:
    """Return the marks that the cells of `table` carry, in the order best, worst, small."""
    found = {cell.get("mark") for row in table["rows"] for cell in row["cells"]}
    order: tuple[Mark, ...] = ("best", "worst", "small")
    return [mark for mark in order if mark in found]


def check_page(page: object) -> Page:
    """Check that `page` has the shape of a `Page`, and return it as one, unchanged.

    Raises
    ------
    InputError (a ValueError): a key is missing, unknown or holds the wrong thing; the message names
        the key, as in ``page.tables[0].rows[2].cells``.

    >>> check_page({"title": "Hello"})
    {'title': 'Hello'}
    >>> check_page({"title": "Hello", "table": []})
    Traceback (most recent call last):
    ...
    fairlora.errors.InputError: page.table: unknown key (expected one of title, lead, facts, \
tables, dots, notes)
    """
    _PAGE(page, "page")
    return cast(Page, page)


def check_dots(dots: object) -> Dots:
    """Check that `dots` has the shape of a `Dots`, and return it as one. Raises as `check_page`."""
    _DOTS(dots, "dots")
    return cast(Dots, dots)


def clean_page(page: object) -> Page:
    """Check `page` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Page, _cleaned(check_page(page)))


def clean_dots(dots: object) -> Dots:
    """Check `dots` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Dots, _cleaned(check_dots(dots)))


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(item) for item in value]
    return value
