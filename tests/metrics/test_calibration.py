"""Calibration, against torchmetrics and netcal away from bin edges, and by hand at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from netcal.metrics import ECE, MCE
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from fairlora.metrics import audit
from fairlora.metrics.counts.calibration import expected_if_calibrated, invert
from fairlora.metrics.counts.tally import tally
from fairlora.predictions import GroupColumn

SETTINGS = settings(derandomize=True, deadline=None, max_examples=12)


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
    # The sum over classes, of two classes too: scikit-learn's default would be half of it.
    given = p[:, 1] if classes == 2 else p / p.sum(axis=1, keepdims=True)
    expected = brier_score_loss(labels, given, labels=range(classes), scale_by_half=False)
    assert found["brier"]["value"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("confidence", "theirs"),
    [("top", multiclass_calibration_error), ("positive", binary_calibration_error)],
)
def test_the_ece_of_two_classes_is_torchmetrics_of_many_or_of_two(
    confidence: Any, theirs: Any
) -> None:
    labels, probs = drawn(3, 2, 10)
    found = audit(
        labels,
        probs.argmax(axis=1),
        {"g": ["a"] * len(labels)},
        probs,
        classes=["0", "1"],
        positive="1",
        confidence=confidence,
        bins=10,
        bootstrap=0,
    ).to_dict()["overall"]["ece"]["value"]
    given = torch.from_numpy(probs if confidence == "top" else probs[:, 1])
    more = {"num_classes": 2} if confidence == "top" else {}
    expected = theirs(given, torch.from_numpy(labels), n_bins=10, **more)
    assert found == pytest.approx(float(expected), abs=1e-6)


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


@SETTINGS
@given(data=st.data())
def test_ece_and_mce_of_each_group_agree_with_torchmetrics(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(2, 4, 20), rows=(30, 200), tied=False))
    bins = data.draw(st.sampled_from([1, 5, 10, 15]))
    top = rows.probs.max(axis=1)
    away = np.abs(top * bins - np.round(top * bins)) > 1e-3
    names = [str(c) for c in range(rows.classes)]
    kept = {g: mask & away for g, mask in rows.members().items() if (mask & away).any()}
    if not kept:
        return
    h = rows.probs.argmax(axis=1)
    found = audit(
        rows.labels[away],
        h[away],
        {"g": rows.names[away]},
        rows.probs[away],
        classes=names,
        bins=bins,
        bootstrap=0,
    ).to_dict()["by_group"]["g"]
    for group, mask in kept.items():
        for norm, name in (("l1", "ece"), ("max", "mce")):
            expected = multiclass_calibration_error(
                torch.tensor(rows.probs[mask]),
                torch.tensor(rows.labels[mask]),
                num_classes=rows.classes,
                n_bins=bins,
                norm=norm,
            )
            assert found[group][name]["value"] == pytest.approx(float(expected), abs=1e-5)


@SETTINGS
@given(data=st.data())
def test_calibration_of_the_positive_class_by_group_agrees_with_netcal(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(groups=(1, 3), rows=(30, 200), tied=False))
    p = rows.probs[:, 1]
    away = np.abs(p * 10 - np.round(p * 10)) > 1e-3
    y, p, groups = rows.labels[away], p[away], rows.names[away]
    found = audit(
        y,
        p > 0.5,
        {"g": groups},
        p,
        classes=["0", "1"],
        positive="1",
        confidence="positive",
        bins=10,
        bootstrap=0,
    ).to_dict()["by_group"]["g"]
    for group in set(groups.tolist()):
        mask = groups == group
        for name, score in (("ece", ECE), ("mce", MCE)):
            expected = score(10).measure(p[mask], y[mask])
            assert found[group][name]["value"] == pytest.approx(expected, abs=1e-5)


@SETTINGS
@given(data=st.data())
def test_scores_of_each_group_agree_with_scikit_learn(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(2, 5), rows=(30, 200), tied=False))
    names = [str(c) for c in range(rows.classes)]
    groups = {"g": rows.groups}
    options: dict[str, Any] = {"classes": names, "bootstrap": 0}
    result = audit(rows.labels, rows.predictions, groups, rows.probs, **options).to_dict()
    p = np.maximum(rows.probs.astype(np.float64), np.finfo(np.float32).tiny)
    for group, mask in rows.members().items():
        numbers, y = result["by_group"]["g"][group], rows.labels[mask]
        own = p[mask] / p[mask].sum(axis=1, keepdims=True)
        expected = log_loss(y, own, labels=range(rows.classes))
        assert numbers["nll"]["value"] == pytest.approx(expected, rel=1e-5)
        assert numbers["mean_loss"]["value"] == numbers["nll"]["value"]
        brier = np.mean(((own - np.eye(rows.classes)[y]) ** 2).sum(axis=1))
        if rows.classes == 2:
            assert brier == pytest.approx(2 * brier_score_loss(y, own[:, 1], pos_label=1))
        assert numbers["brier"]["value"] == pytest.approx(brier, abs=1e-6)


@pytest.mark.parametrize("n", [12, 200])
def test_the_ece_expected_of_true_confidences_is_that_of_redrawn_labels(n: int) -> None:
    random = np.random.default_rng(n)
    p = random.uniform(0.5, 1, n).astype(np.float32)
    probs = np.stack([1 - p, p], axis=1)
    groups = GroupColumn(("a",), np.zeros(n, dtype=np.int32))
    ones = np.ones(n, dtype=np.int64)
    expected = expected_if_calibrated(tally(ones, ones, 2, groups, probs=probs, bins=10), 0)
    draws = []
    for _ in range(1500):
        table = tally((random.random(n) < p).astype(int), ones, 2, groups, probs=probs, bins=10)
        assert table.bins is not None
        draws.append(np.abs(table.bins.confidence - table.bins.hits).sum() / n)
    error = np.std(draws) / np.sqrt(len(draws))
    # One confidence a bin, where redrawing has each row's own: a little more noise than there is.
    assert expected == pytest.approx(np.mean(draws), abs=4 * error + 0.01 * np.mean(draws))


@pytest.mark.parametrize("off", [0.0, 0.15])
def test_the_interval_of_the_ece_covers(off: float) -> None:
    random = np.random.default_rng(6)
    n, covered, draws = 400, 0, 120
    for _ in range(draws):
        # Two bins, each off by the same: the true ECE is `off`.
        p = random.choice([0.75, 0.95], n)
        hits = random.random(n) < p - off
        found = audit(
            np.where(hits, 1, 0), np.ones(n, dtype=int), {}, p, positive=1, bins=10, bootstrap=0
        ).to_dict()["overall"]["ece"]
        covered += found["low"] <= off + 1e-9 and off <= found["high"]
    # 95 % of 120 is 114, with a standard deviation of 2.4.
    assert covered >= 107


def test_a_calibrated_models_ece_has_an_interval_that_reaches_0() -> None:
    p = np.repeat([0.6, 0.8], 50)
    labels = np.concatenate([np.arange(50) < 28, np.arange(50) < 42]).astype(int)
    found = audit(labels, np.ones(100, dtype=int), {}, p, positive=1, bins=10).to_dict()["overall"]
    assert found["ece"]["low"] == 0 < found["ece"]["value"] < found["ece"]["high"]
    assert found["ece"]["expected_if_calibrated"] > 0


def test_a_perfect_score_inverts_to_nothing() -> None:
    noise = np.random.default_rng(0).standard_normal((100, 3))
    assert invert(np.zeros(3), noise, lambda s: np.abs(s).sum(axis=-1), 0.95) == (0, 0)


def test_a_reliability_diagram_holds_the_rows_bin_by_bin() -> None:
    content = audit(
        [1, 1, 0, 1], [1] * 4, {}, [0.55, 0.6, 0.95, 0.91], positive=1, bins=10
    ).to_dict()
    bins = content["reliability"]["overall"]
    assert len(bins) == 10
    assert [b["rows"] for b in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert bins[0]["accuracy"] is None
    assert bins[5]["confidence"] == pytest.approx(0.575)
    assert (bins[5]["accuracy"], bins[9]["accuracy"]) == (1, 0.5)
    assert bins[9]["accuracy_low"] < 0.5 < bins[9]["accuracy_high"]


def test_overlapping_groups_have_the_calibration_of_their_rows() -> None:
    labels, probs = drawn(9, 3, 10)
    lists = [[name for k, name in enumerate("ab") if (row >> k) & 1] for row in range(len(labels))]
    found = audit(labels, probs.argmax(axis=1), {"g": lists}, probs, bootstrap=0).to_dict()
    for name in "ab":
        mask = np.array([name in row for row in lists])
        alone = overall(labels[mask], probs[mask], bootstrap=0)
        for metric in ("ece", "mce", "brier", "nll", "confidence_gap"):
            got = found["by_group"]["g"][name][metric]["value"]
            assert got == pytest.approx(alone[metric]["value"])
