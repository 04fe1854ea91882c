"""`fairlora.compare`: two models' predictions on the same rows, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fairlora.errors import InputError
from fairlora.metrics.comparison.content import ComparisonContent, Verdicts
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.metrics.comparison.verdicts import MARGIN
from fairlora.metrics.inputs import positive_name, prediction_tables
from fairlora.metrics.result import DotsResult
from fairlora.metrics.settings import Confidence, MissingGroup, Settings
from fairlora.predictions.classes import MissingLabel, class_rules
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    import pandas as pd

_SIDES = ("first", "second")


AnyVerdicts = TypeVar("AnyVerdicts", bound=Verdicts)


class ComparisonResult(Result[AnyVerdicts]):
    """What a comparison of two found, of whatever kind: its differences as a table."""

    def about(self) -> list[str]:
        """Return who is compared, and the attributes."""
        return [
            f"{self.content.first} against {self.content.second}",
            *self.content.by_group,
        ]

    @property
    def differences(self) -> pd.DataFrame:
        """One row a difference: attribute, group (of a group's row), metric, value, verdict, ..."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"attribute": "", "group": "", "metric": name, **row.to_dict()}
                for rows in self.content.families
                for name, row in rows.items()
            ]
        )


@dataclass(frozen=True, repr=False)
class PairedResult(DotsResult[ComparisonContent], ComparisonResult[ComparisonContent]):
    """What a comparison found (`to_dict`), and its views."""

    title: ClassVar[str] = "Comparison"

    def page(self, title: str) -> Page:
        """Return the comparison as a page."""
        return comparison_page(self.content, title)

    def attributes(self) -> list[str]:
        """Return the attributes."""
        return list(self.content.by_group)


def compare(
    labels: Any,
    first: Any,
    second: Any,
    groups: Any,
    *,
    probs: tuple[Any, Any] | None = None,
    names: tuple[str, str] = ("first", "second"),
    margin: float = MARGIN,
    classes: Any = None,
    missing_label: MissingLabel = "refuse",
    ignore_label: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    clusters: Any = None,
    positive: Any = None,
    min_group: int = 10,
    bins: int = 15,
    confidence: Confidence = "top",
    bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    intersect: Sequence[Sequence[str]] = (),
    max_groups: int | None = None,
    missing_group: MissingGroup = "show",
) -> PairedResult:
    """Compare two models' predictions on the same rows: differences, intervals, verdicts.

    Parameters
    ----------
    labels, groups, classes, missing_label, ignore_label, bin_groups, clusters, positive,
        min_group, bins, confidence, bootstrap, seed, level, intersect, max_groups,
        missing_group : as of `fairlora.audit`; at least 200 draws are made.
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
        positive=None if positive is None else positive_name(positive),
        min_group=min_group,
        bins=bins,
        confidence=confidence,
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        intersect=tuple(tuple(names) for names in intersect),
        max_groups=max_groups,
        missing_group=missing_group,
    )
    given = {}
    if probs is not None:
        if not hasattr(probs, "__len__") or len(probs) != 2:
            raise InputError(
                "probabilities of both or of neither",
                where="probs",
                found=f"{len(probs)} of them" if hasattr(probs, "__len__") else repr(probs),
                expected="(of the first, of the second)",
            )
        given = {name: one for name, one in zip(_SIDES, probs, strict=True) if one is not None}
    one_table, other_table = prediction_tables(
        labels,
        dict(zip(_SIDES, (first, second), strict=True)),
        groups,
        given,
        rules=class_rules(classes, missing_label, ignore_label),
        clusters=clusters,
        positive=positive,
        bin_groups=bin_groups,
    )
    content = compare_predictions(one_table, other_table, settings, margin=margin, names=names)
    return PairedResult(content)
