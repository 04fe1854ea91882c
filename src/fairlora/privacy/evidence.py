"""An attacker's evidence: each example's numbers under the target model and under shadow models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import Bool, Float, Floats
from fairlora.privacy.tokens import TokenRows


@dataclass(frozen=True, eq=False)
class Population:
    """Examples that the target model did not train on, and that are not attacked.

    Attributes
    ----------
    ids : (z,) their names.
    margin, loss : (z,) under the target model.
    shadow_loss : (z, k) under the shadow models, of which `trained` (z, k) some trained on them.
    features : (z, p) of the base model, where an attack reads them.
    """

    ids: NDArray[Any]
    margin: Floats
    loss: Floats
    shadow_loss: Floats
    trained: Bool
    features: Float | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """One target model, its shadow models, and the examples that are attacked.

    Attributes
    ----------
    ids : (n,) the examples' names.
    margin, loss : (n, q) under the target model, of q queries an example.
    shadow_margin, shadow_loss : (n, q, k) under the shadow models.
    trained : (n, k) which shadow model trained on which example.
    population : what RMIA and quantile regression read besides, or None.
    features : (n, p) of the base model, where an attack reads them.
    tokens : of the texts, where the target is a language model.
    """

    ids: NDArray[Any]
    margin: Floats
    loss: Floats
    shadow_margin: Floats
    shadow_loss: Floats
    trained: Bool
    population: Population | None = None
    features: Float | None = field(default=None)
    tokens: TokenRows | None = field(default=None)

    def __post_init__(self) -> None:
        n, q = self.margin.shape
        k = self.trained.shape[1]
        for name, shape, expected in (
            ("loss", self.loss.shape, (n, q)),
            ("shadow_margin", self.shadow_margin.shape, (n, q, k)),
            ("shadow_loss", self.shadow_loss.shape, (n, q, k)),
            ("trained", self.trained.shape, (n, k)),
        ):
            if shape != expected:
                raise InputError("another shape", where=name, found=shape, expected=expected)

    def without_training(self, values: Floats) -> Floats:
        """(n, q, k) shadow numbers with NaN where the model trained on the example."""
        return np.where(self.trained[:, None, :], np.nan, values)

    def require_population(self, attack: str) -> Population:
        """The population; `InputError` that names the attack where there is none."""
        if self.population is None or not len(self.population.ids):
            raise InputError(
                "no rows beside the attacked ones",
                where=attack,
                expected="rows that the target model did not train on (a validation split)",
            )
        return self.population

    def require_tokens(self, attack: str) -> TokenRows:
        """The texts' tokens; `InputError` that names the attack where there are none."""
        if self.tokens is None:
            raise InputError(
                "reads the tokens of texts",
                where=attack,
                expected="a run of a language model, which keeps them in its texts.parquet",
            )
        return self.tokens
