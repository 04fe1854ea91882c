"""Audit several targets of one table at once, with one correction over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.clinical import NAMES, clinical
from fairlora.metrics.content import Number
from fairlora.metrics.counting import effective_key, tables_of
from fairlora.metrics.curves.by_group import add_curves
from fairlora.metrics.curves.page import curve_charts, curve_tables
from fairlora.metrics.findings import beyond_chance
from fairlora.metrics.inference.intervals import shared_level
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.labels import EFFECTIVE, weight_fact, weight_words
from fairlora.metrics.result import DotsResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.tables import with_interval
from fairlora.metrics.targets_content import ClinicalGroup, Target, TargetsContent, TargetSettings
from fairlora.predictions.attributes import name_of
from fairlora.predictions.weights import ZERO
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell

Uncertain = Literal["refuse", "drop", "positive", "negative"]
Blank = Literal["refuse", "drop", "negative"]
# Parts of an audit that are there where they were asked for.
_DRAWN = {"curves", "operating_points"}
_NO_GAP = Number.undefined("needs probabilities")
_GAPS = {
    "auc_gap": "AUC gap",
    "tpr_gap": "Sensitivity gap",
    "fpr_gap": "FPR gap",
    "accuracy_gap": "Accuracy gap",
}


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
        return _attributes(self.content.targets)


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


def targets_page(content: TargetsContent, title: str) -> Page:
    """A table of all targets' gaps an attribute, and each target's groups."""
    targets = content.targets
    attributes = _attributes(targets)
    level = f"{100 * content.settings.level:g} %"
    shown = []
    tables: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    for attribute in attributes:
        rows = []
        for name, target in targets.items():
            gaps = target.disparities[attribute].numbers()
            cells = [cell(name), cell(f"{target.n:,}"), cell(f"{target.positives:,}")]
            for key in _GAPS:
                number = gaps.get(key, _NO_GAP)
                beyond = beyond_chance(key, number)
                if beyond:
                    shown.append((name, attribute, key, number))
                cells.append(cell(_text(number, 100, 1), "beyond" if beyond else None))
            scaled = target.clinical.es_auc.get(attribute)
            cells.append(cell("" if scaled is None else f"{100 * scaled:.1f}"))
            rows.append({"header": True, "cells": cells})
        names = ("Target", "n", "Positives", *_GAPS.values(), "ES-AUC")
        tables.append(
            {
                "title": f"All targets by {attribute}",
                "caption": f"In percentage points; {level} intervals that hold for all targets at "
                "once (Sidak). ES-AUC: the AUC divided by 1 + the groups' distances to it.",
                "columns": _columns(names),
                "rows": rows,
            }
        )
    for name, target in targets.items():
        for attribute, groups in target.clinical.by_group.items():
            tables.append(_clinical_table(name, attribute, groups))
        tables += curve_tables(target.curves, target.operating_points or [], level, f", {name}")
        charts += curve_charts(target.curves, level, f", {name}")
    page: dict[str, Any] = {
        "title": title,
        "facts": [
            {"name": "Rows", "value": f"{content.n:,}"},
            *weight_fact(content.settings.weight),
            {"name": "Targets", "value": f"{len(targets)}"},
            {"name": "Threshold", "value": f"{content.settings.threshold:g}"},
            *(
                {"name": name, "value": f"{count:,} {what}"}
                for name, target in targets.items()
                for what, count in target.labels.items()
            ),
        ],
        "tables": tables,
        "dots": [_dots(attribute, targets, level) for attribute in attributes],
        "lead": _lead(targets, attributes, shown),
        "notes": [
            "A gap between groups is a maximum: noise alone makes it larger than 0. One marked is "
            "beyond noise after all targets were looked at.",
            *weight_words(content.settings.weight),
            *dict.fromkeys(content.warnings),
        ],
    }
    if charts:
        page["charts"] = charts
    return check_page(page)


def _attributes(targets: Mapping[str, Target]) -> list[str]:
    return list(dict.fromkeys(a for target in targets.values() for a in target.disparities))


def _dots(attribute: str, targets: Mapping[str, Target], level: str) -> dict[str, Any]:
    """The gaps of all targets, a panel a kind."""
    panels = []
    for key, label in _GAPS.items():
        rows = []
        for name, target in targets.items():
            gap = target.disparities[attribute].numbers().get(key, _NO_GAP)
            if gap.value is not None:
                ends = {"value": gap.value, "low": gap.low, "high": gap.high}
                beyond = beyond_chance(key, gap)
                point: dict[str, Any] = {"series": "gap", **ends, "marks": [], "strong": beyond}
                rows.append({"label": name, "points": [point]})
        if rows:
            panels.append({"name": label, "rows": rows})
    return {
        "title": f"Gaps of all targets by {attribute}",
        "caption": f"With {level} intervals that hold for all targets at once. Hollow: not beyond "
        "noise.",
        "unit": "share",
        "reference": 0.0,
        "panels": panels,
    }


def _lead(
    targets: Mapping[str, Target],
    attributes: list[str],
    shown: list[tuple[str, str, str, Number]],
) -> str:
    compared = len(targets) * len(attributes) * len(_GAPS)
    if not shown:
        return f"None of {compared} gaps ({len(targets)} targets) is beyond chance."
    name, attribute, key, number = max(shown, key=lambda entry: entry[3].low or 0.0)
    return (
        f"{name}: the {_GAPS[key][0].lower() + _GAPS[key][1:] if key != 'auc_gap' else 'AUC gap'} "
        f"by {attribute} is {_text(number, 100, 1)} points. {len(shown)} of {compared} gaps are "
        "beyond chance after all were looked at."
    )


def _clinical_table(
    target: str, attribute: str, groups: Mapping[str, ClinicalGroup]
) -> dict[str, Any]:
    rows = []
    for group, numbers in groups.items():
        cells = [cell(group), cell(f"{numbers.n:,}")]
        if numbers.effective is not None:
            cells.append(cell(f"{numbers.effective:,.1f}"))
        for key in NAMES:
            line = key.startswith("calibration")
            cells.append(
                cell(
                    _text(
                        getattr(numbers, key),
                        1 if line else 100,
                        2 if line else 1,
                        key in ("sensitivity", "specificity", "auc"),
                    )
                )
            )
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"{target} by {attribute}",
        "caption": "Rates and AUC in percent. Calibration: an intercept of 0 and a slope of 1 are "
        "right; an intercept above 0 says that risks are underestimated, a slope below 1 that "
        "probabilities are too extreme.",
        "columns": [
            *_columns((attribute, "n")),
            *([EFFECTIVE] if any(one.effective is not None for one in groups.values()) else []),
            *_columns(("", *NAMES.values()))[1:],
        ],
        "rows": rows,
    }


def _columns(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"name": name, "align": "right" if k else "left"} for k, name in enumerate(names)]


def _text(number: Number, scale: float, digits: int, interval: bool = True) -> str:
    return with_interval(
        number,
        lambda value: f"{scale * value:.{digits}f}",
        interval=interval,
        undefined="undefined",
    )
