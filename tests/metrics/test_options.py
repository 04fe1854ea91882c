"""Every setting changes every output, or stands here with the reason why it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics import Settings, audit_predictions
from fairlora.metrics.auditing import predictions_of
from fairlora.metrics.comparison.compare import PairedResult
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_over_seeds, compare_predictions
from fairlora.metrics.result import AuditResult
from fairlora.predictions import Predictions
from fairlora.report.markdown import to_markdown

# Field -> a value, and what else is set with and without it.
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "positive": ("no", {}),
    "min_group": (40, {}),
    "bins": (4, {}),
    "confidence": ("positive", {}),
    "bootstrap": (500, {}),
    "seed": (5, {}),
    "level": (0.8, {}),
    "intersect": ((("race", "sex"),), {}),
    "subgroups": (2, {}),
    "subgroup_size": (90, {"subgroups": 2}),
    "subgroup_metric": ("tpr", {"subgroups": 2}),
    "suggests": ({"sex": {"f": "yes"}}, {}),
    "power": (0.05, {}),
    "max_groups": (2, {}),
    "missing_group": ("keep", {}),
    "four_fifths": (True, {}),
    "curves": (True, {}),
    "at": ((("specificity", 0.8),), {}),
}
# (field, output) -> why the output stays as it is.
STAYS = {
    ("power", "frames"): "sample sizes have no data frame; `to_dict` has them",
    ("four_fifths", "frames"): "impact ratios are in `to_dict` and in `tables`",
    ("curves", "frames"): "curves are in `to_dict` and in `tables`",
    ("at", "frames"): "rates at operating points are in `to_dict` and in `tables`",
}
NO_COMPARISON = ("subgroups", "power", "suggests", "four_fifths", "curves", "at")
# What only tells how to search for subgroups.
OF_THE_SEARCH = ("subgroup_size", "subgroup_metric")


def table(seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(100)
    n = 300
    labels = fixed.choice(["no", "yes"], n)
    race = fixed.choice(["x", "y", "z", "(missing)"], n, p=[0.5, 0.3, 0.1, 0.1])
    sex = fixed.choice(["f", "m"], n)
    probs = np.clip(0.3 + 0.4 * (labels == "yes") + rng.normal(0, 0.25, n), 0.01, 0.99)
    predicted = np.where(probs > 0.5, "yes", "no")
    return predictions_of(
        labels, predicted, {"race": race, "sex": sex}, np.stack([1 - probs, probs], axis=1)
    )


def of_audit(settings: Settings, folder: Path) -> dict[str, str]:
    result: AuditResult = audit_predictions(table(), settings)
    result.to_html(folder / "page.html", "t")
    frames = [*result.by_group.values(), result.disparities, *result.pairwise.values()]
    return {
        "json": json.dumps(result.to_dict()),
        "markdown": result.to_markdown("t"),
        "latex": result.to_latex("t"),
        "html": (folder / "page.html").read_text(encoding="utf-8"),
        "frames": "".join(frame.to_csv() for frame in [*frames, result.subgroups]),
    }


def of_comparison(settings: Settings, folder: Path) -> dict[str, str]:
    result = PairedResult(compare_predictions(table(), table(1), settings))
    result.to_html(folder / "page.html", "t")
    return {
        "json": result.to_json(),
        "markdown": result.to_markdown("t"),
        "latex": result.to_latex("t"),
        "html": (folder / "page.html").read_text(encoding="utf-8"),
        "frames": result.differences.to_csv(),
    }


def of_seeds(settings: Settings, folder: Path) -> dict[str, str]:
    content = compare_over_seeds(
        {s: table(s) for s in range(3)}, {s: table(s + 3) for s in range(3)}, settings
    )
    return {
        "json": json.dumps(content.to_dict()),
        "markdown": to_markdown(comparison_page(content, "t")),
    }


def test_every_setting_has_a_case() -> None:
    assert set(CASES) == set(Settings.model_fields)


@pytest.mark.parametrize("make", [of_audit, of_comparison, of_seeds])
@pytest.mark.parametrize("name", CASES)
def test_a_setting_changes_every_output(
    tmp_path: Path, make: Callable[[Settings, Path], dict[str, str]], name: str
) -> None:
    value, rest = CASES[name]
    compared = make is not of_audit
    if compared and name in OF_THE_SEARCH:
        rest = {}
    base = Settings(**{"positive": "yes", "bootstrap": 200, **rest})
    if name == "max_groups":  # it changes no number, and refuses attributes of more groups
        with pytest.raises(InputError, match="groups"):
            make(base.model_copy(update={"max_groups": value}), tmp_path)
        return
    if compared and name in NO_COMPARISON:
        with pytest.raises(InputError, match="not part of a comparison"):
            make(base.model_copy(update={name: value}), tmp_path)
        return
    before = make(base, tmp_path)
    after = make(base.model_copy(update={name: value}), tmp_path)
    for output, text in after.items():
        same = (name, output) in STAYS or (compared and name in OF_THE_SEARCH)
        assert (text == before[output]) == same, (name, output)
