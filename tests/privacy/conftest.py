"""Margins of simulated models, whose best attack is known, for the tests of the privacy room."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Simulated(NamedTuple):
    """Normal margins of n examples under a target model and k shadow models."""

    member: NDArray[np.bool_]
    target: Float  # (n,)
    shadows: Float  # (n, k)
    trained: NDArray[np.bool_]  # (n, k)
    center: Float  # (n,) of models that did not train on the example
    sigma: Float  # (n,)


def simulated(
    n: int = 4000,
    k: int = 8,
    shift: float = 1.0,
    hardness: float = 3.0,
    seed: int = 0,
    uneven: float = 0.0,
) -> Simulated:
    """Margins N(mu_i, s_i) out of training, N(mu_i + shift s_i, s_i) in it; mu_i ~ N(0, hardness).

    With `uneven` the logarithm of s_i has that standard deviation.
    """
    rng = np.random.default_rng(seed)
    center, sigma = hardness * rng.normal(size=n), np.exp(uneven * rng.normal(size=n))
    member = np.arange(n) % 2 == 0
    target = center + sigma * (rng.normal(size=n) + shift * member)
    # Every example is in exactly half of the shadow models.
    trained = rng.random((n, k)).argsort(axis=1) < k // 2
    noise = rng.normal(size=(n, k)) + shift * trained
    return Simulated(
        member, target, center[:, None] + sigma[:, None] * noise, trained, center, sigma
    )


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Simulated]:
    return simulated
