"""`fairlora demo`: the whole way on the embedded data and model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.output import FullOption


def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the page go.")] = Path("runs/demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Seeds a method.")] = 4,
    epochs: Annotated[float, typer.Option(min=0.01, help="Epochs a run.")] = 4,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    full: FullOption = False,
) -> None:
    """The whole way on the embedded data and model, in minutes.

    Fine-tunes the embedded vision transformer on people-emoji to tell gender where skin tone is a
    shortcut in training: in four ways (the head alone, plain and reweighted; LoRA; FairLoRA), four
    seeds each. Audits every run, and writes a page that says whom each fails and what each does to
    it. Stopped and started again, it goes on where it was. It is a study like any other: the preset
    `demo`.

    Example:

        fairlora demo
    """
    from fairlora.cli.study import run_study
    from fairlora.study.spec.presets import read_preset

    study = read_preset(
        "demo", [f"seeds={list(range(1, seeds + 1))}", f"training.epochs={epochs:g}"]
    )
    run_study(study, out, json_=json_)
