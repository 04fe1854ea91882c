"""`fairlora probe features`: what a fine-tuned model's features hold of a sensitive attribute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.output import Answer, FullOption, JsonOption, OutOption


def features(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL", help="Attribute to probe for; repeatable. Default: all of them."
        ),
    ] = None,
    suggests: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL:GROUP=CLASS",
            help="The class that a group would suggest: gives sensitive agreement; repeatable.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Rows to probe on.")] = "test",
    rows: Annotated[
        int | None, typer.Option(min=30, help="At most so many rows, drawn at random.")
    ] = None,
    folds: Annotated[int, typer.Option(min=3, help="Of the cross-validation.")] = 5,
    base: Annotated[
        str | None, typer.Option(help="Where the base model lies, if it has moved.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")] = 0,
    title: Annotated[str, typer.Option(help="The page's title.")] = "What features hold",
    out: OutOption = None,
    json_: JsonOption = False,
    full: FullOption = False,
) -> None:
    """Read a sensitive attribute off a model's features by a cross-validated linear probe.

    Accuracy stands beside that of the base model's features and the majority rate, with intervals
    and a verdict. What features hold is another thing than what predictions use: sensitive
    agreement (--suggests) is put beside it.

    Examples:

        fairlora probe features runs/waterbirds/* --group place

        fairlora probe features runs/lora runs/full --suggests place:water=waterbird \\
            --suggests place:land=landbird --out probe.html
    """
    from fairlora.cli.output import check_endings
    from fairlora.cli.pairs import suggestions
    from fairlora.cli.study_live import ReportBar
    from fairlora.models.libraries import load_libraries
    from fairlora.probes.features_page import features_page
    from fairlora.study.tasks.feature_probes import probe_runs

    check_endings(out or [])
    load_libraries()
    # A pattern such as runs/demo/* matches the page beside the runs too.
    folders = [path for path in runs if not path.is_file() or len(runs) == 1]
    with ReportBar() as bar:
        found = probe_runs(
            folders,
            group or [],
            split=split,
            folds=folds,
            seed=seed,
            suggests=suggestions(suggests or []),
            base=base,
            rows=rows,
            tell=bar,
        )
    text = json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1)
    Answer(features_page(found, title), lambda: text).give(out or [], json_)
