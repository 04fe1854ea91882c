"""The page: the one plain dict that every output of this room is made from.

A page is text and numbers that are ready to show. Whoever builds it decides what they mean; this
room lays them out. It is a plain dict (see the TypedDicts), so that it can be stored as JSON and
drawn again later without whatever computed it.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, cast, get_args

from fairlora.errors import InputError
from fairlora.report import checks
from fairlora.report.chart import Chart, Unit, require_chart
from fairlora.report.text import cleaned
from fairlora.report.threshold_counts import Thresholds, require_thresholds

Mark = Literal["best", "worst", "small", "beyond", "better", "worse", "equal", "open"]
# In the order in which they are explained.
MARKS: tuple[Mark, ...] = get_args(Mark)


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
    """A cell of a table: its text, and whether it stands out, and how."""

    text: str
    mark: NotRequired[Mark | None]


class Row(TypedDict):
    """A row of a table, one cell a column. With `header` the first cell names the row."""

    cells: list[Cell]
    header: NotRequired[bool]


class Table(TypedDict):
    """A table with its title and caption.

    Tables and figures of one `topic` stand together; a `main` one is printed where there is room
    for little, and so is one that was `asked` for by an option of its own; a `folded` one opens
    where it is asked for.
    """

    title: str
    topic: NotRequired[str]
    main: NotRequired[bool]
    asked: NotRequired[bool]
    folded: NotRequired[bool]
    caption: NotRequired[str]
    columns: list[Column]
    rows: list[Row]


class Point(TypedDict):
    """One series' value in one row, its interval, and the individual values behind it.

    A value that is None (or not finite) is missing and is shown as missing. `strong` false says
    that the interval does not exclude the plot's reference; such a point is drawn hollow.
    """

    series: str
    value: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    marks: NotRequired[list[float]]
    strong: NotRequired[bool]


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
    """A dot plot. With the unit "share" the values 0 to 1 are shown as 0 % to 100 %.

    `reference` is a value to compare with, such as 0 for differences: a line through every panel;
    `reference_name` says what it is.
    """

    title: str
    topic: NotRequired[str]
    caption: NotRequired[str]
    unit: Unit
    reference: NotRequired[float]
    reference_name: NotRequired[str]
    panels: list[Panel]


class ReliabilityBin(TypedDict):
    """The rows whose confidence lies between `low` and `high`; all but `rows` are shares.

    `confidence` and `accuracy` are means over the rows, `accuracy_low` and `accuracy_high` the ends
    of the interval of the accuracy. A bin without rows is not drawn.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


class ReliabilityPanel(TypedDict):
    """One reliability diagram, of everyone or of a group. `summary` says in a line how it is."""

    name: str
    n: int
    summary: NotRequired[str]
    bins: list[ReliabilityBin]


class Reliability(TypedDict):
    """Reliability diagrams side by side. `confidence` names the axis: the confidence in what.

    `level` is that of the bins' intervals.
    """

    title: str
    topic: NotRequired[str]
    caption: NotRequired[str]
    confidence: str
    level: NotRequired[float]
    panels: list[ReliabilityPanel]


class Finding(TypedDict):
    """One finding: whom or what it is about, its size, and in a word whether it is shown.

    `mark` gives that word its sign and colour; `topic` is where the page says more.
    """

    text: str
    size: NotRequired[str]
    verdict: str
    mark: NotRequired[Mark | None]
    topic: NotRequired[str]


class Page(TypedDict):
    """A whole page.

    `question` is what it answers, `findings` the answers with the weightiest first, `picture` the
    one figure of them, `limits` what the data cannot tell: the first screen. `terms` are the words
    that need a definition, each told where it first stands; `topics` come before others, in their
    order. `notes` are what the reader must not
    conclude.
    """

    title: str
    question: NotRequired[str]
    findings: NotRequired[list[Finding]]
    picture: NotRequired[Dots]
    limits: NotRequired[list[str]]
    terms: NotRequired[list[Fact]]
    topics: NotRequired[list[str]]
    thresholds: NotRequired[list[Thresholds]]
    lead: NotRequired[str]
    facts: NotRequired[list[Fact]]
    tables: NotRequired[list[Table]]
    dots: NotRequired[list[Dots]]
    charts: NotRequired[list[Chart]]
    reliability: NotRequired[list[Reliability]]
    notes: NotRequired[list[str]]


