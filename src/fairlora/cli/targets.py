"""`fairlora audit --target`: several targets of one table, as the findings of chest X-rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError

if TYPE_CHECKING:
    from fairlora.metrics import Settings
    from fairlora.metrics.targets import TargetsResult


def audit_file_targets(
    file: Path,
    targets: Sequence[str],
    columns: Mapping[str, Any],
    settings: Settings,
    split: str | None = None,
    *,
    threshold: float | None,
    uncertain: str,
    blank: str,
) -> TargetsResult:
    """Audit the targets of a file.

    Parameters
    ----------
    file : the table.
    targets : "LABEL=PROBS" of each: its column of labels and its column of probabilities.
    columns : the named columns, of which "groups", "cluster", "weight" and "bins" count.
    settings : of the audit.
    split : rows of this split alone; None takes "test" where there is one.
    threshold : a target is predicted from this probability on; None is 0.5.
    uncertain, blank : what becomes of labels of -1 and of missing ones.

    Raises
    ------
    InputError : a target that is no pair, columns that are not there, or what the audit refuses.
    """
    import pyarrow as pa

    from fairlora.metrics.targets import audit_targets
    from fairlora.predictions.named_columns import groups_named
    from fairlora.predictions.opened import opened_for
    from fairlora.predictions.own_tables import require
    from fairlora.predictions.splits import chosen_split, split_notes, split_rows

    for option in ("label", "pred", "probs", "positive"):
        if columns[option] is not None:
            raise InputError(
                "not part of an audit of several targets",
                where=f"--{option}",
                found=columns[option],
                expected="--target LABEL=PROBS alone",
            )
    pairs = {}
    for text in targets:
        label, equals, probs = text.rpartition("=")
        if not (label and equals and probs) or label in pairs:
            raise InputError(
                "a target given twice" if label in pairs else "not a target",
                where="--target",
                found=repr(text),
                expected="LABEL=PROBS, as in Edema=p_edema",
            )
        pairs[label] = probs
    for option, value, ways in (
        ("--uncertain", uncertain, ("refuse", "drop", "positive", "negative")),
        ("--blank", blank, ("refuse", "drop", "negative")),
    ):
        if value not in ways:
            raise InputError(
                "unknown policy", where=option, found=repr(value), expected=", ".join(ways)
            )
    if not columns["groups"]:
        raise InputError("no group column named", where="--group", expected="at least one")
    cluster, weight = columns["cluster"], columns["weight"]
    roles = {"cluster": cluster, "weight": weight}
    opened = opened_for(file, None, columns["groups"], roles, columns["joins"])
    named = [
        *(("--target", name) for pair in pairs.items() for name in pair),
        *(("--group", name) for name in columns["groups"]),
        *([("--cluster", cluster)] if cluster else []),
        *([("--weight", weight)] if weight else []),
    ]
    for option, name in named:
        require(opened.schema.names, name, option, file)
    columns_read = [name for _, name in named]
    columns_read += ["split"] if "split" in opened.schema.names else []
    table = opened.whole(list(dict.fromkeys(columns_read)))
    found: set[str] = set()
    if "split" in table.column_names:
        found = set(groups_named(table, "split", file).names)
    taken, whole = chosen_split(table.schema, split, found), table.num_rows
    if taken is not None:
        table = table.filter(pa.array(split_rows(table, taken)))
    options = {k: v for k, v in settings.model_dump().items() if k != "positive"}
    result = audit_targets(
        {label: table[label] for label in pairs},
        {label: table[probs] for label, probs in pairs.items()},
        {name: table[name] for name in columns["groups"]},
        threshold=0.5 if threshold is None else threshold,
        uncertain=uncertain,  # type: ignore[arg-type]
        blank=blank,  # type: ignore[arg-type]
        clusters=table[cluster] if cluster else None,
        weight=table[weight] if weight else None,
        bin_groups=columns["bins"],
        **options,
    )
    if weight:
        result.content.settings.weight = weight
    result.content.warnings[:0] = [
        *split_notes(taken, found, table.num_rows, whole),
        *opened.notes(),
    ]
    return result
