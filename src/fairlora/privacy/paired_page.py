"""A comparison of two models' attacks as a page."""

from __future__ import annotations

from fairlora.metrics.comparison.content import Verdict
from fairlora.metrics.comparison.verdict_parts import size_text, verdict_tables
from fairlora.metrics.curves.charts import roc_chart
from fairlora.privacy.content import PairedPrivacyContent
from fairlora.privacy.page import gap_name
from fairlora.privacy.settings import percent
from fairlora.report.page import Page, check_page

ByGroup = dict[str, dict[str, dict[str, Verdict]]]


def paired_privacy_page(content: PairedPrivacyContent, title: str) -> Page:
    """Tables of differences with verdicts, and both ROCs."""
    first, second = content.first, content.second
    level = percent(content.settings.level)
    chart = roc_chart("ROC of both", content.curves, level)
    overall = (
        f"{first} less {second}, in percentage points, with {level} intervals. Better: the attack "
        "tells less. Verdicts hold for the table together (Holm)."
    )
    gaps = (
        "Largest group less smallest, of one model less the other. Verdicts hold for the gaps of "
        "all attributes together (Holm)."
    )
    return check_page(
        {
            "title": title,
            "lead": f"On the same {content.n:,} examples, {_lead(content)}.",
            "facts": [
                {"name": "First", "value": first},
                {"name": "Second", "value": second},
                {"name": "Members", "value": f"{content.members:,}"},
                {"name": "Non-members", "value": f"{content.non_members:,}"},
            ],
            "tables": verdict_tables(
                content.model_copy(update={"by_group": _defined(content.by_group)}),
                ("All rows", overall),
                ("Gaps by", gaps),
                label=_label,
                number=lambda _, value: _text(value),
            ),
            "charts": [chart] if chart["series"] else [],
            "notes": [
                "Equivalent: the 90 % interval lies within the margin, which is "
                f"{100 * content.settings.margin:g} points, and at a lower FPR the FPR "
                "itself. Inconclusive is not evidence of equality.",
                "The rows are the only source of chance here: another training run of the same "
                "method would differ too.",
                *content.warnings,
            ],
        }
    )


def _lead(content: PairedPrivacyContent) -> str:
    """Which attack tells less, by how much of the AUC; or that this was not shown."""
    first, second, auc = content.first, content.second, content.overall["auc"]
    if auc.value is None:
        return f"the AUCs of the attacks on {first} and {second} cannot be compared"
    verdict, size = auc.verdict, size_text(auc, lambda value: f"{100 * value:.1f}")
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
    return "AUC" if name == "auc" else f"TPR at {percent(float(name.split('@')[1]))}"


def _label(part: str, name: str) -> str:
    if part == "disparities":
        return gap_name(name).removesuffix(", thresholds of each group")
    return metric_name(name)


def _defined(by_group: ByGroup) -> ByGroup:
    """The groups' rows; of what is undefined the AUC's alone, which says why."""
    return {
        attribute: {
            group: {
                name: row
                for name, row in metrics.items()
                if row.verdict != "undefined" or name == "auc"
            }
            for group, metrics in groups.items()
        }
        for attribute, groups in by_group.items()
    }


def _text(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
