"""Charts: what each kind takes, scales, what is drawn where, and errors that name the key."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from rich.console import Console

from fairlora.errors import InputError
from fairlora.report import (
    chart_figure,
    check_chart,
    check_page,
    print_page,
    to_html,
    to_json,
    to_latex,
    to_markdown,
)
from fairlora.report.chart import clean_chart
from fairlora.report.chart_drawing import draw_chart, least_width
from fairlora.report.chart_scale import Tick, spaced, x_scale, y_scale
from fairlora.report.chart_table import chart_table
from fairlora.report.chart_view import chart_view
from fairlora.report.labels import Box, along, beside_points, under_bars
from fairlora.report.sheet import NARROW, WIDE, Drawing
from fairlora.report.style import DASHES, HATCHES, PALETTE, look_of
from fairlora.report.svg import svg_file

KINDS = ("bars", "lines", "scatter")


@pytest.fixture(params=KINDS)
def chart(request: pytest.FixtureRequest, make_chart: Any) -> Any:
    return make_chart(request.param)


def draw(chart: Any, width: float = WIDE) -> Drawing:
    return draw_chart(check_chart(chart), width)


def lines_of(figure: Figure) -> list[Line2D]:
    return [artist for artist in figure.artists if isinstance(artist, Line2D)]


def texts_of(figure: Figure) -> list[Text]:
    return [artist for artist in figure.artists if isinstance(artist, Text)]


def patches_of(figure: Figure) -> list[Patch]:
    return [artist for artist in figure.artists if isinstance(artist, Patch)]


def words_in(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts_of(figure)]


def test_each_kind_passes_unchanged(chart: Any) -> None:
    assert check_chart(chart) is chart
    check_page({"title": "", "charts": [chart]})
    assert clean_chart({**chart, "title": "a\x1bb"})["title"] == "a\ufffdb"


Change = Callable[[dict[str, Any]], object]
BROKEN: list[tuple[str, str, Change]] = [
    ("bars", "kind", lambda c: c.update(kind="pie")),
    ("bars", "x", lambda c: c.pop("x")),
    ("bars", "y.label", lambda c: c["y"].pop("label")),
    ("bars", "y.unit", lambda c: c["y"].update(unit="percent")),
    ("bars", "y.scale", lambda c: c["y"].update(scale="rank")),
    ("bars", "x.scale", lambda c: c["x"].update(scale="log")),
    ("bars", "categories", lambda c: c.pop("categories")),
    ("bars", "categories[0].n", lambda c: c["categories"][0].update(n=-1)),
    ("bars", "series[1].name", lambda c: c["series"][1].update(name="method 0")),
    ("bars", "series[0].points[0].x", lambda c: c["series"][0]["points"][0].update(x=0.5)),
    ("bars", "series[0].points[0].x", lambda c: c["series"][0]["points"][0].update(x=3)),
    ("bars", "series[0].points[1].x", lambda c: c["series"][0]["points"][1].update(x=0)),
    ("bars", "series[0].points[0].y", lambda c: c["series"][0]["points"][0].update(y="0.9")),
    ("bars", "series[0].points[0].marks", lambda c: c["series"][0]["points"][0].update(marks=1)),
    ("bars", "references[0].value", lambda c: c["references"][0].pop("value")),
    ("lines", "categories", lambda c: c.update(categories=[])),
    ("lines", "x.zero", lambda c: c["x"].update(zero=True)),
    ("lines", "y.zero", lambda c: c["y"].update(scale="log", zero=True)),
    ("lines", "series[0].points[0].x", lambda c: c["x"].update(scale="log")),
    ("lines", "series[0].points[1].x", lambda c: c["series"][0]["points"][1].update(x=0)),
    ("lines", "series[0].points[1].x", lambda c: c["series"][0]["points"][1].update(x=math.inf)),
    ("lines", "series[0].points[1].x_low", lambda c: c["series"][0]["points"][1].update(x_low=0)),
    ("lines", "series[0].connected", lambda c: c["series"][0].update(connected="line")),
    (
        "lines",
        "series[1].points[0].y",
        lambda c: (c["y"].update(scale="log"), c["series"][1]["points"][0].update(y=0)),
    ),
    ("scatter", "x.scale", lambda c: c["x"].update(scale="rank")),
    ("scatter", "x.better", lambda c: c["x"].update(better="more")),
    ("scatter", "series[2].connected", lambda c: c["series"][2].update(connected=True)),
    ("scatter", "series[2].connected", lambda c: c["x"].pop("better")),
    ("scatter", "series[0].points[1].label", lambda c: c["series"][0]["points"][1].update(label=3)),
]


@pytest.mark.parametrize(("kind", "where", "change"), BROKEN)
def test_an_error_names_the_key(make_chart: Any, kind: str, where: str, change: Change) -> None:
    chart = make_chart(kind)
    change(chart)
    with pytest.raises(InputError) as caught:
        check_chart(chart)
    assert str(caught.value).startswith(f"chart.{where}:")
    with pytest.raises(InputError) as caught:
        to_html({"title": "", "charts": [chart]})
    assert str(caught.value).startswith(f"page.charts[0].{where}:")


# Where things stand.


def test_ranks_stand_at_equal_distances_and_zero_has_its_place(make_chart: Any) -> None:
    scale = x_scale(make_chart("lines"))
    assert [tick.text for tick in scale.ticks] == ["0", "1", "8", "64", "768"]
    places = [scale.place(value) for value in (0, 1, 8, 64, 768)]
    assert np.diff(places) == pytest.approx([0.2] * 4)


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("values", [[1.0], [5.0, 5.0], [0.01, 1000.0], [2.0, 2.1], [1e-12, 1e12]])
def test_a_scale_covers_its_numbers(scale: str, values: list[float]) -> None:
    points = [{"x": value, "y": value} for value in values]
    axis = {"label": "", "scale": scale}
    series = [{"name": "", "points": points}]
    chart: Any = {"title": "", "kind": "scatter", "x": axis, "y": axis, "series": series}
    for made in (x_scale(check_chart(chart)), y_scale(chart)):
        assert 2 <= len(made.ticks) <= 12
        assert all(-1e-6 <= tick.place <= 1 + 1e-6 for tick in made.ticks)
        places = [made.place(value) for value in values]
        assert all(0 <= place <= 1 for place in places)
        assert places == sorted(places)
        # A place is where matplotlib's own scale has the value.
        figure = chart_figure(chart)
        (axes,) = figure.axes
        shown = axes.transData.transform([(value, value) for value in values])
        assert axes.transAxes.inverted().transform(shown)[:, 1] == pytest.approx(
            [y_scale(chart).place(value) for value in values]
        )


def test_what_a_log_axis_cannot_show_is_at_its_start(make_chart: Any) -> None:
    chart = make_chart("lines")
    chart["y"]["scale"] = "log"
    chart["series"][1]["points"][0]["low"] = 0.0
    span = chart_view(check_chart(chart)).series[1].points[0].y_span
    assert span is not None
    assert span[0] == 0.0


def test_bars_begin_at_zero_unless_told_not_to(make_chart: Any) -> None:
    chart = make_chart("bars")
    view = chart_view(check_chart(chart))
    assert view.solid
    assert view.floor == view.y.low == 0
    for axis in ({"zero": False}, {"scale": "log"}):
        view = chart_view(check_chart({**chart, "y": {**chart["y"], **axis}}))
        # Bars that begin elsewhere mislead.
        assert not view.solid
        assert view.y.low > 0.5


def test_missing_is_missing_and_breaks_a_line(make_chart: Any) -> None:
    view = chart_view(check_chart(make_chart("lines")))
    assert [point.missing for point in view.series[0].points] == [False, False, True, False, False]
    assert [len(line) for line in view.series[0].lines] == [2, 2]
    assert [len(line) for line in view.series[1].lines] == [5]
    view = chart_view(check_chart(make_chart("bars")))
    assert view.series[1].points[-1].missing
    view = chart_view(check_chart(make_chart("scatter")))
    assert view.unplaced == ["Full (rank 1)"]


def test_lines_at_one_x_stand_apart_in_order(make_chart: Any) -> None:
    view = chart_view(check_chart(make_chart("lines", series=4)))
    assert view.apart
    places = [series.points[0].x for series in view.series]
    assert places == sorted(places)
    assert len(set(places)) == 4
    # No series reaches over to the next rank.
    assert view.series[-1].points[0].x < view.series[0].points[1].x


def test_many_points_get_a_band(make_chart: Any) -> None:
    chart = make_chart("lines", series=1)
    chart["series"][0]["points"] = [
        {"x": x, "y": 0.5, "low": 0.4, "high": 0.6 if x != 30 else None} for x in range(60)
    ]
    view = chart_view(check_chart(chart)).series[0]
    assert [len(band) for band in view.bands] == [60]
    assert all(point.y_span is None for point in view.points)
    assert 5 <= sum(point.marked for point in view.points) <= 15
    chart["series"][0]["points"][30] = {"x": 30, "y": None}
    view = chart_view(check_chart(chart)).series[0]
    assert [len(band) for band in view.bands] == [30, 29]
    assert sum(point.missing for point in view.points) == 1


@pytest.mark.parametrize(("better", "corner"), [("lower", (0.12, 0.90)), ("higher", (0.05, 0.94))])
def test_a_front_is_stairs_without_markers(
    make_chart: Any, better: str, corner: tuple[float, float]
) -> None:
    chart = make_chart("scatter")
    chart["x"]["better"] = better
    view = chart_view(check_chart(chart))
    front = view.series[2]
    assert front.look.plain == "front"
    assert not any(point.marked for point in front.points)
    expected = [(0.05, 0.90), corner, (0.12, 0.94)]
    assert front.lines == [[(view.x.place(x), view.y.place(y)) for x, y in expected]]
    # A path of points that nothing else shows has its own markers.
    chart["series"][2]["points"][0]["x"] = 0.06
    assert all(point.marked for point in chart_view(check_chart(chart)).series[2].points)


def test_a_reference_takes_no_look_from_the_others(make_chart: Any) -> None:
    chart = make_chart("lines", series=3)
    chart["series"][1]["reference"] = True
    first, reference, last = chart_view(check_chart(chart)).series
    assert [first.look, last.look] == [look_of(0), look_of(1)]
    assert reference.look.plain == "reference"
    assert reference.look.dash
    assert not any(point.marked for point in reference.points)
    lines = lines_of(draw(chart).figure)
    assert sum(line.get_color() == "#1c2127" and line.get_lw() == 1.2 for line in lines) == (
        len(reference.lines) + 1  # and its entry in the legend
    )


# Looks.


def test_eight_series_differ_without_colour() -> None:
    looks = [look_of(index) for index in range(8)]
    assert len({look.shape for look in looks}) == 8
    assert len({look.dash for look in looks}) == len(set(DASHES)) == 8
    assert len({look.bar()["hatch"] for look in looks}) == len(set(HATCHES)) == 8
    # Neighbours differ in lightness, too, for bars too thin to show a hatching.
    assert all(one.pale != two.pale for one, two in pairwise(looks))
    assert len({look_of(index) for index in range(64)}) == 64


def test_eight_bars_and_lines_differ_in_the_drawing(make_chart: Any) -> None:
    patches = patches_of(draw(make_chart("bars", series=8)).figure)
    # Of every series the bars and the legend's entry; all but the first are hatched besides.
    assert len({patch.get_hatch() for patch in patches if patch.get_hatch()}) == 7
    figure = draw(make_chart("lines", series=8)).figure
    markers = {str(line.get_marker()) for line in lines_of(figure)} - {"None"}
    assert len(markers) == 8
    joined = [line for line in lines_of(figure) if line.get_marker() == "None"]
    dashes = {str(line._dash_pattern) for line in joined}  # type: ignore[attr-defined]
    assert len(dashes) >= 8


# Labels.


def test_labels_cover_neither_each_other_nor_markers() -> None:
    generator = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in generator.uniform(0, 300, (30, 2))]
    sizes = [(60.0, 10.0) if i % 3 else None for i in range(30)]
    boxes = beside_points(points, sizes, (300, 300), along([(0, 150), (300, 150)]))
    placed = [box for box in boxes if box is not None]
    assert len(placed) >= 10
    for index, one in enumerate(placed):
        assert one.inside(300, 300)
        assert not any(one.overlaps(two) for two in placed[:index])
        assert not any(one.overlaps(Box(x, y, 9, 9)) for x, y in points)
    assert all(box is None for box, size in zip(boxes, sizes, strict=True) if size is None)


def test_labels_of_bars_lie_lean_stand_or_are_left_out() -> None:
    def laid(labels: list[str], slot: float) -> Any:
        return under_bars(labels, ["n = 5"] * len(labels), slot, 6.0, 24, 14)

    assert laid(["a group", "another"], 100).angle == 0
    assert laid(["a group", "another"], 100).lines[0] == ["a group", "n = 5"]
    assert laid(["one long word: Incomprehensibilities"[:14], "b"], 30).angle == 40
    upright = laid(["a label of many words " * 3, "b"], 30)
    assert upright.angle == 90
    assert upright.lines[0][-1].endswith("…")
    many = laid([f"class {i}" for i in range(200)], 3)
    assert 40 <= sum(bool(lines) for lines in many.lines) <= 60


def test_ticks_that_would_touch_are_left_out() -> None:
    ticks = [Tick(0.1 * index, "1234") for index in range(10)]
    assert spaced(ticks, [0.09] * 10) == ticks
    assert spaced(ticks, [0.15] * 10) == ticks[::2]
    assert spaced(ticks, [3.0] * 10) == ticks[:1]
    assert spaced([], []) == []


# Outputs.


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")]
)
def test_the_same_chart_gives_the_same_picture(
    chart: Any, suffix: str, start: bytes, tmp_path: Path
) -> None:
    had = "matplotlib.pyplot" in sys.modules
    first, second = tmp_path / "new" / f"a.{suffix}", tmp_path / f"b.{suffix}"
    chart_figure(chart, first)
    chart_figure(chart, str(second))
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert ("matplotlib.pyplot" in sys.modules) == had
    if suffix == "png":
        image = np.asarray(matplotlib.image.imread(first))[..., :3]
        assert image.shape[1] > 1000
        assert 0.5 < image.mean() < 0.999


def test_a_figure_has_axes_in_the_charts_own_numbers(make_chart: Any) -> None:
    figure = chart_figure(make_chart("scatter"))
    (axes,) = figure.axes
    # What a user adds at the numbers of a point stands where the point does.
    mark = axes.transData.transform((0.12, 0.94))
    markers = [line for line in lines_of(figure) if line.get_marker() == "o"]
    drawn = np.concatenate([line.get_transform().transform(line.get_xydata()) for line in markers])
    assert np.nanmin(np.abs(drawn - mark).sum(axis=1)) < 1e-6
    said = words_in(figure)
    assert {"rank 64", "rank 8", "LoRA", "Full", "Front"} <= set(said)
    assert said[-1].endswith("Not drawn, for want of a value: Full (rank 1).")


def test_a_picture_of_many_long_labels_keeps_them_apart(make_chart: Any) -> None:
    chart = make_chart("bars", categories=100)
    chart["title"] = "A long title " * 12
    chart["categories"][7]["label"] = "a label of very many words " * 5
    figure = chart_figure(chart)
    labels = [text for text in texts_of(figure) if text.get_rotation() == 90]
    shown = [label.get_window_extent() for label in labels]
    assert len(shown) == 100
    assert all(one.x1 <= two.x0 + 1.5 for one, two in pairwise(shown))
    assert min(label.y0 for label in shown) > 0
    assert figure.axes[0].get_window_extent().height > 0.35 * figure.bbox.height


@pytest.mark.parametrize("series", [0, 1, 8])
def test_any_number_of_series_and_points(series: int) -> None:
    axis = {"label": "", "scale": "linear"}
    many = [{"name": f"s{i}", "points": [{"x": 1, "y": 2}]} for i in range(series)]
    empty = [{"name": f"s{i}", "points": []} for i in range(series)]
    for kind in ("lines", "scatter"):
        for made in (many, empty):
            chart: Any = {"title": "", "kind": kind, "x": axis, "y": axis, "series": made}
            assert "nan" not in svg_file(draw(chart), "")
    nothing: Any = {"title": "", "kind": "bars", "x": axis, "y": axis, "series": empty}
    nothing["categories"] = []
    assert "No points." in words_in(draw(nothing).figure)


def test_other_suffixes_and_malformed_charts_are_refused(make_chart: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="png, svg or pdf"):
        chart_figure(make_chart("bars"), tmp_path / "chart.bmp")
    with pytest.raises(ValueError, match=r"chart\.kind"):
        chart_figure({**make_chart("bars"), "kind": "pie"}, tmp_path / "chart.png")
    assert list(tmp_path.iterdir()) == []


def test_every_output_has_the_numbers(chart: Any) -> None:
    page: Any = {"title": "t", "charts": [chart], "notes": ["n"]}
    console = Console(file=io.StringIO(), width=120)
    print_page(page, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    document = to_html(page)
    assert document == to_html(page)
    for text in (printed, document, to_markdown(page), to_latex(page)):
        assert chart["title"] in text
        assert "no value" in text
    assert "90.0% (89.0% to 91.0%)" in document or chart["kind"] != "scatter"
    compact = {"bars": "90.0 [85.0, 95.0]", "lines": "80.0 [78.0, 82.0]"}
    number = compact.get(chart["kind"], "90.0 [89.0, 91.0]")
    assert number in printed
    assert number in to_latex(page).replace("{[}", "[").replace("{]}", "]")
    back = json.loads(to_json(page))["charts"][0]
    assert back["series"][-1] == chart["series"][-1]


def test_a_table_tells_missing_from_absent(make_chart: Any) -> None:
    chart = make_chart("lines")
    del chart["series"][1]["points"][0]
    table = chart_table(check_chart(chart))
    assert [column["name"] for column in table["columns"]] == ["Rank", "method 0", "method 1"]
    cells = [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
    assert cells[0] == ["0", "80.0% (78.0% to 82.0%)", "–"]
    assert cells[2][:2] == ["8", "no value"]
    assert table.get("caption") == (
        "Means of five seeds. Accuracy (higher is better); intervals in brackets. "
        "To compare with: full: 93.0% (92.0% to 94.0%)."
    )


def test_the_svg_file_is_well_formed_and_says_its_numbers(chart: Any, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    chart_figure(chart, path)
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert (root.get("role"), root.get("aria-label")) == ("img", chart["title"])
    words = root.findtext(f"{space}desc")
    assert words is not None
    titles = [title.text or "" for title in root.iter(f"{space}title")]
    assert titles
    for series in chart["series"]:
        assert series["name"] in words
    # What answers a pointer is in the words as well.
    assert all(title in words for title in titles)
    # Texts are texts, to be found and selected.
    shown = {text.text for text in root.iter(f"{space}text")}
    assert {chart["title"], chart["series"][0]["name"]} <= shown


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_place_that_answers_is_where_its_mark_is(make_chart: Any, width: float) -> None:
    drawing = draw(make_chart("scatter"), width)
    (text, box) = next(tip for tip in drawing.tips if "rank 64" in tip.text)
    assert text == "LoRA, rank 64: Disparity 12.0%; Accuracy 94.0%"
    assert box is not None
    scale = drawing.figure.dpi / 72
    height = drawing.figure.bbox.height
    blue = [line for line in lines_of(drawing.figure) if line.get_markerfacecolor() == PALETTE[0]]
    points = [line.get_transform().transform(line.get_xydata()) for line in blue]
    middle = ((box[0] + box[2] / 2) * scale, height - (box[1] + box[3] / 2) * scale)
    assert np.nanmin(np.abs(np.concatenate(points) - middle).sum(axis=1)) < 1e-6
    # Nothing reaches out of the drawing.
    for tip in drawing.tips:
        if tip.box is not None:
            assert 0 <= tip.box[0] <= tip.box[0] + tip.box[2] <= width


def test_missing_values_are_drawn_hollow_and_never_as_bars(make_chart: Any) -> None:
    drawing = draw(make_chart("bars"))
    bars = [patch for patch in patches_of(drawing.figure) if not patch.get_hatch()]
    outlines = [patch.get_path().codes for patch in bars if type(patch).__name__ == "PathPatch"]
    assert [int((codes == 1).sum()) for codes in outlines if codes is not None] == [3, 2]
    hollow = [line for line in lines_of(drawing.figure) if line.get_markerfacecolor() == "none"]
    assert [np.isfinite(line.get_xydata()[:, 0]).sum() for line in hollow] == [1]  # type: ignore[index]
    assert "method 1, group 2: no value" in [tip.text for tip in drawing.tips]


def test_names_are_escaped_everywhere(hostile_texts: tuple[str, ...], chart: Any) -> None:
    for index, series in enumerate(chart["series"]):
        series["name"] = f"{hostile_texts[0]} {index}"
        for point in series["points"]:
            point["label"] = " ".join(hostile_texts)
    for key in ("x", "y"):
        chart[key]["label"] = hostile_texts[1]
    for one in (*chart.get("categories", []), *chart.get("references", [])):
        one.update({"label" if "label" in one else "name": hostile_texts[2]})
    chart["title"] = chart["caption"] = " ".join(hostile_texts)
    page: Any = {"title": "", "charts": [chart]}
    document = to_html(page)
    assert document.count("<script") == 1
    assert "<img" not in document
    assert document.count("<style>") == 1
    assert 'style="' not in document
    assert "&lt;script&gt;" in document
    clean = clean_chart(chart)
    ElementTree.fromstring(svg_file(draw(clean), clean["title"]))
    assert "<" not in to_markdown(page).replace("\\<", "")
    chart["series"] = chart["series"][:1]
    chart_figure(chart)


def test_ids_are_unique_and_hatchings_exist(make_chart: Any) -> None:
    page: Any = {"title": "", "charts": [make_chart(kind) for kind in KINDS * 2]}
    page["charts"][0] = make_chart("bars", series=8)
    document = to_html(page)
    ids = re.findall(r'\bid="([^"]*)"', document)
    assert len(set(ids)) == len(ids)
    hatchings = set(re.findall(r"url\(#([^)]*)\)", document))
    assert len(hatchings) == 7
    assert hatchings <= set(ids)
    assert set(re.findall(r'href="#([^"]*)"', document)) <= set(ids)
    assert re.findall(r'class="number">(Figure \d)', document) == [
        f"Figure {i}" for i in range(1, 7)
    ]


def test_many_categories_can_be_pushed_sideways(make_chart: Any) -> None:
    few, many = (make_chart("bars", categories=number) for number in (4, 100))
    assert least_width(check_chart(few)) == NARROW
    assert least_width(check_chart(many)) > WIDE
    page = to_html({"title": "", "charts": [few]})
    assert page.count('class="drawn roomy"') == page.count('class="drawn tight"') == 1
    page = to_html({"title": "", "charts": [many]})
    assert 'class="drawn"' in page
    assert 'class="drawn roomy"' not in page
