"""Reliability diagrams: what they take, means of bins, drawings, and errors that name the key."""

from __future__ import annotations

import io
import math
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from rich.console import Console

from fairlora.errors import InputError
from fairlora.report import (
    check_page,
    check_reliability,
    print_page,
    reliability_figure,
    to_html,
    to_json,
    to_latex,
    to_markdown,
)
from fairlora.report.page import clean_reliability
from fairlora.report.reliability_drawing import draw_reliability
from fairlora.report.reliability_view import (
    bins_table,
    histogram_top,
    mean_labels,
    panel_facts,
    panel_view,
)
from fairlora.report.sheet import NARROW, WIDE
from fairlora.report.style import PALETTE


def boxes_of(chart: Any, colour: str, width: float = WIDE) -> list[list[Box]]:
    """Return the boxes filled with a colour, in places of their plots; a list a patch."""
    found = []
    for patch in draw_reliability(check_reliability(chart), width).figure.artists:
        if type(patch) is PathPatch and to_hex(patch.get_facecolor()) == colour:
            corners = patch.get_path().vertices.reshape(-1, 5, 2)  # type: ignore[union-attr]
            found.append([Box(*box.min(axis=0), *box.max(axis=0)) for box in corners[:, :4]])
    return found


class Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float


BAR, SHARE = PALETTE[0], "#59636e"


def test_a_chart_passes_unchanged(make_reliability: Any) -> None:
    chart = make_reliability()
    assert check_reliability(chart) is chart
    check_page({"title": "", "reliability": [chart]})
    chart["panels"][0]["bins"][3].update(rows=np.int64(4), accuracy=np.float32(0.5))
    chart["panels"][0]["bins"][3].update(accuracy_high=1 + 1e-12, confidence=math.nan)
    check_reliability(chart)
    check_reliability({"title": "", "confidence": "", "panels": []})


Change = Callable[[dict[str, Any]], object]
BROKEN: list[tuple[str, Change]] = [
    ("confidence", lambda c: c.pop("confidence")),
    ("caption", lambda c: c.update(caption=None)),
    ("bins", lambda c: c.update(bins=[])),
    ("panels[0].n", lambda c: c["panels"][0].update(n=-1)),
    ("panels[0].name", lambda c: c["panels"][0].pop("name")),
    ("panels[1].summary", lambda c: c["panels"][1].update(summary=4.2)),
    ("panels[0].bins[2].rows", lambda c: c["panels"][0]["bins"][2].update(rows=1.5)),
    ("panels[0].bins[2].accuracy", lambda c: c["panels"][0]["bins"][2].pop("accuracy")),
    ("panels[0].bins[2].accuracy", lambda c: c["panels"][0]["bins"][2].update(accuracy=91.2)),
    ("panels[0].bins[2].confidence", lambda c: c["panels"][0]["bins"][2].update(confidence="1")),
    ("panels[0].bins[2].high", lambda c: c["panels"][0]["bins"][2].update(high=0.1)),
    ("panels[0].bins[2].low", lambda c: c["panels"][0]["bins"][2].update(low=0.1)),
    ("panels[0].bins[2].low", lambda c: c["panels"][0]["bins"][2].update(low=math.nan)),
    ("panels[0].bins[9].high", lambda c: c["panels"][0]["bins"][9].update(high=1.1)),
]


@pytest.mark.parametrize(("where", "change"), BROKEN)
def test_an_error_names_the_key(make_reliability: Any, where: str, change: Change) -> None:
    chart = make_reliability()
    change(chart)
    for check, start in ((check_reliability, "reliability."), (draw_page, "page.reliability[0].")):
        with pytest.raises(ValueError) as caught:
            check(chart)
        assert isinstance(caught.value, InputError)
        assert str(caught.value).startswith(f"{start}{where}:")


def draw_page(chart: Any) -> str:
    return to_html({"title": "", "reliability": [chart]})


def test_cleaning_reaches_every_text(make_reliability: Any) -> None:
    chart = make_reliability(name="a\x1bb")
    assert clean_reliability(chart)["panels"][0]["name"] == "a\ufffdb 0"


