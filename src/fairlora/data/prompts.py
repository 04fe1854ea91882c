"""Read texts for language models: shared by the data sets that put a template around a text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fairlora.errors import InputError


def text_lines(path: Path, name: str) -> list[str]:
    """The lines of a text file of `name`; `InputError` if it is not there, or no text in UTF-8."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError("no such file", where=path, expected=name) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "not a readable text", where=path, found=type(error).__name__, expected="UTF-8"
        ) from error


def in_template(template: str, slot: str, texts: Iterable[str]) -> list[str]:
    """Each text in the template's slot; `InputError` for a template without it.

    Parameters
    ----------
    template : with ``{slot}`` where a text goes.
    slot : its name, without the braces.
    texts : what goes there.

    >>> in_template("Turkish: {source} English:", "source", ["Merhaba."])
    ['Turkish: Merhaba. English:']
    """
    marker = "{" + slot + "}"
    if marker not in template:
        raise InputError(
            "the template has no place for the text",
            where="data.template",
            found=repr(template),
            expected=f"{marker} in it",
        )
    return [template.replace(marker, text) for text in texts]
