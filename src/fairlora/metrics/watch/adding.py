"""Add a batch to a store: a new period, late labels, or nothing; what does not fit is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.counting import positive_class
from fairlora.metrics.watch.batch import Batch, Key, Tallies
from fairlora.metrics.watch.periods import period_key
from fairlora.metrics.watch.store import (
    NAMES,
    VERSION,
    Columns,
    Entry,
    Header,
    Kind,
    Store,
    read_store,
    tallies_of,
    write_store,
    writing,
)
from fairlora.predictions.arrow import MISSING, joined, numbers
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.spellings import class_named, shown

# A tally of fewer rows says much of each of them.
FEW = 5


@dataclass(frozen=True)
class Added:
    """What adding a batch did: whether the store changed, and sentences for people."""

    changed: bool
    said: list[str]


def add_batch(path: Path, batch: Batch, period: str, columns: Columns) -> Added:
    """Add a batch to a store, which is made if it is not there.

    Parameters
    ----------
    path : of the store.
    batch : what was counted.
    period : that its rows are of: a new one after all others, or one that waits for labels.
    columns : how it was read.

    Returns
    -------
    What was done, in sentences.

    Raises
    ------
    InputError : a period before the last, or of another kind; a period that is there with other
        content; labels that changed; attributes that differ; a store that is broken or being
        written.
    WriteError : the disk is full; the store is then as it was.
    """
    period_key(period)
    with writing(path):
        store = read_store(path)
        said = list(batch.notes)
        if batch.left_out:
            said.append(left_out_note(batch.left_out, batch.rows))
        if store is None:
            header = _first_header(path, batch, period, columns, said)
            rows = _numbered(0, batch.labels or batch.decisions)
            said.append(f"{period} is the first period: the baseline that all others are held to")
            write_store(Store(path, header, tallies_of(rows)))
        else:
            same = _same_columns(path, store.header, columns, batch)
            if period in store.header.periods:
                return _again(store, batch, period, same, said)
            _check_later(path, store.header, period)
            said += _new_names(store, batch)
            header = _longer(store.header, batch, Entry(period=period, kind=_kind(batch)))
            header = header.model_copy(
                update={"periods": (*header.periods, period), "columns": same}
            )
            first = len(store.header.entries)
            _write_more(store, header, _numbered(first, batch.labels or batch.decisions))
        said += [f"{period}: {batch.rows:,} rows added"]
        if batch.labels is None:
            said.append("no labels yet: selection rates alone until they come")
        return Added(True, said + _few(batch))


def _first_header(
    path: Path, batch: Batch, period: str, columns: Columns, said: list[str]
) -> Header:
    classes, positive = batch.classes, columns.positive
    if len(classes) == 1 and positive is None:
        raise InputError(
            "one class alone, and none was named",
            where=f"{path} (--positive)",
            found=shown(classes[0]),
            expected="--positive NAME, or --classes A,B",
        )
    if positive is not None and (meant := class_named(positive, classes)) is not None:
        positive = meant
    if positive is None or (len(classes) == 2 and positive in classes):
        index = positive_class(classes, positive, said)
        positive = None if index is None else classes[index]
    if positive is None:
        said.append(
            f"{len(classes)} classes and none named: accuracy is watched, and no selection "
            "(--positive NAME)"
        )
    return Header(
        version=VERSION,
        columns=columns,
        attributes=batch.attributes,
        positive=positive,
        classes=classes,
        periods=(period,),
        entries=(Entry(period=period, kind=_kind(batch)),),
    )


def _same_columns(path: Path, header: Header, columns: Columns, batch: Batch) -> Columns:
    """The store's columns, with the label's name once it is known; others are refused."""
    if batch.attributes != header.attributes:
        raise InputError(
            "other group columns than the store's",
            where=path,
            found=", ".join(batch.attributes),
            expected=", ".join(header.attributes),
        )
    own = header.columns
    for name, value in columns:
        kept = getattr(own, name)
        if value != kept and not (name == "label" and kept is None):
            raise InputError(
                f"another {name.replace('_', ' ')} than the store's",
                where=f"{path} (--{name.replace('_', '-')})",
                found=value,
                expected=kept,
            )
    return columns


def _check_later(path: Path, header: Header, period: str) -> None:
    key, last = period_key(period), period_key(header.periods[-1])
    if len(key) != len(last):
        raise InputError(
            "a period of another kind", where=f"{path} (--period)", found=period,
            expected=f"one like {header.periods[-1]}",
        )  # fmt: skip
    if key < last:
        raise InputError(
            "a period out of order: the bounds hold in the order in which one looked",
            where=f"{path} (--period)",
            found=period,
            expected=f"one after {header.periods[-1]}",
        )


def _again(store: Store, batch: Batch, period: str, columns: Columns, said: list[str]) -> Added:
    """A period that is there: the same content, labels that came, or other content."""
    where = f"{store.path}, period {period}"
    decisions, labels = content_of(store, period)
    partly = batch.labels is not None and bool(batch.left_out)
    fewer = partly and all(n <= decisions[key] for key, n in batch.decisions.items())
    if batch.decisions != decisions and not fewer:
        raise InputError(
            "this period is there already, with other content",
            where=where,
            found=f"{batch.rows:,} rows",
            expected=f"the {_rows(decisions):,} rows that were added, or another period",
        )
    if batch.labels is None or batch.labels == labels:
        return Added(False, [f"{period} is there already, with the same tallies: nothing to do"])
    if any(batch.labels[key] < n for key, n in labels.items()):
        raise InputError(
            "labels that changed: bounds that hold however often one looks take a label once",
            where=where,
            found="fewer rows of a group, label and prediction than before",
            expected="the labels that were added, and more",
        )
    new: Tallies = Counter({key: n - labels[key] for key, n in batch.labels.items()})
    new = +new
    said += _new_names(store, batch)
    header = _longer(store.header, batch, Entry(period=period, kind="labels"))
    header = header.model_copy(update={"columns": columns})
    _write_more(store, header, _numbered(len(store.header.entries), new))
    said.append(f"{period}: labels of {_rows(new):,} of {_rows(decisions):,} rows added")
    return Added(True, said)


def content_of(store: Store, period: str) -> tuple[Tallies, Tallies]:
    """A period's tallies of decisions, and those of the labels that are there."""
    decisions: Tallies = Counter()
    labels: Tallies = Counter()
    of_entry = numbers(joined(store.tallies["entry"]))
    for number, entry in enumerate(store.header.entries):
        if entry.period != period:
            continue
        part = store.tallies.take(np.flatnonzero(of_entry == number))
        names = [part[name].to_pylist() for name in NAMES[1:]]
        for attribute, group, label, pred, rows in zip(*names, strict=True):
            if entry.kind != "labels":
                decisions[attribute, group, None, pred] += rows
            if entry.kind != "decisions":
                labels[attribute, group, label, pred] += rows
    return decisions, labels


