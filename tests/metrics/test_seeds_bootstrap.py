"""Resampling once for all runs: the values of audits, the variances of formulas, either way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.metrics import audit
from fairlora.metrics.comparison import bootstrap as seeds_draws
from fairlora.metrics.comparison.align import Runs, runs_of
from fairlora.metrics.comparison.bootstrap import count_metrics
from fairlora.metrics.comparison.noise import Moments
from fairlora.metrics.comparison.shrinkage import Shrunken
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.settings import Settings

Float = np.ndarray[Any, np.dtype[np.float64]]


def flipped(labels: Any, predicted: Any, classes: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    other = (np.asarray(predicted) + rng.integers(1, classes, len(labels))) % classes
    return np.where(rng.random(len(labels)) < 0.3, other, predicted)


def aligned(labels: Any, several: list[Any], groups: Any, classes: int, **options: Any) -> Runs:
    """Runs of the given predictions: the first's and the second's of one seed, then the next."""
    names = [str(c) for c in range(classes)]
    made = [predictions_of(labels, h, groups, classes=names, **options) for h in several]
    first, second = (dict(enumerate(made[k::2])) for k in (0, 1))
    return runs_of(first, second, ("first", "second"), Settings(), [], same_rows=True)


@settings(derandomize=True, deadline=None, max_examples=8)
@given(data=st.data(), seed=st.integers(0, 99))
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("overlapping", [False, True])
def test_every_value_is_that_of_an_audit(
    make_rows: Callable[..., Any],
    classes: int,
    overlapping: bool,
    data: st.DataObject,
    seed: int,
) -> None:
    rows = data.draw(make_rows(classes, overlapping=overlapping))
    groups = rows.groups if overlapping else [names[0] for names in rows.groups]
    least = data.draw(st.sampled_from([1, 5]))
    positive = 1 if classes == 2 else None
    options = Settings(min_group=least, bootstrap=0)
    several = [
        rows.predictions,
        *(flipped(rows.labels, rows.predictions, classes, seed + k) for k in range(3)),
    ]
    runs = aligned(rows.labels, several, {"g": groups}, classes)
    found = count_metrics(runs, "g", positive, options)
    overall = count_metrics(runs, None, positive, options)
    for k, predicted in enumerate(several):
        content = audit(
            rows.labels,
            predicted,
            {"g": groups},
            classes=[str(c) for c in range(classes)],
            positive=None if positive is None else "1",
            min_group=least,
            bootstrap=0,
        ).to_dict()
        place = k // 2, k % 2
        for name, one in found.items():
            if "/" in name:
                rate, g = name.split("/")
                number = content["by_group"]["g"][runs.blocks[0].columns["g"].names[int(g)]][rate]
            else:
                number = content["disparities"]["g"][name]
            check(one.values[place], number["value"], name)
        for name, one in overall.items():
            check(one.values[place], content["overall"][name]["value"], name)


def check(value: float, expected: float | None, name: str) -> None:
    if expected is None:
        assert np.isnan(value), name
    else:
        assert value == pytest.approx(expected, abs=1e-9), name


def simulated(n: int, seeds: int, seed: int = 0) -> tuple[Any, list[Any], Any]:
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    hard = rng.random(n)
    several = []
    for k in range(2 * seeds):
        luck = np.where(rng.random(n) < 0.6, hard, rng.random(n))
        several.append(np.where(luck < 0.9 - 0.05 * (k % 2), labels, 1 - labels))
    return labels, several, groups


@pytest.mark.parametrize("by_row", [True, False])
def test_variances_are_those_of_a_groups_rows(
    by_row: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds_draws, "_ROWS_A_BINOMIAL", 10**9 if by_row else 0)
    monkeypatch.setattr(seeds_draws, "_CHUNK", 20_000)  # many chunks
    labels, several, groups = simulated(600, 3)
    runs = aligned(labels, several, {"g": groups}, 2)
    found = count_metrics(runs, "g", 1, Settings(bootstrap=6000))
    for g, name in enumerate(("a", "b", "c")):
        rows = groups == name
        hits = np.array([(h == labels)[rows] for h in several], dtype=float)
        off = hits[::2] - hits[1::2]
        mean, n = off.mean(axis=0), rows.sum()
        one = found[f"accuracy/{g}"].noise
        assert one is not None
        assert one.whole == pytest.approx(mean.var() / n, rel=0.08)
        own = (off - mean).var(axis=1).mean() * 3 / 2 / n
        assert one.unshared == pytest.approx(own, rel=0.08)
        assert abs(one.shift) < 4 * np.sqrt(one.whole / 6000)
        assert one.lost == 0


def test_drawing_cells_is_drawing_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, several, groups = simulated(400, 2)
    lists = [["x", "y"][: 1 + k % 2] for k in range(400)]
    runs = aligned(labels, several, {"g": groups, "target": lists}, 2)
    each = []
    for rows in (0, 10**9):
        monkeypatch.setattr(seeds_draws, "_ROWS_A_BINOMIAL", rows)
        each.append(
            {
                (name, key): found
                for name in ("g", "target", None)
                for key, found in count_metrics(runs, name, 1, Settings(bootstrap=4000)).items()
            }
        )
    for key, one in each[0].items():
        other = each[1][key].noise
        assert one.noise is not None
        assert other is not None
        assert other.whole == pytest.approx(one.noise.whole, rel=0.12), key
        assert other.unshared == pytest.approx(one.noise.unshared, rel=0.12), key


@settings(derandomize=True, max_examples=20)
@given(seed=st.integers(0, 999), seeds=st.integers(1, 5), chunks=st.integers(1, 4))
def test_moments_in_chunks_are_those_of_all_draws(seed: int, seeds: int, chunks: int) -> None:
    rng = np.random.default_rng(seed)
    draws = rng.normal(1000, 1, (seeds, 2, 40))  # far from 0: no cancellation
    draws[0, 1, :3] = np.nan
    moments = Moments(np.full((seeds, 2), 1000.5))
    for part in np.array_split(draws, chunks, axis=2):
        moments.add(part)
    for key, some in ((0, draws[:, 0]), (1, draws[:, 1, 3:])):
        found = moments.noise(key)
        mean = some.mean(axis=0)
        assert found.whole == pytest.approx(mean.var(ddof=1), rel=1e-9)
        assert found.shift == pytest.approx(mean.mean() - 1000.5)
        assert found.lost == pytest.approx(0.075 * key)
        own = 0.0 if seeds == 1 else (some - mean).var(axis=1, ddof=1).mean() * seeds / (seeds - 1)
        assert found.unshared == pytest.approx(own, rel=1e-9, abs=1e-12)
    lost = Moments(np.zeros((seeds, 1)))
    lost.add(np.full((seeds, 1, 5), np.nan))
    assert lost.noise(0).lost == 1


def test_noise_alone_is_what_the_bias_finds() -> None:
    # Groups that are alike, the second way with four times as many errors: what noise adds to each
    # gap is known from other data of the same kind.
    def gaps(seed: int, draws: int = 0) -> tuple[Float, float]:
        rng = np.random.default_rng(seed)
        labels, groups = rng.integers(0, 2, 500), rng.choice(list("abcde"), 500)
        several = [
            np.where(rng.random(500) < (0.96, 0.84)[k % 2], labels, 1 - labels) for k in range(8)
        ]
        runs = aligned(labels, several, {"g": groups}, 2)
        found = count_metrics(runs, "g", 1, Settings(bootstrap=draws))["accuracy_gap"]
        assert found.bias is not None
        return found.values, found.bias

    each = [gaps(seed, 200) for seed in range(25)]
    noise = float(np.mean([v[:, 0] - v[:, 1] for v, _ in each]))
    bias = float(np.mean([b for _, b in each]))
    assert noise < -0.03
    assert 0.65 < bias / noise < 1.1


def test_groups_move_together_as_far_as_noise_lets_one_think() -> None:
    rng = np.random.default_rng(0)

    def tables(rates: Any, n: int) -> tuple[Float, Float]:
        """Counts (2, G, 2, 2), and draws of them."""
        right = np.array([[[int(n * r), n - int(n * r)] for _ in range(2)] for r in rates])
        counts = np.stack([right[:, 0], right[:, 1][:, ::-1]], axis=1).astype(float)
        counts = np.stack([counts, counts])
        shares = counts.reshape(2, len(rates), 4) / (2 * n)
        draws = rng.multinomial(2 * n, shares, size=(200, 2, len(rates)))
        return counts, draws.reshape(200, *counts.shape).astype(float)

    def shrunken(counts: Float, draws: Float) -> Float:
        made = Shrunken(counts, None)
        for part in np.array_split(draws, 3):
            made.add(part)
        return made.tables()

    alike, draws = tables((0.80, 0.81, 0.80), 100)
    moved = shrunken(alike, draws)
    rates = moved[0, :, 0, 0] / moved[0, :, 0].sum(axis=1)
    assert np.ptp(rates) < 1e-9
    assert moved.sum() == pytest.approx(alike.sum())
    far, draws = tables((0.95, 0.5, 0.7), 1000)
    kept = shrunken(far, draws)
    assert kept == pytest.approx(far, abs=15)
    # Of one group alone the classes are what may be alike.
    one, draws = tables((0.8,), 100)
    one[:, 0, 0] = [79.0, 21.0]
    moved = shrunken(one, draws)
    recall = moved[0, 0, [0, 1], [0, 1]] / moved[0, 0].sum(axis=1)
    assert recall[0] == pytest.approx(recall[1])
