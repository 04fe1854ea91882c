"""`fairlora compare`: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlora.cli.common import note
from fairlora.cli.output import Answer, FullOption

_TITLE = "Methods side by side"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of finished runs; or of one run, and of its exports; or two "
            "texts.parquet of language models.",
        ),
    ],
    title: Annotated[str, typer.Option(help="The page's title.")] = _TITLE,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the page here: .html, .md, .tex, .json, .png, .svg, .pdf."),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON on standard output.")
    ] = False,
    full: FullOption = False,
) -> None:
    """Set finished runs on the same data side by side.

    Runs that differ in their seed alone are one method. Each adapter is judged against full
    fine-tuning, and each objective against plain training, over seeds and test rows; of other runs
    the first is judged against the rest.

    A run and its exports: flips by group and direction, and what differs, with verdicts. Two tables
    of texts: the loss by group, text by text.

    Examples:

        fairlora compare runs/demo/* --out comparison.html

        fairlora compare runs/demo/lora-r8-seed0-1234567890 exports/*
    """
    from fairlora.report.json import to_json

    if len(runs) > 1 and (runs[1] / "export.json").is_file():
        from fairlora.models.libraries import load_libraries

        load_libraries()
        from fairlora.study.export.comparing import export_page

        page = export_page(runs[0], runs[1:], title=f"{runs[0].name} and its exports")
        Answer(page, lambda: to_json(page)).give([] if out is None else [out], json_, tables=True)
        return
    from fairlora.cli.audit_scores import is_texts

    if runs and all(is_texts(path) for path in runs):
        _compare_texts(runs, title, [] if out is None else [out], json_)
        return
    from fairlora.study.report.summary import comparison_page, read_runs

    found, notes = _finished(runs)
    folders = found or runs[:1]  # that one's error says what is wrong with it
    page = comparison_page(read_runs(folders), title=title, notes=notes)
    Answer(page, lambda: to_json(page)).give([] if out is None else [out], json_, tables=True)


def _compare_texts(files: list[Path], title: str, out: list[Path], json_: bool) -> None:
    """Set the losses of two tables of texts side by side, as `fairlora audit --against` does."""
    from fairlora.cli.audit_scores import audit_scores
    from fairlora.errors import InputError
    from fairlora.metrics import Settings
    from fairlora.predictions.classes import ClassRules

    if len(files) != 2:
        raise InputError(
            "tables of texts are compared in pairs", where="RUN...", found=f"{len(files)} files"
        )
    columns: dict[str, Any] = {
        "groups": (), "cluster": None, "weight": None, "bins": {}, "joins": [],
        "rules": ClassRules(),
    }  # fmt: skip
    given = {"label": None, "pred": None, "probs": None, "split": None}
    audit_scores(
        files[0], None, None, columns, given, Settings(), files[1], None, None,
        None if title == _TITLE else title, out, json_,
    )  # fmt: skip


def _finished(paths: list[Path]) -> tuple[list[Path], list[str]]:
    """The finished runs among the paths, and a note for each that is not whole.

    A pattern such as runs/demo/* matches what lies beside; no note is of that.

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
    notes = [f"left out: {states[path].reason}" for path in broken] if found else []
    for text in notes:
        note(text)
    others = [path for path in others if path not in broken]
    if found and others:
        few = ", ".join(str(path) for path in others[:5]) + ", ..." * (len(others) > 5)
        note(f"not finished runs, left out of {len(paths)}: {few}")
    return found, notes
