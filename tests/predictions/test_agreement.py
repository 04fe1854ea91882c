"""Predictions and the probabilities beside them: what thresholds explain, and what they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.predictions.agreement import check_agreement

N = 1000


def drawn(classes: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.7), N)


def notes(predictions: Any, probs: Any, **options: Any) -> list[str]:
    names = [f"c{k}" for k in range(probs.shape[1])]
    return check_agreement(np.asarray(predictions), probs, names, "probs", **options)


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_the_likeliest_class_needs_no_word(classes: int) -> None:
    probs = drawn(classes)
    assert notes(probs.argmax(axis=1), probs) == []


def test_either_of_two_that_tie_needs_no_word() -> None:
    probs = np.tile([0.4, 0.4, 0.2], (N, 1))
    assert notes(np.arange(N) % 2, probs) == []


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.8])
def test_another_threshold_is_said_with_its_share(threshold: float) -> None:
    probs = drawn(2)
    chosen = (probs[:, 1] >= threshold).astype(int)
    share = np.mean(chosen != probs.argmax(axis=1))
    (note,) = notes(chosen, probs)
    assert f"{100 * share:.1f} % of 1,000 rows" in note
    assert "another threshold" in note


def test_a_threshold_a_group_explains_predictions() -> None:
    probs = drawn(2)
    group = np.arange(N) % 3
    chosen = (probs[:, 1] >= np.array([0.2, 0.5, 0.8])[group]).astype(int)
    (note,) = notes(chosen, probs, groups={"g": group})
    assert "another threshold" in note
    with pytest.raises(InputError, match="no threshold explains"):
        notes(chosen, probs)


def test_a_weight_a_class_explains_predictions() -> None:
    probs = drawn(4)
    chosen = (probs * [1, 1, 3, 0.5]).argmax(axis=1)
    (note,) = notes(chosen, probs)
    assert "another threshold" in note


def test_a_few_rows_that_nothing_explains_are_said() -> None:
    probs = drawn(3)
    chosen = probs.argmax(axis=1)
    chosen[:20] = probs[:20].argmin(axis=1)
    (note,) = notes(chosen, probs)
    assert "2.0 % of 1,000 rows" in note
    assert "no threshold explains" in note


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_probabilities_of_other_rows_are_refused(classes: int) -> None:
    probs = drawn(classes)
    chosen = np.roll(probs.argmax(axis=1), 1)
    with pytest.raises(InputError, match="disagree .*no threshold explains .* of one model"):
        notes(chosen, probs)


@pytest.mark.parametrize("order", [[1, 0], [2, 0, 1], [0, 2, 1], [0, 1, 4, 3, 2]])
def test_another_order_is_refused_and_named(order: list[int]) -> None:
    probs = drawn(len(order))
    with pytest.raises(InputError) as caught:
        notes(probs.argmax(axis=1), probs[:, order])
    assert f"--classes {','.join(f'c{k}' for k in order)} (classes= in Python)" in str(caught.value)


def test_two_rare_classes_swapped_are_found() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([2, 2, 0.4, 0.4], N)
    chosen = probs.argmax(axis=1)
    assert 0 < np.isin(chosen, [2, 3]).mean() < 0.1
    with pytest.raises(InputError, match="--classes c0,c1,c3,c2"):
        notes(chosen, probs[:, [0, 1, 3, 2]])
