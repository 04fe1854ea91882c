"""Attacks on margins of known distribution: each reaches the ROC that theory gives it.

Fast versions of what `benchmarks/privacy.py` simulates at length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, nct, norm, t

from fairlora.privacy import (
    QuantileAttack,
    lira_offline,
    lira_online,
    loss_attack,
    reference_difference,
    rmia_offline,
    roc,
)

N = 20_000
FPRS = (0.1, 0.01)


def reaches(
    scores: Any, member: Any, tpr: Callable[[float], float], auc: float | None = None
) -> None:
    """The analytic TPR lies in the band at each FPR, at 99.9 %; the AUC within its interval."""
    found = roc(scores, member, permutations=0, level=0.999, fprs=FPRS).overall()
    for fpr in FPRS:
        band = found["tpr_at_fpr"][str(fpr)]["at_fpr"]
        assert band["low"] <= tpr(fpr) <= band["high"], fpr
    if auc is not None:
        assert found["auc"]["low"] <= auc <= found["auc"]["high"]


def binormal(shift: float) -> tuple[Callable[[float], float], float]:
    """TPR and AUC of two normals of the same spread, so many spreads apart."""
    return (
        lambda fpr: float(norm.cdf(norm.ppf(fpr) + shift)),
        float(norm.cdf(shift / np.sqrt(2))),
    )


def test_the_loss_attack_sees_hardness_and_membership_together(simulate: Any) -> None:
    one = simulate(N, 2, shift=2.0, hardness=3.0)
    reaches(loss_attack(-one.target), one.member, *binormal(2 / np.sqrt(1 + 9)))


@pytest.mark.parametrize("k", [1, 4, 32])
def test_offline_lira_of_fixed_variance_and_the_difference_lose_the_reference_noise(
    simulate: Any, k: int
) -> None:
    one = simulate(N, 2 * k, shift=2.0)
    out = np.where(one.trained, np.nan, one.shadows)
    expected = binormal(2 / np.sqrt(1 + 1 / k))
    reaches(lira_offline(one.target, out, True), one.member, *expected)
    reaches(reference_difference(one.target, out), one.member, *expected)


@pytest.mark.parametrize("k", [2, 6, 24])
def test_offline_lira_of_a_variance_of_its_own_is_students(simulate: Any, k: int) -> None:
    """Of k shadow models the score is t of k - 1 degrees, noncentral for members."""
    one = simulate(N, 2 * k, shift=2.0, uneven=0.7)
    scores = lira_offline(one.target, np.where(one.trained, np.nan, one.shadows))
    stretch = np.sqrt(1 + 1 / k)

    def tpr(fpr: float) -> float:
        return float(nct.sf(t.isf(fpr, k - 1), k - 1, 2 / stretch))

    reaches(scores, one.member, tpr)
    # The score over its stretch is that t itself, not its distribution function.
    p = kstest(scores[~one.member] / stretch, t(k - 1).cdf).pvalue
    assert p > 0.001


def test_online_lira_approaches_neyman_and_pearson_as_shadows_grow(simulate: Any) -> None:
    tpr, best = binormal(2.0)
    aucs = []
    for k in (4, 16, 64, 256):
        one = simulate(4000, k, shift=2.0, uneven=0.5, seed=3)
        scores = lira_online(one.target, one.shadows, one.trained)
        aucs.append(roc(scores, one.member, permutations=0).overall()["auc"]["value"])
    assert aucs == sorted(aucs)
    assert aucs[0] < best - 0.05
    assert aucs[-1] == pytest.approx(best, abs=0.012)
    one = simulate(4000, 256, shift=2.0, uneven=0.5, seed=3)
    known = (one.target - one.center) / one.sigma
    reaches(known, one.member, tpr, best)
    # Of few shadow models one variance for all is better than many noisy ones ...
    one = simulate(N, 8, shift=2.0, uneven=0.0, seed=4)
    fixed, own = (
        roc(lira_online(one.target, one.shadows, one.trained, f), one.member, permutations=0)
        for f in (True, False)
    )
    assert fixed.overall()["auc"]["low"] > own.overall()["auc"]["high"]


def test_the_median_is_a_little_noisier_than_the_mean(simulate: Any) -> None:
    """Of normal margins its variance is pi / 2 times the mean's, for many models."""
    one = simulate(N, 62, shift=2.0)
    out = np.where(one.trained, np.nan, one.shadows)
    scores = lira_offline(one.target, out, True, center="median")
    reaches(scores, one.member, *binormal(2 / np.sqrt(1 + np.pi / 2 / 31)))


