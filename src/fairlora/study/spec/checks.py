"""Check a run's audit settings against its data, before training."""

from __future__ import annotations

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.metrics.settings import AuditSettings


def check_suggestions(audit: AuditSettings, examples: Examples) -> None:
    """Raise `InputError` for a group or a class of `audit.suggests` that the data do not have."""
    for attribute, suggested in audit.suggests.items():
        where = f"audit.suggests.{attribute}"
        column = examples.groups.get(attribute)
        if column is None:
            known = ", ".join(examples.groups)
            raise InputError("no such group column", where=where, expected=f"one of {known}")
        for group, named in suggested.items():
            for what, word, words in (
                ("group", group, column.names),
                ("class", named, examples.classes),
            ):
                if word not in words:
                    raise InputError(
                        f"no such {what}",
                        where=f"{where}.{group}",
                        found=repr(word),
                        expected="one of " + ", ".join(words),
                    )