def test_means_weigh_bins_by_their_rows() -> None:
    def one(low: float, rows: int, confidence: float | None, accuracy: float | None) -> Any:
        ends = {"accuracy_low": None, "accuracy_high": None}
        known = {"confidence": confidence, "accuracy": accuracy}
        return {"low": low, "high": low + 0.5, "rows": rows, **known, **ends}

    panel: Any = {"name": "", "n": 4, "bins": [one(0, 1, 0.4, 0.0), one(0.5, 3, 0.8, 1.0)]}
    view = panel_view(panel)
    assert view.confidence == pytest.approx(0.7)
    assert view.accuracy == pytest.approx(0.75)
    assert [each.share for each in view.bins] == [0.25, 0.75]
    assert panel_facts(panel) == ["n = 4; accuracy 75.0%, mean confidence 70.0%"]
    # Both labels reach leftwards: the line further right is named above.
    assert [label.is_accuracy for label in mean_labels(view)] == [True, False]
    empty: Any = {"name": "", "n": 0, "bins": [one(0, 0, 0.4, 0.2)]}
    assert panel_view(empty) == ([], None, None)
    assert panel_facts(empty) == ["n = 0"]
    assert mean_labels(panel_view(empty)) == []
    assert (
        bins_table(empty, {"title": "t", "confidence": "c", "panels": []})["rows"][0]["cells"][3][
            "text"
        ]
        == "–"
    )


@pytest.mark.parametrize("bins", [1, 2, 10, 15, 50])
def test_the_histogram_fits_its_axis(make_reliability: Any, bins: int) -> None:
    chart = make_reliability(1, bins)
    most = max(each.share for each in panel_view(chart["panels"][0]).bins)
    assert most <= histogram_top(chart) <= max(2.5 * most, 0.02)


@pytest.mark.parametrize("panels", [1, 4])
@pytest.mark.parametrize("bins", [1, 10, 50])
def test_the_drawing_has_a_bar_and_words_a_bin(
    make_reliability: Any, panels: int, bins: int
) -> None:
    chart = make_reliability(panels, bins)
    filled = max(bins - 1, 1)
    assert [len(boxes) for boxes in boxes_of(chart, BAR)] == [filled] * panels
    assert [len(boxes) for boxes in boxes_of(chart, SHARE)] == [filled] * panels
    drawing = draw_reliability(chart, WIDE)
    assert len(drawing.plots) == 2 * panels
    assert len([tip for tip in drawing.tips if tip.box is not None]) == filled * panels
    for boxes in boxes_of(chart, BAR) + boxes_of(chart, SHARE):
        assert all(-1e-9 <= side <= 1 + 1e-9 for box in boxes for side in box)
    assert len(bins_table(chart["panels"][0], chart)["rows"]) == bins


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_panels_stand_within_the_drawing_and_apart(make_reliability: Any, width: float) -> None:
    plots = draw_reliability(make_reliability(4, 10), width).plots
    sides = [(p.left, p.top, p.left + p.width, p.top + p.height) for p in plots]
    assert all(left >= 0 and right <= width for left, _, right, _ in sides)
    for index, (left, top, right, bottom) in enumerate(sides):
        for other in sides[:index]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


def test_positions_are_right() -> None:
    known = {"accuracy": 0.5, "accuracy_low": 0.25, "accuracy_high": 0.75, "confidence": 0.9}
    one = {"low": 0.8, "high": 1.0, "rows": 4, **known}
    chart: Any = {
        "title": "",
        "confidence": "",
        "panels": [{"name": "all", "n": 4, "bins": [one]}],
    }
    assert boxes_of(chart, BAR) == [[pytest.approx((0.8, 0.0, 1.0, 0.5))]]
    assert boxes_of(chart, "#ffffff") == [[pytest.approx((0.8, 0.5, 1.0, 0.9))]]
    lines = [a for a in draw_reliability(chart, WIDE).figure.artists if type(a) is Line2D]
    drawn = [line.get_xydata().tolist() for line in lines]  # type: ignore[union-attr]
    assert [[0.0, 0.0], [1.0, 1.0]] in [line[:2] for line in drawn]
    assert any(line[:2] == [[0.9, 0.25], [0.9, 0.75]] for line in drawn)
    of_all, of_bin = draw_reliability(chart, WIDE).tips
    assert of_all.text == "all: n = 4; accuracy 50.0%, mean confidence 90.0%"
    assert of_bin.text == (
        "all, 80% to 100%: accuracy 50.0%, mean confidence 90.0%, 100.0% of the rows"
    )


