"""Print and write a command's result, and the options that say where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlora.cli.common import output_file, say, say_json

if TYPE_CHECKING:
    from fairlora.report.page import Page

OutOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Write the result here too: .html, .md, .tex, .json, or a picture (.png, .svg, .pdf: "
        "one file a figure); repeatable."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on standard output.")
]


@dataclass(frozen=True)
class Answer:
    """A page for people, and the same as JSON for machines."""

    page: Page
    json: str

    def give(self, out: Sequence[Path], json_: bool) -> None:
        """Write the files, then print the JSON or the page."""
        from fairlora.cli.compare import write_page
        from fairlora.report.terminal import print_page

        written: list[Path] = []
        for path in out:
            if path.suffix.lower() == ".json":
                with output_file(path) as partial:
                    partial.write_text(self.json + "\n", encoding="utf-8")
                written.append(path)
            else:
                written += write_page(self.page, path)
        if json_:
            say_json(self.json)
            return
        print_page(self.page)
        for path in written:
            say(f"Written: {path}")
