"""Collect an attacker's evidence from the predictions of a target and its shadow models.

A table says of each row what its model did with it: "train" rows were trained on, "target" rows are
those that an attack is judged on and no shadow model trained on, the others were left out. So runs
that were never part of a study can be attacked as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.data import TARGET
from fairlora.errors import InputError
from fairlora.predictions import GroupColumn, Predictions, read_predictions
from fairlora.predictions.texts import read_texts, texts_record
from fairlora.privacy.evidence import Evidence, Population
from fairlora.study.runs.folder import RunFolder

_ENDING = "predictions-*.parquet"


@dataclass(frozen=True, eq=False)
class Sheet:
    """Several models' numbers of the same rows, which are in the order of their ids.

    Attributes
    ----------
    ids, labels : (n,).
    groups : attribute -> (n,).
    split : (n, m) what each model did with each row.
    margin, loss : (n, q, m) of q queries.
    classes : how many there are.
    """

    ids: NDArray[Any]
    labels: NDArray[np.int64]
    groups: dict[str, GroupColumn]
    split: NDArray[np.str_]
    margin: NDArray[np.float32]
    loss: NDArray[np.float32]
    classes: int


class Judged(NamedTuple):
    """Evidence against one target model; of its rows, which those are in the sheet, and (n,)
    whether each was trained on."""

    evidence: Evidence
    rows: NDArray[np.intp]
    member: NDArray[np.bool_]


def queries_of(folder: RunFolder) -> tuple[str, ...]:
    """The further views of each example that a run predicted."""
    return tuple(
        sorted(
            path.stem.removeprefix("predictions-")
            for path in folder.path.glob(_ENDING)
            if path.is_file()
        )
    )


def read_sheet(folders: Sequence[RunFolder]) -> Sheet:
    """Read the tables of several runs; queries that not all of them have are left out.

    Raises `InputError` that names the table with other rows than the first, an id that stands
    twice, or a table without margins and losses.
    """
    queries = [q for q in queries_of(folders[0]) if all(f.query(q).is_file() for f in folders)]
    table = table_of(folders[0])
    first = _read(table)
    order = np.argsort(first.ids, kind="stable")
    first = first.take(order)
    ids = np.asarray(first.ids).astype(str)
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        raise InputError("an id stands twice", where=table, found=repr(str(ids[twice[0]])))
    shape = (len(ids), 1 + len(queries), len(folders))
    margin, loss = np.empty(shape, np.float32), np.empty(shape, np.float32)
    split = np.empty((len(ids), len(folders)), dtype="<U10")
    for m, folder in enumerate(folders):
        for q, path in enumerate([table_of(folder), *(folder.query(name) for name in queries)]):
            own_split, margin[:, q, m], loss[:, q, m] = _columns(path, ids, folders[0].path)
            if q == 0:
                split[:, m] = own_split
    return Sheet(
        ids,
        np.asarray(first.labels, dtype=np.int64),
        dict(first.groups),
        split,
        margin,
        loss,
        len(first.classes),
    )


def table_of(folder: RunFolder) -> Path:
    """The table that attacks read of a run: its predictions, or of a language model its texts."""
    return folder.texts if texts_record(folder.texts) is not None else folder.predictions


def _read(path: Path) -> Predictions:
    """A run's table; of texts the loss, and minus the loss as the margin, one class for all."""
    if texts_record(path) is None:
        return read_predictions(path)
    texts, _ = read_texts(path)
    loss = np.array([-row.mean(dtype=np.float64) for row in texts.log_probs.rows()])
    nothing = np.zeros(len(texts), dtype=np.int64)
    return Predictions(
        ids=texts.ids,
        split=texts.split,
        labels=nothing,
        predictions=nothing,
        classes=("text",),
        groups=texts.groups,
        loss=loss,
        margin=-loss,
    )


