"""RMIA, the relative membership inference attack: compare each example with a population.

Zarifzadeh, Liu and Shokri 2024 (ICML, "Low-cost high-power membership inference attacks"). Every
target x is compared with every example z of a population that the target model did not train on:
the likelihood ratio LR(x, z) = (p(x | target) / p(x)) / (p(z | target) / p(z)), their equation 2,
where p is the probability of the true label. The score of x is the share of z with LR >= gamma.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import (
    Float,
    Floats,
    floats,
    mask,
    mean_over_queries,
    models,
    require,
    signal,
)
from fairlora.privacy.shadows import require_absent, require_models

# What single precision adds to the logarithm of a probability of 1.
_ROUNDING = 1e-5


def rmia_offline(
    target_logprob: Any,
    references: Any,
    population_target: Any,
    population_references: Any,
    a: float = 0.3,
    gamma: float = 1.0,
    *,
    trained: Any = None,
) -> Float:
    """Score examples by the share of a population that they beat in likelihood ratio.

    p(x) is taken over models with and without x in their training set. Offline there are only the
    latter, with the mean probability p_out, and p(x) is taken as ((1 + a) p_out + (1 - a)) / 2
    (their appendix on the offline attack), for z as for x. `a` says how little training on an
    example raises its probability: 1 not at all, 0 up to 1. They use 0.3 for CIFAR-10; `choose_a`
    finds one, as they do.

    Computed by sorting the population's ratios and looking up each target's place among them, in
    n log z steps and without the n x z matrix of the definition, with the same result. A tie counts
    as a win (LR >= gamma); the comparison is one of logarithms in float64, log p(x | target) -
    log p(x) - log gamma against the same of z. Scores are multiples of 1 / z, so that targets which
    beat all of the population are tied: where that matters, take a larger population.

    Parameters
    ----------
    target_logprob : (n,) log-probabilities of the true labels under the target model (the negative
        `loss` of a predictions table), or (n, q) of q queries, whose scores' mean is taken.
    references : (n, k) or (n, q, k) the same under 1 to k reference models that did not train on
        the example, NaN where one did.
    population_target : (z,) the same of the population's examples under the target model.
    population_references : (z, k) the same under the reference models, NaN where one trained on it.
    a : 0 to 1.
    gamma : above 0; with larger ones a win takes more, and fewer are tied at the top.
    trained : (n, k) whether a reference model trained on an example, if it is to be checked.

    Returns
    -------
    (n,) scores, 0 to 1, larger for a likelier member.

    Raises
    ------
    InputError : shapes that do not agree; a missing or infinite number, or one above 0; a row
        without a reference model; `a` or `gamma` out of range; a reference model that trained on a
        target row.

    >>> p = np.log([0.9, 0.5])
    >>> rmia_offline(p, p[:, None] - 0.1, np.log([0.8]), np.log([[0.8]]), a=1.0).tolist()
    [1.0, 1.0]
    """
    if not 0 <= a <= 1:
        raise InputError("no such weight", where="a", found=a, expected="0 to 1")
    if not (gamma > 0 and np.isfinite(gamma)):
        raise InputError("no likelihood ratio", where="gamma", found=gamma, expected="above 0")
    x = _logprob(signal(target_logprob, "target_logprob"), "target_logprob")
    reference = models(references, "references", x)
    if trained is not None:
        require_absent(reference, trained)
    z = _logprob(signal(population_target, "population_target"), "population_target")
    if z.ndim != 1:
        raise InputError(
            "another shape", where="population_target", found=f"shape {z.shape}", expected="(z,)"
        )
    population = models(population_references, "population_references", z)
    if population.shape[-1] != reference.shape[-1]:
        raise InputError(
            "not the same reference models",
            where="population_references",
            found=f"{population.shape[-1]} models",
            expected=f"{reference.shape[-1]}, as of the targets",
        )
    ratio = x - _log_marginal(reference, a, "references")
    beaten = np.sort(z - _log_marginal(population, a, "population_references"))
    wins = np.searchsorted(beaten, ratio - np.log(gamma), side="right")
    return mean_over_queries(wins / len(beaten))


def choose_a(
    references: Any,
    trained: Any,
    population_references: Any,
    grid: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    gamma: float = 1.0,
) -> float:
    """Choose `a` of `rmia_offline` by attacking each reference model with the others.

    Of the reference models it is known what they trained on, so nothing of the target is used.

    Parameters
    ----------
    references : (n, k) log-probabilities of the true labels under 2 or more reference models.
    trained : (n, k) which of them trained on which example: each on some, and not on all.
    population_references : (z, k) the same of a population that none of them trained on.
    grid, gamma : values of a to try, and as of `rmia_offline`.

    Returns
    -------
    The a of the largest AUC, averaged over the reference models; of equal ones the first.

    Raises
    ------
    InputError : as `rmia_offline`; one reference model alone, or one that trained on all examples
        or none, or an example that all the others trained on.
    """
    from fairlora.metrics.counts.auc import auc_of_rows
    from fairlora.predictions import GroupColumn

    values, population = floats(references, "references"), floats(population_references, "z")
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(
            "a takes two reference models to choose",
            where="references",
            found=f"shape {values.shape}",
            expected="(n, k), k of 2 or more",
        )
    inside = mask(trained, "trained", values.shape)
    everyone = GroupColumn(("all",), np.zeros(len(values), dtype=np.int32))
    means = []
    for a in grid:
        aucs = []
        for j in range(values.shape[1]):
            rest = [k for k in range(values.shape[1]) if k != j]
            others = np.where(inside[:, rest], np.nan, values[:, rest])
            scores: Any = rmia_offline(
                values[:, j], others, population[:, j], population[:, rest], a, gamma
            )
            aucs.append(float(auc_of_rows(scores, inside[:, j], everyone).value[0]))
        means.append(float(np.mean(aucs)))
    if np.isnan(means).any():
        raise InputError("a reference model trained on all examples, or on none", where="trained")
    return float(grid[int(np.argmax(means))])


def _logprob(values: Floats, where: str) -> Float:
    wide = values.astype(np.float64)
    require(wide <= _ROUNDING, wide, where, "no logarithm of a probability", "at most 0")
    return wide


def _log_marginal(references: Floats, a: float, where: str) -> Float:
    """log(((1 + a) p_out + (1 - a)) / 2), p_out the mean probability over the models."""
    wide = references.astype(np.float64)
    known = ~np.isnan(wide)
    count = known.sum(axis=-1)
    require_models(count.reshape(len(count), -1)[:, 0].astype(np.float64), 1, where)
    good = ~known | (np.isfinite(wide) & (wide <= _ROUNDING))
    require(good, wide, where, "no logarithm of a probability", "a finite number, at most 0")
    # From the largest down, so that probabilities which round to 0 still have a logarithm.
    top = np.where(known, wide, -np.inf).max(axis=-1)
    share = np.where(known, np.exp(wide - top[..., None]), 0.0).sum(axis=-1)
    log_out = top + np.log(share / count)
    if a == 1:
        return np.asarray(log_out)
    return np.asarray(np.logaddexp(np.log((1 + a) / 2) + log_out, np.log((1 - a) / 2)))
