"""`fairlora thresholds`: choose a decision threshold a group on one split, to judge on another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlora.cli.common import output_file, say


def thresholds(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of predictions.")],
    group: Annotated[str, typer.Option(help="Column of the attribute: a threshold a group.")],
    out: Annotated[Path, typer.Option(help="The thresholds to write (.json).")],
    rule: Annotated[
        str, typer.Option(help="What to bring together: parity, equal-opportunity, equalized-odds.")
    ] = "equal-opportunity",
    label: Annotated[str | None, typer.Option(help="Column of the true label.")] = None,
    pred: Annotated[str | None, typer.Option(help="Column of the predicted label.")] = None,
    probs: Annotated[
        str | None, typer.Option(metavar="PREFIX_OR_COL", help="Probabilities, as of audit.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class; default: the last.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Rows to choose on; default: validation, where it is.")
    ] = None,
    base: Annotated[
        float, typer.Option(min=0, max=1, help="Threshold of everyone whose rates are the target.")
    ] = 0.5,
    min_group: Annotated[
        int, typer.Option(min=0, help="Groups of fewer rows keep the base threshold.")
    ] = 10,
) -> None:
    """Choose a threshold a group, and write them as JSON for audit and predict.

    Examples:

        fairlora thresholds p.parquet --group race --split validation --out t.json

        fairlora audit p.parquet --split test --thresholds t.json

        fairlora predict runs/demo/CELL --thresholds t.json --out decided.parquet
    """
    from fairlora.metrics.thresholds import choose_thresholds
    from fairlora.predictions import read_table

    named: dict[str, Any] = {"label": label, "pred": pred, "probs": probs, "positive": positive}
    predictions = read_table(file, **named, groups=(group,), split=_split(file, split))
    chosen = choose_thresholds(
        predictions,
        group,
        rule,  # type: ignore[arg-type]
        base=base,
        positive=positive,
        min_group=min_group,
    )
    with output_file(out) as partial:
        chosen.write(partial)
    target = ", ".join(f"{k} {100 * v:.1f} %" for k, v in chosen.chosen_on["target"].items())
    say(f"{rule} by {group} on {len(predictions):,} rows; target {target}")
    for name, limit in chosen.groups.items():
        say(f"  {name}: {limit:.4f}")
    say(f"Written: {out}\nNext: fairlora audit {file} --thresholds {out}")


def _split(file: Path, split: str | None) -> str | None:
    """The split that is named, else "validation" where the file has one."""
    if split is not None:
        return split
    from fairlora.predictions.opened import open_tables

    opened = open_tables(file)
    if "split" not in opened.schema.names:
        return None
    found = set(opened.whole(["split"])["split"].to_pylist())
    return "validation" if "validation" in found else None
