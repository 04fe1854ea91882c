"""A timing as a line of results."""

from __future__ import annotations

import statistics
from typing import Any


def line(name: str, seconds: list[float]) -> dict[str, Any]:
    """Median and spread in milliseconds."""
    ms = [1000 * s for s in seconds]
    return {
        "name": name,
        "median_ms": round(statistics.median(ms), 3),
        "least_ms": round(min(ms), 3),
        "most_ms": round(max(ms), 3),
        "runs": len(ms),
    }
