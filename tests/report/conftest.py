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
        "notes": list(HOSTILE),
    }


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
