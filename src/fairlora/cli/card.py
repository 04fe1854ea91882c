"""`fairlora card`: a run's model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.common import output_file, say


def card(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write it here; default: README.md beside the run's weights."),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME", help="Upload the weights with the card to the hub, privately."
        ),
    ] = None,
) -> None:
    """Write a finished run's model card: whom it fails, by how much, and what is not known.

    Its head has the evaluation results, overall and by group, as the Hugging Face hub reads them.

    Examples:

        fairlora card runs/people-emoji/lora-r8-seed0-1234567890

        fairlora card runs/people-emoji/lora-r8-seed0-1234567890 --push me/emoji-gender
    """
    from fairlora.study.report import card as cards
    from fairlora.study.report.summary import read_runs

    read = read_runs([run])[0]
    path = out or cards.weights_folder(read) / "README.md"
    text = cards.model_card(read)
    with output_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"Card: {path}")
    if push is not None:
        say(f"Pushed: {cards.push(read, push)}")
