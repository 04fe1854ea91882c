"""`fairlora compare`: finished runs side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlora.cli.common import note, output_file, say, say_json

if TYPE_CHECKING:
    from fairlora.report.page import Page


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    title: Annotated[str, typer.Option(help="The page's title.")] = "Methods side by side",
    out: Annotated[
        Path | None,
        typer.Option(help="Write the page here: .html, .md, .tex, .json, .png, .svg, .pdf."),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON on standard output.")
    ] = False,
) -> None:
    """Set finished runs on the same data side by side.

    Runs that differ in their seed alone are one method. Each adapter is judged against full
    fine-tuning, and each objective against plain training, over seeds and test rows; of other runs
    the first is judged against the rest.

    Example:

        fairlora compare runs/demo/* --out comparison.html
    """
    from fairlora.report.json import to_json
    from fairlora.report.terminal import print_page
    from fairlora.study.report.summary import comparison_page, read_runs

    folders = _finished(runs) or runs[:1]  # that one's error says what is wrong with it
    page = comparison_page(read_runs(folders), title=title)
    written = [] if out is None else write_page(page, out)
    if json_:
        say_json(to_json(page))
    else:
        print_page(page)
        for path in written:
            say(f"Written: {path}")


def _finished(paths: list[Path]) -> list[Path]:
    """The finished runs among the paths: a pattern such as runs/demo/* matches what lies beside.

    A path that is not there was meant, and stays: reading it says so.
    """
    from fairlora.study.runs.folder import RunFolder
    from fairlora.study.runs.status import state_of

    others = [
        path
        for path in paths
        if path.exists() and not (path.is_dir() and state_of(RunFolder(path)).state == "done")
    ]
    found = [path for path in paths if path not in others]
    if found and others:
        few = ", ".join(str(path) for path in others[:5]) + ", ..." * (len(others) > 5)
        note(f"not finished runs, left out of {len(paths)}: {few}")
    return found


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
