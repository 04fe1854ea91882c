"""`fairlora audit` of decisions without labels: rows, scores or a table of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError

if TYPE_CHECKING:
    from fairlora.metrics import Settings
    from fairlora.metrics.selection.audit import SelectionResult
    from fairlora.predictions.opened import Opened


def without_labels(file: Path, columns: Mapping[str, Any]) -> bool:
    """Whether decisions alone are named, and the file has no labels of its own.

    Parameters
    ----------
    file : the table.
    columns : the named columns; "label" and "pred" decide.
    """
    from fairlora.predictions.opened import open_tables
    from fairlora.predictions.own_tables import metadata_of

    if columns["label"] is not None or columns["pred"] is None:
        return False

    return metadata_of(open_tables(file).schema, file) is None


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
    import pyarrow as pa

    from fairlora.metrics.selection.audit import audit_selection
    from fairlora.predictions.decode import one_column_note
    from fairlora.predictions.files import read_table
    from fairlora.predictions.opened import opened_for
    from fairlora.predictions.opened_any import table_in_memory
    from fairlora.predictions.own_tables import require
    from fairlora.predictions.splits import AUTO
    from fairlora.predictions.tabular import Asked

    if columns["probs"] is not None:
        raise InputError("needs labels", where="--probs", expected="--label, or no --probs")
    if not columns["groups"]:
        raise InputError("no group column named", where="--group", expected="at least one")
    rules = {"standard": options["standard"], "unknown": options["unknown"]}
    if options["count"] or options["selected"]:
        return _counts(file, columns, options, settings.model_dump(), rules)
    score = options["score"]
    if (score is None) == (columns["pred"] is None):
        raise InputError(
            "one of --pred and --score",
            where="--standard" if options["standard"] else "--score",
            found="both" if score else "neither",
            expected="--pred COL of decisions, or --score COL of numbers",
        )
    column = columns["pred"]
    notes: list[str] = []
    joins = columns["joins"]
    left = ("label", "pred", "probs", "positive", "joins")
    named = {k: v for k, v in columns.items() if k not in left}
    if score is not None and columns["weight"] is not None:
        raise InputError("a median of scores takes all rows alike", where="--weight with --score")
    roles = {"pred": column or score, "cluster": columns["cluster"], "weight": columns["weight"]}
    opened = opened_for(file, None, columns["groups"], roles, joins)
    require(opened.schema.names, column or score, "--pred" if column else "--score", file)
    if score is None:
        _refuse_counts(opened, column, columns["groups"])
    else:
        import pyarrow as pa

        from fairlora.metrics.selection.audit import above_median
        from fairlora.predictions.classes import class_rules

        others = [*columns["groups"], *([columns["cluster"]] if columns["cluster"] else [])]
        others += ["split"] if "split" in opened.schema.names else []
        table = opened.whole(list(dict.fromkeys([score, *others])))
        above, notes = above_median(table[score], score)
        column = f"{score} above the median"
        table = table.append_column(column, pa.array(above.tolist(), pa.bool_()))
        opened = table_in_memory(table, Asked((column, *others)))
        settings = settings.model_copy(update={"positive": "True"})
        named["rules"] = class_rules(None, "drop", None, {})
    predictions = read_table(opened, label=column, pred=column, **named, split=split or AUTO)
    # Decisions have no labels; that they are read as such is no news of the file.
    news = (note for note in predictions.notes if note != one_column_note(column))
    predictions = replace(predictions, notes=tuple(news))
    result = audit_selection(predictions, settings.model_dump(), scored=score is not None, **rules)
    result.content.warnings[:0] = notes
    return result


def _counts(
    file: Path,
    columns: Mapping[str, Any],
    options: Mapping[str, Any],
    settings: dict[str, Any],
    rules: dict[str, Any],
) -> SelectionResult:
    from fairlora.metrics.selection.audit import audit_counts
    from fairlora.predictions.opened import opened_for
    from fairlora.predictions.own_tables import require

    given = {"--count": options["count"], "--selected": options["selected"]}
    for option, value in given.items():
        if value is None:
            raise InputError("a table of counts needs both", where=option, expected="a column")
    for option in ("cluster", "pred", "label", "weight"):
        if columns[option] is not None:
            raise InputError(
                "not part of a table of counts", where=f"--{option}", found=columns[option]
            )
    if columns["bins"]:
        raise InputError(
            "not part of a table of counts", where="--bin", expected="groups as they stand"
        )
    opened = opened_for(file, None, columns["groups"], {}, columns["joins"])
    for option, name in (*given.items(), *(("--group", name) for name in columns["groups"])):
        require(opened.schema.names, name, option, file)
    table = opened.whole([*given.values(), *columns["groups"]])
    groups = {name: table[name] for name in columns["groups"]}
    names = (options["count"], options["selected"])
    return audit_counts(table[names[0]], table[names[1]], groups, names=names, **rules, **settings)


def _refuse_counts(opened: Opened, pred: str, groups: Sequence[str]) -> None:
    """Say so where the rows are counts: their groups stand once each, and sums stand beside."""
    from fairlora.metrics.selection.counts import looks_like_counts

    # A table of counts is short: more rows than this are people.
    names = opened.schema.names
    if opened.is_folder or opened.rows > 2000 or any(name not in names for name in groups):
        return
    file = opened.path
    table = opened.whole(names)
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
