"""Base of the results of audits, comparisons and attacks: repr, HTML view, plot, files."""

from __future__ import annotations

import copy
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fairlora.errors import clean
from fairlora.report.page import Page
from fairlora.report.text import one_line

_LONGEST = 200


@dataclass(frozen=True, repr=False)
class Result(ABC):
    """What was found. `to_dict` is the documented object; the rest are views of it.

    A kind of result says how its page is made (`page`) and what it is of (`about`).
    """

    content: dict[str, Any]

    title: ClassVar[str] = "Result"

    @abstractmethod
    def page(self, title: str) -> Page:
        """Return the page that every other view is made from."""

    @abstractmethod
    def about(self) -> Sequence[str]:
        """Return the names of what it is of, for the one line that stands for it."""

    def __repr__(self) -> str:
        """Kind, rows and attributes, and on a second line the worst finding."""
        head = f"{type(self).__name__}({self.content['n']:,} rows; {', '.join(self.about())})"
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
        return copy.deepcopy(self.content)

    def to_json(self) -> str:
        """Return `to_dict` as JSON; an undefined number is null with a reason beside it."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False, indent=1)

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

    def show(self, title: str | None = None) -> None:
        """Print the tables to the terminal, as the command does."""
        from fairlora.report.terminal import print_page

        print_page(self.page(self._named(title)))

    def _named(self, title: str | None) -> str:
        return self.title if title is None else title
