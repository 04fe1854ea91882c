"""Counts by threshold as a part of a page, and their check."""

from __future__ import annotations

from typing import NotRequired, TypedDict, cast

from fairlora.errors import InputError
from fairlora.report import checks


class ThresholdGroup(TypedDict):
    """How many rows of a group lie at or above each threshold, of those with and without the class.

    The first number of each list is of all its rows.
    """

    name: str
    positives: list[int]
    negatives: list[int]


class ThresholdPanel(TypedDict):
    """The groups of one attribute."""

    name: str
    groups: list[ThresholdGroup]


class Thresholds(TypedDict):
    """Counts by threshold, from which a page gives each group's rates at any of `thresholds`.

    `thresholds` rise from 0; `selects` names the class that a row at or above one is taken for.
    """

    title: str
    topic: NotRequired[str]
    caption: NotRequired[str]
    selects: str
    thresholds: list[float]
    panels: list[ThresholdPanel]


_COUNTS = checks.list_of(checks.count)
_THRESHOLD_GROUP = checks.record(
    {"name": checks.text, "positives": _COUNTS, "negatives": _COUNTS}, {}
)
_THRESHOLD_PANEL = checks.record(
    {"name": checks.text, "groups": checks.list_of(_THRESHOLD_GROUP)}, {}
)
_SHAPE = checks.record(
    {
        "title": checks.text,
        "selects": checks.text,
        "thresholds": checks.list_of(checks.all_of(checks.finite, checks.share)),
        "panels": checks.list_of(_THRESHOLD_PANEL),
    },
    {"caption": checks.text, "topic": checks.text},
)


def require_thresholds(value: object, where: str) -> None:
    """Let counts by threshold pass (a check of `checks`): one count a threshold."""
    _SHAPE(value, where)
    found = cast(Thresholds, value)
    width = len(found["thresholds"])
    for p, panel in enumerate(found["panels"]):
        for g, group in enumerate(panel["groups"]):
            for key, counts in (
                ("positives", group["positives"]),
                ("negatives", group["negatives"]),
            ):
                if len(counts) != width:
                    raise InputError(
                        "wrong number of counts",
                        where=f"{where}.panels[{p}].groups[{g}].{key}",
                        found=len(counts),
                        expected=f"{width}, one a threshold",
                    )
