"""Spellings of values: missing ones, numbers, truth values, and near misses.

One table of spellings serves every reader: CSV, Parquet, NumPy, pandas, polars, Arrow and lists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from fairlora.predictions.arrow import MISSING

# Words that a file writes for a missing group, in small letters and without spaces around: those of
# pandas, R, spreadsheets, SPSS and databases. "NA" and "None" are not among them: North America and
# Namibia are regions, and none is a religion in many a census.
_MISSING_WORDS = frozenset(
    {MISSING, "", "?", "nan", "-nan", "null", "(null)", "[null]", "<null>", "<na>", "\\n", "nat"}
    | {"n/a", "#n/a", "#na", "#n/a n/a", "n.a.", "#null!", "#div/0!", "#num!"}
    | {"1.#qnan", "-1.#ind", "1.#ind", "-1.#qnan"}
)
# As a class "NA" and "None" mean "not available".
_MISSING_CLASSES = frozenset({"NA", "None"})
# Words that may mean a missing value and are taken for what they say, with a warning; where numbers
# should stand they are missing.
_DOUBTFUL = frozenset(
    {"na", "none", "unknown", "missing", "undefined", "nil", "-", "--", ".", "#ref!", "#value!"}
)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*", re.ASCII)
# A list of words as Python and JSON write it.
_LIST = re.compile(r"\s*\[\s*(['\"]).*\1\s*\]\s*", re.DOTALL)
# Above this a float does not hold every whole number.
_EXACT = 2.0**53
# No number that anyone wrote down has as many digits, and Python reads a few thousand alone.
_DIGITS = 1000


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NumPy's masked, or pandas' NA or NaT."""
    if value is None or value is np.ma.masked:
        return True
    different = value != value  # true of NaN and NaT; pandas' NA answers with itself
    return bool(different) if isinstance(different, bool | np.bool_) else True


def missing_group(name: str) -> bool:
    """Whether the name of a group is a word that files write for a missing value.

    >>> missing_group(" N/A"), missing_group("NULL"), missing_group("NA"), missing_group("none")
    (True, True, False, False)
    """
    # Most names are longer than all of these words.
    return len(name) < 20 and name.strip().lower() in _MISSING_WORDS


def missing_class(name: str) -> bool:
    """Whether the name of a class means that there is none: "NA" and "None" too."""
    return missing_group(name) or name.strip() in _MISSING_CLASSES


def doubtful(name: str) -> bool:
    """Whether a name may mean a missing value, and is not taken for one."""
    return name.strip().lower() in _DOUBTFUL


