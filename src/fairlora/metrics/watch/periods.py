"""Names of periods, and their order."""

from __future__ import annotations

import re
from datetime import date

from fairlora.errors import InputError

_FORMS = "2026, 2026-11, 2026-11-30, 2026-Q4, 2026-W48"
_WORDS = re.compile(r"(\d{4})(?:-(?:(\d{2})(?:-(\d{2}))?|Q([1-4])|W(\d{2})))?")


def period_key(period: str) -> tuple[int | str, ...]:
    """What periods are put in order by; those of one kind have keys of one length.

    Raises `InputError` for anything but a year, quarter, month, week or day.

    >>> period_key("2026-11") < period_key("2027-01")
    True
    """
    found = _WORDS.fullmatch(period) if period.isascii() else None
    wrong = InputError("not a period", where="--period", found=repr(period[:40]), expected=_FORMS)
    if found is None:
        raise wrong
    year, month, day, quarter, week = (int(part) if part else None for part in found.groups())
    assert year is not None
    try:
        if week is not None:
            date.fromisocalendar(year, week, 1)
            return year, week, "", ""
        date(year, month or 1, day or 1)
    except ValueError:
        raise wrong from None
    if quarter is not None:
        return year, quarter, "", "", ""
    return tuple(part for part in (year, month, day) if part is not None)
