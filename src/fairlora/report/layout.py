"""Where the parts of a page stand: what the first screen has, and the rest by topic.

The tables and figures of one topic stand together, a figure first. Every part has a number in the
order of reading, and an id made of its title, so that a link to it holds when the page is made
again with more in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fairlora.report.page import Mark, Page, Table, marks_used
from fairlora.report.text import one_line, slug

# Fewer parts than this need no list of contents.
_FEWEST_LISTED = 3


class Part(NamedTuple):
    """A table, a figure or the counts by threshold, with its number and id.

    `told` are the words that are defined here, as this is where they first stand, and `known` those
    that were defined above: word -> id.
    """

    kind: str
    number: int
    id: str
    title: str
    content: Any
    marks: Sequence[Mark] = ()
    told: Mapping[str, str] = {}
    known: Mapping[str, str] = {}


class Topic(NamedTuple):
    """Parts that stand together; one without a name has no heading."""

    name: str
    id: str
    parts: list[Part]


class Layout(NamedTuple):
    """A page's parts in the order of reading.

    `picture` stands on the first screen, `definitions` are the words that no table tells.
    """

    picture: Any
    topics: list[Topic]
    definitions: dict[str, str]
    listed: bool


class _Ids:
    """Hands out ids, each once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def new(self, kind: str, title: str) -> str:
        name = f"{kind}-{slug(title)}"
        self._taken[name] = self._taken.get(name, 0) + 1
        # Two hyphens never come out of a slug.
        return name if self._taken[name] == 1 else f"{name}--{self._taken[name]}"


def opens_with_picture(page: Page) -> bool:
    """Whether the first figure, where there is one, stands on the first screen."""
    return "picture" in page or bool(page.get("findings"))


def laid_out(page: Page, figures: Sequence[Any]) -> Layout:
    """Return where the parts of `page` stand.

    Parameters
    ----------
    page : checked and clean.
    figures : its drawn figures, with `title` and `topic`.
    """
    ids = _Ids()
    words = {fact["name"]: fact["value"] for fact in page.get("terms", [])}
    known: dict[str, str] = {}
    figures = list(figures)
    picture = figures.pop(0) if figures and opens_with_picture(page) else None
    every: list[tuple[str, Any, str]] = [
        *(("table", table, table.get("topic", "")) for table in page.get("tables", [])),
        *(("figure", figure, figure.topic) for figure in figures),
        *(("thresholds", one, one.get("topic", "")) for one in page.get("thresholds", [])),
    ]
    names = list(dict.fromkeys(topic for *_, topic in every))
    names.sort(key=lambda name: _place(name, page.get("topics", [])))
    numbers = {"table": 0, "figure": 0, "thresholds": 0}
    topics = []
    for name in names:
        parts = []
        topic_id = ids.new("topic", name) if name else ""
        for kind, content in _in_order([(k, c) for k, c, topic in every if topic == name]):
            numbers[kind] += 1
            title = content.title if kind == "figure" else content["title"]
            part = Part(kind, numbers[kind], ids.new(kind, title), title, content)
            if kind == "table":
                here = {word: known[word] for word in _words_of(content) if word in known}
                new = [w for w in _words_of(content) if w in words and w not in known]
                told = {word: ids.new("term", word) for word in new}
                known |= told
                part = part._replace(marks=marks_used(content), told=told, known=here)
            parts.append(part)
        topics.append(Topic(name, topic_id, parts))
    untold = {word: text for word, text in words.items() if word not in known}
    listed = sum(len(topic.parts) for topic in topics) >= _FEWEST_LISTED
    return Layout(picture, topics, untold, listed)


def _place(name: str, topics: Sequence[str]) -> int:
    return topics.index(name) if name in topics else len(topics)


def _in_order(parts: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The parts of a topic: a figure, as pictures are seen first, then tables, then the rest."""
    first = next((k for k, (kind, _) in enumerate(parts) if kind == "figure"), None)
    if first is not None:
        yield parts[first]
    yield from (part for k, part in enumerate(parts) if k != first)


def _words_of(table: Table) -> list[str]:
    """What a table's columns and rows are called."""
    columns = [one_line(column["name"]) for column in table["columns"]]
    rows = [one_line(row["cells"][0]["text"]) for row in table["rows"] if row.get("header")]
    return list(dict.fromkeys([*columns, *rows]))