def test_rmia_of_one_reference_is_the_difference_in_another_order(simulate: Any) -> None:
    """With a = 1 the score rises with x - reference: log-probabilities made of margins."""
    one = simulate(N, 2, shift=2.0)
    out = np.where(one.trained, np.nan, one.shadows)
    low = 40.0
    rng = np.random.default_rng(9)
    z = 3 * rng.normal(size=(20_000, 1)) + rng.normal(size=(20_000, 3))
    scores = rmia_offline(one.target - low, out - low, z[:, 0] - low, z[:, 1:] - low, a=1.0)
    reaches(scores, one.member, *binormal(2 / np.sqrt(2)))


def test_two_queries_joined_are_as_good_as_theory_says(simulate: Any) -> None:
    """Errors of correlation r: a shift that both share counts sqrt(2 / (1 + r)) times."""
    rng = np.random.default_rng(0)
    n, k, r = N, 60, 0.5
    shape = np.array([[1.0, r], [r, 1.0]])
    root = np.linalg.cholesky(shape)
    member = np.arange(n) % 2 == 0
    target = rng.normal(size=(n, 2)) @ root.T + 1.5 * member[:, None]
    shadows = np.einsum("nkp,qp->nqk", rng.normal(size=(n, k, 2)), root)
    scores = lira_offline(target, shadows, True, queries="joint")
    shift = 1.5 * np.sqrt(2 / (1 + r)) / np.sqrt(1 + 1 / k)
    reaches(scores, member, *binormal(shift))


def null_scores(seed: int, n: int = 300) -> dict[str, Any]:
    """Every attack's scores of examples that no model was trained on, and half called members."""
    rng = np.random.default_rng(seed)
    k = 8
    hard = 2 * rng.normal(size=n)
    margins = hard[:, None] + rng.normal(size=(n, k + 1))
    target, shadows = margins[:, 0], margins[:, 1:]
    trained = rng.random((n, k)).argsort(axis=1) < k // 2
    out = np.where(trained, np.nan, shadows)
    logp = -np.logaddexp(0, -margins)
    z = -np.logaddexp(0, -(2 * rng.normal(size=(200, 1)) + rng.normal(size=(200, k + 1))))
    features = np.column_stack([hard + rng.normal(size=n), rng.normal(size=n)])
    base = 2 * rng.normal(size=(200, 1))
    regression = QuantileAttack(ridge=1.0).fit(
        (base + rng.normal(size=(200, 1)))[:, 0],
        np.column_stack([base + rng.normal(size=(200, 1)), rng.normal(size=(200, 1))]),
    )
    return {
        "loss": loss_attack(-logp[:, 0]),
        "lira offline": lira_offline(target, out),
        "lira offline fixed": lira_offline(target, out, True, center="median"),
        "lira online": lira_online(target, shadows, trained),
        "lira online fixed": lira_online(target, shadows, trained, True),
        "difference": reference_difference(target, out),
        "rmia": rmia_offline(logp[:, 0], logp[:, 1:], z[:, 0], z[:, 1:]),
        "quantile": regression.score(target, features),
    }


def test_no_attack_beats_chance_when_there_is_nothing_to_find() -> None:
    """P-values of AUC > 1/2 uniform: 120 simulations here, 1,000 in the benchmark."""
    found: dict[str, list[float]] = {}
    for seed in range(120):
        member = np.random.default_rng([seed, 1]).random(300) < 0.5
        result = roc(null_scores(seed), member, permutations=0, seed=seed)
        for name in result.attacks:
            found.setdefault(name, []).append(result.overall(name)["auc"]["p"])
    assert len(found) == 8
    for name, values in found.items():
        assert kstest(values, "uniform").pvalue > 0.005, name
