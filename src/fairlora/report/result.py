"""Bases of the results of audits, comparisons and attacks, and of the models that they hold."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from fairlora.errors import clean
from fairlora.report.page import Page
from fairlora.report.text import one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_LONGEST = 200


class Record(BaseModel):
    """A part of a result's content.

    A field with a default is a key that may be left out: it is, where nothing set it.
    """

    model_config = ConfigDict(extra="forbid")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [pair for pair in super().__repr_args__() if pair[0] in self.model_fields_set]

    def to_dict(self) -> dict[str, Any]:
        """Return the keys that were set as plain values, as JSON has them."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class Rows(Protocol):
    """A content of so many rows."""

    n: int

    def to_dict(self) -> dict[str, Any]: ...


Content = TypeVar("Content", bound=Rows)


@dataclass(frozen=True, repr=False)
class Result(ABC, Generic[Content]):
    """What was found: `content` holds it, the rest are views of it.

    A kind of result says how its page is made (`page`) and what it is of (`about`).
    """

    content: Content

    title: ClassVar[str] = "Result"

    @abstractmethod
    def page(self, title: str) -> Page:
        """Return the page that every other view is made from."""

    @abstractmethod
    def about(self) -> Sequence[str]:
        """Return the names of what it is of, for the one line that stands for it."""

    @abstractmethod
    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw its main figure, and write it to a .png, .svg or .pdf file where a path is given."""

    def __repr__(self) -> str:
        """Kind, rows and attributes, and on a second line the worst finding."""
        head = f"{type(self).__name__}({self.content.n:,} rows; {', '.join(self.about())})"
        lead = self.page("").get("lead", "")
        # To the end of the first sentence: a point within a number has no space after it.
        first = re.split(r"(?<=\.) ", lead, maxsplit=1)[0]
        lines = [clean(one_line(line)) for line in (head, first) if line]
        return "\n".join(
            line if len(line) <= _LONGEST else line[: _LONGEST - 4] + " ..." for line in lines
        )

    def _repr_html_(self) -> str:
        """Return the lead and the tables, as a notebook shows them."""
        from fairlora.report.html import to_fragment

        return to_fragment(self.page(self.title))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: a copy, to be changed at will."""
        return self.content.to_dict()

    def to_json(self) -> str:
        """Return `to_dict` as JSON; an undefined number is null with a reason beside it."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Title -> a DataFrame of each table of the page, with its cells as they read."""
        import pandas as pd

        return {
            table["title"]: pd.DataFrame(
                [[cell["text"] for cell in row["cells"]] for row in table["rows"]],
                columns=[column["name"] for column in table["columns"]],
            )
            for table in self.page("").get("tables", [])
        }

    def to_markdown(self, title: str | None = None) -> str:
        """Return the page in Markdown."""
        from fairlora.report.markdown import to_markdown

        return to_markdown(self.page(self._named(title)))

    def to_latex(self, title: str | None = None) -> str:
        """Return the tables in LaTeX (booktabs)."""
        from fairlora.report.latex import to_latex

        return to_latex(self.page(self._named(title)))

    def to_html(self, path: str | Path, title: str | None = None) -> None:
        """Write the page as one self-contained file."""
        from fairlora.report.html import write_html

        write_html(self.page(self._named(title)), path)

    def show(self, title: str | None = None, *, full: bool = False) -> None:
        """Print one screen to the terminal, as the command does, or with `full` every table."""
        from fairlora.report.terminal import print_page

        rest = "show(full=True) prints the tables, to_html() writes all"
        print_page(self.page(self._named(title)), full=full, rest=rest)

    def _named(self, title: str | None) -> str:
        return self.title if title is None else title
