"""`fairlora audit` of decisions without labels: rows, scores or a table of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.files import open_table, read_table
from fairlora.predictions.own_tables import metadata_of, require
from fairlora.predictions.splits import AUTO

if TYPE_CHECKING:
    from fairlora.metrics import Settings
    from fairlora.metrics.selection.audit import SelectionResult


def without_labels(file: Path, columns: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the audit is one of decisions: no label is named, and the file has none of its own.

    Parameters
    ----------
    file : the table.
    columns : the named columns; "label" and "pred" decide.
    options : "count", "selected", "score" and "standard" of the command.
    """
    if options["count"] or options["selected"] or options["score"] or options["standard"]:
        return True
    if columns["label"] is not None or columns["pred"] is None or file.is_dir():
        return False
    from fairlora.predictions.streaming import streams

    if streams(file):
        import pyarrow.parquet as pq

        return metadata_of(pq.read_schema(file), file) is None
    return metadata_of(open_table(file).schema, file) is None


def audit_without_labels(
    file: Path,
    columns: Mapping[str, Any],
    options: Mapping[str, Any],
    split: str | None,
    settings: Settings,
) -> SelectionResult:
    """Audit a file of decisions, of scores, or of counts.

    Parameters
    ----------
    file : the table.
    columns : the named columns, as of `read_table`.
    options : "count", "selected", "score", "standard" and "unknown" of the command.
    split : rows of this split alone; None takes "test" where there is one.
    settings : of the audit.

    Raises
    ------
    InputError : options that do not go together, columns that are not there, and everything that
        the audit refuses.
    """
    from fairlora.metrics.selection.audit import audit_selection

    if columns["probs"] is not None:
        raise InputError("needs labels", where="--probs", expected="--label, or no --probs")
    if not columns["groups"]:
        raise InputError("no group column named", where="--group", expected="at least one")
    rules = {"standard": options["standard"], "unknown": options["unknown"]}
    shown = asdict(settings)
    if options["count"] or options["selected"]:
        return _counts(file, columns, options, shown, rules)
    score = options["score"]
    if (score is None) == (columns["pred"] is None):
        raise InputError(
            "one of --pred and --score",
            where="--standard" if options["standard"] else "--score",
            found="both" if score else "neither",
            expected="--pred COL of decisions, or --score COL of numbers",
        )
    table, column = open_table(file, columns["groups"]), columns["pred"]
    notes: list[str] = []
    if score is None:
        _refuse_counts(table, column, columns["groups"], file)
    else:
        from fairlora.metrics.selection.audit import above_median

        require(table.column_names, score, "--score", file)
        above, notes = above_median(table[score], score)
        column = f"{score} above the median"
        table = table.append_column(column, pa.array(above.tolist(), pa.bool_()))
        shown["positive"] = "True"
    named = {k: v for k, v in columns.items() if k not in ("label", "pred", "probs", "positive")}
    if score is not None:
        from fairlora.predictions.classes import class_rules

        named["rules"] = class_rules(None, "drop", None, {})
    predictions = read_table(
        file, label=column, pred=column, **named, split=split or AUTO, _table=table
    )
    result = audit_selection(predictions, shown, scored=score is not None, **rules)
    result.content["warnings"][:0] = notes
    return result


def _counts(
    file: Path,
    columns: Mapping[str, Any],
    options: Mapping[str, Any],
    settings: dict[str, Any],
    rules: dict[str, Any],
) -> SelectionResult:
    from fairlora.metrics.selection.audit import audit_counts

    given = {"--count": options["count"], "--selected": options["selected"]}
    for option, value in given.items():
        if value is None:
            raise InputError("a table of counts needs both", where=option, expected="a column")
    for option in ("cluster", "pred", "label"):
        if columns[option] is not None:
            raise InputError(
                "not part of a table of counts", where=f"--{option}", found=columns[option]
            )
    if columns["bins"]:
        raise InputError(
            "not part of a table of counts", where="--bin", expected="groups as they stand"
        )
    table = open_table(file, columns["groups"])
    for option, value in {**given, **dict.fromkeys(columns["groups"])}.items():
        name, where = (value, option) if value is not None else (option, "--group")
        require(table.column_names, str(name), where, file)
    groups = {name: table[name] for name in columns["groups"]}
    names = (options["count"], options["selected"])
    return audit_counts(table[names[0]], table[names[1]], groups, names=names, **rules, **settings)


def _refuse_counts(table: pa.Table, pred: str, groups: Sequence[str], file: Path) -> None:
    """Say so where the rows are counts: their groups stand once each, and sums stand beside."""
    from fairlora.metrics.selection.counts import looks_like_counts

    # A table of counts is short: more rows than this are people.
    if table.num_rows > 2000 or pred not in table.column_names:
        return
    if any(name not in table.column_names for name in groups):
        return
    count = looks_like_counts(
        {name: table[name].to_pylist() for name in table.column_names}, groups, pred
    )
    if count is not None:
        named = " ".join(f"--group {name}" for name in groups)
        raise InputError(
            "a table of counts, and no row a person",
            where=f"{file} (--pred {pred})",
            found=f"each group once, and {count!r} beside {pred!r}",
            expected=f"fairlora audit {file} --count {count} --selected {pred} {named}",
        )
