"""`fairlora audit`: audit a file of predictions. Needs no torch and no model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fairlora.metrics import AuditResult, Settings

_FILE = "CSV or Parquet of predictions, or a folder of Parquet files."


def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE)],
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
    intersect: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Audit combinations of these attributes; repeatable."),
    ] = None,
    subgroups: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="DEPTH",
            help="Rank all subgroups of up to so many attributes, and search for the worst.",
        ),
    ] = 0,
    subgroup_size: Annotated[
        int, typer.Option(min=1, help="Rows that a subgroup of the search needs.")
    ] = 30,
    subgroup_metric: Annotated[
        str, typer.Option(help="What the search compares: accuracy, selection_rate, tpr or fpr.")
    ] = "accuracy",
    cluster: Annotated[
        str | None,
        typer.Option(help="Column that names what rows share (a person): resampled together."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Predictions of another model on the same rows."),
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Column that pairs the rows of two files.")
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Differences of rates below this count as equivalent.")
    ] = 0.02,
    suggests: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL:GROUP=CLASS",
            help="The class that a group would suggest, for sensitive agreement; repeatable.",
        ),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(help="Say how many examples each group needs to show this difference."),
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
    max_groups: Annotated[
        int, typer.Option(min=1, help="More groups than this are taken for an id column.")
    ] = 1000,
    missing_group: Annotated[
        str,
        typer.Option(
            metavar="show|keep",
            help="Rows without a group value: shown and not compared, or kept as a group.",
        ),
    ] = "show",
    bins: Annotated[int, typer.Option(min=1, help="Confidence bins of the ECE.")] = 15,
    confidence: Annotated[
        str, typer.Option(help="Confidence of the calibration: top or positive.")
    ] = "top",
    bootstrap: Annotated[int, typer.Option(min=0, help="Bootstrap draws.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")] = 0,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the audit here too: .html, .md, .tex, .json, or a picture (.png, .svg, "
            ".pdf: one file a figure); repeatable."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the audit as JSON on standard output.")
    ] = False,
) -> None:
    """Audit predictions across subgroups.

    Examples:

        fairlora audit predictions.csv --label y --pred y_hat --group race --group sex

        fairlora audit p.csv --label y --pred h --probs p_ --group race --out audit.html

        fairlora audit p.csv --label y --pred h --group race --group sex --subgroups 2

        fairlora audit lora.parquet --against full.parquet

        fairlora audit runs/demo/CELL/predictions.parquet --json
    """
    from fairlora.cli.compare import check_endings
    from fairlora.metrics import Settings
    from fairlora.metrics.page import audit_page

    # Before the work, not after it.
    check_endings(out or [])
    settings = Settings(
        positive=positive,
        min_group=min_group,
        bins=bins,
        confidence=confidence,  # type: ignore[arg-type]
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        intersect=tuple(tuple(one.split(",")) for one in intersect or ()),
        subgroups=subgroups,
        subgroup_size=subgroup_size,
        subgroup_metric=subgroup_metric,
        suggests=suggestions(suggests or []),
        power=power,
        max_groups=max_groups,
        missing_group=missing_group,  # type: ignore[arg-type]
    )
    columns: dict[str, Any] = {
        "label": label,
        "pred": pred,
        "probs": probs,
        "groups": group or (),
        "positive": positive,
        "cluster": cluster,
    }
    if against is not None:
        from fairlora.cli.paired import paired
        from fairlora.errors import InputError

        for option, given in (
            ("--subgroups", subgroups),
            ("--power", power),
            ("--suggests", suggests),
        ):
            if given:
                raise InputError("not part of a comparison", where=f"--against with {option}")

        paired(file, against, columns, id_, split, settings, margin, title, out or [], json_)
        return
    result = _audit(file, columns, split, settings)
    page = audit_page(result.content, title or f"Audit of {file.name}")
    written: list[Path] = []
    for path in out or []:
        written += _write(result, page, path)
    if json_:
        print(result.to_json())
        return
    from fairlora.report.terminal import print_page

    print_page(page)
    for path in written:
        print(f"Written: {path}")


def _audit(
    file: Path, columns: dict[str, Any], split: str | None, settings: Settings
) -> AuditResult:
    from fairlora.cli.common import reading_bar
    from fairlora.errors import InputError
    from fairlora.metrics import audit_predictions
    from fairlora.metrics.stream import audit_stream
    from fairlora.predictions import read_table
    from fairlora.predictions.streaming import streams

    if file.is_dir() and columns["cluster"] is not None:
        raise InputError(
            "clusters need the rows in memory",
            where=f"{file} (--cluster)",
            found="a folder",
            expected="one file",
        )
    if streams(file) and columns["cluster"] is None:
        with reading_bar(f"Reading {file.name}") as bar:
            return audit_stream(
                file,
                label=columns["label"],
                pred=columns["pred"],
                probs=columns["probs"],
                groups=columns["groups"],
                split=split,
                settings=settings,
                progress=bar,
            )
    predictions = read_table(file, **columns)
    if not predictions.groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    if split is not None:
        predictions = predictions.select(split)
    elif "test" in predictions.split:
        predictions = predictions.select("test")
    return audit_predictions(predictions, settings)


def suggestions(given: list[str]) -> dict[str, dict[str, str]]:
    from fairlora.errors import InputError

    out: dict[str, dict[str, str]] = {}
    for text in given:
        attribute, colon, rest = text.partition(":")
        # A group may hold an equals sign; a class is what stands after the last.
        group, equals, named = rest.rpartition("=")
        if not (attribute and colon and group and equals and named):
            raise InputError(
                "not a suggestion",
                where="--suggests",
                found=repr(text),
                expected="COLUMN:GROUP=CLASS, as in place:water=waterbird",
            )
        out.setdefault(attribute, {})[group] = named
    return out


def _write(result: AuditResult, page: Any, path: Path) -> list[Path]:
    if path.suffix.lower() == ".json":
        from fairlora.cli.common import output_file

        with output_file(path) as partial:
            partial.write_text(result.to_json() + "\n", encoding="utf-8")
        return [path]
    from fairlora.cli.compare import write_page

    return write_page(page, path)
