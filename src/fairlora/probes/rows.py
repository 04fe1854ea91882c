"""Read and write a probe's files: ``NAME.json``, its summary, ``NAME.parquet``, every answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.io import read_content, replacing, write_text
from fairlora.probes.settings import ProbeSettings, TextSettings

VERSION = 1


class _Summary(BaseModel):
    """A probe's summary, as far as every probe has it."""

    model_config = ConfigDict(extra="allow", strict=True)
    version: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A finished probe: its summary, and its answers by column."""

    name: str
    summary: dict[str, Any]
    rows: dict[str, list[Any]]


def write_probe(folder: Path, asked: Asked) -> None:
    """Write both files; the summary last, and by rename, for it says that all is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(folder / f"{asked.name}.parquet") as table:
        pq.write_table(pa.table(asked.rows), table)
    text = json.dumps(
        {"version": VERSION, **asked.summary}, indent=1, ensure_ascii=False, allow_nan=False
    )
    write_text(folder / f"{asked.name}.json", text + "\n")


def read_probe(folder: Path, name: str) -> Asked | None:
    """A probe from its folder; None where it was not asked. `InputError` for a broken one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.json"
    summary, table = read_content(path, _Summary), folder / f"{name}.parquet"
    if summary is None or not table.is_file():
        return None
    if summary.version != VERSION:
        raise InputError(
            "written by another version of fairlora",
            where=path,
            found=f"version {summary.version}",
            expected=f"version {VERSION}",
        )
    try:
        rows = pq.read_table(table).to_pydict()
    except (OSError, pa.ArrowInvalid) as error:
        found = type(error).__name__
        raise InputError("not a readable probe", where=table, found=found) from error
    return Asked(name, summary.model_dump(), rows)


def chosen_rows(examples: Examples, settings: ProbeSettings) -> Examples:
    """The rows that a probe asks about: of its split, at most so many, whole families.

    Texts that are empty are left out. Raises `InputError` where none is left.
    """
    some = _of_split(examples, settings)
    if settings.rows is None or settings.rows >= len(some):
        return some
    # Whole families: an interval over scenes needs the scenes whole.
    places = _shuffled_families(some, settings.seed)
    sizes = np.bincount(places)
    last = max(1, int((np.cumsum(sizes) <= settings.rows).sum()))
    return some.take(places < last)


def chosen_texts(examples: Examples, settings: TextSettings) -> Examples:
    """The texts that a probe puts into its templates: as many families as there can be.

    Of prompts with answers the answers, unless ``part`` says otherwise. Raises as `chosen_rows`.
    """
    if settings.part == "answer" and examples.answers is None:
        raise InputError("the data have no answers", where="part", found="answer", expected="text")
    if examples.answers is not None and settings.part != "text":
        examples = replace(examples, texts=list(examples.answers), answers=None)
    some = _of_split(examples, settings)
    if settings.rows is None or settings.rows >= len(some):
        return some
    places = _shuffled_families(some, settings.seed)
    # The first row of every family, then the second of each ...
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], places[order])
    turn = np.empty(len(some), dtype=np.int64)
    turn[order] = np.arange(len(some)) - starts
    chosen = np.lexsort((places, turn))[: settings.rows]
    return some.take(np.sort(chosen))


def _of_split(examples: Examples, settings: ProbeSettings) -> Examples:
    some = examples
    if settings.split != "all":
        if examples.split is None or settings.split not in examples.split:
            raise InputError(
                "no row of this split",
                where="split",
                found=repr(settings.split),
                expected="all, or data that have it",
            )
        some = examples.part(settings.split)
    filled = np.array([bool(text.strip()) for text in some.inputs])
    if not filled.any():
        raise InputError("every text is empty", where=examples.name)
    return some.take(filled)


def _shuffled_families(examples: Examples, seed: int) -> NDArray[np.int64]:
    """(n,) the place of each row's family in a shuffled order of the families."""
    column = examples.ids if examples.family is None else examples.family
    names, member = np.unique(column, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[member]


def clusters_of(examples: Examples) -> list[str]:
    """The cluster of each row: its family, or itself."""
    column = examples.ids if examples.family is None else examples.family
    return [str(value) for value in column]


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that JSON has: what is not finite becomes null."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out[key] = plain(value)
        elif isinstance(value, float | np.floating):
            out[key] = float(value) if np.isfinite(value) else None
        elif isinstance(value, np.integer):
            out[key] = int(value)
        else:
            out[key] = value
    return out
