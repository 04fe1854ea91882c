"""What an audit comes to, in a sentence or two, and which of its gaps are beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlora.metrics.names import DISPARITY, GAPS, ODDS_GAPS, RATIOS


def beyond_chance(name: str, number: Mapping[str, Any]) -> bool:
    """Whether a disparity's interval leaves out no disparity."""
    if number["value"] is None or number["low"] is None:
        return False
    if name in (*GAPS, *ODDS_GAPS, "loss_variance"):
        return bool(number["low"] > 0)
    return bool(name in RATIOS and number["high"] < 1)


def lowest_groups(number: Mapping[str, Any]) -> list[str]:
    """The groups of the lowest value: one, several that tie, or none where all groups are alike."""
    if number.get("all_alike"):
        return []
    return list(number.get("groups", [])) or [g for g in [number.get("group")] if g is not None]


_NO_PLACE = (
    "value",
    "low",
    "high",
    "reason",
    "by_class",
    "expected_by_chance",
    "expected_if_calibrated",
    "all_alike",
)


def place_texts(number: Mapping[str, Any]) -> list[str]:
    """What names a statistic's place, in words: its groups, its class, who was left out."""
    out = []
    for key, value in number.items():
        if key in _NO_PLACE or value is None:
            continue
        if key == "left_out":
            some = [f"{group}: {'; '.join(what)}" for group, what in value.items()]
            out.append(f"left out: {_few(some)}")
        elif key in ("groups", "classes"):
            every = ", all alike" if number.get("all_alike") else ""
            out.append(f"tied{every}: {_few(value)}")
        elif isinstance(value, list):
            out.append(f"{key.replace('_', ' ')} {_few(value)}")
        else:
            out.append(f"{key} {value}")
    ends = [number[key] for key in ("worst", "smallest") if key in number]
    return [*out, "all alike"] if ends == [None] else out


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def lead(content: Mapping[str, Any]) -> str:
    """Whom the predictions fail most, and how many gaps are more than chance would give."""
    parts = []
    for attribute, numbers in content["disparities"].items():
        worst, gap = numbers["accuracy_worst"], numbers["accuracy_gap"]
        if gap["value"] is None:
            continue
        shown = [name for name in GAPS if numbers.get(name, {"value": None})["value"] is not None]
        beyond = [name for name in shown if beyond_chance(name, numbers[name])]
        sentence = (
            f"By {attribute}, accuracy is lowest for {_few(lowest_groups(worst))} "
            f"({100 * worst['value']:.1f} %, {100 * gap['value']:.1f} points below {gap['best']})"
            if gap["best"] is not None
            else f"By {attribute}, accuracy is {100 * worst['value']:.1f} % for all groups alike"
        )
        if gap.get("expected_by_chance") is not None:
            sentence += f"; chance alone would give {100 * gap['expected_by_chance']:.1f} points"
        if beyond:
            named = ", ".join(DISPARITY[name].split(" (")[0].lower() for name in beyond)
            sentence += f". Beyond chance: {named}."
        else:
            sentence += f". None of {len(shown)} gaps is beyond chance."
        parts.append(sentence)
    return " ".join(parts)
