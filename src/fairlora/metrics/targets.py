"""Audit several targets of one table at once, with one correction over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.clinical import clinical
from fairlora.metrics.counting import effective_key, tables_of
from fairlora.metrics.curves.by_group import add_curves
from fairlora.metrics.inference.intervals import shared_level
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.result import DotsResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.targets_content import Target, TargetsContent, TargetSettings
from fairlora.metrics.targets_page import attributes_of, targets_page
from fairlora.predictions.attributes import name_of
from fairlora.predictions.weights import ZERO
from fairlora.report.page import Page

Uncertain = Literal["refuse", "drop", "positive", "negative"]
Blank = Literal["refuse", "drop", "negative"]
# Parts of an audit that are there where they were asked for.
_DRAWN = {"curves", "operating_points"}


@dataclass(frozen=True, repr=False)
class TargetsResult(DotsResult[TargetsContent]):
    """What an audit of several targets found: each target's numbers, and the gaps beyond chance."""

    title: ClassVar[str] = "Audit of several targets"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return targets_page(self.content, title)

    def about(self) -> list[str]:
        """Return the targets."""
        return list(self.content.targets)

    def attributes(self) -> list[str]:
        """Return the attributes."""
        return attributes_of(self.content.targets)


def settled_labels(
    values: NDArray[np.float64], name: str, uncertain: Uncertain, blank: Blank
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Labels 1, 0, -1 (uncertain) and NaN (blank) as 1, 0 and NaN (left out), by a stated policy.

    Parameters
    ----------
    values : (n,) labels of one target.
    name : of the target, for messages.
    uncertain : what -1 becomes.
    blank : what a missing label becomes.

    Returns
    -------
    (n,) labels, and how many rows were taken as what.

    Raises
    ------
    InputError : another value, or -1 or a blank with "refuse".

    >>> settled_labels(np.array([1, 0, -1, np.nan]), "Edema", "positive", "negative")[0].tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    out = values.astype(np.float64).copy()
    empty, doubtful = np.isnan(values), values == -1
    odd = ~(empty | doubtful | (values == 0) | (values == 1))
    if odd.any():
        raise InputError(
            "not a label of a finding",
            where=f"{name}, row {int(np.flatnonzero(odd)[0]) + 1}",
            found=values[odd][0],
            expected="1, 0, -1 (uncertain) or a blank",
        )
    counted = {}
    for here, policy, what, option in (
        (doubtful, uncertain, "uncertain", "--uncertain drop, positive or negative"),
        (empty, blank, "blank", "--blank drop or negative"),
    ):
        if not here.any():
            continue
        if policy == "refuse":
            raise InputError(
                f"{what} labels", where=name, found=f"{int(here.sum()):,} rows", expected=option
            )
        out[here] = {"drop": np.nan, "positive": 1.0, "negative": 0.0}[policy]
        counted[f"{what} ({'left out' if policy == 'drop' else policy})"] = int(here.sum())
    return out, counted


def audit_targets(
    labels: Mapping[str, Any],
    probs: Mapping[str, Any],
    groups: Any,
    *,
    threshold: float = 0.5,
    uncertain: Uncertain = "refuse",
    blank: Blank = "refuse",
    clusters: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    weight: Any = None,
    **options: Any,
) -> TargetsResult:
    """Audit several targets of the same rows, such as the findings of chest X-rays.

    Parameters
    ----------
    labels : target -> (n,) 1, 0, -1 (uncertain) or missing (blank).
    probs : target -> (n,) probabilities of the target.
    groups : attribute -> (n,) groups; or a frame, or a column.
    threshold : a target is predicted from this probability on.
    uncertain : what -1 becomes: "drop", "positive" or "negative"; "refuse" does not guess.
    blank : what a missing label becomes: "drop" or "negative".
    clusters : (n,) names of what rows share, such as patients.
    bin_groups : attribute -> edges or "quantiles:K": numbers audited as ranges.
    weight : (n,) how much each row counts, from 0; None counts all alike.
    options : other fields of `Settings`, `curves` and `at` among them. The intervals of all targets
        hold together at `level` (Sidak), so that of 14 targets none is beyond chance by their
        number alone.

    Raises
    ------
    InputError : a target without labels or probabilities, labels that are none, or everything that
        `fairlora.audit` refuses.
    """
    from fairlora.metrics.selection.counts import numbers_of
    from fairlora.predictions.attributes import named_columns

    settings = Settings(**options)
    settings.refuse("an audit of several targets", ("subgroups", "power", "four_fifths"))
    if not labels or set(labels) != set(probs):
        raise InputError(
            "each target needs labels and probabilities",
            where="labels, probs",
            found=f"{', '.join(labels) or 'none'}; {', '.join(probs) or 'none'}",
            expected="the same targets in both, at least one",
        )
    each = settings.model_copy(
        update={"level": shared_level(settings.level, len(labels)), "positive": "1"}
    )
    columns = named_columns(groups)
    content = TargetsContent(
        n=0,
        settings=TargetSettings(
            **settings.shown(), level_each=each.level, threshold=float(threshold)
        ),
        targets={},
        warnings=[],
    )
    if weight is not None:
        content.settings.weight = name_of(weight)
    for name in labels:
        y, counted = settled_labels(numbers_of(labels[name], name), name, uncertain, blank)
        p = numbers_of(probs[name], f"probabilities of {name}")
        if len(p) != len(y):
            raise InputError("another length", where=name, found=len(p), expected=len(y))
        content.n = max(content.n, len(y))
        rows = ~np.isnan(y)
        if not rows.any():
            raise InputError("no rows are left", where=name, expected="a label of 1 or 0")
        table = predictions_of(
            np.where(rows, y, 0).astype(np.int64),
            (p >= threshold).astype(np.int64),
            columns,
            p,
            classes=[0, 1],
            clusters=clusters,
            bin_groups=bin_groups,
            weight=weight,
        )
        table = table.take(np.flatnonzero(rows[table.ids]))
        zeros = int(rows.sum()) - len(table)
        if not len(table):
            raise InputError("all weights are 0", where=name, found=f"{zeros:,} rows with a label")
        table = replace(table, left_out={ZERO: zeros} if zeros else {})
        tables = tables_of(table, each)
        audited = assemble(tables, each)
        if each.curves or each.at:
            add_curves(audited, table, each)
        content.targets[name] = Target(
            n=len(table),
            **effective_key(tables.everyone.tally, 0),
            positives=int((table.labels == 1).sum()),
            labels=counted,
            overall=audited.overall,
            by_group=audited.by_group,
            disparities=audited.disparities,
            clinical=clinical(table, tables, each, 1),
            **{key: getattr(audited, key) for key in _DRAWN & audited.model_fields_set},
        )
        content.warnings += [f"{name}: {text}" for text in audited.warnings]
    return TargetsResult(content)
