"""The HTML page: all parts, well formed, hostile texts inert, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fairlora.errors import WriteError
from fairlora.report import to_html, write_html

VOID = {"meta", "link", "br", "img", "input", "hr"}
SVG = re.compile(r"<svg\b|</svg>")


class Outline(HTMLParser):
    """Notes every element and text, and that each element is closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def drawings_in(document: str) -> list[str]:
    """Return every SVG of `document` with whatever SVGs stand inside it."""
    found, depth, start = [], 0, 0
    for edge in SVG.finditer(document):
        opening = edge[0] == "<svg"
        start = edge.start() if opening and depth == 0 else start
        depth += 1 if opening else -1
        if depth == 0:
            found.append(document[start : edge.end()])
    assert depth == 0
    return found


def test_a_page_has_all_its_parts(study_page: dict[str, Any]) -> None:
    outline = Outline(to_html(study_page))
    for text in (
        "Two methods",
        "A lead.",
        "seeds",
        "Side by side",
        "Means over seeds.",
        "FairLoRA",
        "91.2%",
        "Share that is right.",
        "Accuracy by group",
        "skin_tone",
        "1,318",
        "What this does not show",
        "Three seeds are few.",
        "82.0% (70.0% to 90.0%)",
        "no value",
    ):
        assert text in outline.text, text
    assert outline.tags.count("h1") == 1
    assert ("scope", "row") in outline.attributes
    assert ("scope", "col") in outline.attributes


def test_marks_are_told_without_colour(study_page: dict[str, Any]) -> None:
    text = Outline(to_html(study_page)).text
    assert "91.2%★ (best)" in text
    assert "12.3▼ (worst)" in text
    assert "7.9† (few cases: read with care)" in text


def test_an_empty_page_is_a_page() -> None:
    outline = Outline(to_html({"title": "Nothing"}))
    assert outline.tags.count("h1") == 1
    assert not {"h2", "table", "dl", "figure"} & set(outline.tags)


def test_empty_lists_and_rows_do_no_harm() -> None:
    page: Any = {
        "title": "",
        "tables": [{"title": "t", "columns": [{"name": "a"}], "rows": []}],
        "dots": [
            {"title": "d", "unit": "share", "panels": []},
            {"title": "d", "unit": "number", "panels": [{"name": "p", "rows": []}]},
            {
                "title": "d",
                "unit": "share",
                "panels": [{"name": "", "rows": [{"label": "", "points": []}]}],
            },
        ],
        "notes": [],
        "facts": [],
    }
    assert "No rows." in Outline(to_html(page)).text


def test_hostile_texts_stay_texts(hostile_page: dict[str, Any]) -> None:
    document = to_html(hostile_page)
    outline = Outline(document)
    assert "img" not in outline.tags
    assert outline.tags.count("style") == outline.tags.count("script") == 1
    assert not any(name.startswith("on") for name, _ in outline.attributes)
    assert "<script>alert(1)</script>" in outline.text
    assert "עברית و عربية" in outline.text
    assert "🧑🏿\u200d🔬 emoji" in outline.text
    assert "{{ 7 * 7 }}" in outline.text
    assert not re.search("[\x00\x1b\u202e\ud800]", document)


@pytest.mark.parametrize("name", ["study_page", "hostile_page"])
def test_every_svg_is_well_formed_and_told(name: str, request: pytest.FixtureRequest) -> None:
    document = to_html(request.getfixturevalue(name))
    drawings = drawings_in(document)
    assert drawings
    ids = set(re.findall(r'\bid="([^"]*)"', document))
    pictures = 0
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        if root.get("role") == "img":
            pictures += 1
            assert root.get("aria-label")
            assert root.get("aria-describedby") in ids
        else:
            assert root.get("aria-hidden") == "true"
    assert pictures
    words = re.findall(r'<p id="words-[^"]*" hidden>(.*?)</p>', document, re.DOTALL)
    assert len(words) == document.count("<figure>")
    assert all(words)


