"""A file compared with itself has the audit's own numbers, whichever engine counts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairlora.metrics import Settings, audit_predictions
from fairlora.metrics.auditing import predictions_of
from fairlora.metrics.comparison.paired import compare_over_seeds, compare_predictions
from fairlora.metrics.comparison.values import BETTER
from fairlora.predictions import Predictions


def table(classes: int, *, clustered: bool, overlapping: bool, loss: bool) -> Predictions:
    """Rows with a group of no positives, one that is small, and classes of any order."""
    rng = np.random.default_rng(classes)
    n = 260
    codes = rng.choice(4, n, p=[0.4, 0.35, 0.2, 0.05])
    labels = np.where(codes == 2, 0, rng.integers(0, classes, n))
    probs = rng.dirichlet(np.ones(classes), n) + np.eye(classes)[labels]
    probs /= probs.sum(axis=1, keepdims=True)
    # A prediction is not always the likeliest class.
    predicted = np.where(rng.random(n) < 0.9, probs.argmax(axis=1), rng.integers(0, classes, n))
    names = np.array(["a", "b", "no positives", "few"])[codes]
    groups: Any = names
    if overlapping:
        groups = [[g, "odd"] if k % 3 else [g] for k, g in enumerate(names)]
    words = np.array([f"c{k}" for k in range(classes)])
    made = predictions_of(
        words[labels],
        words[predicted],
        {"g": groups, "half": np.where(np.arange(n) % 2, "x", "y")},
        loss=rng.exponential(size=n) if loss else None,
        classes=words,
        clusters=rng.integers(0, 60, n) if clustered else None,
    )
    return replace(made, probs=probs.astype(np.float32))


def numbers(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for name, number in content["overall"].items():
        yield ("overall", name), number
    for attribute, found in content["disparities"].items():
        for name, number in found.items():
            yield ("disparities", attribute, name), number
    for attribute, groups in content["by_group"].items():
        for group, found in groups.items():
            for name, number in found.items():
                if isinstance(number, dict):
                    yield ("by_group", attribute, group, name), number


@pytest.mark.parametrize("min_group", [1, 10])
@pytest.mark.parametrize("overlapping", [False, True], ids=["apart", "overlapping"])
@pytest.mark.parametrize("clustered", [False, True], ids=["rows", "clusters"])
@pytest.mark.parametrize(("classes", "confidence"), [(2, "top"), (2, "positive"), (3, "top")])
def test_a_comparison_with_itself_has_the_numbers_of_the_audit(
    classes: int, confidence: Any, clustered: bool, overlapping: bool, min_group: int
) -> None:
    rows = table(classes, clustered=clustered, overlapping=overlapping, loss=clustered)
    settings = Settings(
        positive="c1" if classes == 2 else None,
        confidence=confidence,
        min_group=min_group,
        bins=7,
        bootstrap=0,
        intersect=() if overlapping else (("g", "half"),),
    )
    expected = dict(numbers(audit_predictions(rows, settings).to_dict()))
    several = {0: rows, 1: rows}
    contents = [
        compare_predictions(rows, rows, settings).to_dict(),
        compare_over_seeds(several, several, settings).to_dict(),
        compare_over_seeds(several, several, settings, ratio=0.2).to_dict(),
    ]
    for content in contents:
        found = dict(numbers(content))
        for place, row in found.items():
            value = expected[place]["value"]
            if value is None:
                assert row["verdict"] == "undefined", place
                assert row["value"] is None, place
                continue
            assert row["first"] == pytest.approx(value, abs=2e-6), place
            assert row["second"] == row["first"], place
            assert row["value"] == 0, place
        # Nothing that both know is left out of the comparison.
        compared = {place for place in expected if place[-1] in BETTER}
        missing = {place[-1] for place in compared - set(found)}
        extra = {"f1", "ece", "brier", "recall", "fpr", "eod", "dpd"}
        assert missing <= (extra if classes == 2 else extra | {"tpr"}), missing
