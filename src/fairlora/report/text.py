"""Text that comes from data, made safe to lay out; and how a marked cell says so without colour.

Names of groups and methods come from files that anyone may have written. Escaping is each output's
own business; what no output wants at all is taken out here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Control characters (an escape sequence could recolour a terminal, a NUL is not XML), halves of a
# surrogate pair (no encoding can write them), and characters that no XML may hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Embeddings, overrides and isolates turn round the text that follows them as well.
# Right-to-left letters need none of them.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return `text` with control characters replaced by U+FFFD and direction overrides dropped.

    Line breaks stay (as a line feed), and so do letters of any script, joiners and emoji.

    >>> clean("dark\\x1b[31m")
    'dark�[31m'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _TURNING.sub("", _FORBIDDEN.sub("\ufffd", text))


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
