"""An audit as the plain dict that the `report` room turns into a page, a table or a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.report.page import Page, check_page

OVERALL = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "recall": "Recall",
    "f1_min": "Lowest F1 of a class",
    "recall_min": "Lowest recall of a class",
    "f1_gap": "F1 gap over classes",
    "ece": "Calibration error (ECE)",
    "mce": "Largest calibration error (MCE)",
    "confidence_gap": "Confidence minus accuracy",
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
    "mean_loss": "Mean loss",
}
GROUP = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "selection_rate": "Selection rate",
    "tpr": "TPR",
    "fpr": "FPR",
    "ece": "ECE",
    "mean_loss": "Loss",
    "eod": "EOD vs rest",
}
DISPARITY = {
    "accuracy_worst": "Worst group's accuracy",
    "accuracy_gap": "Accuracy gap (best - worst)",
    "dpd": "Demographic parity difference",
    "eod": "Equalized odds difference",
    "eopp_max": "Equal opportunity, one group against the rest",
    "f1_min": "Lowest F1 of a group",
    "recall_min": "Lowest recall of a group",
    "f1_gap": "F1 gap over groups",
    "loss_variance": "Variance of the groups' losses",
    "loss_variance_unbiased": "... without the noise of the means",
}
NOT_PERCENT = {"brier", "nll", "mean_loss", "loss_variance", "loss_variance_unbiased"}


def audit_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables overall, by group and of disparities, and dots of accuracy by group.

    `content` is an audit as `AuditResult.to_dict` gives it and as ``metrics.json`` holds it.
    """
    positive = content["positive"]
    facts = [
        {"name": "Rows", "value": f"{content['n']:,}"},
        {"name": "Classes", "value": ", ".join(content["classes"][:12])},
    ]
    if positive is not None:
        facts.append({"name": "Positive class", "value": positive})
    tables = [
        _metrics(
            "Overall",
            "In percent, losses and scores as they are; in brackets 95 % intervals.",
            OVERALL,
            content["overall"],
        )
    ]
    dots = []
    for attribute, groups in content["by_group"].items():
        tables.append(_groups(attribute, groups, content["disparities"][attribute]))
        tables.append(
            _metrics(
                f"Disparities by {attribute}",
                "In percentage points; variances as they are.",
                DISPARITY,
                content["disparities"][attribute],
            )
        )
        dots.append(_dots(attribute, groups))
    page = {
        "title": title,
        "facts": facts,
        "tables": tables,
        "dots": dots,
        "notes": [
            "Intervals take the rows as drawn independently. A gap between groups is a maximum: "
            "noise alone makes it larger than 0, the more so the smaller the groups. No evidence "
            "of unfairness is not evidence of fairness.",
            *content["warnings"],
        ],
    }
    return check_page(page)


def number_text(number: Mapping[str, Any], name: str, *, interval: bool = True) -> str:
    """A statistic as people read it: percent where it is a share, with its interval."""
    value = number["value"]
    if value is None:
        return "undefined"
    scale, digits = (1.0, 4) if name in NOT_PERCENT else (100.0, 1)
    text = f"{scale * value:.{digits}f}"
    if interval and number["low"] is not None:
        text += f" [{scale * number['low']:.{digits}f}, {scale * number['high']:.{digits}f}]"
    return text


def _where(number: Mapping[str, Any]) -> str:
    """What names a statistic's place, or why it is undefined."""
    if number["value"] is None:
        return str(number.get("reason", ""))
    skip = ("value", "low", "high", "reason", "by_class")
    return ", ".join(f"{k} {v}" for k, v in number.items() if k not in skip)


def _cell(text: str, mark: str | None = None) -> dict[str, Any]:
    return {"text": text, "mark": mark}


def _metrics(
    title: str, caption: str, names: Mapping[str, str], numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """A table of one row a metric: its name, its value, and where that was found."""
    return {
        "title": title,
        "caption": caption,
        "columns": [
            {"name": "Metric", "align": "left"},
            {"name": "Value", "align": "right"},
            {"name": "Where", "align": "left"},
        ],
        "rows": [
            {
                "header": True,
                "cells": [
                    _cell(label),
                    _cell(number_text(numbers[name], name)),
                    _cell(_where(numbers[name])),
                ],
            }
            for name, label in names.items()
            if name in numbers
        ],
    }


def _groups(
    attribute: str, groups: Mapping[str, Any], disparity: Mapping[str, Any]
) -> dict[str, Any]:
    shown = [name for name in GROUP if any(g[name]["value"] is not None for g in groups.values())]
    worst = disparity["accuracy_worst"].get("group")
    rows = []
    for group, numbers in groups.items():
        mark = "small" if numbers["small"] else "worst" if group == worst else None
        cells = [_cell(group, mark), _cell(f"{numbers['n']:,}")]
        # One interval a row keeps the table readable; the rest are in the JSON.
        cells += [
            _cell(number_text(numbers[name], name, interval=name == "accuracy")) for name in shown
        ]
        rows.append({"header": True, "cells": cells})
    return {
        "title": f"By {attribute}",
        "caption": "In percent; losses as they are.",
        "columns": [
            {"name": attribute, "align": "left"},
            {"name": "n", "align": "right"},
            *({"name": GROUP[name], "align": "right"} for name in shown),
        ],
        "rows": rows,
    }


def _dots(attribute: str, groups: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": f"Accuracy by {attribute}",
        "caption": "With 95 % Wilson intervals; n is the number of rows of the group.",
        "unit": "share",
        "panels": [
            {
                "name": attribute,
                "rows": [
                    {
                        "label": group,
                        "n": numbers["n"],
                        "points": [
                            {
                                "series": "accuracy",
                                "value": numbers["accuracy"]["value"],
                                "low": numbers["accuracy"]["low"],
                                "high": numbers["accuracy"]["high"],
                                "marks": [],
                            }
                        ],
                    }
                    for group, numbers in groups.items()
                ],
            }
        ],
    }
