"""Checks of a page's parts: each takes a value and where it stands, and raises or passes.

Small checks are put together to the shape of a whole page (see `page`), so that every error names
the key that it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import cast

from fairlora.errors import InputError

Check = Callable[[object, str], None]

# What arithmetic may add to a share that is 1, or take from one that is 0.
ROUNDING = 1e-9


def text(value: object, where: str) -> None:
    """Let a string pass."""
    if not isinstance(value, str):
        raise InputError("not a text", where=where, found=repr(value), expected="a string")


def flag(value: object, where: str) -> None:
    """Let true and false pass."""
    if not isinstance(value, bool):
        raise InputError("not a flag", where=where, found=repr(value), expected="true or false")


def number(value: object, where: str) -> None:
    """Let any real number pass, NaN and infinite ones as well."""
    # bool is an int in Python; a True where a number belongs is a mistake, not a 1.
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError("not a number", where=where, found=repr(value), expected="a number")


def finite(value: object, where: str) -> None:
    """Let a number pass that is neither NaN nor infinite."""
    number(value, where)
    if not math.isfinite(cast(float, value)):
        raise InputError("not finite", where=where, found=repr(value), expected="a finite number")


def share(value: object, where: str) -> None:
    """Let pass what is 0 to 1, give or take a rounding error, and what is missing as NaN."""
    number(value, where)
    found = cast(float, value)
    if not math.isnan(found) and not -ROUNDING <= found <= 1 + ROUNDING:
        raise InputError("not a share", where=where, found=repr(value), expected="0 to 1")


def count(value: object, where: str) -> None:
    """Let an integer pass that is 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise InputError("not a count", where=where, found=repr(value), expected="an integer >= 0")


def or_none(check: Check) -> Check:
    """Return a check that also lets None pass."""

    def checked(value: object, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def all_of(*checks: Check) -> Check:
    """Return a check that makes every one of `checks` in turn."""

    def checked(value: object, where: str) -> None:
        for check in checks:
            check(value, where)

    return checked


def one_of(*choices: object) -> Check:
    """Return a check that lets `choices` pass and nothing else."""

    def checked(value: object, where: str) -> None:
        # A list or dict cannot be compared with `in` a set, so the choices stay a tuple.
        if value not in choices:
            expected = ", ".join(repr(choice) for choice in choices)
            raise InputError("unknown", where=where, found=repr(value), expected=expected)

    return checked


def list_of(check: Check) -> Check:
    """Return a check of a list whose every item passes `check`."""

    def checked(value: object, where: str) -> None:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise InputError("not a list", where=where, found=repr(value), expected="a list")
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")

    return checked


def record(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """Return a check of a dict that has these keys and no others, each value passing its check."""
    known = {**required, **optional}

    def checked(value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InputError("not a dict", where=where, found=repr(value), expected="a dict")
        for key in required:
            if key not in value:
                raise InputError("missing", where=f"{where}.{key}")
        for key, item in value.items():
            if key not in known:
                raise InputError(
                    "unknown key", where=f"{where}.{key}", expected="one of " + ", ".join(known)
                )
            known[key](item, f"{where}.{key}")

    return checked