def _new_names(store: Store, batch: Batch) -> list[str]:
    """Groups and classes that were not there before, each with its rows, and lost ones."""
    pairs = store.tallies.group_by(["attribute", "group"]).aggregate([])
    known = set(zip(*(pairs[name].to_pylist() for name in ("attribute", "group")), strict=True))
    out = []
    sizes: Counter[tuple[str | None, str | None]] = Counter()
    classes: Counter[str] = Counter()
    for (attribute, group, _, pred), n in batch.decisions.items():
        sizes[attribute, group] += n
        classes[pred] += n if attribute is None else 0
    for (attribute, group), n in sizes.items():
        if (attribute, group) not in known and group != MISSING:
            out.append(
                f"a new group of {attribute}: {shown(str(group))} ({n:,} rows); it has no "
                "baseline, so bounds and no alarms"
            )
    for name in batch.classes:
        if name not in store.header.classes:
            out.append(f"a new class: {shown(name)} (predicted for {classes[name]:,} rows)")
    return out


def _kind(batch: Batch) -> Kind:
    return "decisions" if batch.labels is None else "both"


def _longer(header: Header, batch: Batch, entry: Entry) -> Header:
    classes = (*header.classes, *(c for c in batch.classes if c not in header.classes))
    return header.model_copy(update={"classes": classes, "entries": (*header.entries, entry)})


def _numbered(entry: int, tallies: Tallies) -> list[tuple[object, ...]]:
    def order(item: tuple[Key, int]) -> list[str]:
        return [part or "" for part in item[0]]

    return [(entry, *key, n) for key, n in sorted(tallies.items(), key=order)]


def _write_more(store: Store, header: Header, rows: list[tuple[object, ...]]) -> None:
    import pyarrow as pa

    table = pa.concat_tables([store.tallies, tallies_of(rows)]).unify_dictionaries()
    write_store(Store(store.path, header, table.combine_chunks()))


def _rows(tallies: Tallies) -> int:
    return sum(n for key, n in tallies.items() if key[0] is None)


def _few(batch: Batch) -> list[str]:
    """Say which groups are so small that their tallies may be about one person."""
    sizes: Counter[tuple[str, str]] = Counter()
    for (attribute, group, _, _), n in batch.decisions.items():
        if attribute is not None and group is not None and group != MISSING:
            sizes[attribute, group] += n
    small = [f"{shown(group)} ({n})" for (_, group), n in sizes.items() if n < FEW]
    if not small:
        return []
    named = _listed(small)
    return [f"groups of fewer than {FEW} rows, whose tallies may tell of one person: {named}"]


def _listed(names: Iterable[str], most: int = 8) -> str:
    some = list(names)
    return ", ".join(some[:most]) + (f" and {len(some) - most} more" if some[most:] else "")
