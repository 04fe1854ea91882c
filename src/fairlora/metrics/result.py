"""The result of an audit and its views: dict, JSON, data frames, Markdown, page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fairlora.metrics.content import AuditContent, Number, Numbers, ScoreContent
from fairlora.metrics.details import Rows
from fairlora.metrics.findings import place_texts
from fairlora.metrics.numeric.content import NumericContent
from fairlora.metrics.page import audit_page
from fairlora.metrics.scores_page import score_page
from fairlora.metrics.selection.content import SelectionContent
from fairlora.report.page import Page
from fairlora.report.result import Content, Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


GroupedContent = TypeVar(
    "GroupedContent", AuditContent, NumericContent, ScoreContent, SelectionContent
)


class DotsResult(Result[Content]):
    """A result whose page has a figure with intervals of each attribute."""

    def attributes(self) -> list[str]:
        """Return the attributes, in the order of the page's figures."""
        return list(self.about())

    def plot(self, path: str | Path | None = None, attribute: str | None = None) -> Figure:
        """Draw the page's figure of an attribute (default: the first).

        Written to a .png, .svg or .pdf file where a path is given. Raises `InputError` for an
        unknown attribute, or where there is nothing to draw.
        """
        from fairlora.metrics.plots import plot_page

        where = None if path is None else Path(path)
        return plot_page(self.page(""), where, self.attributes(), attribute)


class GroupedResult(Result[GroupedContent]):
    """What an audit by group found, and its tables of groups, disparities and pairs."""

    def about(self) -> list[str]:
        """Return the attributes."""
        return list(self.content.by_group)

    @property
    def by_group(self) -> dict[str, pd.DataFrame]:
        """Attribute -> a DataFrame with one row a group; intervals in ``<metric>_low/_high``."""
        import pandas as pd

        out = {}
        for attribute, groups in self.content.by_group.items():
            rows = {group: _flat(numbers) for group, numbers in groups.items()}
            out[attribute] = pd.DataFrame.from_dict(rows, orient="index")
            out[attribute].index.name = attribute
        return out

    @property
    def disparities(self) -> pd.DataFrame:
        """One row an attribute and metric: value, low, high, and what names its place."""
        import pandas as pd

        rows = [
            {
                "attribute": attribute,
                "metric": metric,
                "value": number.value,
                "low": number.low,
                "high": number.high,
                "expected_by_chance": getattr(number, "expected_by_chance", None),
                "detail": ", ".join(place_texts(number))
                or (number.reason or "") * (number.value is None),
            }
            for attribute, disparities in self.content.disparities.items()
            for metric, number in disparities.numbers().items()
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
            attribute: pd.DataFrame([pair.to_dict() for pair in pairs], columns=columns)
            for attribute, pairs in self.content.pairwise.items()
        }


@dataclass(frozen=True, repr=False)
class AuditResult(GroupedResult[AuditContent]):
    """What an audit found.

    `rows` are those that it was found on, where they are in memory: its page has their confusion
    and other thresholds.
    """

    rows: Rows | None = field(default=None, compare=False)

    title: ClassVar[str] = "Audit"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return audit_page(self.content, title, self.rows)

    @property
    def subgroups(self) -> pd.DataFrame:
        """The subgroups that a search found, most different first; empty without a search."""
        import pandas as pd

        search = self.content.subgroups
        return pd.DataFrame([] if search is None else [one.to_dict() for one in search.ranked])

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
            "differences" (each group against everyone outside it), "reliability" (overall and
            worst group), or, with `curves`, "roc" or "precision_recall".
        attribute : the one to draw; None is the first, or all for "disparities".

        Raises
        ------
        InputError : another kind or attribute, or there is nothing to draw.
        """
        from fairlora.metrics.plots import plot

        return plot(self.content, None if path is None else Path(path), kind, attribute)


@dataclass(frozen=True, repr=False)
class ScoreResult(DotsResult[ScoreContent], GroupedResult[ScoreContent]):
    """What an audit of a score a row found."""

    title: ClassVar[str] = "Audit of scores"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return score_page(self.content, title)


def _flat(group: Numbers) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in group:
        if not isinstance(value, Number):
            row |= {name: value} if name in group.model_fields_set else {}
            continue
        row[name] = value.value
        if value.low is not None:
            row[f"{name}_low"], row[f"{name}_high"] = value.low, value.high
    return row
