"""Dots with intervals as PNG, SVG and PDF: what is drawn, and what is refused."""

from __future__ import annotations

import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from fairlora.report import dots_figure
from fairlora.report.text import wrapped


def texts_of(figure: Figure) -> list[Text]:
    return [artist for artist in figure.artists if isinstance(artist, Text)]


def lines_of(figure: Figure) -> list[Line2D]:
    return [artist for artist in figure.artists if isinstance(artist, Line2D)]


def pixels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def test_a_png_has_a_drawing_in_the_palette(study_page: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "new" / "dots.png"
    dots_figure(study_page["dots"][0], path)
    image = pixels(path)
    assert image.shape[1] > 1000
    assert 0.5 < image.mean() < 0.999
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        distance = np.abs(image - np.array(colour) / 255).max(axis=-1)
        assert (distance < 0.02).sum() > 50


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_vector_formats(
    suffix: str, start: bytes, study_page: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    dots_figure(study_page["dots"][0], first)
    dots_figure(study_page["dots"][0], str(second))
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    if suffix == "svg":
        assert ElementTree.parse(first).getroot().tag.endswith("svg")


@pytest.mark.parametrize("series", [0, 1, 10])
@pytest.mark.parametrize("value", [None, 1.0])
def test_any_number_of_series(
    series: int, value: float | None, make_dots: Any, tmp_path: Path
) -> None:
    path = tmp_path / "dots.png"
    dots_figure(make_dots(series, value), path)
    assert pixels(path).std() > 0.01


@pytest.mark.parametrize("width", [1, 5, 12, 40])
def test_wrapping_loses_no_letter(width: int) -> None:
    text = "a label, unbrokenverylongword and 肤色 letters"
    lines = wrapped(text, width, most=99)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= width for line in lines)
    assert wrapped(text, width, most=2)[-1].endswith("…") == (len(lines) > 2)
    assert wrapped("", width) == [""]


def test_a_plot_of_nothing_is_still_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "dots.png"
    dots_figure({"title": "Nothing", "unit": "share", "panels": []}, path)
    assert pixels(path).std() > 0.001


def test_hostile_names_are_drawn_as_they_are(hostile_page: dict[str, Any], tmp_path: Path) -> None:
    dots = hostile_page["dots"][0]
    dots["panels"] = dots["panels"][:1]
    for row in dots["panels"][0]["rows"]:
        row["label"] = row["label"][:40]
        row["points"] = row["points"][:2] + row["points"][8:9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dots_figure(dots, tmp_path / "dots.png")
    assert pixels(tmp_path / "dots.png").std() > 0.01


def test_other_suffixes_and_malformed_dots_are_refused(
    study_page: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="png, svg or pdf"):
        dots_figure(study_page["dots"][0], tmp_path / "dots.bmp")
    del study_page["dots"][0]["unit"]
    with pytest.raises(ValueError, match=r"dots\.unit"):
        dots_figure(study_page["dots"][0], tmp_path / "dots.png")
    assert list(tmp_path.iterdir()) == []


def test_a_reference_is_a_line_and_a_weak_point_is_hollow(
    study_page: dict[str, Any], tmp_path: Path
) -> None:
    dots = study_page["dots"][0]
    dots["reference"] = 0.5
    dots["panels"][0]["rows"][0]["points"][0]["strong"] = False
    figure = dots_figure(dots, tmp_path / "dots.png")
    (axes,) = figure.axes
    assert axes.get_xlim()[0] < 0.5
    dashed = [line for line in lines_of(figure) if line.get_linestyle() == "--"]
    places = [line.get_transform().transform(line.get_xydata())[0, 0] for line in dashed]
    assert axes.transData.transform((0.5, 0))[0] == pytest.approx(places[-1])
    faces = {str(line.get_markerfacecolor()) for line in lines_of(figure)}
    assert "#ffffff" in faces
    words = [text.get_text() for text in texts_of(figure)]
    assert {"to compare with: 50.0%", "hollow: not shown to differ from 50.0%"} <= set(words)


@pytest.mark.parametrize(
    ("title", "shown"),
    [("Accuracy by Skin_Tone", ""), ("skin_tone", ""), ("Accuracy", "skin_tone")],
)
def test_a_title_is_not_said_twice(study_page: dict[str, Any], title: str, shown: str) -> None:
    dots = study_page["dots"][0]
    dots["title"] = title
    words = [text.get_text() for text in texts_of(dots_figure(dots))]
    assert words.count("skin_tone") == (shown == "skin_tone") + (title == "skin_tone")
    # Of two panels each needs its name.
    dots["panels"] = dots["panels"] * 2
    words = [text.get_text() for text in texts_of(dots_figure(dots))]
    assert words.count("skin_tone") == 2 + (title == "skin_tone")


def test_long_labels_do_not_overlap(study_page: dict[str, Any]) -> None:
    dots = study_page["dots"][0]
    for row in dots["panels"][0]["rows"]:
        row["label"] = "a long label of a group, in several words " * 5
        for number, point in enumerate(row["points"]):
            point["series"] = f"a long name of a method, number {number} " * 4
    dots["title"] = "A long title " * 10
    figure = dots_figure(dots)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for _, box in boxes)
    labels = [box for text, box in boxes if text.startswith(("a long label", "group, in"))]
    labels.sort(key=lambda box: -box.y1)
    assert len(labels) >= 4
    assert all(one.y0 >= two.y1 - 1.5 for one, two in pairwise(labels))
    assert figure.axes[0].get_window_extent().width > 0.4 * figure.bbox.width


def test_pyplot_is_left_alone(study_page: dict[str, Any], tmp_path: Path) -> None:
    had = "matplotlib.pyplot" in sys.modules
    dots_figure(study_page["dots"][0], tmp_path / "dots.png")
    assert ("matplotlib.pyplot" in sys.modules) == had
