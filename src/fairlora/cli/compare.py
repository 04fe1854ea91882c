"""`fairlora compare`: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairlora.report.page import Page


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    title: Annotated[str, typer.Option(help="The page's title.")] = "Methods side by side",
    out: Annotated[
        Path | None, typer.Option(help="Write the page here: .html, .md, .json, .png, .svg, .pdf.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON on standard output.")
    ] = False,
) -> None:
    """Set finished runs on the same data side by side.

    Runs that differ in their seed alone are averaged. The table describes; it gives no verdict on
    whether two methods differ.

    Example:

        fairlora compare runs/demo/* --out comparison.html
    """
    from fairlora.report.json import to_json
    from fairlora.report.terminal import print_page
    from fairlora.study.summary import comparison_page, read_runs

    folders = [path for path in runs if path.is_dir() or len(runs) == 1]
    page = comparison_page(read_runs(folders), title=title)
    if out is not None:
        write_page(page, out)
    if json_:
        print(to_json(page))
    else:
        print_page(page)
        if out is not None:
            print(f"\nPage: {out}")


def write_page(page: Page, out: Path) -> None:
    """Write a page by its file name's ending; `InputError` for an unknown one."""
    from fairlora.cli.common import output_file
    from fairlora.errors import InputError

    kind = out.suffix.lower()
    if kind in (".png", ".svg", ".pdf"):
        from fairlora.report.figures import dots_figure

        dots = page.get("dots") or []
        if not dots:
            raise InputError("nothing to draw", where=out)
        for number, one in enumerate(dots):
            name = out if len(dots) == 1 else out.with_stem(f"{out.stem}-{number + 1}")
            dots_figure(one, name)
        return
    if kind in (".html", ".htm"):
        from fairlora.report.html import to_html as render
    elif kind == ".md":
        from fairlora.report.markdown import to_markdown as render
    elif kind == ".json":
        from fairlora.report.json import to_json as render
    else:
        raise InputError(
            "unknown kind of file",
            where="--out",
            found=repr(out.name),
            expected=".html, .md, .json, .png, .svg or .pdf",
        )
    with output_file(out) as partial:
        partial.write_text(render(page), encoding="utf-8")