def test_what_is_unknown_or_empty_draws_nothing(make_reliability: Any) -> None:
    chart = make_reliability(1, 2)
    chart["panels"][0]["bins"][1].update(accuracy=None, accuracy_low=None, accuracy_high=math.nan)
    assert [len(boxes) for boxes in boxes_of(chart, SHARE)] == [1]
    assert boxes_of(chart, BAR) == []
    chart["panels"][0]["bins"] = []
    document = draw_page(chart)
    assert ">no rows</text>" in document
    assert "nan" not in document.split("</style>")[1]


def test_the_page_tells_all(make_reliability: Any, study_page: dict[str, Any]) -> None:
    study_page["reliability"] = [make_reliability(), make_reliability(1, 1)]
    document = to_html(study_page)
    for text in (
        'id="figure-reliability"',
        'id="figure-reliability--2"',
        "ECE 4.2 % (2.1 % if the stated confidences were true)",
        "Confidence of the predicted class",
        "panel 1, 80% to 90%: accuracy 72.0%, mean confidence 85.0%",
        "accuracy − confidence, in points",
        "Bar: the accuracy of a bin",
    ):
        assert text in document, text
    hatchings = set(re.findall(r"url\(#([^)]*)\)", document))
    assert len(hatchings) == 1
    assert f'<pattern id="{hatchings.pop()}"' in document
    assert "<svg" not in to_html({"title": ""})
    markdown = to_markdown(study_page)
    assert "### panel 1" in markdown
    line = "| **80% to 90%** | 8 | 85.0% | 72.0% | 62.0% to 82.0% | −13.0 |"
    assert line in markdown.splitlines()
    assert "| **0% to 10%** | 0 | – | – | – | – |" in markdown.splitlines()
    assert "Reliability" not in to_latex(study_page)
    assert '"accuracy_low"' in to_json(check_page(study_page))
    console = Console(file=io.StringIO(), width=120)
    print_page(check_page(study_page), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "panel 1: n = 45; accuracy" in printed
    assert "ECE 4.2 %" in printed


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89P")]
)
def test_pictures_are_the_same_each_time(
    suffix: str, start: bytes, make_reliability: Any, tmp_path: Path
) -> None:
    first, second = tmp_path / "new" / f"a.{suffix}", tmp_path / f"b.{suffix}"
    reliability_figure(make_reliability(), first)
    reliability_figure(make_reliability(), str(second))
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("panels", "bins"), [(0, 1), (1, 1), (3, 10), (4, 50)])
def test_any_number_of_panels_is_a_picture(
    panels: int, bins: int, make_reliability: Any, tmp_path: Path
) -> None:
    path = tmp_path / "chart.png"
    had = "matplotlib.pyplot" in sys.modules
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reliability_figure(make_reliability(panels, bins), path)
    image = np.asarray(matplotlib.image.imread(path))[..., :3]
    assert image.std() > 0.01
    assert image.shape[1] > 1400
    assert ("matplotlib.pyplot" in sys.modules) == had


def test_hostile_texts_are_drawn_as_they_are(hostile_page: dict[str, Any], tmp_path: Path) -> None:
    chart = hostile_page["reliability"][8]
    chart["panels"] = [each["panels"][0] for each in hostile_page["reliability"][-4:]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reliability_figure(chart, tmp_path / "chart.png")


def test_other_suffixes_and_malformed_charts_are_refused(
    make_reliability: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="png, svg or pdf"):
        reliability_figure(make_reliability(), tmp_path / "chart.bmp")
    broken: Any = {"title": "t", "panels": []}
    with pytest.raises(ValueError, match=r"reliability\.confidence"):
        reliability_figure(broken, tmp_path / "chart.png")
    assert list(tmp_path.iterdir()) == []