def _check_all_predicted(folder: RunFolder) -> None:
    """Raise `InputError` for a run that predicted some of its training rows alone."""
    if not (folder.path / "metrics.json").is_file():
        return
    metrics = folder.metrics()
    some = metrics.get("predicted", {}).get("train")
    if some is not None:
        raise InputError(
            "not every training row was predicted",
            where=folder.path,
            found=f"{some:,} of {metrics['rows']['train']:,}",
            expected="a run with 'training: {predict_train: all}'; a study's privacy section sets "
            "it",
        )


def _columns(
    path: Path, ids: NDArray[np.str_], first: Path
) -> tuple[NDArray[np.str_], NDArray[np.float32], NDArray[np.float32]]:
    """Split, margin and loss of a table in the order of `ids`."""
    table = _read(path)
    if table.margin is None or table.loss is None:
        raise InputError("no margins and losses", where=path, expected="a run's own predictions")
    own = np.asarray(table.ids).astype(str)
    order = np.argsort(own, kind="stable")
    if len(own) != len(ids) or (own[order] != ids).any():
        for one in (path.parent, first):
            _check_all_predicted(RunFolder(one))
        strange = sorted(set(own.tolist()) ^ set(ids.tolist()))
        raise InputError(
            "other rows than the first run's",
            where=path,
            found=f"{len(strange):,} ids of one alone, {strange[0]!r} first" if strange else "",
            expected="runs on the same data",
        )
    return np.asarray(table.split).astype(str)[order], table.margin[order], table.loss[order]


def evidence_of(
    sheet: Sheet,
    target: int,
    shadows: Sequence[int],
    features: NDArray[np.floating[Any]] | None = None,
) -> Judged:
    """What an attacker of one model has, with others as its shadows.

    Parameters
    ----------
    target, shadows : columns of the sheet.
    features : (n, p) of the base model, for attacks that read them; the label is added to them.

    Raises `InputError` where the target has no members or no non-members among the rows that its
    shadow models are for.
    """
    did = sheet.split[:, target]
    others = sheet.split[:, list(shadows)]
    marked = others == TARGET
    chosen = marked.any(axis=1)
    if chosen.any():
        if not marked.all(axis=1)[chosen].all():
            raise InputError(
                "shadow models of different targets",
                where="shadows",
                expected="one design, and one seed of it",
            )
    else:
        chosen = (did == "train") | (did == "test")
    member = did == "train"
    strange = chosen & ~member & (did != "test")
    if strange.any():
        raise InputError(
            "these are not the target's shadow models",
            where="shadows",
            found=f"{int(strange.sum()):,} of their target rows are {did[strange][0]!r} rows of it",
            expected="the run that the shadow models were made for",
        )
    for side, name in ((chosen & member, "members"), (chosen & ~member, "non-members")):
        if not side.any():
            raise InputError(f"no {name} among the target rows", where="shadows")
    rows, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen & ~member)
    columns = list(shadows)
    wide = None if features is None else _with_labels(features, sheet)
    population = Population(
        sheet.ids[rest],
        sheet.margin[rest, 0, target],
        sheet.loss[rest, 0, target],
        sheet.loss[rest][:, 0, columns],
        others[rest] == "train",
        None if wide is None else wide[rest],
    )
    evidence = Evidence(
        sheet.ids[rows],
        sheet.margin[rows, :, target],
        sheet.loss[rows, :, target],
        sheet.margin[rows][:, :, columns],
        sheet.loss[rows][:, :, columns],
        others[rows] == "train",
        population,
        None if wide is None else wide[rows],
    )
    return Judged(evidence, rows, member[rows])


def _with_labels(features: NDArray[np.floating[Any]], sheet: Sheet) -> NDArray[np.float64]:
    """Features with a column for each class but the first: how hard a class is, counts too."""
    hot = (sheet.labels[:, None] == np.arange(1, sheet.classes)[None, :]).astype(np.float64)
    return np.hstack([features.astype(np.float64), hot])
