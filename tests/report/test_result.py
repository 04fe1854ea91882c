"""What every result shows of itself: one short text, a notebook's view, copies, files, a figure."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fairlora
from fairlora.errors import InputError, clean
from fairlora.privacy import attack_audit, compare_attacks
from fairlora.report.result import Result

NAME = "a<b>\x1b[31m"


def results() -> list[Result[Any]]:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 200), rng.choice(["x", NAME], 200)
    first, second = (np.where(rng.random(200) < 0.8, labels, 1 - labels) for _ in range(2))
    member = rng.integers(0, 2, 200)
    scores = {"one": rng.normal(size=200) + member, "two": rng.normal(size=200)}
    options: dict[str, Any] = {"positive": 1, "bootstrap": 100}
    return [
        fairlora.audit(labels, first, {"g": groups}, **options),
        fairlora.compare(labels, first, second, {"g": groups}, names=("p", "q"), **options),
        attack_audit(scores, member, {"g": groups}, permutations=20),
        compare_attacks(*scores.values(), member, {"g": groups}, bootstrap=100, names=("p", "q")),
    ]


RESULTS = results()
every = pytest.mark.parametrize("result", RESULTS, ids=lambda r: type(r).__name__)


@every
def test_a_result_prints_short(result: Result[Any]) -> None:
    head, finding = repr(result).split("\n")
    assert head.startswith(f"{type(result).__name__}(200 rows; ")
    assert clean(result.page("")["lead"]).startswith(finding.removesuffix(" ...").rstrip("."))
    assert len(repr(result)) < 420
    assert "\x1b" not in repr(result)
    assert str(result) == repr(result)


def test_the_short_text_names_what_was_audited_and_the_worst_finding() -> None:
    labels = [0, 1] * 50
    predicted = [*labels[:50], *([0, 1, 1, 0] * 13)[:50]]
    groups = {"sex": ["f"] * 50 + ["m"] * 50, "all rows": ["x"] * 100}
    result = fairlora.audit(labels, predicted, groups, positive=1, bootstrap=0)
    head, finding = repr(result).split("\n")
    assert head == "AuditResult(100 rows; sex, all rows)"
    # Of m 26 of 50 are right.
    assert finding.startswith("By sex, accuracy is lowest for m: 52.0 %, 48.0 points below f (95 %")


@every
def test_what_is_handed_out_is_a_copy(result: Result[Any]) -> None:
    before = result.to_json()
    out = result.to_dict()
    assert out == json.loads(before)

    def spoil(value: Any) -> None:
        for inner in list(value.values()) if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                spoil(inner)
        value.clear()

    spoil(out)
    assert result.to_json() == before


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.open.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@every
def test_a_notebook_shows_the_lead_and_the_tables(result: Result[Any]) -> None:
    html = result._repr_html_()  # type: ignore[operator]
    page, tags = result.page(""), Tags(html)
    assert tags.open == []
    assert not {"script", "link", "img", "html", "body"} & set(tags.seen)
    assert tags.seen.count("table") == len(page["tables"])
    assert NAME not in html
    assert "\x1b" not in html
    # The style reaches nothing of the notebook.
    (style,) = re.findall("<style>(.*?)</style>", html, flags=re.S)
    assert all(
        part.strip().startswith(".fairlora")
        for rule in style.strip().splitlines()
        for part in rule.split("{")[0].split(",")
    )


@every
def test_every_output_is_there_for_every_result(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result.show("The title")
    assert capsys.readouterr().out.startswith("The title\n")
    assert result.to_markdown("The title").startswith("# The title")
    assert "\\toprule" in result.to_latex()
    result.to_html(tmp_path / "page.html")
    assert f"<title>{result.title}</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    result.plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@every
def test_the_tables_of_the_page_come_as_frames(result: Result[Any]) -> None:
    tables = {table["title"]: table for table in result.page("")["tables"]}
    assert list(result.tables) == list(tables)
    for title, frame in result.tables.items():
        assert list(frame.columns) == [column["name"] for column in tables[title]["columns"]]
        cells = [[cell["text"] for cell in row["cells"]] for row in tables[title]["rows"]]
        assert frame.to_numpy().tolist() == cells


@pytest.mark.parametrize("result", RESULTS[:3], ids=lambda r: type(r).__name__)
def test_a_figure_of_an_attribute_that_is_not_there(result: Any) -> None:
    result.plot(attribute="g")
    with pytest.raises(InputError, match="no such attribute"):
        result.plot(attribute="h")


def test_a_modules_names_are_its_public_ones() -> None:
    import fairlora.models
    import fairlora.report

    for module in (fairlora, fairlora.report, fairlora.models):
        assert dir(module) == sorted(module.__all__)
        assert all(getattr(module, name) is not None for name in dir(module))
