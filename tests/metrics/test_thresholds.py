"""Decision thresholds: the nearest of all, judged on other rows, kept as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from fairlora.errors import InputError
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.thresholds import RULES, choose_thresholds, rates_of, threshold_at
from fairlora.predictions import Predictions
from fairlora.predictions.thresholds import Thresholds, apply_thresholds


def drawn(seed: int, n: int = 4000) -> Predictions:
    """A model whose scores for group b are too low."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b"], n, p=[0.7, 0.3])
    y = rng.random(n) < 0.4
    logit = 1.6 * (2 * y - 1) + rng.normal(0, 1.2, n) - 0.9 * (group == "b")
    p = 1 / (1 + np.exp(-logit))
    return predictions_of(y.astype(int), (p >= 0.5).astype(int), {"group": group}, p)


def by_group(predictions: Predictions) -> dict[str, tuple[float, float, float]]:
    """TPR, FPR and selection rate of each group, by hand."""
    out = {}
    y, h = predictions.labels == 1, predictions.predictions == 1
    for name in ("a", "b"):
        here = predictions.groups["group"].contains(name)
        out[name] = (
            float(h[here & y].mean()),
            float(h[here & ~y].mean()),
            float(h[here].mean()),
        )
    return out


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1)
)
@settings(max_examples=60, deadline=None)
def test_rates_of_all_thresholds_are_scikit_learns(rows: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in rows])
    labels = np.array([label for _, label in rows])
    rates = rates_of(scores, labels)
    for k, limit in enumerate(rates.thresholds):
        chosen = scores >= limit
        assert rates.selected[k] == chosen.mean()
        if labels.any():
            assert rates.tpr[k] == chosen[labels].mean()
    if labels.any() and not labels.all():
        fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
        assert np.allclose(rates.fpr, fpr)
        assert np.allclose(rates.tpr, tpr)


@pytest.mark.parametrize("rule", RULES)
def test_thresholds_a_group_bring_rates_together_on_other_rows(rule: str) -> None:
    chosen = choose_thresholds(drawn(0), "group", rule)  # type: ignore[arg-type]
    other = drawn(1)
    before, after = by_group(other), by_group(apply_thresholds(other, chosen))
    compared = {"parity": [2], "equal-opportunity": [0], "equalized-odds": [0, 1]}[rule]
    for rate in compared:
        assert abs(before["a"][rate] - before["b"][rate]) > 0.04
    gap = max(abs(after["a"][rate] - after["b"][rate]) for rate in compared)
    assert gap < 0.06
    assert chosen.groups["b"] < chosen.groups["a"]


def test_the_threshold_is_the_nearest_of_all() -> None:
    rows = drawn(2, 300)
    chosen = choose_thresholds(rows, "group", "equal-opportunity", base=0.6)
    y = rows.labels == 1
    p = rows.probs[:, 1].astype(float) if rows.probs is not None else None
    assert p is not None
    target = float((p[y] >= np.float32(0.6)).mean())
    assert chosen.chosen_on["target"] == {"tpr": target}
    for name in ("a", "b"):
        here = rows.groups["group"].contains(name) & y
        reached = abs(float((p[here] >= chosen.groups[name]).mean()) - target)
        best = min(abs(float((p[here] >= t).mean()) - target) for t in [*np.unique(p), 1.1])
        assert reached == pytest.approx(best)


def test_one_threshold_reaches_a_sensitivity_or_a_specificity() -> None:
    rows = drawn(3, 500)
    y = rows.labels == 1
    for name, value in (("sensitivity", 0.9), ("specificity", 0.8)):
        chosen = threshold_at(rows, **{name: value})  # type: ignore[arg-type]
        h = apply_thresholds(rows, chosen).predictions == 1
        reached = h[y].mean() if name == "sensitivity" else 1 - h[~y].mean()
        assert value <= reached < value + 0.02


def test_small_and_unknown_groups_keep_the_base_threshold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    group = np.array(["a"] * 100 + ["few"] * 8)
    y, p = rng.integers(0, 2, 108), rng.random(108)
    rows = predictions_of(y, (p >= 0.5).astype(int), {"group": group}, p)
    chosen = choose_thresholds(rows, "group", "parity", base=0.4)
    assert chosen.groups["few"] == 0.4
    path = tmp_path / "t.json"
    chosen.write(path)
    assert Thresholds.read(path) == chosen
    others = predictions_of(y, (p >= 0.5).astype(int), {"group": ["new"] * 108}, p)
    decided = apply_thresholds(others, chosen)
    assert (decided.predictions == (p >= 0.4)).all()
    assert any("108 rows of new have no threshold" in text for text in decided.notes)


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    rows = drawn(4, 60)
    path = tmp_path / "t.json"
    path.write_text('{"positive": "1", "default": 2}')
    with pytest.raises(InputError, match="not thresholds that fairlora wrote"):
        Thresholds.read(path)
    with pytest.raises(InputError, match="another attribute"):
        apply_thresholds(rows, Thresholds(positive="1", default=0.5, attribute="race"))
    with pytest.raises(InputError, match="no such class"):
        apply_thresholds(rows, Thresholds(positive="yes", default=0.5))
    with pytest.raises(InputError, match="unknown rule"):
        choose_thresholds(rows, "group", "odds")  # type: ignore[arg-type]
    plain = predictions_of([0, 1], [0, 1], {"group": ["a", "b"]})
    with pytest.raises(InputError, match="needs probabilities"):
        choose_thresholds(plain, "group", "parity")
    with pytest.raises(InputError, match="one rate"):
        threshold_at(rows)
