"""`fairlora study`: plan, run, watch and report a whole study."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora.cli.common import make_console, note, output_file, say, say_json
from fairlora.cli.output import FullOption, show_page

if TYPE_CHECKING:
    from fairlora.study.engines.base import Engine
    from fairlora.study.runs.precision import Precision
    from fairlora.study.runs.runner import Outcome
    from fairlora.study.spec.run import RunSpec
    from fairlora.study.spec.study import StudySpec

app = typer.Typer(
    help="Whole studies: one file in; tables, figures and verdicts out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
StudyArgument = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study file, or the name of a preset (see `presets`)."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a key of the file."),
]
OutOption = Annotated[Path, typer.Option(help="Where studies lie; this one's folder is OUT/NAME.")]
SmokeOption = Annotated[
    bool,
    typer.Option("--smoke", help="Small models of the same architecture and made-up tiny data."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command("presets")
def presets(json_: JsonOption = False) -> None:
    """List the studies that come with fairlora.

    Example:

        fairlora study presets
    """
    from fairlora.study.spec.presets import presets as known

    found = known()
    if json_:
        say_json(json.dumps(found, indent=1))
        return
    from rich.table import Table

    table = Table(box=None)
    table.add_column("preset", no_wrap=True)
    table.add_column("what it repeats")
    for name, line in found.items():
        table.add_row(name, line)
    make_console().print(table)


@app.command("schema")
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it here instead of printing it.")] = None,
) -> None:
    """Print the JSON schema of a study file, for editors.

    Example: `fairlora study schema --out study.schema.json`, and as the study's first line

        # yaml-language-server: $schema=study.schema.json
    """
    from fairlora.study.spec.study import study_schema

    text = json.dumps(study_schema(), indent=1) + "\n"
    if out is None:
        say_json(text)
        return
    with output_file(out) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"Written: {out}")


@app.command("plan")
def plan(
    study: StudyArgument,
    set_: SetOption = None,
    out: OutOption = Path("runs"),
    smoke: SmokeOption = False,
    count: Annotated[
        bool, typer.Option("--count/--no-count", help="Count parameters (loads torch).")
    ] = True,
    json_: JsonOption = False,
) -> None:
    """Say what a study would run, what is done, what it can show and what it costs.

    Nothing is trained; --smoke makes its tiny models and data below --out.

    Examples:

        fairlora study plan studies/waterbirds.yaml --set data.path=waterbirds_v1.0

        fairlora study plan fair-rank --smoke
    """
    from fairlora.study.runs.sizes import Sizing

    with contextlib.ExitStack() as stack:
        # First of all, so that torch is loaded while the cells are worked out.
        sizing = stack.enter_context(contextlib.closing(Sizing())) if count else None
        from fairlora.study.runs.plan import plan_study
        from fairlora.study.spec.expand import expand

        spec, root = _inputs(study, set_, out, smoke)
        slots = _engine(spec, [arm.spec for arm in expand(spec)]).slots
        found = plan_study(spec, root, slots=slots, sizing=sizing)
    if json_:
        say_json(json.dumps(found.to_dict(), indent=1))
    else:
        from fairlora.cli.study_plan import print_plan

        print_plan(found)


@app.command("run")
def run(
    study: StudyArgument,
    set_: SetOption = None,
    out: OutOption = Path("runs"),
    smoke: SmokeOption = False,
    engine: Annotated[
        str | None, typer.Option(help="local, inline, ray or slurm; default: what the file says.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time, of the local engine.")
    ] = None,
    search_again: Annotated[
        bool,
        typer.Option(
            "--search-again",
            help="Search anew, keeping finished runs: failed trials are tried again.",
        ),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write tables, figures and the page.")
    ] = True,
    json_: JsonOption = False,
    full: FullOption = False,
) -> None:
    """Run what is missing of a study, then write its report. Killed, it goes on where it was.

    Examples:

        fairlora study run studies/utkface-age.yaml --set data.path=UTKFace --processes 2

        fairlora study run waterbirds --smoke
    """
    overrides = list(set_ or [])
    if engine is not None:
        overrides.append(f"engine.kind={engine}")
    if processes is not None:
        overrides.append(f"engine.processes={processes}")
    spec, root = _inputs(study, overrides, out, smoke)
    run_study(spec, root, search_again=search_again, report=report, json_=json_)


def run_study(
    spec: StudySpec,
    root: Path,
    *,
    search_again: bool = False,
    report: bool = True,
    json_: bool = False,
) -> None:
    """Run what is missing of a study in its folder, write its report, and say what came of it.

    Parameters
    ----------
    report : write tables, figures and the page; its main table and verdicts are printed.

    Raises `typer.Exit` with code 1 if a cell failed.
    """
    from fairlora.cli.study_live import StudyLive
    from fairlora.study.runs.precision import needs_measuring
    from fairlora.study.runs.runner import StudyRunner
    from fairlora.study.spec.expand import expand

    if not spec.train:
        note("this study trains nothing: train is false")
        made_page = _report(spec, root, None)
        answer = {"folder": str(root), "page": str(made_page)}
        say(json.dumps(answer) if json_ else f"Page: {made_page}")
        return
    specs = [arm.spec for arm in expand(spec)]
    made = _engine(spec, specs, root / "logs")
    made.notify = note
    with made:
        runner = StudyRunner(spec, root, made, search_again=search_again)
        if needs_measuring(root):
            made.warm()
            runner.check()  # what is wrong is said before anything is waited for
        runner.maker.precision = _settle_precision(specs, root, made)
        with StudyLive(spec.name, root, made.slots) as live:
            runner.watch, runner.ended = live.starting, live.ended
            outcome = runner.run()
    # Of cells that all failed there is nothing to report but why.
    nothing = outcome.failed and not any(
        cell.identity in outcome.done for cells in outcome.cells.values() for cell in cells
    )
    page = _report(spec, root, outcome) if report and not nothing else None
    if page is not None and not json_:
        from fairlora.report.page import check_page

        content = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
        rest = "--full prints the tables, the page has all"
        show_page(check_page(content), rest=rest, tables=True)
    _print_outcome(outcome, root, page, json_)
    if outcome.failed:
        raise typer.Exit(1)


@app.command("status")
def status(
    study: StudyArgument,
    set_: SetOption = None,
    out: OutOption = Path("runs"),
    smoke: SmokeOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show how it goes on; Ctrl-C ends it.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Show which cells of a study are done, running, failed (and why), and the time left.

    Examples:

        fairlora study status studies/utkface-age.yaml --watch
    """
    from fairlora.cli.study_live import print_states, states_json, watch_states
    from fairlora.study.spec.presets import preset_path
    from fairlora.study.spec.study import read_study

    spec = read_study(preset_path(study), set_ or [], smoke=smoke)
    root = out / (f"{spec.name}-smoke" if smoke else spec.name)
    if json_:
        say_json(states_json(root))
    elif watch:
        watch_states(root)
    else:
        print_states(root)


