"""Room `cli`: one command, one file. The command modules import what is heavy when they run."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Any, NoReturn

import typer

from fairlora import __version__
from fairlora.cli.attack import attack
from fairlora.cli.audit import audit
from fairlora.cli.card import card
from fairlora.cli.common import note, say
from fairlora.cli.compare import compare
from fairlora.cli.data import app as data_app
from fairlora.cli.demo import demo
from fairlora.cli.export import export
from fairlora.cli.gate import gate
from fairlora.cli.parsing import refuse_repeated
from fairlora.cli.predict import predict
from fairlora.cli.probe import app as probe_app
from fairlora.cli.schema import schema
from fairlora.cli.study import app as study_app
from fairlora.cli.thresholds import thresholds
from fairlora.cli.train import train
from fairlora.cli.watch import app as watch_app
from fairlora.errors import FairloraError, InputError, WriteError, missing_package, no_room

INTERRUPTED = 130  # what a shell makes of Ctrl-C

app = typer.Typer(
    name="fairlora",
    help="Fine-tune pretrained models, with or without a fairness objective, and say how fair "
    "each result is to every subgroup.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo)
app.command("train")(train)
app.command("predict")(predict)
app.command("export")(export)
app.command("thresholds")(thresholds)
app.command("audit")(audit)
app.command("gate")(gate)
app.command("compare")(compare)
app.command("attack")(attack)
app.command("card")(card)
app.command("schema")(schema)
app.add_typer(data_app, name="data")
app.add_typer(probe_app, name="probe")
app.add_typer(study_app, name="study")
app.add_typer(watch_app, name="watch")
refuse_repeated(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fairlora {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options of `fairlora` itself."""


def main() -> None:
    """Run the command line; fairlora's own errors become one line and an exit code."""
    sys.excepthook = _clean_traceback
    # What is left at the end, a million objects after training, need not be looked through.
    atexit.register(gc.freeze)
    try:
        app()
    except FairloraError as error:
        _leave(error)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        _leave(missing)
    except BrokenPipeError:
        # Whoever reads has enough (`| head`); what is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A folder that cannot be written, a disk that is full.
        reason = no_room(error) or error.strerror or str(error) or type(error).__name__
        _leave(WriteError(f"{error.filename}: {reason}" if error.filename else reason))
    except RecursionError:
        _leave(InputError("what was given is nested too deeply to be read"))
    except SystemExit as stop:
        # Typer turns an interruption into this exit.
        if stop.code == INTERRUPTED:
            note("interrupted; run the same command again to go on")
        elif type(stop) is not SystemExit:  # a kind of its own has something to say
            note(str(stop))
        raise


def _leave(error: FairloraError) -> NoReturn:
    note(str(error))
    sys.exit(error.exit_code)


def _clean_traceback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a traceback as Python does, without what its names would do to a terminal."""
    import traceback

    say("".join(traceback.format_exception(kind, error, trace)).rstrip(), sys.stderr)
