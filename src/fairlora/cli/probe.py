"""`fairlora probe`: what must ask a model and is no prediction. One kind of probe, one file."""

from __future__ import annotations

import typer

from fairlora.cli.probe_features import features
from fairlora.cli.probe_language import choice, cloze, token_bias, translation
from fairlora.cli.probe_shift import shift

app = typer.Typer(
    help="Ask a model itself: what its features hold, how far two picture sets lie apart, what a "
    "language model writes and chooses.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _probe() -> None:
    """Options of `fairlora probe` itself."""


app.command("features")(features)
app.command("shift")(shift)
app.command("translation")(translation)
app.command("cloze")(cloze)
app.command("choice")(choice)
app.command("token-bias")(token_bias)