def spelled(value: Any, *, truth_words: bool) -> str:
    """The name of a value: a whole float is the whole number, a missing value is `MISSING`.

    With `truth_words` True is "True", as the name of a group; else "1", as a class.

    Raises `ValueError` for a value that names nothing, such as a dict.

    >>> [spelled(value, truth_words=False) for value in (1.0, True, 0.5, None)]
    ['1', '1', '0.5', '(missing)']
    """
    if getattr(value, "shape", None) == () and not isinstance(value, np.generic):  # one tensor
        value = value.item()
    if isinstance(value, str):
        return str(value)  # NumPy's words are of a kind of their own
    if isinstance(value, bool | np.bool_):
        return str(bool(value)) if truth_words else str(int(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, bytes | np.bytes_):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError as error:
            raise ValueError("bytes that are no UTF-8") from error
    if isinstance(value, dict | set | frozenset | list | tuple | np.ndarray):
        raise ValueError(f"a {type(value).__name__} where one name should stand")
    if is_missing(value):
        return MISSING
    if isinstance(value, float | np.floating | Decimal):
        whole = bool(np.isfinite(float(value))) and value == int(value)
        return str(int(value)) if whole else str(value)
    return str(value)


def number_of(name: str) -> float | None:
    """The number that a name spells, or None.

    >>> number_of("1e3"), number_of(" 7 "), number_of("1_000"), number_of("nan")
    (1000.0, 7.0, None, None)
    """
    return float(name) if _NUMBER.fullmatch(name) else None


def whole_number(name: str) -> str | None:
    """The name of the whole number that a name spells, or None.

    >>> whole_number("1.0"), whole_number("01"), whole_number("1e3"), whole_number("0.5")
    ('1', '1', '1000', None)
    """
    if _WHOLE.fullmatch(name):
        digits = name.split(".")[0]
        return str(int(digits)) if len(digits) < _DIGITS else None
    value = number_of(name)
    if value is None or abs(value) > _EXACT or value != int(value):
        return None
    return str(int(value))


def truth_value(name: str) -> str | None:
    """ "1" or "0" of a word for true or false, or None."""
    return {"true": "1", "false": "0"}.get(name.strip().lower())


def class_names(names: Iterable[str]) -> dict[str, str]:
    """What each class of one column is called: numbers and truth values by one spelling.

    A column whose every name spells a whole number is one of numbers, unless two of its names spell
    the same one ("01" and "1"): then they are words.

    >>> class_names(["1.0", "0.0"]), class_names(["True", "False"]), class_names(["01", "1"])
    ({'1.0': '1', '0.0': '0'}, {'True': '1', 'False': '0'}, {'01': '01', '1': '1'})
    """
    given = list(names)
    for rule in (truth_value, whole_number):
        called = [rule(name) for name in given]
        if given and None not in called:
            if rule is whole_number and len(set(called)) < len(given):
                break
            return {name: str(one) for name, one in zip(given, called, strict=True)}
    return {name: name for name in given}


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names in order: numbers by size, words by letter, and the missing ones last.

    >>> ordered(["10", "9", MISSING]), ordered(["b", "10", "9"])
    (('9', '10', '(missing)'), ('10', '9', 'b'))
    """
    distinct = set(names)
    known = distinct - {MISSING}
    sizes = {name: number_of(name) for name in known}
    last = [MISSING] if len(known) < len(distinct) else []
    if None in sizes.values():
        return (*sorted(known), *last)
    # Of large numbers the digits decide, not the float.
    key = {name: (int(w) if (w := whole_number(name)) else sizes[name], name) for name in known}
    return (*sorted(known, key=lambda name: key[name]), *last)


def class_named(value: Any, names: Sequence[str]) -> str | None:
    """Which of the classes a value means, or None: "1.0", 1 and True mean the class "1".

    >>> class_named(True, ["0", "1"]), class_named("1.0", ["0", "1"]), class_named("b", ["a"])
    ('1', '1', None)
    """
    name = spelled(value, truth_words=True)
    if name in names:
        return name
    wanted = truth_value(name) or whole_number(name)
    if wanted is None:
        return None
    meant = [one for one in names if wanted in (whole_number(one), truth_value(one))]
    return meant[0] if len(meant) == 1 else None


def alike(name: str) -> str:
    """What two names share that people would take for one: case, spaces, the way of a number."""
    return whole_number(name) or _folded(name)


def _folded(name: str) -> str:
    # An accent may be a letter's own or a character after it; a space may be one that never breaks;
    # "Cf" are characters that nobody sees, such as a space without width.
    letters = unicodedata.normalize("NFKC", name).casefold()
    key = " ".join("".join(c for c in letters if unicodedata.category(c) != "Cf").split())
    return whole_number(key) or truth_value(key) or key


def shown(name: str) -> str:
    """A name in a message: quoted where spaces count, spelled out where letters look alike.

    >>> shown("yes"), shown(" yes")
    ('yes', "' yes'")
    """
    if not name.isprintable():
        return repr(name)  # what nobody sees is written as its number
    if name != unicodedata.normalize("NFC", name):
        return ascii(name)
    return name if name and name == " ".join(name.split()) else repr(name)


def quoted(name: str) -> str:
    """A name in quotes; see `shown`."""
    return repr(name) if shown(name) == name else shown(name)


def near_misses(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in how they are written alone: case, spaces, characters that
    nobody sees, the encoding of a letter, the spelling of a whole number or a truth value.

    >>> near_misses(["White", "white ", "Black"]), near_misses(["01", "1", "2"])
    ([('White', 'white ')], [('01', '1')])
    """
    seen: dict[str, str] = {}
    out = []
    for name in names:
        key = _folded(name)
        if seen.setdefault(key, name) != name:
            out.append((seen[key], name))
    return out


def odd_groups(attribute: str, names: Sequence[str]) -> list[str]:
    """What to say of an attribute's groups: doubtful words, near misses, lists written as text.

    >>> odd_groups("race", ["Unknown", "White", "white"])[0]
    "race: the group 'Unknown' is taken for a group, not for a missing value"
    """
    notes = []
    doubts = [name for name in names if doubtful(name)]
    if doubts:
        listed = ", ".join(map(repr, doubts))
        notes.append(
            f"{attribute}: the group {listed} is taken for a group, not for a missing value"
            if len(doubts) == 1
            else f"{attribute}: the groups {listed} are taken for groups, not for missing values"
        )
    pairs = near_misses(names)
    if pairs:
        listed = ", ".join(f"{quoted(one)} and {quoted(other)}" for one, other in pairs[:5])
        more = f" and {len(pairs) - 5:,} more pairs" if len(pairs) > 5 else ""
        notes.append(
            f"{attribute}: groups that differ in how they are written alone (case, spaces, what "
            f"nobody sees, numbers) are apart: {listed}{more}"
        )
    lists = [name for name in names if _LIST.fullmatch(name)]
    if lists:
        notes.append(
            f"{attribute}: {lists[0]!r} is a list written as text, and taken for the name of one "
            "group: only a column of lists (Parquet, or lists in Python) lets groups overlap"
        )
    return notes
