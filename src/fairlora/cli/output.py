"""Print and write a command's result, and the options that say where it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


# Whether --full was given: what is between a command and its answer need not hand it on.
_SHOWN = {"full": False}


def _keep(wanted: bool) -> bool:
    _SHOWN["full"] = wanted
    return wanted


FullOption = Annotated[
    bool,
    typer.Option("--full", callback=_keep, help="Print every table."),
]
# What a command says of what one screen leaves out.
REST = "--full prints the tables, --out page.html writes all"


@dataclass(frozen=True)
class Answer:
    """A page for people, and what makes the same as JSON for machines."""

    page: Page
    to_json: Callable[[], str]

    def give(
        self, out: Sequence[Path], json_: bool, *, tables: bool = False, full: bool = False
    ) -> None:
        """Write the files, then print the JSON, or the page as `show_page` does."""
        written: list[Path] = []
        for path in out:
            if path.suffix.lower() == ".json":
                with output_file(path) as partial:
                    partial.write_text(self.to_json() + "\n", encoding="utf-8")
                written.append(path)
            else:
                written += write_page(self.page, path)
        if json_:
            say_json(self.to_json())
            return
        show_page(self.page, tables=tables, full=full)
        for path in written:
            say(f"Written: {path}")


def show_page(page: Page, *, rest: str = REST, tables: bool = False, full: bool = False) -> None:
    """Print one screen of a page, or all of it where --full is given.

    Parameters
    ----------
    page : to be printed.
    rest : what one screen says of the rest.
    tables : without its figures, whose numbers would fill screens.
    full : all of it anyway.
    """
    from fairlora.report.terminal import print_page

    full = full or _SHOWN["full"]
    print_page(tables_of(page) if tables and full else page, full=full, rest=rest)


def tables_of(page: Page) -> Page:
    """A page without its figures: their numbers would fill screens."""
    return {**page, "charts": [], "reliability": []}


def write_page(page: Page, out: Path) -> list[Path]:
    """Write a page by its file name's ending; returns the files (a picture a figure).

    Raises `InputError` for an unknown ending.
    """

    check_endings([out])
    kind = out.suffix.lower()
    if kind in (".png", ".svg", ".pdf"):
        return _write_pictures(page, out)
    if kind in (".html", ".htm"):
        from fairlora.report.html import to_html as render
    elif kind == ".md":
        from fairlora.report.markdown import to_markdown as render
    elif kind == ".tex":
        from fairlora.report.latex import to_latex as render
    else:
        from fairlora.report.json import to_json as render
    with output_file(out) as partial:
        partial.write_text(render(page), encoding="utf-8")
    return [out]


def check_endings(files: Iterable[Path]) -> None:
    """Raise `InputError` for a file that no output goes by the ending of."""
    from fairlora.errors import InputError

    known = (".html", ".htm", ".md", ".tex", ".json", ".png", ".svg", ".pdf")
    for out in files:
        if out.suffix.lower() not in known:
            raise InputError(
                "unknown kind of file",
                where="--out",
                found=repr(out.name),
                expected=".html, .md, .tex, .json, .png, .svg or .pdf",
            )


def _write_pictures(page: Page, out: Path) -> list[Path]:
    from fairlora.errors import InputError
    from fairlora.report import chart_figure, dots_figure, reliability_figure

    dots, charts = page.get("dots") or [], page.get("reliability") or []
    lines = page.get("charts") or []
    count = len(dots) + len(charts) + len(lines)
    if not count:
        raise InputError("nothing to draw", where=out)
    names = [out] if count == 1 else [out.with_stem(f"{out.stem}-{k + 1}") for k in range(count)]
    for one, name in zip(dots, names, strict=False):
        dots_figure(one, name)
    for chart, name in zip(charts, names[len(dots) :], strict=False):
        reliability_figure(chart, name)
    for line, name in zip(lines, names[len(dots) + len(charts) :], strict=True):
        chart_figure(line, name)
    return names
