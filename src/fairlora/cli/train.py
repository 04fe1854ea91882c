"""`fairlora train`: one fine-tuning run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlora.cli.common import RunBar, note, say, say_json
from fairlora.cli.output import FullOption, show_page

if TYPE_CHECKING:
    from fairlora.study.runs.prepare import Prepared


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.yaml", help="The run file.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a key of the file."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; default: runs/NAME/METHOD-SEED-HASH."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave a finished run of the same settings as it is."),
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Upload the weights with a model card to the hub, privately; see 'fairlora card'.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Train nothing: estimate the peak memory, and say whether it fits."
        ),
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the run's metrics as JSON on standard output.")
    ] = False,
    full: FullOption = False,
) -> None:
    """Fine-tune a model, predict, and audit the predictions.

    Examples:

        fairlora train examples/people-emoji.yaml

        fairlora train examples/people-emoji.yaml --plan --set training.batch_size=256

        fairlora train examples/utkface-gender.yaml --set data.path=UTKFace
        --set adapter.kind=full --set objective.name=loss-variance --set seed=1
    """
    from fairlora.models.libraries import load_libraries
    from fairlora.study.spec.run import read_spec

    spec = read_spec(run_file, set_ or [])
    load_libraries()
    from fairlora.report.html import write_html
    from fairlora.study.report.summary import read_runs, run_page
    from fairlora.study.runs.cell import run_cell
    from fairlora.study.runs.folder import RunFolder, dump_json
    from fairlora.study.runs.kept import forget_oldest, kept_of_user
    from fairlora.study.runs.precision import measure, shape_of
    from fairlora.study.runs.prepare import prepare

    precision = measure([shape_of(spec)])
    advice = precision.advice([spec])
    if advice is not None:
        note(advice)
    prepared = prepare(precision.resolve(spec))
    if plan:
        _print_plan(prepared, as_json=json_)
        return
    folder = RunFolder(out or Path("runs") / safe_name(spec.name) / prepared.name)
    for text in prepared.examples.notes:
        note(text)
    kept = kept_of_user()
    with RunBar(spec.method) as bar:
        ran = run_cell(prepared, folder, bar, resume=resume, precision=precision, kept=kept)
    if kept is not None:
        forget_oldest(kept)
    if not ran:
        note(f"{folder.path} is finished already")
    run = read_runs([folder.path])[0]
    if push is not None:
        from fairlora.study.report import card

        note(f"pushed to {card.push(run, push)}")
    if json_:
        say_json(dump_json(folder.metrics()))
        return
    page = run_page(run)
    write_html(page, folder.path / "report.html")
    show_page(page, rest="--full prints the tables, the page has all")
    say(f"\nRun: {folder.path}\nPage: {folder.path / 'report.html'}")


def _print_plan(prepared: Prepared, *, as_json: bool) -> None:
    """Print what the run will take of memory; exit code 1 where this machine has less."""
    from fairlora.study.runs.folder import dump_json
    from fairlora.study.runs.memory_plan import plan_memory

    found = plan_memory(prepared)
    if as_json:
        say_json(dump_json(found.to_dict()))
    else:
        say("\n".join(found.lines()))
    if not found.fits:
        raise typer.Exit(1)


def safe_name(name: str) -> str:
    """A folder name out of any text: letters, digits, dots and dashes."""
    import re

    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "run"