def test_a_figure_beside_the_findings_is_drawn_for_half_a_screen(make_chart: Any) -> None:
    """Shrunk from the whole width, its letters could not be read."""
    chart = make_chart("bars")
    page = {"title": "A page", "charts": [chart, chart]}

    def widths(page: dict[str, Any]) -> list[float]:
        roots = map(ElementTree.fromstring, drawings_in(to_html(page)))
        images = [root for root in roots if "tight" not in (root.get("class") or "").split()]
        return [float(r.attrib["viewBox"].split()[2]) for r in images if r.get("role") == "img"]

    alone, second = widths(page)
    assert alone == second
    findings = [{"text": "A is better than B.", "verdict": "shown"}]
    beside, below = widths({**page, "findings": findings})
    assert beside < 0.6 * below
    assert below == second


def test_ids_are_unique_and_references_resolve(study_page: dict[str, Any]) -> None:
    study_page["dots"] = study_page["dots"] * 2
    study_page["tables"] = study_page["tables"] * 2
    attributes = Outline(to_html(study_page)).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    for name, value in attributes:
        if name == "href":
            assert value is not None
            assert value.startswith("#")
            assert value[1:] in ids
        if name in ("aria-labelledby", "aria-describedby"):
            assert value is not None
            assert set(value.split()) <= set(ids)


def test_nothing_is_loaded_and_the_policy_names_the_style_sheet(study_page: dict[str, Any]) -> None:
    document = to_html(study_page)
    outline = Outline(document)
    assert not {"link", "img", "iframe"} & set(outline.tags)
    # An inline style attribute would be ignored under the policy, so there must be none.
    assert "style" not in {name for name, _ in outline.attributes}
    addresses = set(re.findall(r"\w+://[^\s\"'<]+", document))
    assert addresses == {"http://www.w3.org/2000/svg"}
    found = re.search(r"<style>(.*?)</style>", document, re.DOTALL)
    assert found is not None
    assert "url(" not in found[1]
    assert "@import" not in found[1]
    scripts = re.findall(r"<script>(.*?)</script>", document, re.DOTALL)
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (found[1], *scripts)
    )
    allowed = f"style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    assert f"default-src 'none'; {allowed}; base-uri 'none'" in document


@pytest.mark.parametrize("series", [1, 10])
@pytest.mark.parametrize("unit", ["share", "number"])
@pytest.mark.parametrize("value", [None, math.nan, 0.0, 0.5, 1.0])
def test_any_number_of_series(series: int, unit: str, value: float | None, make_dots: Any) -> None:
    document = to_html({"title": "", "dots": [make_dots(series, value, unit)]})
    outline = Outline(document)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", document, flags=re.DOTALL).lower()
    # For wide screens and for phones, once in the legend; and where there is no value, a hollow
    # marker stands in the plot all the same.
    assert outline.tags.count("use") == 2 * 2 * series


def test_a_reference_and_weak_points_are_drawn_and_told(study_page: dict[str, Any]) -> None:
    plain = Outline(to_html(study_page))
    assert "to compare with" not in plain.text
    assert "hollow" not in plain.text
    dots = study_page["dots"][0]
    dots["reference"] = 0.0
    dots["panels"][0]["rows"][0]["points"][0]["strong"] = False
    outline = Outline(to_html(study_page))
    assert outline.text.count("to compare with: 0.0%") == 2
    assert outline.text.count("hollow: not shown to differ from 0.0%") == 2
    said = "light, n = 1,318, LoRA: 93.0% (91.0% to 95.0%), not shown to differ from 0.0%"
    # In words, and where a pointer rests on the marker; a phone has no pointer.
    assert outline.text.count(said) == 2


def test_what_is_out_of_order_raises(study_page: dict[str, Any], tmp_path: Path) -> None:
    study_page["dots"][0]["unit"] = "percent"
    with pytest.raises(ValueError, match=r"page\.dots\[0\]\.unit"):
        write_html(study_page, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_writing_makes_folders_and_replaces(study_page: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page.html"
    write_html({"title": "old"}, path)
    write_html(study_page, str(path))
    assert path.read_text(encoding="utf-8") == to_html(study_page)
    assert [entry.name for entry in path.parent.iterdir()] == ["page.html"]


def test_a_failed_write_leaves_the_old_file(
    study_page: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(WriteError, match=r"page\.html: the disk is full"):
        write_html(study_page, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_page_gives_the_same_file(study_page: dict[str, Any]) -> None:
    assert to_html(study_page) == to_html(study_page)