@app.command("report")
def report(
    study: StudyArgument,
    set_: SetOption = None,
    out: OutOption = Path("runs"),
    smoke: SmokeOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make it anew even if nothing has changed.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Recompute all metrics from the predictions; a difference is an error."
        ),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Write a study's tables, figures, verdicts and page from what is finished of it.

    Example:

        fairlora study report studies/utkface-age.yaml --verify
    """
    spec, root = _inputs(study, set_, out, smoke)
    page = _report(spec, root, None, again=again, verify=verify)
    if json_:
        say_json((page.parent / "report.json").read_text(encoding="utf-8"))
    else:
        say(f"Page: {page}")


@app.command("seal")
def seal(
    cells: Annotated[
        list[Path], typer.Argument(metavar="CELL...", help="Folders of finished runs.")
    ],
) -> None:
    """Accept files of finished runs that you changed on purpose, as they are now.

    The change is recorded in the run, and shown wherever its numbers are.

    Example:

        fairlora study seal runs/my-study/lora-r8-seed0-0123456789
    """
    from fairlora.study.runs.accept import accept
    from fairlora.study.runs.folder import RunFolder

    for path in cells:
        accepted = accept(RunFolder(path))
        if accepted.files:
            say(f"{path}: accepted {', '.join(accepted.files)}")
        else:
            say(f"{path}: nothing has changed")
        if accepted.note is not None:
            note(f"{path}: the metrics are not what the predictions give ({accepted.note})")


def _engine(spec: StudySpec, specs: list[RunSpec], logs: Path | None = None) -> Engine:
    """The engine of a study's cells, of which `specs` are those of the first seed."""
    from fairlora.study.engines import make_engine
    from fairlora.study.runs.memory import cell_bytes

    # The trials of a search, and shadow models, are cells too.
    known = spec.search is None and spec.privacy is None
    cells = len(specs) * len(spec.seeds) if known else None
    return make_engine(spec.engine, logs, cell_bytes=cell_bytes(specs), cells=cells)


