"""`fairlora audit`: audit a file of predictions. Needs no torch and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet of predictions.")],
    label: Annotated[str | None, typer.Option(help="Column of the true label.")] = None,
    pred: Annotated[str | None, typer.Option(help="Column of the predicted label.")] = None,
    probs: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX_OR_COL",
            help="Probabilities: a list column, a prefix of one column a class, or one column "
            "with the positive class's.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Column of a sensitive attribute; repeatable.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Rows of this split alone; default: test, where there is one."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class of a binary label; default: the last.")
    ] = None,
    min_group: Annotated[
        int, typer.Option(min=0, help="Rates of fewer rows are left out of maxima and spreads.")
    ] = 10,
    bins: Annotated[int, typer.Option(min=1, help="Confidence bins of the ECE.")] = 15,
    confidence: Annotated[
        str, typer.Option(help="Confidence of the calibration: top or positive.")
    ] = "top",
    out: Annotated[
        Path | None, typer.Option(help="Write the audit here too: .html, .md or .json.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the audit as JSON on standard output.")
    ] = False,
) -> None:
    """Audit predictions across subgroups.

    Examples:

        fairlora audit predictions.csv --label y --pred y_hat --group race --group sex

        fairlora audit runs/demo/CELL/predictions.parquet --json
    """
    from fairlora.errors import InputError
    from fairlora.metrics import audit_predictions
    from fairlora.metrics.page import audit_page
    from fairlora.predictions import read_table

    if confidence not in ("top", "positive"):
        raise InputError(
            "unknown confidence",
            where="--confidence",
            found=repr(confidence),
            expected="top or positive",
        )
    predictions = read_table(
        file, label=label, pred=pred, probs=probs, groups=group or (), positive=positive
    )
    if not predictions.groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    if split is not None:
        predictions = predictions.select(split)
    elif (predictions.split == "test").any():
        predictions = predictions.select("test")
    result = audit_predictions(
        predictions,
        positive=positive,
        min_group=min_group,
        bins=bins,
        confidence="positive" if confidence == "positive" else "top",
    )
    written: list[Path] = []
    if out is not None and out.suffix.lower() == ".json":
        from fairlora.cli.common import output_file

        with output_file(out) as partial:
            partial.write_text(result.to_json() + "\n", encoding="utf-8")
        written = [out]
    elif out is not None:
        from fairlora.cli.compare import write_page

        written = write_page(audit_page(result.content, f"Audit of {file.name}"), out)
    if json_:
        print(result.to_json())
        return
    from fairlora.report.terminal import print_page

    print_page(audit_page(result.content, f"Audit of {file.name}"))
    for path in written:
        print(f"Written: {path}")
