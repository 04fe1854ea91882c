"""Pages to lay out: one as a study makes it, and one whose every text is hostile."""

from __future__ import annotations

from typing import Any

import pytest

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> 'quoted' & &amp;",
    "]]></title></svg><style>*{display:none}</style>",
    "עברית و عربية",
    "\u202eturned round\u202c",
    "🧑🏿\u200d🔬 emoji",
    "[red]markup[/red] [/]",
    "a|b\n| --- |\n# heading",
    "$\\frac{1}{$ {{ 7 * 7 }} {% raw %}",
    "\x1b[31mred\x00 \ud800 \x07",
    "long" * 100,
)


def point(series: str, value: float | None, **rest: Any) -> dict[str, Any]:
    return {"series": series, "value": value, **rest}


@pytest.fixture
def study_page() -> dict[str, Any]:
    """Two methods, two groups, every optional key used once."""
    return {
        "title": "Two methods",
        "lead": "A lead.",
        "facts": [{"name": "seeds", "value": "3"}],
        "tables": [
            {
                "title": "Side by side",
                "caption": "Means over seeds.",
                "columns": [
                    {"name": "method", "align": "left"},
                    {"name": "accuracy", "align": "right", "help": "Share that is right."},
                    {"name": "gap", "align": "right"},
                ],
                "rows": [
                    {
                        "header": True,
                        "cells": [
                            {"text": "LoRA", "mark": None},
                            {"text": "91.2%", "mark": "best"},
                            {"text": "12.3", "mark": "worst"},
                        ],
                    },
                    {
                        "header": True,
                        "cells": [
                            {"text": "FairLoRA", "mark": None},
                            {"text": "90.8%", "mark": None},
                            {"text": "7.9", "mark": "small"},
                        ],
                    },
                ],
            }
        ],
        "dots": [
            {
                "title": "Accuracy by group",
                "caption": "Each group.",
                "unit": "share",
                "panels": [
                    {
                        "name": "skin_tone",
                        "rows": [
                            {
                                "label": "light",
                                "n": 1318,
                                "points": [
                                    point("LoRA", 0.93, low=0.91, high=0.95, marks=[0.92, 0.94]),
                                    point("FairLoRA", 0.92, low=0.90, high=0.94, marks=[]),
                                ],
                            },
                            {
                                "label": "dark",
                                "n": None,
                                "points": [
                                    point("LoRA", 0.82, low=0.7, high=0.9, marks=[0.81]),
                                    point("FairLoRA", None, low=None, high=None, marks=[]),
                                ],
                            },
                        ],
                    }
                ],
            }
        ],
        "notes": ["Three seeds are few."],
    }


@pytest.fixture
def hostile_page() -> dict[str, Any]:
    """Every text of every kind is one that a careless output would stumble over."""
    cells = [{"text": text, "mark": "best"} for text in HOSTILE]
    columns = [{"name": text, "align": "right", "help": text} for text in HOSTILE]
    points = [point(text, 0.5 + 0.01 * i, marks=[0.5]) for i, text in enumerate(HOSTILE)]
    rows = [{"label": text, "n": 3, "points": points} for text in HOSTILE]
    return {
        "title": " ".join(HOSTILE),
        "lead": " ".join(HOSTILE),
        "facts": [{"name": text, "value": text} for text in HOSTILE],
        "tables": [
            {
                "title": text,
                "caption": text,
                "columns": columns,
                "rows": [{"cells": cells, "header": True}],
            }
            for text in HOSTILE[:2]
        ],
        "dots": [
            {
                "title": HOSTILE[0],
                "caption": HOSTILE[1],
                "unit": "number",
                "panels": [{"name": text, "rows": rows} for text in HOSTILE[:2]],
            }
        ],
        "reliability": [
            {
                "title": HOSTILE[0],
                "caption": HOSTILE[1],
                "confidence": text,
                "panels": [
                    {"name": text, "n": 3, "summary": text, "bins": [bin_of(0.0, 1.0, 3, 0.5)]}
                ],
            }
            for text in HOSTILE
        ],
        "notes": list(HOSTILE),
    }


def bin_of(low: float, high: float, rows: int, accuracy: float | None) -> dict[str, Any]:
    """Return a bin whose mean confidence is its middle; without rows it has nothing else."""
    known = rows > 0 and accuracy is not None
    return {
        "low": low,
        "high": high,
        "rows": rows,
        "confidence": (low + high) / 2 if rows else None,
        "accuracy": accuracy if rows else None,
        "accuracy_low": max(accuracy - 0.1, 0.0) if known and accuracy is not None else None,
        "accuracy_high": min(accuracy + 0.1, 1.0) if known and accuracy is not None else None,
    }


def reliability_with(panels: int = 2, bins: int = 10, name: str = "panel") -> dict[str, Any]:
    """Return reliability diagrams of so many panels and bins; the first bin is empty if it can."""
    edges = [index / bins for index in range(bins + 1)]
    made = [
        bin_of(edges[i], edges[i + 1], i if bins > 1 else 5, 0.9 * edges[i]) for i in range(bins)
    ]
    return {
        "title": "Reliability",
        "caption": "Bins of equal width.",
        "confidence": "Confidence of the predicted class",
        "panels": [
            {
                "name": f"{name} {index}",
                "n": sum(one["rows"] for one in made),
                "summary": "ECE 4.2 % (2.1 % if the stated confidences were true)",
                "bins": made,
            }
            for index in range(panels)
        ],
    }


@pytest.fixture
def make_reliability() -> Any:
    return reliability_with


def dots_with(series: int, value: float | None = 0.5, unit: str = "share") -> dict[str, Any]:
    """Return a dot plot of one row and so many series."""
    points = [
        point(f"method {i}", value, low=value, high=value, marks=[] if value is None else [value])
        for i in range(series)
    ]
    return {
        "title": "plot",
        "unit": unit,
        "panels": [{"name": "group", "rows": [{"label": "all", "n": 10, "points": points}]}],
    }


@pytest.fixture
def make_dots() -> Any:
    return dots_with
