"""`fairlora compare`: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.common import note
from fairlora.cli.output import Answer


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
    from fairlora.study.report.summary import comparison_page, read_runs

    folders = _finished(runs) or runs[:1]  # that one's error says what is wrong with it
    page = comparison_page(read_runs(folders), title=title)
    Answer(page, lambda: to_json(page)).give([] if out is None else [out], json_, tables=True)


def _finished(paths: list[Path]) -> list[Path]:
    """The finished runs among the paths: a pattern such as runs/demo/* matches what lies beside.

    A path that is not there was meant, and stays: reading it says so.
    """
    from fairlora.study.runs.folder import RunFolder
    from fairlora.study.runs.status import state_of

    states = {path: state_of(RunFolder(path)) for path in paths if path.is_dir()}
    others = [
        path
        for path in paths
        if path.exists() and (path not in states or states[path].state != "done")
    ]
    found = [path for path in paths if path not in others]
    broken = [path for path in others if path in states and states[path].state == "broken"]
    for path in broken if found else ():
        note(f"left out: {states[path].reason}")
    others = [path for path in others if path not in broken]
    if found and others:
        few = ", ".join(str(path) for path in others[:5]) + ", ..." * (len(others) > 5)
        note(f"not finished runs, left out of {len(paths)}: {few}")
    return found