def _settle_precision(specs: list[RunSpec], root: Path, engine: Engine) -> Precision | None:
    """Measure a new study's precision where its cells will run, and say what is worth saying."""
    from fairlora.study.runs.precision import needs_measuring, settle, settled

    automatic = any(spec.training.precision == "auto" for spec in specs)
    if not engine.here and automatic:
        note(
            "training.precision is auto, and other machines are not measured: float32; write "
            "precision: bfloat16 where they are faster in it"
        )
    if not engine.here:
        return settled(root)
    found = settle(root, specs, engine.measure)
    if found is None and automatic and needs_measuring(root):
        note("training.precision is auto, and could not be measured: float32")
    advice = None if found is None else found.advice(specs)
    if advice is not None:
        note(advice)
    return found


def _inputs(study: str, set_: list[str] | None, out: Path, smoke: bool) -> tuple[StudySpec, Path]:
    """The study and its folder; in smoke form with models and data made for it."""
    from fairlora.study.spec.presets import preset_path
    from fairlora.study.spec.study import read_study

    spec = read_study(preset_path(study), set_ or [], smoke=smoke)
    if not spec.train:
        from fairlora.models.libraries import load_libraries

        # Models are counted in this process.
        load_libraries()
    if not smoke:
        return spec, out / spec.name
    from fairlora.study.spec.smoke import smoke_study

    root = out / f"{spec.name}-smoke"
    return smoke_study(spec, root / "inputs"), root


def _report(
    spec: StudySpec,
    root: Path,
    outcome: Outcome | None,
    *,
    again: bool = False,
    verify: bool = False,
) -> Path:
    from fairlora.cli.study_live import ReportBar
    from fairlora.study.report.from_disk import report_study

    with ReportBar() as bar:
        return report_study(spec, root, outcome, tell=bar, again=again, verify=verify)


def _print_outcome(outcome: Outcome, root: Path, page: Path | None, json_: bool) -> None:
    if json_:
        content: dict[str, Any] = {
            "folder": str(root),
            "page": None if page is None else str(page),
            "ran": outcome.ran,
            "kept": outcome.kept,
            "failed": outcome.reasons,
            "notes": outcome.notes,
            "searches": outcome.searches,
        }
        say_json(json.dumps(content, indent=1))
        return
    from fairlora.study.runs.runner import grouped_reasons

    say(f"{outcome.ran} cells run, {outcome.kept} were finished already, {outcome.failed} failed")
    groups = grouped_reasons(outcome.reasons)
    for names, reason in groups[:20]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        count = f"{len(names)} cells: " if len(names) > 1 else ""
        say(f"  {count}{', '.join(names[:3])}{more}: {reason}", sys.stderr)
    if len(groups) > 20:
        say(f"  and {len(groups) - 20} more reasons: fairlora study status", sys.stderr)
    for text in outcome.notes:
        say(f"Note: {text}", sys.stderr)
    say(f"Cells: {root}")
    if page is not None:
        say(f"Page: {page}")
