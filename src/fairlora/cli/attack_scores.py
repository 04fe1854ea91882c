"""`fairlora attack --scores FILE`: scores computed elsewhere, audited the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlora.cli.output import Answer

# How fairlora's own files of scores (report/privacy/ARM.parquet) name their columns.
_SCORE, _GROUP = "score: ", "group: "


def audit_scores(
    path: Path,
    wanted: Mapping[str, Any],
    smaller_is_member: bool,
    options: Mapping[str, Any],
    title: str | None,
) -> Answer:
    """Judge the scores of a file.

    Parameters
    ----------
    wanted : columns as asked for: "score" and "group" lists, "member", "id" and "cluster" names.
    options : of `fairlora.privacy.roc`.

    Raises `InputError` that names the file and the column or row at fault.
    """
    from fairlora.errors import InputError
    from fairlora.predictions.named_columns import groups_named
    from fairlora.predictions.opened import open_tables
    from fairlora.predictions.tabular import Asked
    from fairlora.privacy import attack_audit
    from fairlora.privacy.page import privacy_page

    # Names stand in a CSV as they stand: "01" is not "1".
    named = (*(wanted["group"] or ()), wanted["id"], wanted["cluster"])
    opened = open_tables(path, Asked(tuple(one for one in named if one is not None)))
    names = opened.schema.names
    own = [name for name in names if name.startswith(_SCORE)]
    scores = wanted["score"] or own or ["score"]
    groups = wanted["group"] or [name for name in names if name.startswith(_GROUP)]
    member = wanted["member"] or "member"
    ids, cluster = wanted["id"], wanted["cluster"]
    if own and cluster is None and "cluster" in names:
        cluster = "cluster"
    for option, column in (
        *(("--score", one) for one in scores),
        ("--member", member),
        *(("--group", one) for one in groups),
        ("--id", ids),
        ("--cluster", cluster),
    ):
        if column is not None and column not in names:
            raise InputError(
                "no such column",
                where=f"{path} ({option})",
                found=repr(column),
                expected="one of " + ", ".join(names),
            )

    some = (*scores, member, *groups, ids, cluster)
    table = opened.whole(list(dict.fromkeys(one for one in some if one is not None)))

    def values(column: str) -> Any:
        return table.column(column).to_pylist()

    try:
        found = attack_audit(
            {one.removeprefix(_SCORE): _numbers(values(one), one) for one in scores},
            values(member),
            {one.removeprefix(_GROUP): groups_named(table, one, path) for one in groups},
            larger_is_member=not smaller_is_member,
            ids=None if ids is None else values(ids),
            clusters=None if cluster is None else values(cluster),
            **options,
        )
    except InputError as error:
        raise InputError(str(error), where=path) from None
    page = privacy_page(found.content, title or f"Membership inference: {path.name}")
    return Answer(page, found.to_json)


def _numbers(values: list[Any], column: str) -> list[float]:
    """Numbers of a column; `InputError` that names the row of a word, or of what is missing."""
    from fairlora.errors import InputError
    from fairlora.predictions.spellings import number_of

    # One word makes a column of words of all of them: that one is to be named.
    values = [
        value if not isinstance(value, str) or (number := number_of(value)) is None else number
        for value in values
    ]
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(
                "no score",
                where=f"{column}, row {row + 1}",
                found="nothing" if value is None else repr(value)[:40],
                expected="a number",
            )
    return values