_FACT = checks.record({"name": checks.text, "value": checks.text}, {})
_COLUMN = checks.record(
    {"name": checks.text}, {"align": checks.one_of("left", "right"), "help": checks.text}
)
_CELL = checks.record({"text": checks.text}, {"mark": checks.one_of(None, *MARKS)})
_ROW = checks.record({"cells": checks.list_of(_CELL)}, {"header": checks.flag})
_TABLE_SHAPE = checks.record(
    {"title": checks.text, "columns": checks.list_of(_COLUMN), "rows": checks.list_of(_ROW)},
    {
        "caption": checks.text,
        "topic": checks.text,
        "main": checks.flag,
        "asked": checks.flag,
        "folded": checks.flag,
    },
)
_POINT = checks.record(
    {"series": checks.text, "value": checks.or_none(checks.number)},
    {
        "low": checks.or_none(checks.number),
        "high": checks.or_none(checks.number),
        "marks": checks.list_of(checks.number),
        "strong": checks.flag,
    },
)
_DOT_ROW_SHAPE = checks.record(
    {"label": checks.text, "points": checks.list_of(_POINT)}, {"n": checks.or_none(checks.count)}
)
_BIN = checks.record(
    {
        "low": checks.all_of(checks.finite, checks.share),
        "high": checks.all_of(checks.finite, checks.share),
        "rows": checks.count,
        "confidence": checks.or_none(checks.share),
        "accuracy": checks.or_none(checks.share),
        "accuracy_low": checks.or_none(checks.share),
        "accuracy_high": checks.or_none(checks.share),
    },
    {},
)


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


def _bins(value: object, where: str) -> None:
    checks.list_of(_BIN)(value, where)
    end = 0.0
    for index, each_bin in enumerate(cast(list[ReliabilityBin], value)):
        low, high = each_bin["low"], each_bin["high"]
        for key, edge, least in (("low", low, end), ("high", high, low)):
            if edge < least - checks.ROUNDING:
                raise InputError(
                    "bins not in order",
                    where=f"{where}[{index}].{key}",
                    found=repr(edge),
                    expected=f"at least {least!r}",
                )
        end = high


_PANEL = checks.record({"name": checks.text, "rows": checks.list_of(_dot_row)}, {})
_DOTS = checks.record(
    {
        "title": checks.text,
        "unit": checks.one_of("share", "number"),
        "panels": checks.list_of(_PANEL),
    },
    {
        "caption": checks.text,
        "topic": checks.text,
        "reference": checks.finite,
        "reference_name": checks.text,
    },
)
_RELIABILITY_PANEL = checks.record(
    {"name": checks.text, "n": checks.count, "bins": _bins}, {"summary": checks.text}
)
_RELIABILITY = checks.record(
    {"title": checks.text, "confidence": checks.text, "panels": checks.list_of(_RELIABILITY_PANEL)},
    {"caption": checks.text, "topic": checks.text, "level": checks.finite},
)
_FINDING = checks.record(
    {"text": checks.text, "verdict": checks.text},
    {"size": checks.text, "mark": checks.one_of(None, *MARKS), "topic": checks.text},
)
_PAGE = checks.record(
    {"title": checks.text},
    {
        "question": checks.text,
        "findings": checks.list_of(_FINDING),
        "picture": _DOTS,
        "limits": checks.list_of(checks.text),
        "terms": checks.list_of(_FACT),
        "topics": checks.list_of(checks.text),
        "thresholds": checks.list_of(require_thresholds),
        "lead": checks.text,
        "facts": checks.list_of(_FACT),
        "tables": checks.list_of(_table),
        "dots": checks.list_of(_DOTS),
        "charts": checks.list_of(require_chart),
        "reliability": checks.list_of(_RELIABILITY),
        "notes": checks.list_of(checks.text),
    },
)


def marks_used(table: Table) -> list[Mark]:
    """Return the marks that the cells of `table` carry, in the order of `MARKS`."""
    found = {cell.get("mark") for row in table["rows"] for cell in row["cells"]}
    return [mark for mark in MARKS if mark in found]


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
    fairlora.errors.InputError: page.table: unknown key (expected one of title, question, \
findings, picture, limits, terms, topics, thresholds, lead, facts, tables, dots, charts, \
reliability, notes)
    """
    _PAGE(page, "page")
    return cast(Page, page)


def check_dots(dots: object) -> Dots:
    """Check that `dots` has the shape of a `Dots`, and return it as one. Raises as `check_page`."""
    _DOTS(dots, "dots")
    return cast(Dots, dots)


def check_table(table: object) -> Table:
    """Check that `table` has the shape of a `Table`, and return it. Raises as `check_page`."""
    _table(table, "table")
    return cast(Table, table)


def check_reliability(chart: object) -> Reliability:
    """Check that `chart` has the shape of a `Reliability`, and return it. Raises as `check_page`.

    Bins must be in order and must not overlap; they need not touch, nor reach from 0 to 1.
    """
    _RELIABILITY(chart, "reliability")
    return cast(Reliability, chart)


def clean_page(page: object) -> Page:
    """Check `page` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Page, cleaned(check_page(page)))


def clean_table(table: object) -> Table:
    """Check `table` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Table, cleaned(check_table(table)))


def clean_dots(dots: object) -> Dots:
    """Check `dots` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Dots, cleaned(check_dots(dots)))


def clean_reliability(chart: object) -> Reliability:
    """Check `chart` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Reliability, cleaned(check_reliability(chart)))
