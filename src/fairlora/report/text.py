"""Make text from data safe to lay out, and mark cells without colour.

Names of groups and methods come from files that anyone may have written. Escaping is each output's
own business; what no output wants at all is taken out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairlora.errors import clean


def cleaned(value: object) -> object:
    """Return a copy of `value`, dicts and lists of texts and numbers, whose every text is clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: cleaned(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [cleaned(item) for item in value]
    return value


def one_line(text: str) -> str:
    """Return `text` with every run of white space, line breaks included, as one space."""
    return " ".join(text.split())


class MarkSign(NamedTuple):
    """How a marked cell is told from others without colour."""

    symbol: str
    plain_symbol: str
    meaning: str


MARK_SIGNS: dict[str, MarkSign] = {
    "best": MarkSign("★", "*", "best"),
    "worst": MarkSign("▼", "v", "worst"),
    "small": MarkSign("†", "+", "few cases: read with care"),
    "beyond": MarkSign(
        "●", "!", "more than chance would give: its interval leaves out no difference"
    ),
}
