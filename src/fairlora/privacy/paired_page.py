"""A comparison of two models' attacks as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.comparison.verdict_parts import verdict_columns, verdict_row
from fairlora.privacy.charts import roc_chart
from fairlora.privacy.page import gap_name
from fairlora.privacy.settings import percent
from fairlora.report.page import Page, check_page


def paired_privacy_page(content: Mapping[str, Any], title: str) -> Page:
    """Tables of differences with verdicts, and both ROCs.

    `content` is what `PairedPrivacyResult.to_dict` gives.
    """
    first, second = content["first"], content["second"]
    level = percent(content["settings"]["level"])
    tables = [
        _table(
            "All rows",
            f"{first} less {second}, in percentage points, with {level} intervals. Better: the "
            "attack tells less. Verdicts hold for the table together (Holm).",
            {metric_name(name): row for name, row in content["overall"].items()},
            content,
        )
    ]
    for attribute, rows in content["disparities"].items():
        tables.append(
            _table(
                f"Gaps by {attribute}",
                "Largest group less smallest, of one model less the other. Verdicts hold for the "
                "gaps of all attributes together (Holm).",
                {_gap(name): row for name, row in rows.items()},
                content,
            )
        )
        tables.append(
            _table(
                f"Groups of {attribute}",
                "Exploratory: of the verdicts better and worse, one in twenty is expected to be "
                "false (Benjamini-Hochberg).",
                {
                    f"{group}: {metric_name(name)}": row
                    for group, metrics in content["by_group"][attribute].items()
                    for name, row in metrics.items()
                    if row["verdict"] != "undefined" or name == "auc"
                },
                content,
            )
        )
    auc = content["overall"]["auc"]
    chart = roc_chart("ROC of both", content["curves"], level)
    page: dict[str, Any] = {
        "title": title,
        "lead": f"On the same {content['n']:,} examples, {_lead(auc, first, second)}.",
        "facts": [
            {"name": "First", "value": first},
            {"name": "Second", "value": second},
            {"name": "Members", "value": f"{content['members']:,}"},
            {"name": "Non-members", "value": f"{content['non_members']:,}"},
        ],
        "tables": tables,
        "charts": [chart] if chart["series"] else [],
        "notes": [
            "Equivalent: the 90 % interval lies within the margin, which is "
            f"{100 * content['settings']['margin']:g} points, and at a lower FPR the FPR itself. "
            "Inconclusive is not evidence of equality.",
            "The rows are the only source of chance here: another training run of the same method "
            "would differ too.",
            *content["warnings"],
        ],
    }
    return check_page(page)


def _lead(auc: Mapping[str, Any], first: str, second: str) -> str:
    """Which attack tells less, by how much of the AUC; or that this was not shown."""
    if auc["value"] is None:
        return f"the AUCs of the attacks on {first} and {second} cannot be compared"
    verdict, turned = auc["verdict"], -1 if auc["value"] < 0 else 1
    value, low, high = (
        f"{100 * number:.1f}"
        for number in (
            turned * auc["value"],
            *sorted((turned * auc["low"], turned * auc["high"])),
        )
    )
    size = f"{value} points [{low}, {high}]"
    if verdict in ("better", "worse"):
        less, more = (first, second) if verdict == "better" else (second, first)
        return f"the attack tells less of {less} than of {more}: its AUC is {size} lower"
    if verdict == "equivalent":
        return f"the attacks on {first} and {second} have equivalent AUCs ({size} apart)"
    return (
        f"no difference between the AUCs of the attacks on {first} and {second} was shown ({size})"
    )


def metric_name(name: str) -> str:
    """How a metric is called where people read it.

    >>> metric_name("tpr@0.01"), metric_name("auc")
    ('TPR at 1 %', 'AUC')
    """
    if name == "auc":
        return "AUC"
    return f"TPR at {percent(float(name.split('@')[1]))}"


def _gap(name: str) -> str:
    return gap_name(name).removesuffix(", thresholds of each group")


def _table(
    title: str, caption: str, rows: Mapping[str, Mapping[str, Any]], content: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "title": title,
        "caption": caption,
        "columns": verdict_columns("", content["first"], content["second"]),
        "rows": [_row(label, row) for label, row in rows.items()],
    }


def _row(label: str, row: Mapping[str, Any]) -> dict[str, Any]:
    def text(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.2f}"

    difference = text(row["value"])
    if row["low"] is not None:
        difference += f" [{text(row['low'])}, {text(row['high'])}]"
    texts = [label, text(row["first"]), text(row["second"]), difference]
    return verdict_row(texts, row, text(row["detectable"]))
