"""Make a table of a page from the names of its columns and its texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def cell(text: str, mark: str | None = None) -> dict[str, Any]:
    """A cell of a table; `mark` as of `page`."""
    return {"text": text, "mark": mark}


def make_table(
    title: str,
    caption: str,
    columns: Sequence[str | tuple[str, str] | dict[str, Any]],
    rows: Sequence[Sequence[str | dict[str, Any]]],
) -> dict[str, Any]:
    """A table of a page.

    Parameters
    ----------
    title, caption : of the table.
    columns : names, "<" before those whose texts stand to the left; (name, help); or whole columns,
        as a name that others chose may begin with anything.
    rows : texts, or whole cells, in the order of the columns; the first names the row.

    >>> make_table("Sizes", "In rows.", ["<Group", "n"], [["a", "1"]])["columns"]
    [{'name': 'Group', 'align': 'left'}, {'name': 'n', 'align': 'right'}]
    """
    return {
        "title": title,
        "caption": caption,
        "columns": [_column(column) for column in columns],
        "rows": [
            {"header": True, "cells": [cell(c) if isinstance(c, str) else c for c in row]}
            for row in rows
        ],
    }


def asked(table: dict[str, Any]) -> dict[str, Any]:
    """A table that was asked for by an option of its own: one screen prints it too."""
    return {**table, "asked": True}


def in_topic(topic: str, *parts: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Tables or figures of a page under one topic; None is left out."""
    return [{**part, "topic": topic} for part in parts if part is not None]


def right(names: Iterable[str]) -> list[dict[str, Any]]:
    """Columns of numbers by their names, which may be anything."""
    return [{"name": name, "align": "right"} for name in names]


def _column(column: str | tuple[str, str] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(column, dict):
        return column
    if isinstance(column, tuple):
        return {"name": column[0], "align": "right", "help": column[1]}
    left = column.startswith("<")
    return {"name": column[left:], "align": "left" if left else "right"}
