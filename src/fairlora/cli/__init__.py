"""Room `cli`: one command, one file. The command modules import what is heavy when they run."""

from __future__ import annotations

import sys

import typer

from fairlora import __version__
from fairlora.cli.attack import attack
from fairlora.cli.audit import audit
from fairlora.cli.compare import compare
from fairlora.cli.data import app as data_app
from fairlora.cli.demo import demo
from fairlora.cli.predict import predict
from fairlora.cli.probe import app as probe_app
from fairlora.cli.study import app as study_app
from fairlora.cli.train import train
from fairlora.errors import FairloraError

INTERRUPTED = 130  # what a shell makes of Ctrl-C

app = typer.Typer(
    name="fairlora",
    help="Fine-tune pretrained models, with or without a fairness objective, and say how fair "
    "each result is to every subgroup.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo)
app.command("train")(train)
app.command("predict")(predict)
app.command("audit")(audit)
app.command("compare")(compare)
app.command("attack")(attack)
app.add_typer(data_app, name="data")
app.add_typer(probe_app, name="probe")
app.add_typer(study_app, name="study")


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
    try:
        app()
    except FairloraError as error:
        print(f"fairlora: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:
            raise
        # A folder that cannot be written, a disk that is full.
        print(f"fairlora: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(FairloraError.exit_code)
    except SystemExit as stop:
        # Typer turns an interruption into this exit.
        if stop.code == INTERRUPTED:
            print("fairlora: interrupted; run the same command again to go on", file=sys.stderr)
        elif type(stop) is not SystemExit:  # a kind of its own has something to say
            print(f"fairlora: {stop}", file=sys.stderr)
        raise
