"""A page as JSON: the same dict, so that it can be stored and laid out again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real

from fairlora.report.page import Page, check_page

_HALF_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(page: Page) -> str:
    """Return `page` as indented JSON. A number that is NaN or infinite becomes null.

    Strings stay as they are; reading the text back gives an equal page.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    text = json.dumps(_plain(check_page(page)), ensure_ascii=False, allow_nan=False, indent=2)
    # Half of a surrogate pair cannot be encoded; as an escape it survives.
    return _HALF_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _plain(value: object) -> object:
    """Return `value` made of what JSON knows; NumPy's numbers become Python's."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    assert isinstance(value, Sequence)  # check_page lets nothing else through
    return [_plain(item) for item in value]
