"""LiRA against its formula, row by row, and its demands on the shadow models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from fairlora.errors import InputError
from fairlora.privacy import equal_counts, lira_offline, lira_online, roc

NAN = float("nan")
CENTERS = {"mean": np.nanmean, "median": np.nanmedian}


def drawn(n: int = 30, k: int = 9, seed: int = 0, missing: float = 0.2) -> tuple[Any, Any, Any]:
    """Target, shadows with holes, and who trained on what: two of each kind at least."""
    rng = np.random.default_rng(seed)
    shadows = rng.normal(5, 3, (n, k)) * rng.uniform(0.1, 4, (n, 1))
    trained = np.tile(np.arange(k) % 2 == 0, (n, 1))
    holes = rng.random((n, k)) < missing
    holes[:, :4] = False
    shadows[holes] = NAN
    return rng.normal(5, 3, n), shadows, trained


@pytest.mark.parametrize("center", ["mean", "median"])
@pytest.mark.parametrize("fixed", [False, True])
def test_offline_is_the_formula_row_by_row(center: Any, fixed: bool) -> None:
    target, shadows, _ = drawn()
    found = lira_offline(target, shadows, fixed, center=center)
    residuals = [row[np.isfinite(row)] - np.nanmean(row) for row in shadows]
    pooled = np.sqrt(sum((r**2).sum() for r in residuals) / sum(len(r) - 1 for r in residuals))
    for i, row in enumerate(shadows):
        known = row[np.isfinite(row)]
        sigma = pooled if fixed else known.std(ddof=1)
        assert found[i] == pytest.approx((target[i] - CENTERS[center](known)) / sigma)


@pytest.mark.parametrize("center", ["mean", "median"])
@pytest.mark.parametrize("fixed", [False, True])
def test_online_is_the_log_likelihood_ratio_row_by_row(center: Any, fixed: bool) -> None:
    target, shadows, trained = drawn()
    found = lira_online(target, shadows, trained, fixed, center=center)
    sides = [np.where(side, shadows, NAN) for side in (trained, ~trained)]
    pooled = []
    for side in sides:
        residuals = [row[np.isfinite(row)] - np.nanmean(row) for row in side]
        freedom = sum(len(r) - 1 for r in residuals)
        pooled.append(np.sqrt(sum((r**2).sum() for r in residuals) / freedom))
    for i in range(len(target)):
        parts = []
        for side, one in zip(sides, pooled, strict=True):
            known = side[i][np.isfinite(side[i])]
            sigma = one if fixed else known.std(ddof=1)
            parts.append(norm.logpdf(target[i], CENTERS[center](known), sigma))
        assert found[i] == pytest.approx(parts[0] - parts[1])


def test_the_offline_score_does_not_saturate() -> None:
    """The normal distribution function is 1 from about 8 standard deviations on."""
    shadows = np.tile([-1.0, 0.0, 1.0], (3, 1))
    found = lira_offline([10.0, 20.0, 40.0], shadows)
    np.testing.assert_allclose(found, [10, 20, 40])
    assert len(set(norm.cdf(found))) == 1


def test_the_offline_score_is_one_sided() -> None:
    found = lira_offline([-5.0, 0.0, 5.0], np.tile([-1.0, 0.0, 1.0], (3, 1)))
    assert found.tolist() == sorted(found.tolist())


def test_the_fixed_variance_does_not_see_the_members() -> None:
    """Whatever the targets' margins are, the scale is that of the shadow models' residuals."""
    _, shadows, _ = drawn(missing=0.0)
    near = lira_offline(np.zeros(30), shadows, True)
    far = lira_offline(np.full(30, 1000.0), shadows, True)
    np.testing.assert_allclose((far - near), np.full(30, (far - near)[0]))
    # Examples of very different difficulty do not widen it either.
    apart = lira_offline(np.zeros(30), shadows + 100 * np.arange(30)[:, None], True)
    slope = near[0] - lira_offline(np.ones(30), shadows, True)[0]
    other = apart[0] - lira_offline(np.ones(30), shadows + 100 * np.arange(30)[:, None], True)[0]
    assert other == pytest.approx(slope)


@given(
    st.integers(0, 10_000),
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
)
@settings(max_examples=40, deadline=None)
def test_scores_do_not_change_with_the_margins_unit_or_zero(
    seed: int, shift: float, scale: float
) -> None:
    target, shadows, trained = drawn(8, 7, seed)
    moved = shift + scale * target, shift + scale * shadows
    for fixed in (False, True):
        np.testing.assert_allclose(
            lira_offline(*moved, fixed), lira_offline(target, shadows, fixed), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            lira_online(*moved, trained, fixed),
            lira_online(target, shadows, trained, fixed),
            rtol=1e-4,
            atol=1e-6,
        )


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 700]))
@settings(max_examples=20, deadline=None)
def test_scores_do_not_depend_on_the_order_of_rows_or_models(seed: int, n: int) -> None:
    """Nor on which rows share a block."""
    target, shadows, trained = drawn(n, 60, seed)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(n), rng.permutation(60)
    for center in ("mean", "median"):
        straight = lira_online(target, shadows, trained, center=center)  # type: ignore[arg-type]
        turned = lira_online(
            target[rows],
            shadows[rows][:, columns],
            trained[rows][:, columns],
            center=center,  # type: ignore[arg-type]
        )
        np.testing.assert_allclose(turned, straight[rows], rtol=1e-9)


def test_single_precision_is_read_as_it_is() -> None:
    target, shadows, trained = drawn()
    small = shadows.astype(np.float32)
    np.testing.assert_allclose(
        lira_online(target.astype(np.float32), small, trained),
        lira_online(target, shadows, trained),
        rtol=1e-3,
        atol=1e-3,
    )


def test_one_shadow_model_works_with_a_fixed_variance_alone() -> None:
    target = np.array([1.0, 2.0, 3.0])
    one = np.array([[0.0], [2.5], [1.0]])
    with pytest.raises(InputError, match="at least 2 for a variance of its own; fixed_variance"):
        lira_offline(target, one)
    np.testing.assert_allclose(lira_offline(target, one, True), target - one[:, 0])
    pair = np.concatenate([one + 2, one], axis=1)
    trained = np.tile([True, False], (3, 1))
    with pytest.raises(InputError, match="that trained on it, row 1: too few shadow models"):
        lira_online(target, pair, trained)
    found = lira_online(target, pair, trained, True)
    np.testing.assert_allclose(np.argsort(found), np.argsort(2 * (target - one[:, 0] - 1)))


def test_one_in_model_borrows_the_spread_of_the_others() -> None:
    shadows = np.array([[3.0, 0.0, 2.0], [4.0, 1.0, 3.0]])
    trained = np.tile([True, False, False], (2, 1))
    found = lira_online([3.0, 2.0], shadows, trained, True)
    sigma = np.sqrt(2.0)
    expected = [
        norm.logpdf(3, 3, sigma) - norm.logpdf(3, 1, sigma),
        norm.logpdf(2, 4, sigma) - norm.logpdf(2, 2, sigma),
    ]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lira_offline([1.0, NAN], [[1.0, 2.0]] * 2), "target, row 2: not a finite"),
        (lambda: lira_offline([1.0, np.inf], [[1.0, 2.0]] * 2), "target, row 2: not a finite"),
        (
            lambda: lira_offline([1.0, 1.0], [[1.0, 2.0], [1.0, np.inf]]),
            r"shadows, row 2, column 2: not a finite number \(found inf\)",
        ),
        (
            lambda: lira_online([1.0] * 2, [[1.0, 2.0], [-np.inf, 1.0]], [[0, 1]] * 2, True),
            r"shadows, row 2, column 1: not a finite number \(found -inf\)",
        ),
        (lambda: lira_offline([1.0, 1.0], [[1.0, 2.0], [NAN, NAN]], True), "no shadow model"),
        (lambda: lira_offline([1.0], [[2.0, 2.0, 2.0]]), "the margins do not vary"),
        (lambda: lira_offline([1.0], [[2.0, 2.0, 2.0]], True), "the margins do not vary"),
        (
            lambda: lira_online([1.0], [[0.3, 0.3, 1.0, 2.0]], [[1, 1, 0, 0]]),
            "shadows that trained on it, row 1: the margins do not vary",
        ),
        (
            lambda: lira_online([1.0], [[0.3, 0.4, 1.0]], [[1, 1, 1]], True),
            "did not train on it, row 1: no shadow model",
        ),
        (lambda: lira_offline([1.0, 2.0], [[1.0, 2.0]]), "shadows: another shape"),
        (lambda: lira_online([1.0], [[1.0, 2.0]], [[0, 2]]), "trained: not true or false"),
        (lambda: lira_online([1.0], [[1.0, 2.0]], [0, 1]), "trained: another shape"),
        (lambda: lira_offline([1.0], [[1.0, 2.0]], center="mode"), "unknown center"),  # type: ignore[arg-type]
        (lambda: lira_offline([1.0], [[1.0, 2.0]], queries="max"), "no such way to join"),  # type: ignore[arg-type]
        (lambda: lira_offline([1.0], [[1e200, -1e200]]), "numbers too large to square"),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as found:
        call()
    assert "\n" not in str(found.value)


def test_a_shadow_model_that_trained_on_a_target_row_is_refused() -> None:
    shadows, trained = np.ones((3, 4)) * np.arange(4), np.zeros((3, 4), dtype=bool)
    trained[1, 2] = True
    with pytest.raises(InputError, match="shadows, row 2, column 3: a shadow model trained on"):
        lira_offline([0.0] * 3, shadows, trained=trained)
    shadows[1, 2] = NAN
    assert len(lira_offline([0.0] * 3, shadows, trained=trained)) == 3


def test_queries_are_averaged_or_joined() -> None:
    rng = np.random.default_rng(0)
    shadows = rng.multivariate_normal([1, 2], [[1, 0.6], [0.6, 2]], (20, 12)).transpose(0, 2, 1)
    target = rng.normal(size=(20, 2))
    trained = np.tile(np.arange(12) < 6, (20, 1))
    each = [lira_online(target[:, q], shadows[:, q], trained) for q in (0, 1)]
    np.testing.assert_allclose(lira_online(target, shadows, trained), np.mean(each, axis=0))
    joint = lira_online(target, shadows, trained, queries="joint")
    for i in range(20):
        parts = []
        for side in (trained[i], ~trained[i]):
            rows = shadows[i][:, side].T
            parts.append(multivariate_normal(rows.mean(axis=0), np.cov(rows.T)).logpdf(target[i]))
        assert joint[i] == pytest.approx(parts[0] - parts[1])
    offline = lira_offline(target, shadows, queries="joint")
    for i in range(20):
        inverse = np.linalg.inv(np.cov(shadows[i]))
        off = target[i] - shadows[i].mean(axis=1)
        assert offline[i] == pytest.approx(inverse.sum(axis=0) @ off / np.sqrt(inverse.sum()))


def test_one_query_joined_is_one_query() -> None:
    target, shadows, trained = drawn(missing=0.0)
    wide = target[:, None], shadows[:, None, :]
    for queries in ("mean", "joint"):
        for fixed in (False, True):
            np.testing.assert_allclose(
                lira_offline(*wide, fixed, queries=queries),  # type: ignore[arg-type]
                lira_offline(target, shadows, fixed),
            )
            np.testing.assert_allclose(
                lira_online(*wide, trained, fixed, queries=queries),  # type: ignore[arg-type]
                lira_online(target, shadows, trained, fixed),
            )


def test_joined_queries_know_a_model_that_is_missing() -> None:
    rng = np.random.default_rng(1)
    shadows, target = rng.normal(size=(6, 2, 8)), rng.normal(size=(6, 2))
    less = shadows.copy()
    less[:, :, 5:] = NAN
    for fixed in (False, True):
        np.testing.assert_allclose(
            lira_offline(target, less, fixed, queries="joint"),
            lira_offline(target, shadows[:, :, :5], fixed, queries="joint"),
        )
    less[2, 0, 1] = NAN
    with pytest.raises(InputError, match="shadows, row 3: a model has some queries"):
        lira_offline(target, less)


def test_joined_queries_that_are_the_same_are_refused() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=(5, 1, 9))
    twice = np.concatenate([one, one], axis=1)
    with pytest.raises(InputError, match="row 1: the queries. margins do not vary by themselves"):
        lira_offline(np.zeros((5, 2)), twice, queries="joint")
    with pytest.raises(InputError, match="at least 3 for a covariance of 2 queries"):
        lira_offline(np.zeros((5, 2)), twice[:, :, :2], queries="joint")


def test_equal_counts_leave_every_row_as_many_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    shadows, trained = rng.normal(size=(50, 15)), rng.random((50, 15)) < 0.5
    kept = equal_counts(shadows, trained, seed=3)
    for side in (trained, ~trained):
        counts = (np.isfinite(kept) & side).sum(axis=1)
        assert set(counts.tolist()) == {int(side.sum(axis=1).min())}
    same = np.isfinite(kept)
    np.testing.assert_array_equal(kept[same], shadows[same])
    np.testing.assert_array_equal(kept, equal_counts(shadows, trained, seed=3))
    assert (same != np.isfinite(equal_counts(shadows, trained, seed=4))).any()
    wide = equal_counts(np.stack([shadows, shadows], axis=1), trained, seed=3)
    np.testing.assert_array_equal(wide[:, 1], kept)


def test_unequal_counts_tell_membership_where_there_is_nothing_to_find() -> None:
    """Of 8 models each row is in 4: a member's target leaves 3 in and 4 out, another's 4 and 3."""
    rng = np.random.default_rng(0)
    n, k = 30_000, 8
    margins = rng.normal(size=(n, k))
    trained = rng.random((n, k)).argsort(axis=1) < k // 2
    target, shadows, member = margins[:, 0], margins[:, 1:], trained[:, 0]
    unequal = lira_online(target, shadows, trained[:, 1:])
    auc = roc(unequal, member).overall()["auc"]
    assert auc["high"] < 0.49  # an attack that is worse than chance, for no reason but the counts
    kept = equal_counts(shadows, trained[:, 1:])
    auc = roc(lira_online(target, kept, trained[:, 1:]), member).overall()["auc"]
    assert auc["low"] < 0.5 < auc["high"]


def test_a_side_of_one_model_a_row_has_the_others_covariance() -> None:
    """As one query alone has the other side's sigma: with the same spread only the shift tells."""
    rng = np.random.default_rng(3)
    shape = np.array([[4.0, 1.0], [1.0, 9.0]])
    shadows = np.einsum("nkp,qp->nqk", rng.normal(size=(40, 9, 2)), np.linalg.cholesky(shape))
    trained = np.tile(np.arange(9) == 0, (40, 1))
    target = rng.normal(size=(40, 2))
    found = lira_online(target, shadows, trained, True, queries="joint")
    outside = shadows[:, :, 1:]
    centre = outside.mean(axis=2)
    pooled = np.einsum("nqk,npk->qp", *[outside - centre[..., None]] * 2) / (40 * 7)
    for i in range(40):
        parts = [
            multivariate_normal(mean, pooled).logpdf(target[i])
            for mean in (shadows[i, :, 0], centre[i])
        ]
        assert found[i] == pytest.approx(parts[0] - parts[1])
    # One model of each kind leaves nothing to tell a covariance by.
    two = lira_online(target, shadows[:, :, :2], trained[:, :2], True, queries="joint")
    off = [((target - shadows[:, :, k]) ** 2).sum(axis=1) for k in (0, 1)]
    np.testing.assert_allclose(two, (off[1] - off[0]) / 2)
