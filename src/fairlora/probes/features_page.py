"""The feature probe as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.comparison.verdict_parts import VERDICT_MARKS
from fairlora.metrics.content import Number
from fairlora.metrics.tables import with_interval
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, make_table

_WORDS = {
    "better": "holds less than the base model",
    "worse": "holds more than the base model",
    "equivalent": "holds as much as the base model",
}


def features_page(content: Mapping[str, Any], title: str) -> Page:
    """A table of models for each attribute; `content` is of `fairlora probe features`."""
    tables, charts = [], []
    for attribute, probed in content["attributes"].items():
        tables.append(_table(attribute, probed))
        charts.append(_chart(attribute, probed))
    return check_page(
        {
            "title": title,
            "lead": "How well a linear classifier reads an attribute off the features that a model "
            "hands to its classification head.",
            "facts": [
                {"name": "Rows", "value": f"{content['rows']:,} of the {content['split']} split"},
                {"name": "Models", "value": ", ".join(content["models"])},
            ],
            "tables": tables,
            "charts": charts,
            "notes": [
                "The probe is fitted on some of these rows and judged on the others in turn "
                f"({content['folds']} folds); its penalty is chosen on rows that are not judged.",
                "What a linear probe cannot read may still be there. That features hold an "
                "attribute does not say that predictions use it: sensitive agreement, the share of "
                "rows whose predicted class is the one that the attribute suggests, is about that.",
                *content["notes"],
            ],
        }
    )


def _table(attribute: str, probed: Mapping[str, Any]) -> dict[str, Any]:
    agreed = any("sensitive_agreement" in row for row in probed["models"].values())
    names = ["<Model", "Accuracy of the probe", "Balanced accuracy", "Over the majority rate"]
    names += ["Less the base model", "<Verdict", *(["Sensitive agreement"] if agreed else [])]
    rows = []
    for name, row in probed["models"].items():
        against = row.get("against_base")
        word = "" if against is None else _WORDS.get(against["verdict"], against["verdict"])
        if against is not None and against["verdict"] == "inconclusive":
            word += f": {100 * against['detectable']:.1f} points could be shown"
        cells: list[str | dict[str, Any]] = [
            name,
            _shown(row["accuracy"]),
            _shown(row["balanced_accuracy"]),
            _shown(row["over_majority"]),
            "" if against is None else _shown(against),
        ]
        mark = None if against is None else VERDICT_MARKS.get(against["verdict"])
        cells.append(cell(word, mark))
        if agreed:
            cells.append(_shown(row.get("sensitive_agreement", {})))
        rows.append(cells)
    sizes = ", ".join(f"{name} {n:,}" for name, n in probed["values"].items())
    left = probed.get("without_value", 0)
    without = f"; without a value, and left out: {left:,}" if left else ""
    level = f"{100 * probed['level']:.6g} %"
    return make_table(
        f"What features hold: {attribute}",
        f"In percent, with {level} intervals over rows"
        f"{' of one family together' if probed['units'] < probed['n'] else ''}. "
        f"Rows: {sizes}{without}. "
        f"Always saying the most frequent value is right in {_shown(probed['majority'])}; a "
        f"balanced accuracy of {100 / len(probed['values']):.1f} tells nothing. Verdicts after "
        "Holm's correction over the models.",
        names,
        rows,
    )


def _chart(attribute: str, probed: Mapping[str, Any]) -> dict[str, Any]:
    names = list(probed["models"])
    return {
        "title": f"Linear probe of {attribute}",
        "caption": f"Cross-validated accuracy, with {100 * probed['level']:.6g} % intervals.",
        "kind": "bars",
        "x": {"label": "Model"},
        "y": {"label": "Accuracy of the probe", "unit": "share", "zero": True},
        "categories": [{"label": name} for name in names],
        "series": [
            {
                "name": "accuracy",
                "points": [
                    {"x": k, "y": a["value"], "low": a["low"], "high": a["high"]}
                    for k, a in enumerate(probed["models"][name]["accuracy"] for name in names)
                ],
            }
        ],
        "references": [{"name": "majority", "value": probed["majority"]["value"]}],
    }


def _shown(number: Mapping[str, Any]) -> str:
    if not number:
        return ""
    shown = Number(**{key: number[key] for key in ("value", "low", "high")})
    return with_interval(shown, lambda value: f"{100 * value:.1f}")
