from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from fairlora.report import dots_figure


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


def test_pyplot_is_left_alone(study_page: dict[str, Any], tmp_path: Path) -> None:
    had = "matplotlib.pyplot" in sys.modules
    dots_figure(study_page["dots"][0], tmp_path / "dots.png")
    assert ("matplotlib.pyplot" in sys.modules) == had
