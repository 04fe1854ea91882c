"""`fairlora audit --numeric`: labels and predictions that are numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.cli.pairs import quantiles_of
from fairlora.errors import InputError

if TYPE_CHECKING:
    from fairlora.metrics import Settings
    from fairlora.predictions import Predictions


def audit_numeric(
    file: Path,
    quantile: Sequence[str],
    filter_: str | None,
    columns: dict[str, Any],
    other: tuple[Path | None, str | None],
    id_: str | None,
    split: str | None,
    margin: float | None,
    settings: Settings,
    title: str | None,
    out: list[Path],
    json_: bool,
) -> None:
    """Audit measurements, or compare those of two files or columns; see `fairlora audit --help`."""
    from fairlora.cli.output import Answer
    from fairlora.metrics.scores import check_score_settings
    from fairlora.predictions.binning import Ranges
    from fairlora.predictions.classes import ClassRules

    if columns["rules"] != ClassRules():
        raise InputError(
            "measurements have no classes, and rows without a number are left out",
            where="--numeric",
            found="--classes, --map, --missing-label or --ignore-label",
        )
    if columns["label"] is None:
        raise InputError("which label?", where="--label", expected="a column of numbers")
    if not columns["groups"]:
        raise InputError("no group column named", where="--group", expected="at least one")
    check_score_settings(settings, "measurements")
    levels = quantiles_of(quantile)
    # Quantiles of the first's rows serve both.
    bins = {name: Ranges(text, f"--bin {name}") for name, text in columns["bins"].items()}
    columns = {**columns, "bins": bins}

    def read(path: Path, pred: str | None) -> Predictions:
        return _read(path, filter_, {**columns, "pred": pred}, levels, id_, split)

    against, against_pred = other
    if against is None and against_pred is None:
        from fairlora.metrics.numeric.audit import audit_numeric_table

        for option, value in (("--id", id_), ("--margin", margin)):
            if value is not None:
                raise InputError("of a comparison alone", where=option, expected="--against")
        result = audit_numeric_table(read(file, columns["pred"]), settings)
        name = "standard input" if str(file) == "-" else file.name
        Answer(result.page(title or f"Audit of {name}"), result.to_json).give(out, json_)
        return
    from fairlora.cli.paired import names_of
    from fairlora.metrics.comparison.compare import PairedResult
    from fairlora.metrics.comparison.numeric import compare_measurements
    from fairlora.predictions.pairing import paired_rows

    if levels or columns["pred"] is None:
        raise InputError(
            "two predictions are compared by their errors",
            where="--quantile" if levels else "--pred",
            expected="--pred, and no --quantile",
        )
    if against is None and against_pred == columns["pred"]:
        raise InputError("the model against itself", where="--against-pred", found=against_pred)
    first = read(file, columns["pred"])
    second = read(against or file, against_pred or columns["pred"])
    # The labels of all rows are the same, so are those who have none.
    first, second = paired_rows(first, second, file, against or file)
    names = (str(columns["pred"]), str(against_pred))
    names = names if against is None else names_of(file, against)
    content = compare_measurements(first, second, settings, margin=margin, names=names)
    paired = PairedResult(content)
    page = paired.page(title or f"{names[0]} against {names[1]}")
    Answer(page, paired.to_json).give(out, json_)


def _read(
    path: Path,
    filter_: str | None,
    columns: Mapping[str, Any],
    levels: Mapping[float, str],
    id_: str | None,
    split: str | None,
) -> Predictions:
    from fairlora.predictions.logs import log_format, read_log_table
    from fairlora.predictions.measurements import read_measurements
    from fairlora.predictions.opened import with_joins

    named: dict[str, Any] = {
        name: columns[name] for name in ("groups", "cluster", "bins", "weight")
    }
    if filter_ is None and log_format(path) is None:
        return read_measurements(
            path, columns["label"], columns["pred"], levels,
            id_column=id_, split=split, joins=columns["joins"], **named,
        )  # fmt: skip
    log = read_log_table(path, filter_)
    log = log if id_ is None else replace(log, id_column=id_)
    named["cluster"] = named["cluster"] or log.cluster
    roles = (columns["label"], columns["pred"], named["cluster"], named["weight"], log.id_column)
    asked = [*roles, *levels.values(), *columns["groups"], *(one.on for one in columns["joins"])]
    opened = log.opened(list(dict.fromkeys(name for name in asked if name is not None)))
    table = read_measurements(
        with_joins(opened, columns["joins"]), columns["label"], columns["pred"], levels,
        id_column=log.id_column, split=split, **named,
    )  # fmt: skip
    left_out = {**log.left_out, **table.left_out}
    return replace(table, notes=(*log.notes, *table.notes), left_out=left_out)
