"""Make text from data safe to lay out, and mark cells without colour.

Names of groups and methods come from files that anyone may have written. Escaping is each output's
own business; what no output wants at all is taken out here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width, normalize

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


def wrapped(text: str, width: int, most: int = 4) -> list[str]:
    """Return `text` in lines of at most `width` letters; beyond `most` lines an ellipsis says so.

    Letters of double width count as two. A word longer than a line is broken.

    Parameters
    ----------
    text : what to write; line breaks in it count as spaces.
    width : letters a line.
    most : lines at most.

    >>> wrapped("a label of several words", 10), wrapped("unbroken", 5, most=1)
    (['a label of', 'several', 'words'], ['unbr…'])
    """
    lines = [""]
    for word in one_line(text).split(" "):
        if lines[-1] and letters(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and letters(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > most:
        last = lines[most - 1]
        while last and letters(last) >= width:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines


def letters(text: str) -> int:
    """Return how many letters wide `text` is; those of double width count as two."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(c) in "WF") for c in text)


def slug(text: str) -> str:
    """Return `text` as a name of a label: small Latin letters, digits and hyphens alone.

    >>> slug("Accuracy, by skin_tone"), slug("肤色")
    ('accuracy-by-skin-tone', 'table')
    """
    plain = normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return "-".join(re.findall("[a-z0-9]+", plain))[:48].strip("-") or "table"


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
        "●", "!", "more than chance would give: its interval (or corrected p) leaves chance out"
    ),
    "better": MarkSign("▲", "^", "better"),
    "worse": MarkSign("▼", "v", "worse"),
    "equal": MarkSign("≈", "=", "equivalent: within the margin"),
    "open": MarkSign("○", "?", "not shown, which is no evidence of equality"),
}
