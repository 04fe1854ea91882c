"""Names that mean something to a page, a shell, a spreadsheet or the audit itself."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fairlora.metrics import AuditResult, audit

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</script><b>",
    '"; drop',
    "' onmouseover='x",
    "../../etc/passwd",
    "=1+1",
    "ünïcode 日本",
    "👩🏽\u200d🚀",
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u202egnp.exe",
    "two\nlines",
    "tab\there",
    "a|b",
    "a`b*c_d",
    "$x$ % & # \\\\ {",
    "[red]x[/red]",
    "[/]",
    "{{ 7 * 7 }}",
    "all",
    "n",
    "value",
    " x",
]


def audited(names: list[str], attribute: str = "g") -> AuditResult:
    """Two right rows of each name, one of each class."""
    rows = list(range(len(names))) * 2
    labels = [0] * len(names) + [1] * len(names)
    groups = {attribute: [names[k] for k in rows]}
    return audit(labels, labels, groups, positive=1, min_group=1, bootstrap=0)


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A long name stands on several lines of a drawing, each a text of its own.
        if tag != "text":
            self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return audited(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_group_keeps_its_name_in_json(name: str, result: AuditResult) -> None:
    content = json.loads(result.to_json())
    assert content["by_group"]["g"][name]["n"] == 2
    assert content["by_group"]["g"][name]["accuracy"]["value"] == 1


def test_the_order_of_groups_is_that_of_their_names(result: AuditResult) -> None:
    assert list(result.to_dict()["by_group"]["g"]) == sorted(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_group_adds_nothing_but_text_to_a_page(name: str, tmp_path: Path) -> None:
    pages = []
    for k, one in enumerate((name, "harmless")):
        audited([one, "other"]).to_html(tmp_path / f"{k}.html")
        pages.append(Page((tmp_path / f"{k}.html").read_text(encoding="utf-8")))
    assert sorted(pages[0].tags) == sorted(pages[1].tags)
    # What turns the text around it is taken out; see `fairlora.report.text`.
    shown = name.replace("\u202e", "")
    assert " ".join(shown.split()) in " ".join(pages[0].text.split())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.html", "1.html"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_group_breaks_no_table_of_markdown(name: str) -> None:
    def shape(text: str) -> list[int]:
        """Cells of each line of a table: bars that no backslash takes away."""
        plain = text.replace("\\\\", "").replace("\\|", "")
        return [line.count("|") for line in plain.splitlines() if line.startswith("|")]

    harmless = audited(["harmless", "other"]).to_markdown()
    text = audited([name, "other"]).to_markdown()
    assert shape(text) == shape(harmless)
    assert len(text.splitlines()) == len(harmless.splitlines())


@pytest.mark.parametrize("name", [n for n in HOSTILE if "<" in n])
def test_markdown_holds_no_tag_of_a_group(name: str) -> None:
    assert name not in audited([name, "other"]).to_markdown()


@pytest.mark.parametrize("name", HOSTILE)
def test_an_attribute_may_have_any_name_too(name: str, tmp_path: Path) -> None:
    found = audited(["x", "y"], attribute=name)
    assert list(json.loads(found.to_json())["disparities"]) == [name]
    found.to_html(tmp_path / "page.html")
    harmless = audited(["x", "y"], attribute="g")
    harmless.to_html(tmp_path / "harmless.html")
    tags = [
        Page((tmp_path / f).read_text(encoding="utf-8")).tags
        for f in ("page.html", "harmless.html")
    ]
    assert [tag for tag, _ in tags[0]] == [tag for tag, _ in tags[1]]
    assert len(found.to_markdown().splitlines()) == len(harmless.to_markdown().splitlines())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_class_may_have_any_name_too(name: str, tmp_path: Path) -> None:
    labels = [name, "other"] * 3
    found = audit(labels, labels, {"g": list("aabbcc")}, positive=name, min_group=1, bootstrap=0)
    content = json.loads(found.to_json())
    assert content["positive"] == name
    found.to_html(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert found.to_markdown()


def test_a_title_is_text_and_the_folder_is_made(result: AuditResult, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "audit.html"
    result.to_html(page, title="An <i>audit</i>")
    assert "<i>audit" not in page.read_text(encoding="utf-8")
    assert result.to_markdown("The title").startswith("# The title")


def test_a_group_named_like_a_column_is_a_row_of_the_data_frame(result: AuditResult) -> None:
    frame = result.by_group["g"]
    assert frame.loc["n", "n"] == 2
    assert frame.loc["all", "accuracy"] == 1


def test_an_attribute_named_like_all_rows_leaves_these_as_they_are() -> None:
    plain, named = audited(["x", "y"]).to_dict(), audited(["x", "y"], attribute="all").to_dict()
    assert named["overall"] == plain["overall"]


def test_latex_is_written_for_every_name(result: AuditResult) -> None:
    text = result.to_latex()
    assert "$x$" not in text.replace("\\$x\\$", "")
    assert "two\nlines" not in text
