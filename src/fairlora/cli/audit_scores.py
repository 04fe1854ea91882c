"""`fairlora audit` of a score: a column of any table, or an evaluation log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlora.metrics import Settings
    from fairlora.predictions import Predictions
    from fairlora.predictions.opened import Opened
    from fairlora.report.result import Result


def takes_scores(file: Path, label: str | None, score: str | None, filter_: str | None) -> bool:
    """Whether the file is audited by a score: one is named, or it is an evaluation log, or a
    language model's table of texts, whose score is the loss.

    Parameters
    ----------
    file : the file or folder.
    label, score, filter_ : as given.

    Raises
    ------
    InputError : a filter of what is no log.
    """
    from fairlora.predictions.logs import log_format

    if filter_ is not None and log_format(file) is None:
        raise InputError("not an evaluation log", where=f"{file} (--filter)")
    if score is not None:
        return True
    return label is None and (log_format(file) is not None or is_texts(file))


def is_texts(file: Path) -> bool:
    """Whether a file is a language model's table of texts."""
    from fairlora.predictions.texts import texts_record

    return texts_record(file) is not None


def opened_log(file: Path, filter_: str | None, columns: Mapping[str, Any]) -> Opened | None:
    """An evaluation log's table, opened for an audit with labels; None for what is no log.

    Parameters
    ----------
    file : the file.
    filter_ : whose samples to take; None takes the only one.
    columns : the named columns, as of `read_table`, and the "joins".
    """
    from fairlora.predictions.logs import log_format, read_log_table
    from fairlora.predictions.opened import asked_for, with_joins
    from fairlora.predictions.opened_any import table_in_memory

    if log_format(file) is None:
        return None
    log, joins = read_log_table(file, filter_), columns["joins"]
    named = {role: columns[role] for role in ("label", "pred", "cluster", "weight")}
    asked = asked_for(columns["probs"], columns["groups"], named, joins)
    return with_joins(table_in_memory(log.table, asked, str(log.path)), joins)


def audit_scores(
    file: Path,
    score: str | None,
    filter_: str | None,
    columns: dict[str, Any],
    given: dict[str, Any],
    settings: Settings,
    against: Path | None,
    id_: str | None,
    margin: float | None,
    title: str | None,
    out: list[Path],
    json_: bool,
) -> None:
    """Audit a score, or compare it with another file's; see `fairlora audit --help`."""
    from fairlora.cli.output import Answer
    from fairlora.predictions.classes import ClassRules

    for name in ("label", "pred", "probs"):
        if given[name] is not None:
            raise InputError("a score needs none", where=f"--{name} with --score")
    if columns["rules"] != ClassRules():
        raise InputError(
            "a score has no classes",
            where="--score",
            found="--classes, --map, --missing-label or --ignore-label",
        )

    def read(path: Path) -> Predictions:
        return _read(path, score, filter_, columns, id_, given["split"])

    if against is None:
        from fairlora.metrics.scoring import audit_score_table

        result: Result[Any] = audit_score_table(read(file), settings)
        page = result.page(title or f"Audit of {file.name}")
    else:
        from fairlora.cli.paired import names_of
        from fairlora.metrics.comparison.compare import PairedResult
        from fairlora.metrics.comparison.scores import compare_scores
        from fairlora.metrics.comparison.verdicts import MARGIN
        from fairlora.predictions.pairing import paired_rows

        settings.check_comparison()
        if columns["weight"] is not None:
            raise InputError("not part of a comparison", where="--against with --weight")
        first, second = paired_rows(read(file), read(against), file, against)
        rates = first.classes == second.classes == ("0", "1")
        margin = MARGIN if margin is None and rates else margin
        names = names_of(file, against)
        content = compare_scores(first, second, settings, margin=margin, names=names)
        result = PairedResult(content)
        page = result.page(title or f"{names[0]} against {names[1]}")
    Answer(page, result.to_json).give(out, json_)


def _read(
    path: Path,
    score: str | None,
    filter_: str | None,
    columns: dict[str, Any],
    id_: str | None,
    split: str | None,
) -> Predictions:
    from fairlora.predictions.logs import log_format, read_log_table
    from fairlora.predictions.scores import read_scores
    from fairlora.predictions.texts import SCORE, audit_note, texts_record

    groups, cluster, weight = columns["groups"], columns["cluster"], columns["weight"]
    record = texts_record(path)
    said: tuple[str, ...] = ()
    if record is not None:
        groups = groups or tuple(record.groups)
        score, id_ = score or SCORE, id_ or "id"
        said = audit_note(record, score)
    if log_format(path) is not None or filter_ is not None:
        log = read_log_table(path, filter_)
        log = log if id_ is None else replace(log, id_column=id_)
        table = log.predictions(score, groups, cluster, columns["bins"], weight, columns["joins"])
    elif score is None:
        raise InputError("which score?", where=f"{path} (--score)")
    elif path.is_dir():
        raise InputError(
            "a score needs the rows in memory", where=path, found="a folder", expected="one file"
        )
    else:
        table = read_scores(
            path, score, groups=groups, cluster=cluster, id_column=id_, split=split,
            bins=columns["bins"], weight=weight, joins=columns["joins"],
        )  # fmt: skip
    table = replace(table, notes=(*said, *table.notes))
    if not table.groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    return table
