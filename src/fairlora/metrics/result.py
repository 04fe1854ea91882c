"""The result of an audit and its views: dict, JSON, data frames, Markdown, page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fairlora.metrics.findings import place_texts
from fairlora.metrics.scores_page import page_of
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class AuditResult(Result):
    """What an audit found. `to_dict` is the documented object; the rest are views of it."""

    title: ClassVar[str] = "Audit"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return page_of(self.content, title)

    def about(self) -> list[str]:
        """Return the attributes."""
        return list(self.content["by_group"])

    @property
    def by_group(self) -> dict[str, pd.DataFrame]:
        """Attribute -> a DataFrame with one row a group; intervals in ``<metric>_low/_high``."""
        return frames_by_group(self.content["by_group"])

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
                "expected_by_chance": number.get("expected_by_chance"),
                "detail": _detail(number),
            }
            for attribute, metrics in self.content["disparities"].items()
            for metric, number in metrics.items()
        ]
        columns = ["attribute", "metric", "value", "low", "high", "expected_by_chance", "detail"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def pairwise(self) -> dict[str, pd.DataFrame]:
        """Attribute -> a DataFrame of each pair's signed differences, one row a pair and metric.

        The intervals of one metric hold for all its pairs at once. Empty above 30 groups.
        """
        import pandas as pd

        columns = ["metric", "group", "other", "value", "low", "high"]
        return {
            attribute: pd.DataFrame(rows, columns=columns)
            for attribute, rows in self.content["pairwise"].items()
        }

    @property
    def subgroups(self) -> pd.DataFrame:
        """The subgroups that a search found, most different first; empty without a search."""
        import pandas as pd

        return pd.DataFrame(self.content.get("subgroups", {}).get("ranked", []))

    def plot(
        self,
        path: str | Path | None = None,
        kind: str = "disparities",
        attribute: str | None = None,
    ) -> Figure:
        """Draw a figure, and write it to a .png, .svg or .pdf file where a path is given.

        Parameters
        ----------
        path : the file to write; None writes none.
        kind : "disparities" (a forest of all gaps), "groups" (accuracy of each group),
            "differences" (each group against everyone outside it) or "reliability" (overall and
            worst group).
        attribute : the one to draw; None is the first, or all for "disparities".

        Raises
        ------
        InputError : another kind or attribute, or there is nothing to draw.
        """
        from fairlora.metrics.plots import plot

        return plot(self.content, None if path is None else Path(path), kind, attribute)


def frames_by_group(by_group: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Attribute -> a DataFrame with one row a group; intervals in ``<metric>_low/_high``."""
    import pandas as pd

    frames = {}
    for attribute, groups in by_group.items():
        rows = {group: _flat(numbers) for group, numbers in groups.items()}
        frames[attribute] = pd.DataFrame.from_dict(rows, orient="index")
        frames[attribute].index.name = attribute
    return frames


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
    place = ", ".join(place_texts(number))
    return place or (str(number.get("reason", "")) if number["value"] is None else "")
