"""The budget of differentially private training: the noise that a promise takes, by opacus."""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from opacus.accountants import create_accountant
from opacus.accountants.utils import get_noise_multiplier

from fairlora.errors import InputError


@dataclass(frozen=True)
class DPSettings:
    """What is promised, and how it is drawn; see `fairlora.study.spec.dp.DPSpec`.

    Attributes
    ----------
    epsilon, delta : the promise.
    clip : the largest norm of a row's gradient.
    accountant : "prv" or "rdp".
    seed : of rows and noise; None draws them from the system's own chance.
    """

    epsilon: float
    delta: float = 1e-5
    clip: float = 1.0
    accountant: str = "prv"
    seed: int | None = None

    @cached_property
    def key(self) -> str:
        """What every generator is derived from."""
        return secrets.token_hex(32) if self.seed is None else str(self.seed)

    def draw(self, purpose: str, number: int) -> int:
        """A generator's seed: of 63 bits, for a purpose and a step or epoch."""
        text = f"{self.key}/dp {purpose}/{number}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1


@dataclass(frozen=True)
class DPBudget:
    """The promise for one training.

    Attributes
    ----------
    settings : what is promised.
    sample_rate : chance of a row to be in a step's batch, at most 1.
    steps : of the whole training.

    >>> budget = DPBudget(DPSettings(epsilon=2.0), sample_rate=0.05, steps=200)
    >>> round(budget.noise_multiplier, 1), budget.spent(200) <= 2.0
    (1.7, True)
    """

    settings: DPSettings
    sample_rate: float
    steps: int

    @cached_property
    def noise_multiplier(self) -> float:
        """The noise's standard deviation over `clip`: the smallest that keeps the promise.

        Raises `InputError` for a promise that no noise keeps.
        """
        own = self.settings
        return _noise_for(own.epsilon, own.delta, self.sample_rate, self.steps, own.accountant)

    def spent(self, steps: int) -> float:
        """Epsilon after so many steps, at the settings' delta."""
        return epsilon_of(
            self.noise_multiplier,
            self.sample_rate,
            steps,
            self.settings.delta,
            self.settings.accountant,
        )

    def record(self, steps: int) -> dict[str, Any]:
        """What a run says of its promise once it has made so many steps."""
        own = self.settings
        return {
            "epsilon": own.epsilon,
            "delta": own.delta,
            "epsilon_spent": self.spent(steps),
            "clip": own.clip,
            "noise_multiplier": self.noise_multiplier,
            "sample_rate": self.sample_rate,
            "steps": steps,
            "accountant": own.accountant,
            "draws": "secret" if own.seed is None else "seed",
        }


def epsilon_of(
    noise_multiplier: float, sample_rate: float, steps: int, delta: float, accountant: str = "prv"
) -> float:
    """Epsilon of the subsampled Gaussian mechanism, for rows added or removed.

    Parameters
    ----------
    noise_multiplier : the noise's standard deviation over the largest norm of a row.
    sample_rate : chance of a row to be in a step's batch.
    steps : how many; 0 costs nothing.
    delta : the chance that it does not hold.
    accountant : "prv" (Gopi et al. 2021) or "rdp" (Mironov 2017).
    """
    if steps == 0:
        return 0.0
    one = create_accountant(accountant)
    one.history = [(noise_multiplier, sample_rate, steps)]
    with _quiet():
        return float(one.get_epsilon(delta))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without opacus' warnings of orders and logarithms, which change no bound."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# The search takes seconds, and runs of one study ask for the same.
@lru_cache(maxsize=256)
def _noise_for(
    epsilon: float, delta: float, sample_rate: float, steps: int, accountant: str
) -> float:
    try:
        with _quiet():
            return float(
                get_noise_multiplier(
                    target_epsilon=epsilon,
                    target_delta=delta,
                    sample_rate=sample_rate,
                    steps=steps,
                    accountant=accountant,
                    epsilon_tolerance=min(0.01, epsilon / 100),
                )
            )
    except (ValueError, RuntimeError, OverflowError) as error:
        raise InputError(
            "the accountant finds no noise that keeps this promise",
            where="dp.epsilon",
            found=f"{epsilon:g} at delta {delta:g}: {str(error)[:120]}",
            expected="a larger epsilon or delta, or fewer steps",
        ) from error
