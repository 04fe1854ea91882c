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
        "charts": [hostile_chart()],
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


def bars_with(categories: int = 3, series: int = 2) -> dict[str, Any]:
    """Grouped bars with intervals; the last series lacks the last category's value."""
    made = [
        {
            "name": f"method {index}",
            "points": [
                {"x": x, "y": 0.9 - 0.01 * x, "low": 0.85, "high": 0.95, "marks": [0.88, 0.91]}
                for x in range(categories)
            ],
        }
        for index in range(series)
    ]
    made[-1]["points"][-1] = {"x": categories - 1, "y": None}
    return {
        "title": "Accuracy by group",
        "kind": "bars",
        "x": {"label": "Group"},
        "y": {"label": "Accuracy", "unit": "share"},
        "categories": [{"label": f"group {x}", "n": 1000 + x} for x in range(categories)],
        "series": made,
        "references": [{"name": "everyone", "value": 0.92}],
    }


def lines_with(series: int = 2) -> dict[str, Any]:
    """Lines over ranks from 0 on; the first lacks a value in the middle."""
    ranks = [0, 1, 8, 64, 768]
    made: list[dict[str, Any]] = [
        {
            "name": f"method {index}",
            "points": [
                {"x": x, "y": 0.8 + 0.02 * i, "low": 0.78 + 0.02 * i, "high": 0.82 + 0.02 * i}
                for i, x in enumerate(ranks)
            ],
        }
        for index in range(series)
    ]
    made[0]["points"][2] = {"x": 8, "y": float("nan")}
    return {
        "title": "Accuracy by rank",
        "caption": "Means of five seeds.",
        "kind": "lines",
        "x": {"label": "Rank", "scale": "rank"},
        "y": {"label": "Accuracy", "unit": "share", "better": "higher"},
        "series": made,
        "references": [{"name": "full", "value": 0.93, "low": 0.92, "high": 0.94}],
    }


def scatter_with() -> dict[str, Any]:
    """Two methods, one without a place, and the front of both."""
    one = [
        {"x": 0.05, "y": 0.90, "x_low": 0.03, "x_high": 0.07, "low": 0.89, "high": 0.91},
        {"x": 0.12, "y": 0.94, "label": "rank 64"},
    ]
    two = [{"x": 0.10, "y": 0.89, "label": "rank 8"}, {"x": None, "y": 0.9, "label": "rank 1"}]
    return {
        "title": "Accuracy against disparity",
        "kind": "scatter",
        "x": {"label": "Disparity", "unit": "share", "better": "lower"},
        "y": {"label": "Accuracy", "unit": "share", "better": "higher"},
        "series": [
            {"name": "LoRA", "points": one},
            {"name": "Full", "points": two},
            {"name": "Front", "points": [dict(point) for point in one], "connected": "stairs"},
        ],
    }


def hostile_chart() -> dict[str, Any]:
    """Return a scatter whose every text is hostile."""
    points = [{"x": 0.1, "y": 0.2, "label": HOSTILE[0]}, {"x": 0.3, "y": None, "label": HOSTILE[1]}]
    return {
        "title": HOSTILE[0],
        "caption": HOSTILE[1],
        "kind": "scatter",
        "x": {"label": HOSTILE[2]},
        "y": {"label": HOSTILE[7]},
        "series": [{"name": text, "points": points} for text in HOSTILE],
        "references": [{"name": text, "value": 0.5} for text in HOSTILE],
    }


def chart_with(kind: str, **options: Any) -> dict[str, Any]:
    """Return a chart of that kind."""
    made = {"bars": bars_with, "lines": lines_with, "scatter": scatter_with}[kind]
    return made(**options)  # type: ignore[operator, no-any-return]


@pytest.fixture
def make_chart() -> Any:
    return chart_with


@pytest.fixture
def hostile_texts() -> tuple[str, ...]:
    return HOSTILE
