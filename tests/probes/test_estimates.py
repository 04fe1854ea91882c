"""Estimates over clusters: against the bootstrap and simulation; verdicts between models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlora.probes.estimates import Estimate, compare, crossed_mean, jackknifed, ratio


def scenes(rng: np.random.Generator, count: int = 40) -> tuple[Any, Any, Any]:
    """Rows in clusters of 4 that agree with each other; some rows do not count."""
    place = np.repeat(np.arange(count), 4)
    p = rng.beta(2, 2, count)[place]
    top = (rng.random(len(place)) < p).astype(float)
    bottom = (rng.random(len(place)) < 0.8).astype(float)
    return [f"s{k}" for k in place], top * bottom, bottom


def test_the_variance_of_a_ratio_is_that_of_resampled_scenes() -> None:
    rng = np.random.default_rng(0)
    clusters, top, bottom = scenes(rng)
    one = ratio("x", "X", "share", clusters, top, bottom)
    assert one.value == pytest.approx(top.sum() / bottom.sum())
    tops, bottoms = top.reshape(-1, 4).sum(1), bottom.reshape(-1, 4).sum(1)
    draws = rng.multinomial(40, np.full(40, 1 / 40), 20_000)
    values = draws @ tops / (draws @ bottoms)
    assert one.variance == pytest.approx(values.var(), rel=0.1)


def test_intervals_of_shares_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    for p in (0.03, 0.5):
        held = 0
        for _ in range(400):
            own = np.clip(rng.normal(p, 0.1 * min(1, 5 * p), 30), 0, 1)
            top = (rng.random((30, 4)) < own[:, None]).astype(float)
            one = ratio("x", "X", "share", [f"{k}" for k in np.repeat(range(30), 4)], top.ravel())
            low, high = one.interval()  # type: ignore[misc]
            held += low <= own.mean() * 0 + p <= high
        assert held / 400 > 0.9


def test_agreement_of_all_scenes_is_not_certainty() -> None:
    one = ratio("x", "X", "share", [str(k) for k in range(20)], np.ones(20))
    low, high = one.interval()  # type: ignore[misc]
    assert high == 1.0
    assert 0.7 < low < 0.9


def test_one_cluster_has_no_interval_and_none_no_value() -> None:
    alone = ratio("x", "X", "share", ["a", "a"], [1, 0])
    assert alone.value == 0.5
    assert alone.interval() is None
    assert "one cluster" in alone.to_dict()["reason"]
    none = ratio("x", "X", "share", ["a", "b"], [0, 0], [0, 0])
    assert none.value is None
    assert none.to_dict()["reason"] == "nothing to divide by"


def test_a_jackknifed_mean_has_the_means_variance() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, 25)
    without = (x.sum() - x) / 24
    one = jackknifed("x", "X", "score", np.array([str(k) for k in range(25)]), x.mean(), without)
    assert one.variance == pytest.approx(x.var(ddof=1) / 25)


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 12))
def test_a_crossed_mean_is_between_its_templates(seed: int, templates: int, texts: int) -> None:
    values = np.random.default_rng(seed).normal(0, 1, (texts, templates))
    names = [str(k) for k in range(texts)]
    found = crossed_mean(values, names, [f"t{k}" for k in range(templates)])
    assert min(found.by_template.values()) <= found.value <= max(found.by_template.values())
    assert found.texts is not None
    assert found.both is not None
    assert found.both[0] <= found.texts[0] + 1e-9
    assert found.both[1] >= found.texts[1] - 1e-9


def test_the_interval_over_texts_and_templates_holds_the_truth() -> None:
    rng = np.random.default_rng(3)
    held = {"texts": 0, "both": 0}
    for _ in range(300):
        template = rng.normal(0, 0.5, 5)
        text = rng.normal(0, 1.0, 30)
        values = 1.0 + template + text[:, None] + rng.normal(0, 0.5, (30, 5))
        found = crossed_mean(values, [str(k) for k in range(30)], list("abcde"))
        low, high = found.both  # type: ignore[misc]
        held["both"] += low <= 1.0 <= high
        low, high = found.texts  # type: ignore[misc]
        held["texts"] += low <= 1.0 + template.mean() <= high
    assert held["both"] >= 0.94 * 300
    assert held["texts"] >= 0.91 * 300


def shares_of(p: float, seed: int, count: int = 60) -> Estimate:
    rng = np.random.default_rng(seed)
    top = (rng.random(count * 4) < p).astype(float)
    clusters = [str(k) for k in np.repeat(range(count), 4)]
    return ratio("gap", "Gap", "share", clusters, top, more="more", less="less", primary=True)


def test_verdicts_of_one_seed() -> None:
    one = shares_of(0.9, 0)
    (row,) = compare([[one]], [[shares_of(0.3, 1)]])
    assert row["answer"] == "more"
    assert row["low"] < row["value"] < row["high"]
    (row,) = compare([[shares_of(0.3, 2)]], [[one]])
    assert row["answer"] == "less"
    (row,) = compare([[one]], [[one]])
    assert row["answer"] == "equivalent"
    assert row["value"] == 0
    (row,) = compare([[shares_of(0.5, 3)]], [[shares_of(0.55, 4)]])
    assert row["answer"] == "inconclusive"
    assert row["detectable"] > 0.05


def test_pairs_that_move_together_are_told_apart_better() -> None:
    rng = np.random.default_rng(5)
    clusters = [str(k) for k in range(40)]
    text = rng.normal(0, 3, 40)
    first = ratio("x", "X", "log odds", clusters, text + 0.3, more="m", less="l", primary=True)
    second = ratio("x", "X", "log odds", clusters, text + rng.normal(0, 0.2, 40), primary=True)
    (row,) = compare([[first]], [[second]])
    assert row["answer"] == "m"
    alone = np.sqrt((first.variance or 0) + (second.variance or 0))
    assert row["high"] - row["low"] < alone


def test_all_against_none_is_a_difference_and_not_a_certainty() -> None:
    clusters = [str(k) for k in range(8)]
    all_, none = (
        ratio("x", "X", "share", clusters, np.full(8, v), more="more", primary=True)
        for v in (1.0, 0.0)
    )
    (row,) = compare([[all_]], [[none]])
    assert row["answer"] == "more"
    assert row["low"] < 0.7
    assert row["high"] == 1.0  # more than all there cannot be


def test_seeds_that_differ_widen_the_interval() -> None:
    def lists(values: list[float], seed: int) -> list[list[Estimate]]:
        return [[shares_of(v, seed + k)] for k, v in enumerate(values)]

    alike = compare(lists([0.8, 0.8, 0.8], 0), lists([0.5, 0.5, 0.5], 10))[0]
    apart = compare(lists([0.6, 0.8, 1.0], 0), lists([0.5, 0.5, 0.5], 10))[0]
    assert apart["high"] - apart["low"] > 2 * (alike["high"] - alike["low"])
    assert alike["answer"] == "more"


def test_an_undefined_estimate_has_an_undefined_verdict() -> None:
    none = ratio("gap", "Gap", "share", ["a", "b"], [0, 0], [0, 0], primary=True)
    (row,) = compare([[none]], [[shares_of(0.5, 0)]])
    assert row["verdict"] == "undefined"
    assert row["reason"] == "nothing to divide by"


def test_what_only_one_side_has_is_left_out() -> None:
    other = ratio("other", "Other", "share", ["a", "b"], [0, 1])
    rows = compare([[shares_of(0.5, 0), other]], [[shares_of(0.5, 0)]])
    assert [row["name"] for row in rows] == ["gap"]


def test_false_findings_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(300):
        clusters = [str(k) for k in range(25)]
        text = rng.normal(0, 1, 25)
        lists = [
            [[ratio("x", "X", "log odds", clusters, text + rng.normal(0, 1, 25), more="m",
                    less="l", primary=True)] for _ in range(2)]
            for _ in range(2)
        ]  # fmt: skip
        (row,) = compare(*lists)
        found += row["answer"] in ("m", "l")
    assert found / 300 < 0.08


def test_an_interval_of_bleu_stays_on_its_scale() -> None:
    without = np.array([0.0, 0.0, 4.0])
    one = jackknifed("bleu", "BLEU", "score", np.array(["a", "b", "c"]), 1.0, without)
    low, high = one.interval()  # type: ignore[misc]
    assert low == 0.0
    assert high > 1.0
