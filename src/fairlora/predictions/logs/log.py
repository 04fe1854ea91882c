"""An evaluation log as a flat table: a row a sample, nested fields by path (`doc.person.sex`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.binning import Ranges
from fairlora.predictions.join import JoinOf
from fairlora.predictions.opened import Opened, with_joins
from fairlora.predictions.opened_any import table_in_memory
from fairlora.predictions.scores import read_scores
from fairlora.predictions.table import Predictions
from fairlora.predictions.tabular import Asked

# Deeper fields, or more of them, are of a log that nobody names groups in.
_DEEPEST, _MOST_COLUMNS = 8, 5000


@dataclass(frozen=True)
class Log:
    """What a log of an evaluation tool says of its samples.

    Attributes
    ----------
    path : its file or folder.
    format : the tool and the kind of file.
    table : a row a sample; scores by their names, groups by their paths.
    scores : names of the columns that are scores.
    id_column : what pairs the rows of two logs.
    cluster : the column of what rows share (the sample of several epochs), or None.
    groups : columns that are taken as attributes where none are named.
    notes : what a reader of an audit should know.
    left_out : reason -> samples without any score.
    """

    path: Path
    format: str
    table: pa.Table
    scores: tuple[str, ...]
    id_column: str
    cluster: str | None = None
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def score(self, name: str | None) -> str:
        """The score to audit: the one named, or the only one; `InputError` otherwise."""
        if name is not None and (name in self.scores or name in self.table.column_names):
            return name
        if name is None and len(self.scores) == 1:
            return self.scores[0]
        raise InputError(
            "which score?" if name is None else f"no score {name!r}",
            where=f"{self.path} (--score)",
            found=f"{len(self.scores)} scores",
            expected="one of " + (", ".join(self.scores) or "none: no sample has a score"),
        )

    def opened(self, names: Sequence[str], probs: str | None = None) -> Opened:
        """The table as of a file, to be asked for these columns.

        Parameters
        ----------
        names : of the columns.
        probs : a column of probabilities, or the prefix of several; None for none.
        """
        return table_in_memory(self.table, Asked(tuple(names), probs), str(self.path))

    def predictions(
        self,
        score: str | None = None,
        groups: Sequence[str] = (),
        cluster: str | None = None,
        bins: Mapping[str, str | Ranges] | None = None,
        weight: str | None = None,
        joins: Sequence[JoinOf] = (),
    ) -> Predictions:
        """The table of one score.

        Parameters
        ----------
        score : its name; None takes the only one.
        groups : columns of attributes; none takes the log's own, where it has some.
        cluster : column of clusters; None takes the log's own.
        bins : attribute -> edges, or "quantiles:K".
        weight : column of how much each row counts.
        joins : files whose columns are joined by id.

        Raises
        ------
        InputError : several scores and none named, or as `read_scores`.
        """
        score, groups, cluster = self.score(score), groups or self.groups, cluster or self.cluster
        others = [name for name in (cluster, weight) if name is not None]
        asked = (score, *groups, self.id_column, *others, *(one.on for one in joins))
        table = read_scores(
            with_joins(self.opened(asked), joins),
            score,
            groups=groups,
            cluster=cluster,
            id_column=self.id_column,
            bins=bins,
            weight=weight,
        )
        left_out = {**self.left_out, **table.left_out}
        return replace(table, notes=(*self.notes, *table.notes), left_out=left_out)


def flat(record: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The fields of a nested record by path; a list of names stays one, other lists become text.

    Parameters
    ----------
    record : of a JSON file.
    prefix : what all paths begin with.

    >>> flat({"a": {"b": 1, "c": ["x", "y"]}, "d": [{"e": 2}]}, "doc.")
    {'doc.a.b': 1, 'doc.a.c': ['x', 'y'], 'doc.d': '[{"e": 2}]'}
    """
    out: dict[str, Any] = {}

    def walk(value: Any, path: str, depth: int) -> None:
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}", depth + 1)
        elif isinstance(value, list) and not all(isinstance(one, str) for one in value):
            out[path] = json.dumps(value, ensure_ascii=False)
        else:
            out[path] = None if isinstance(value, Mapping) else value

    for key, value in record.items():
        walk(value, f"{prefix}{key}", 0)
    return out


def table_of(rows: Sequence[Mapping[str, Any]], path: Path) -> pa.Table:
    """A table of flat rows; a field that a row lacks is missing there.

    Raises `InputError` where there are no rows, or more columns than a log has.
    """
    if not rows:
        raise InputError("no samples", where=path, found="0 rows", expected="a row a sample")
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
        if len(names) > _MOST_COLUMNS:
            raise InputError("too many fields", where=path, found=f"more than {_MOST_COLUMNS:,}")
    return pa.table({name: column_of([row.get(name) for row in rows]) for name in names})


def column_of(values: Sequence[Any]) -> pa.Array:
    """Values of JSON as a column: of one kind, or as text where they are mixed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) == 1:
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            pass
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Half of a surrogate pair, which JSON may hold, is no text.
    return text.encode("utf-8", "replace").decode()


def check_ids(ids: Iterable[str], path: Path) -> None:
    """Raise `InputError` for an id that stands twice."""
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise InputError(
                "a sample stands twice",
                where=path,
                found=repr(one),
                expected="each sample once: logs of several runs put together?",
            )
        seen.add(one)


def chosen_filter(filters: Sequence[str], wanted: str | None, path: Path) -> str:
    """The filter to audit: the one named, or the only one; `InputError` otherwise.

    Parameters
    ----------
    filters : those that the log has.
    wanted : the one named, or None.
    path : the log, for the message.
    """
    if wanted is not None and wanted in filters:
        return wanted
    if wanted is None and len(filters) == 1:
        return filters[0]
    raise InputError(
        "which filter?" if wanted is None else f"no filter {wanted!r}",
        where=f"{path} (--filter)",
        found=f"{len(filters)} filters",
        expected="one of " + ", ".join(filters),
    )


def loads(text: str | bytes, where: Any) -> Any:
    """JSON as a tool of Python writes it (NaN and Infinity too); `InputError` for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        cut = isinstance(error, json.JSONDecodeError) and (
            error.msg.startswith("Unterminated") or error.pos >= len(error.doc.rstrip()) - 1
        )
        raise InputError(
            "the log is cut short" if cut else "not JSON",
            where=where,
            found=str(error)[:120],
            expected="a whole JSON value",
        ) from error
