"""An audit of several targets as a page: all targets' gaps, and each target's groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.clinical import NAMES
from fairlora.metrics.content import Disparity, Number
from fairlora.metrics.curves.page import curve_charts, curve_tables
from fairlora.metrics.findings import beyond_chance
from fairlora.metrics.labels import EFFECTIVE, weight_fact, weight_words
from fairlora.metrics.opening import Told, not_shown, opening, topic_of, with_first
from fairlora.metrics.tables import with_interval
from fairlora.metrics.targets_content import ClinicalGroup, Target, TargetsContent
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, in_topic

_NO_GAP = Number.undefined("needs probabilities")
_GAPS = {
    "auc_gap": "AUC gap",
    "tpr_gap": "Sensitivity gap",
    "fpr_gap": "FPR gap",
    "accuracy_gap": "Accuracy gap",
}


def targets_page(content: TargetsContent, title: str) -> Page:
    """A table of all targets' gaps an attribute, and each target's groups."""
    targets = content.targets
    attributes = attributes_of(targets)
    level = f"{100 * content.settings.level:g} %"
    shown = []
    tables: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    for attribute in attributes:
        topic = topic_of(attribute)
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
        tables += in_topic(
            topic,
            {
                "title": f"All targets by {attribute}",
                "caption": f"In percentage points; {level} intervals that hold for all targets at "
                "once (Sidak). ES-AUC: the AUC divided by 1 + the groups' distances to it.",
                "columns": _columns(names),
                "rows": rows,
            },
        )
        dots += in_topic(topic, _dots(attribute, targets, level))
    for name, target in targets.items():
        for attribute, groups in target.clinical.by_group.items():
            tables += in_topic(topic_of(attribute), _clinical_table(name, attribute, groups))
        tables += curve_tables(target.curves, target.operating_points or [], level, f", {name}")
        charts += curve_charts(target.curves, level, f", {name}")
    first = _first_screen(content, attributes, dots)
    page: dict[str, Any] = {
        "title": title,
        **first,
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
        "tables": with_first(first, tables),
        "dots": dots,
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


def _first_screen(
    content: TargetsContent, attributes: list[str], dots: list[dict[str, Any]]
) -> dict[str, Any]:
    """The gaps that weigh most of all targets and attributes, and how many are not shown."""
    told = []
    for name, target in content.targets.items():
        for attribute in attributes:
            for key, gap in target.disparities[attribute].numbers().items():
                if key not in _GAPS or not isinstance(gap, Disparity) or gap.value is None:
                    continue
                ends = (gap.smallest, gap.largest) if gap.rate else (gap.worst, gap.best)
                what = _in_sentence(key).removesuffix(" gap")
                text = f"{name}: {what} is lowest for {attribute} {ends[0]}, highest for {ends[1]}."
                if not all(ends):
                    text = f"{name}: {what} is the same for every group of {attribute}."
                told.append(
                    Told(
                        text,
                        f"{_text(gap, 100, 1)} points",
                        beyond_chance(key, gap) if gap.value else None,
                        (gap.low or 0.0, gap.value),
                        topic_of(attribute),
                        (gap.reason or "no interval") if gap.value and gap.low is None else None,
                    )
                )
    shown = [bool(one.shown) for one in told if one.shown is not None]
    return opening(
        "In which targets does it fail whom, by how much, and is that more than chance?",
        told,
        dots,
        "Gaps of all targets",
        [*not_shown(shown), *dict.fromkeys(content.warnings)],
    )


def _in_sentence(key: str) -> str:
    """A gap's name within a sentence."""
    name = _GAPS[key]
    return name if name[1].isupper() else name[0].lower() + name[1:]


def attributes_of(targets: Mapping[str, Target]) -> list[str]:
    """The attributes by which any target is audited."""
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
        f"{name}: the {_in_sentence(key)} by {attribute} is {_text(number, 100, 1)} points. "
        f"{len(shown)} of {compared} gaps are beyond chance after all were looked at."
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
