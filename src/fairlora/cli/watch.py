"""`fairlora watch`: tallies of a released model by period, and each group over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora.cli.columns import (
    ClassesOption,
    GroupOption,
    IgnoreLabelOption,
    IntersectOption,
    MapOption,
    OnOption,
    PredOption,
    SplitOption,
)
from fairlora.cli.common import note, reading_bar, say
from fairlora.cli.output import Answer, FullOption, JsonOption, OutOption
from fairlora.cli.pairs import bins_of, parted, renamed

if TYPE_CHECKING:
    from fairlora.metrics.watch.store import Columns, Store
    from fairlora.predictions.opened import Opened

app = typer.Typer(
    help="Watch a released model: keep tallies by period, show each group over time.",
    no_args_is_help=True,
)
_STORE = "The store: a file of tallies, made by the first batch."


@app.command("add")
def add(
    store: Annotated[Path, typer.Argument(metavar="STORE", help=_STORE)],
    batch: Annotated[
        Path,
        typer.Argument(metavar="BATCH", help="Predictions, in any format that audit reads."),
    ],
    period: Annotated[
        str,
        typer.Option(help="Of these rows: 2026, 2026-Q4, 2026-11, 2026-W48 or 2026-11-30."),
    ],
    label: Annotated[
        str | None,
        typer.Option(help="Column of the true label; without it selection rates alone, so far."),
    ] = None,
    pred: PredOption = None,
    group: GroupOption = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class; default: the last of two.")
    ] = None,
    classes: ClassesOption = None,
    map_: MapOption = None,
    missing_label: Annotated[
        str | None,
        typer.Option(
            metavar="refuse|drop|keep",
            help="Rows without a label or prediction, as of audit; default: refuse.",
        ),
    ] = None,
    ignore_label: IgnoreLabelOption = None,
    bin_: Annotated[
        list[str] | None,
        typer.Option(
            "--bin", metavar="COL=EDGES", help="Numbers as ranges: age=18,30,45; repeatable."
        ),
    ] = None,
    intersect: IntersectOption = None,
    join: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A file with groups, or with late labels, by id; repeatable."
        ),
    ] = None,
    on: OnOption = None,
    split: SplitOption = None,
    max_groups: Annotated[
        int | None, typer.Option(min=1, help="More groups than this are taken for ids.")
    ] = None,
) -> None:
    """Add a batch's tallies to a store: no row and no id of anybody is kept.

    The first period is the baseline. Options that are left out are those of the first batch. The
    same batch again, with its labels, adds those.

    \b
    fairlora watch add watch.parquet test.csv --period 2026-09 --label y --pred y_hat --group race
    fairlora watch add watch.parquet october.csv --period 2026-10
    fairlora watch add watch.parquet october.csv --period 2026-10 --join labels.csv --on id
    """
    from fairlora.metrics import Settings
    from fairlora.metrics.watch.adding import add_batch
    from fairlora.metrics.watch.batch import read_batch
    from fairlora.metrics.watch.periods import period_key
    from fairlora.metrics.watch.store import read_store
    from fairlora.predictions.classes import class_rules
    from fairlora.predictions.join import joins_of

    period_key(period)
    given = {
        "label": label,
        "pred": pred,
        "group": tuple(group or ()),
        "positive": positive,
        "classes": classes,
        "map": map_,
        "missing_label": missing_label,
        "ignore_label": tuple(ignore_label or ()),
        "bin": tuple(bin_ or ()),
        "intersect": tuple(intersect or ()),
        "split": split,
        "max_groups": max_groups,
    }
    own = _columns(read_store(store), given)
    _refuse_moving_bins(own)
    named: dict[str, Any] = {
        "label": own.label,
        "pred": own.pred,
        "probs": None,
        "groups": own.group,
        "rules": class_rules(
            None if own.classes is None else parted(own.classes),
            own.missing_label,
            list(own.ignore_label),
            renamed(own.map),
        ),
        "bins": bins_of(list(own.bin)),
    }
    opened = _opened(batch, named, joins_of(join or [], on or []))
    labelled = _labelled(opened, own, label)
    settings = Settings(
        intersect=tuple(parted(names) for names in own.intersect), max_groups=own.max_groups
    )
    with reading_bar(f"Reading {batch.name}") as bar:
        counted = read_batch(
            opened, named, settings, labelled=labelled, split=own.split, progress=bar
        )
    added = add_batch(store, counted, period, own)
    for sentence in added.said[:-1]:
        note(sentence)
    say(added.said[-1])


@app.command("report")
def report(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="What watch add made.")],
    level: Annotated[
        float,
        typer.Option(min=0.5, max=0.999999, help="Of all bounds together; 1 - level of alarms."),
    ] = 0.95,
    margin: Annotated[
        float, typer.Option(min=0, max=0.999999, help="A change below this raises no alarm.")
    ] = 0.0,
    *,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    out: OutOption = None,
    json_: JsonOption = False,
    full: FullOption = False,
) -> None:
    """Show each group over time, with bounds that hold however often one looks, and alarms.

    \b
    fairlora watch report watch.parquet
    fairlora watch report watch.parquet --margin 0.02 --out watch.html
    """
    from fairlora.cli.output import check_endings
    from fairlora.metrics.watch.result import watch_report

    check_endings(out or [])
    result = watch_report(store, level=level, margin=margin)
    page = result.page(title or f"Watch of {store.name}")
    Answer(page, result.to_json).give(out or [], json_, tables=True)


def _columns(store: Store | None, given: Mapping[str, Any]) -> Columns:
    """The options of a store with what is given; a store's own where nothing is."""
    from fairlora.metrics.watch.store import Columns

    if store is None:
        return Columns(**{k: v for k, v in given.items() if v is not None})
    kept = store.header.columns.model_dump()
    return Columns(**{k: v if v not in (None, ()) else kept[k] for k, v in given.items()})


def _refuse_moving_bins(columns: Columns) -> None:
    from fairlora.errors import InputError

    for text in columns.bin:
        if "=quantiles" in text:
            raise InputError(
                "ranges that move from batch to batch",
                where=f"--bin {text}",
                expected="edges, as in age=18,30,45",
            )


def _opened(batch: Path, named: Mapping[str, Any], joins: Any) -> Opened:
    """The batch, opened for its columns: a table, or the log of an evaluation tool."""
    from fairlora.cli.audit_scores import opened_log
    from fairlora.predictions.opened import opened_for

    columns = {**named, "cluster": None, "weight": None, "joins": joins}
    log = opened_log(batch, None, columns)
    if log is not None:
        return log
    roles = {"label": named["label"], "pred": named["pred"]}
    return opened_for(batch, None, named["groups"], roles, joins)


def _labelled(opened: Opened, columns: Columns, asked: str | None) -> bool:
    """Whether there are labels: those of fairlora's own table, or of a named column that is there.

    Raises `InputError` where the column is named here and not there, or none of predictions is.
    """
    from fairlora.predictions.own_tables import metadata_of, require

    if metadata_of(opened.schema, opened.path) is not None:
        return True
    names = opened.schema.names
    if asked is not None:
        require(names, asked, "--label", opened.path)
    if columns.pred is not None:
        require(names, columns.pred, "--pred", opened.path)
    if columns.label is None or columns.label in names:
        return columns.label is not None
    note(f"{opened.path} has no column {columns.label!r}: its labels are taken as not there yet")
    return False
