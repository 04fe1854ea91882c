"""The attacks that need no fit: the loss, and the difference to reference models."""

from __future__ import annotations

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.privacy import loss_attack, reference_difference

RNG = np.random.default_rng(0)
NAN = float("nan")


def test_the_loss_attack_is_the_negative_loss_and_the_mean_over_queries() -> None:
    loss = RNG.exponential(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(loss_attack(loss[:, 0]), -loss[:, 0].astype(np.float64))
    np.testing.assert_allclose(loss_attack(loss), -loss.astype(np.float64).mean(axis=1))
    assert loss_attack(loss).dtype == np.float64


def test_the_difference_is_to_the_mean_or_median_of_those_there() -> None:
    target, references = RNG.normal(size=6), RNG.normal(size=(6, 5))
    references[0, 1:] = NAN
    references[1, 2] = NAN
    for center, function in (("mean", np.nanmean), ("median", np.nanmedian)):
        found = reference_difference(target, references, center=center)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, target - function(references, axis=1))


def test_one_reference_model_is_enough() -> None:
    np.testing.assert_allclose(reference_difference([1.0, 2.0], [[3.0], [3.0]]), [-2.0, -1.0])


def test_queries_are_averaged() -> None:
    target, references = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2, 4))
    expected = (target - references.mean(axis=2)).mean(axis=1)
    np.testing.assert_allclose(reference_difference(target, references), expected)


@pytest.mark.parametrize(
    ("references", "words"),
    [
        ([[1.0, NAN], [NAN, NAN]], "references, row 2: no shadow model"),
        ([[1.0, np.inf], [1.0, 1.0]], "references, row 1, column 2: not a finite number"),
        ([1.0, 2.0], "references: another shape"),
    ],
)
def test_bad_references_are_named(references: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        reference_difference([0.0, 1.0], references)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ([0.1, NAN], "loss, row 2: not a finite number .found nan."),
        ([0.1, np.inf], "loss, row 2: not a finite number .found inf."),
        ([], "loss: no rows"),
        (["a"], "loss: not numbers"),
        ([[[0.1]]], "loss: not one number a row"),
    ],
)
def test_bad_losses_are_named(loss: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        loss_attack(loss)
