"""Audit several targets of one table at once, with one correction over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.auditing import tables_of
from fairlora.metrics.clinical import NAMES, clinical
from fairlora.metrics.content import Curves, OperatingPoint
from fairlora.metrics.curves.by_group import add_curves
from fairlora.metrics.curves.page import curve_charts, curve_tables
from fairlora.metrics.inference.intervals import shared_level
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.page import share_text, where_text
from fairlora.metrics.settings import Settings
from fairlora.report.page import Page, check_page
from fairlora.report.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Uncertain = Literal["refuse", "drop", "positive", "negative"]
Blank = Literal["refuse", "drop", "negative"]
_GAPS = {
    "auc_gap": "AUC gap",
    "tpr_gap": "Sensitivity gap",
    "fpr_gap": "FPR gap",
    "accuracy_gap": "Accuracy gap",
}


@dataclass(frozen=True, repr=False)
class TargetsResult(Result[dict[str, Any]]):
    """What an audit of several targets found: each target's numbers, and the gaps beyond chance."""

    title: ClassVar[str] = "Audit of several targets"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return targets_page(self.content, title)

    def about(self) -> list[str]:
        """Return the targets."""
        return list(self.content["targets"])

    def plot(self, path: str | Path | None = None, attribute: str | None = None) -> Figure:
        """Draw all targets' gaps by an attribute (default: the first) with their intervals.

        Written to a .png, .svg or .pdf file where a path is given. Raises `InputError` for an
        unknown attribute, or where there is nothing to draw.
        """
        from fairlora.metrics.plots import plot_page

        attributes = _attributes(self.content["targets"])
        return plot_page(self.page(""), None if path is None else Path(path), attributes, attribute)


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
    options : other fields of `Settings`, `curves` and `at` among them. The intervals of all targets
        hold together at `level` (Sidak), so that of 14 targets none is beyond chance by their
        number alone.

    Raises
    ------
    InputError : a target without labels or probabilities, labels that are none, or everything that
        `fairlora.audit` refuses.
    """
    from fairlora.metrics.selection.counts import numbers_of
    from fairlora.predictions.named import named_columns

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
    content: dict[str, Any] = {
        "n": 0,
        "settings": {**settings.shown(), "level_each": each.level, "threshold": threshold},
        "targets": {},
        "warnings": [],
    }
    for name in labels:
        y, counted = settled_labels(numbers_of(labels[name], name), name, uncertain, blank)
        p = numbers_of(probs[name], f"probabilities of {name}")
        if len(p) != len(y):
            raise InputError("another length", where=name, found=len(p), expected=len(y))
        content["n"] = max(content["n"], len(y))
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
        ).take(np.flatnonzero(rows))
        tables = tables_of(table, each)
        audited = assemble(tables, each)
        if each.curves or each.at:
            add_curves(audited, table, each, tables_of)
        found = audited.to_dict()
        target: dict[str, Any] = {
            "n": len(table),
            "positives": int((table.labels == 1).sum()),
            "labels": counted,
            "overall": found["overall"],
            "by_group": found["by_group"],
            "disparities": found["disparities"],
            "clinical": clinical(table, tables, each, 1),
        }
        for key in ("curves", "operating_points"):
            if key in found:
                target[key] = found[key]
        content["targets"][name] = target
        for text in found["warnings"]:
            content["warnings"].append(f"{name}: {text}")
    return TargetsResult(content)


def targets_page(content: Mapping[str, Any], title: str) -> Page:
    """A table of all targets' gaps an attribute, and each target's groups.

    Parameters
    ----------
    content : as `TargetsResult.to_dict` gives it.
    title : of the page.
    """
    targets = content["targets"]
    attributes = _attributes(targets)
    level = f"{100 * content['settings']['level']:g} %"
    shown = []
    tables: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    for attribute in attributes:
        rows = []
        for name, target in targets.items():
            gaps = target["disparities"][attribute]
            cells = [_cell(name), _cell(f"{target['n']:,}"), _cell(f"{target['positives']:,}")]
            for key in _GAPS:
                number = gaps.get(key, {"value": None, "low": None})
                beyond = number["value"] is not None and number["low"] is not None
                beyond = beyond and number["low"] > 0
                if beyond:
                    shown.append((name, attribute, key, number))
                cells.append(_cell(_text(number, 100, 1), "beyond" if beyond else None))
            scaled = target["clinical"]["es_auc"].get(attribute)
            cells.append(_cell("" if scaled is None else f"{100 * scaled:.1f}"))
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
        for attribute, groups in target["clinical"]["by_group"].items():
            tables.append(_clinical_table(name, attribute, groups))
        curves = target.get("curves")
        read = None if curves is None else Curves.model_validate(curves)
        points = [OperatingPoint.model_validate(one) for one in target.get("operating_points", [])]
        tables += curve_tables(read, points, level, share_text, where_text, f", {name}")
        charts += curve_charts(read, level, f", {name}")
    page: dict[str, Any] = {
        "title": title,
        "facts": [
            {"name": "Rows", "value": f"{content['n']:,}"},
            {"name": "Targets", "value": f"{len(targets)}"},
            {"name": "Threshold", "value": f"{content['settings']['threshold']:g}"},
            *(
                {"name": name, "value": f"{count:,} {what}"}
                for name, target in targets.items()
                for what, count in target["labels"].items()
            ),
        ],
        "tables": tables,
        "dots": [_dots(attribute, targets, level) for attribute in attributes],
        "lead": _lead(targets, attributes, shown),
        "notes": [
            "A gap between groups is a maximum: noise alone makes it larger than 0. One marked is "
            "beyond noise after all targets were looked at.",
            *dict.fromkeys(content["warnings"]),
        ],
    }
    if charts:
        page["charts"] = charts
    return check_page(page)


def _attributes(targets: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(a for one in targets.values() for a in one["disparities"]))


def _dots(attribute: str, targets: Mapping[str, Any], level: str) -> dict[str, Any]:
    """The gaps of all targets, a panel a kind."""
    panels = []
    for key, label in _GAPS.items():
        rows = []
        for name, target in targets.items():
            gap = target["disparities"][attribute].get(key)
            if gap is not None and gap["value"] is not None:
                ends = {end: gap[end] for end in ("value", "low", "high")}
                beyond = gap["low"] is not None and gap["low"] > 0
                point = {"series": "gap", **ends, "marks": [], "strong": beyond}
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
    targets: Mapping[str, Any],
    attributes: list[str],
    shown: list[tuple[str, str, str, Mapping[str, Any]]],
) -> str:
    compared = len(targets) * len(attributes) * len(_GAPS)
    if not shown:
        return f"None of {compared} gaps ({len(targets)} targets) is beyond chance."
    name, attribute, key, number = max(shown, key=lambda one: one[3]["low"])
    return (
        f"{name}: the {_GAPS[key][0].lower() + _GAPS[key][1:] if key != 'auc_gap' else 'AUC gap'} "
        f"by {attribute} is {_text(number, 100, 1)} points. {len(shown)} of {compared} gaps are "
        "beyond chance after all were looked at."
    )


def _clinical_table(target: str, attribute: str, groups: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for group, numbers in groups.items():
        cells = [_cell(group), _cell(f"{numbers['n']:,}")]
        for key in NAMES:
            line = key.startswith("calibration")
            cells.append(
                _cell(
                    _text(
                        numbers[key],
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
        "columns": _columns((attribute, "n", *NAMES.values())),
        "rows": rows,
    }


def _columns(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"name": name, "align": "right" if k else "left"} for k, name in enumerate(names)]


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _text(number: Mapping[str, Any], scale: float, digits: int, interval: bool = True) -> str:
    if number["value"] is None:
        return "undefined"
    text = f"{scale * number['value']:.{digits}f}"
    if interval and number["low"] is not None:
        text += f" [{scale * number['low']:.{digits}f}, {scale * number['high']:.{digits}f}]"
    return text
