"""`fairlora.compare`: two models' predictions on the same rows, from Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.metrics.audit import predictions_of
from fairlora.metrics.paired import compare_predictions
from fairlora.metrics.paired_page import paired_page
from fairlora.metrics.settings import MissingGroup, Settings
from fairlora.metrics.verdict import MARGIN

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PairedResult:
    """What a comparison found. `to_dict` is the whole; the rest are views of it."""

    content: dict[str, Any]

    @property
    def differences(self) -> pd.DataFrame:
        """One row a difference: attribute, group (of a group's row), metric, value, verdict, ..."""
        import pandas as pd

        rows = [
            {"attribute": "", "group": "", "metric": m, **r}
            for m, r in self.content["overall"].items()
        ]
        for attribute, metrics in self.content["disparities"].items():
            rows += [
                {"attribute": attribute, "group": "", "metric": m, **r} for m, r in metrics.items()
            ]
        for attribute, groups in self.content["by_group"].items():
            rows += [
                {"attribute": attribute, "group": g, "metric": m, **r}
                for g, metrics in groups.items()
                for m, r in metrics.items()
            ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The whole comparison as plain values."""
        return self.content

    def to_json(self) -> str:
        """`to_dict` as JSON; an undefined number is null with a reason beside it."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False, indent=1)

    def to_markdown(self, title: str = "Comparison") -> str:
        """The comparison's tables in Markdown."""
        from fairlora.report.markdown import to_markdown

        return to_markdown(paired_page(self.content, title))

    def to_latex(self, title: str = "Comparison") -> str:
        """The comparison's tables in LaTeX (booktabs)."""
        from fairlora.report.latex import to_latex

        return to_latex(paired_page(self.content, title))

    def to_html(self, path: str | Path, title: str = "Comparison") -> None:
        """Write the comparison as one self-contained page."""
        from fairlora.report.html import write_html

        write_html(paired_page(self.content, title), Path(path))


def compare(
    labels: Any,
    first: Any,
    second: Any,
    groups: Mapping[str, Any],
    *,
    probs: tuple[Any, Any] | None = None,
    names: tuple[str, str] = ("first", "second"),
    margin: float = MARGIN,
    classes: Sequence[str] | None = None,
    clusters: Any = None,
    positive: Any = None,
    min_group: int = 10,
    bins: int = 15,
    bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    intersect: Sequence[Sequence[str]] = (),
    max_groups: int = 1000,
    missing_group: MissingGroup = "show",
) -> PairedResult:
    """Compare two models' predictions on the same rows: differences, intervals, verdicts.

    Parameters
    ----------
    labels, groups, classes, clusters, positive, min_group, bins, bootstrap, seed, level, intersect,
        max_groups, missing_group : as of `fairlora.audit`.
    first, second : (n,) predicted classes of the two; differences are first minus second.
    probs : their probabilities, both or neither.
    names : what to call the two.
    margin : differences of rates below this count as equivalent.

    >>> labels = [0, 1] * 50
    >>> group = ["a", "a", "b", "b"] * 25
    >>> found = compare(labels, labels, labels, {"g": group}, positive=1)
    >>> found.to_dict()["overall"]["accuracy"]["value"]
    0.0
    """
    settings = Settings(
        None if positive is None else str(positive),
        min_group,
        bins,
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        intersect=tuple(tuple(attributes) for attributes in intersect),
        max_groups=max_groups,
        missing_group=missing_group,
    )
    one, two = (None, None) if probs is None else probs
    # Both over the classes of all three columns: one may never predict what the other does.
    if classes is None:
        from fairlora.metrics.coerce import label_column
        from fairlora.predictions.columns import union

        columns = [label_column(v, n) for v, n in ((labels, "labels"), (first, "first"))]
        classes = union([*columns, label_column(second, "second")])
        by_name = True
    else:
        by_name = False
    one_table, other_table = (
        predictions_of(
            labels,
            predicted,
            groups,
            p,
            classes=classes,
            clusters=clusters,
            positive=positive,
            by_name=by_name,
        )
        for predicted, p in ((first, one), (second, two))
    )
    content = compare_predictions(one_table, other_table, settings, margin=margin, names=names)
    return PairedResult(content)
