"""What an audit found, and its views: dict, JSON, data frames, Markdown, page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.metrics.page import audit_page

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AuditResult:
    """What an audit found. `to_dict` is the documented object; the rest are views of it."""

    content: dict[str, Any]

    @property
    def by_group(self) -> dict[str, pd.DataFrame]:
        """Attribute -> a DataFrame with one row a group; intervals in ``<metric>_low/_high``."""
        import pandas as pd

        frames = {}
        for attribute, groups in self.content["by_group"].items():
            rows = {group: _flat(numbers) for group, numbers in groups.items()}
            frames[attribute] = pd.DataFrame.from_dict(rows, orient="index")
            frames[attribute].index.name = attribute
        return frames

    @property
    def disparities(self) -> pd.DataFrame:
        """One row an attribute and metric: value, low, high, and what names its place."""
        import pandas as pd

        rows = [
            {
                "attribute": attribute,
                "metric": metric,
                "value": number["value"],
                "low": number["low"],
                "high": number["high"],
                "detail": _detail(number),
            }
            for attribute, metrics in self.content["disparities"].items()
            for metric, number in metrics.items()
        ]
        return pd.DataFrame(rows, columns=["attribute", "metric", "value", "low", "high", "detail"])

    def to_dict(self) -> dict[str, Any]:
        """The whole audit as plain values: n, overall, by_group, disparities, warnings."""
        return self.content

    def to_json(self) -> str:
        """`to_dict` as JSON; an undefined number is null with a reason beside it."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False, indent=1)

    def to_markdown(self, title: str = "Audit") -> str:
        """The audit's tables in Markdown."""
        from fairlora.report.markdown import to_markdown

        return to_markdown(audit_page(self.content, title))

    def to_html(self, path: str | Path, title: str = "Audit") -> None:
        """Write the audit as one self-contained page."""
        from fairlora.report.html import write_html

        write_html(audit_page(self.content, title), Path(path))


def _flat(numbers: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, number in numbers.items():
        if not isinstance(number, dict):
            row[name] = number
            continue
        row[name] = number["value"]
        if number["low"] is not None:
            row[f"{name}_low"], row[f"{name}_high"] = number["low"], number["high"]
    return row


def _detail(number: Mapping[str, Any]) -> str:
    skip = ("value", "low", "high", "reason")
    parts = [f"{k} {v}" for k, v in number.items() if k not in skip]
    return ", ".join(parts) or (number.get("reason", "") if number["value"] is None else "")
