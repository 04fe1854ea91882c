"""Calibration, against torchmetrics and netcal away from bin edges, and by hand at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from netcal.metrics import ECE
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from fairlora.metrics import audit


def drawn(seed: int, classes: int, bins: int, n: int = 300) -> tuple[Any, Any]:
    """Labels and probabilities with no confidence near an edge of a bin."""
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.full(classes, 0.6), size=n).astype(np.float32)
    place = probs.max(axis=1) * bins
    keep = (np.abs(place - np.round(place)) > 1e-3) & (probs.min(axis=1) > 1e-6)
    labels = np.array([random.choice(classes, p=p / p.sum()) for p in probs.astype(float) ** 0.5])
    return labels[keep], probs[keep]


def overall(labels: Any, probs: Any, **options: Any) -> dict[str, Any]:
    predictions = np.asarray(probs).argmax(axis=1)
    classes = [str(c) for c in range(np.asarray(probs).shape[1])]
    groups = {"g": ["all"] * len(labels)}
    return audit(labels, predictions, groups, probs, classes=classes, **options).to_dict()[
        "overall"
    ]


@pytest.mark.parametrize(("classes", "bins"), [(2, 10), (2, 15), (5, 15), (5, 1)])
def test_ece_and_mce_agree_with_torchmetrics_and_netcal(classes: int, bins: int) -> None:
    labels, probs = drawn(classes * 100 + bins, classes, bins)
    found = overall(labels, probs, bins=bins)
    for norm, name in (("l1", "ece"), ("max", "mce")):
        expected = multiclass_calibration_error(
            torch.tensor(probs), torch.tensor(labels), num_classes=classes, n_bins=bins, norm=norm
        )
        assert found[name]["value"] == pytest.approx(float(expected), abs=1e-5)
    confidences = probs[:, 1] if classes == 2 else probs
    options: dict[str, Any] = {"confidence": "positive", "positive": "1"} if classes == 2 else {}
    ours = overall(labels, probs, bins=bins, **options)
    assert ours["ece"]["value"] == pytest.approx(ECE(bins).measure(confidences, labels), abs=1e-5)


def test_ece_by_hand() -> None:
    # Bins (0.6, 0.7] and (0.8, 0.9]: |1 - 0.65| with two rows, |1/2 - 0.85| with two.
    probs = [[0.66, 0.34], [0.64, 0.36], [0.86, 0.14], [0.16, 0.84]]
    found = overall([0, 0, 0, 0], probs, bins=10)
    assert found["ece"]["value"] == pytest.approx((2 * 0.35 + 2 * 0.35) / 4, abs=1e-6)
    assert found["mce"]["value"] == pytest.approx(0.35, abs=1e-6)
    # Confidence 0.75 on average, right in three of four: the signed gaps cancel.
    assert found["confidence_gap"]["value"] == pytest.approx(0, abs=1e-6)


def test_a_bin_holds_its_right_edge() -> None:
    def ece(first: float, second: float) -> float:
        found = audit(
            [0, 1],
            [0, 0],
            {"g": ["a", "a"]},
            [first, second],
            bins=2,
            positive=1,
            confidence="positive",
        )
        value = found.to_dict()["overall"]["ece"]["value"]
        assert isinstance(value, float)
        return value

    # 0.5 is in the first bin with 0.4: confidence 0.45, half of the rows positive.
    assert ece(0.5, 0.4) == pytest.approx(0.05, abs=1e-6)
    assert ece(0.51, 0.4) == pytest.approx((0.51 + 0.6) / 2, abs=1e-6)
    # 0 is in the first bin too.
    assert ece(0.0, 0.2) == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("edge", [0.6, 0.7, 0.8, 0.9])
def test_a_probability_of_two_digits_is_on_its_edge_however_it_is_stored(edge: float) -> None:
    # With 0.05 less it shares a bin: one gap of the mean. Else two gaps, which do not cancel.
    probs = [[edge, 1 - edge], [edge - 0.05, 1.05 - edge]]
    found = audit([0, 1], [0, 0], {"g": ["a", "a"]}, probs, bins=10).to_dict()["overall"]
    assert found["ece"]["value"] == pytest.approx(abs(edge - 0.025 - 0.5), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_brier_and_likelihood_agree_with_scikit_learn(classes: int) -> None:
    labels, probs = drawn(classes, classes, 10)
    p = probs.astype(np.float64)
    found = overall(labels, probs)
    score = log_loss(labels, p / p.sum(axis=1, keepdims=True), labels=range(classes))
    assert found["nll"]["value"] == pytest.approx(score, abs=1e-6)
    assert found["mean_loss"]["value"] == pytest.approx(score, abs=1e-6)
    expected = (
        # Ours is the sum over both classes, scikit-learn's of a binary label the half of it.
        2 * brier_score_loss(labels, p[:, 1])
        if classes == 2
        else np.mean(((p - np.eye(classes)[labels]) ** 2).sum(axis=1))
    )
    assert found["brier"]["value"] == pytest.approx(expected, abs=1e-6)


def test_calibration_of_a_group_is_that_of_its_rows_alone() -> None:
    labels, probs = drawn(3, 3, 15)
    groups = np.where(np.arange(len(labels)) % 3 == 0, "x", "y")
    h = probs.argmax(axis=1)
    found = audit(labels, h, {"g": groups}, probs).to_dict()["by_group"]["g"]
    for group in ("x", "y"):
        alone = overall(labels[groups == group], probs[groups == group])
        for name in ("ece", "mce", "brier", "nll", "confidence_gap", "mean_loss"):
            assert found[group][name]["value"] == pytest.approx(alone[name]["value"])


def test_overconfidence_is_above_0() -> None:
    assert overall([0, 1], [[0.9, 0.1], [0.9, 0.1]])["confidence_gap"]["value"] == pytest.approx(
        0.4
    )
    assert overall([0, 0], [[0.9, 0.1], [0.9, 0.1]])["confidence_gap"]["value"] == pytest.approx(
        -0.1
    )


def test_a_true_class_of_probability_0_costs_much_and_is_finite() -> None:
    nll = overall([1, 0], [[1.0, 0.0], [1.0, 0.0]])["nll"]["value"]
    assert 40 < nll < 50


def test_without_probabilities_calibration_is_undefined_and_says_so() -> None:
    found = audit([0, 1], [0, 1], {"g": ["a", "b"]}).to_dict()
    for name in ("ece", "mce", "confidence_gap", "brier", "nll"):
        for numbers in (found["overall"], found["by_group"]["g"]["a"]):
            assert numbers[name]["value"] is None
            assert numbers[name]["reason"] == "no probabilities given"
