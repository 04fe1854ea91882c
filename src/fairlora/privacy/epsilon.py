"""How much was told at least: a lower bound of epsilon from an attack's scores.

Under (epsilon, delta)-differential privacy no threshold on any score has TPR > e^epsilon FPR +
delta, nor TNR > e^epsilon FNR + delta (Kairouz et al. 2015, https://arxiv.org/abs/1311.0776). So an
attack that does better shows that epsilon is larger (Jagielski et al. 2020,
https://arxiv.org/abs/2006.07709; Nasr et al. 2021, https://arxiv.org/abs/2101.04535).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.curves.roc_scores import Codes, Sides, ordered, sides_of
from fairlora.metrics.inference.design import seed_of
from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.content import AttackContent, EpsilonBound

DELTA = 1e-5
# Thresholds that are looked at on the first half.
_MOST = 512


def epsilon_lower_bound(
    scores: Any,
    member: Any,
    *,
    delta: float = DELTA,
    level: float = 0.95,
    seed: int = 0,
    clusters: Codes | None = None,
) -> EpsilonBound:
    """A lower bound of the epsilon of whatever told members from non-members.

    The threshold is chosen on a random half of the rows and judged on the other, so that it was
    fixed beforehand: epsilon >= ln((TPR - delta) / FPR) and ln((TNR - delta) / FNR), with the
    lower end of the TPR and the upper end of the FPR (Clopper and Pearson), each of which holds
    with half of what `level` leaves. Below epsilon with that probability if rows are told
    independently of each other; rows of one model share its noise, which the interval does not see.

    Parameters
    ----------
    scores : (n,) larger for a likelier member, fixed before membership was known.
    member : (n,) whether each was trained on.
    delta : of the promise that it is set against.
    level : of the bound.
    seed : of the halves.
    clusters : (n,) codes of what was drawn together, or None.

    >>> generator = np.random.default_rng(0)
    >>> member = np.repeat([True, False], 4000)
    >>> bound = epsilon_lower_bound(generator.normal(size=8000) + member, member)
    >>> 1 < bound.value < 4.4  # that of the Gaussian mechanism with noise multiplier 1
    True
    """
    values, inside = np.asarray(scores, dtype=np.float64), np.asarray(member, dtype=np.bool_)
    if values.shape != inside.shape or values.ndim != 1:
        raise InputError(
            "not one score and one membership a row",
            where="scores",
            found=f"{values.shape} and {inside.shape}",
        )
    units = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    half = seed_of(seed, "halves").permutation(int(units.max(initial=0)) + 1)[units] % 2
    order = ordered(values, inside)
    places = np.arange(len(values))
    first, second = (sides_of(order, places[half[order.rows] == k], clusters) for k in (0, 1))
    return bound_of((first, second), level, delta)


def bound_of(halves: tuple[Sides, Sides], level: float, delta: float) -> EpsilonBound:
    """The bound of two halves of the rows: see `epsilon_lower_bound`.

    Parameters
    ----------
    halves : the threshold is chosen on the first and judged on the second.
    level, delta : as of `epsilon_lower_bound`.
    """
    chosen, judged = halves
    for name in ("positives", "negatives"):
        if not all(len(getattr(half, name)) for half in halves):
            word = "members" if name == "positives" else "non-members"
            return EpsilonBound(value=None, reason=f"no {word} in a half of the rows", delta=delta)
    scores = np.unique(np.concatenate([chosen.positives, chosen.negatives]))
    places = np.unique(np.linspace(0, len(scores) - 1, min(_MOST, len(scores))).astype(int))
    candidates = scores[places]
    best = int(np.argmax(_bounds(chosen, candidates, level, delta)[0]))
    at = candidates[best : best + 1]
    bound, tpr, fpr = _bounds(judged, at, level, delta)
    return EpsilonBound(
        value=float(bound[0]),
        delta=delta,
        tpr_low=float(tpr[0]),
        fpr_high=float(fpr[0]),
        threshold=float(at[0]),
    )


def _bounds(
    sides: Sides, thresholds: Float, level: float, delta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(A,) the bound at each threshold, at least 0; with the TPR at least and the FPR at most."""
    # A two-sided interval leaves on each side half of what is left: both ends hold together.
    tpr = sides.rate(thresholds, level, "positives")[1].low
    fpr = sides.rate(thresholds, level, "negatives")[1].high
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [(tpr - delta) / fpr, (1 - fpr - delta) / (1 - tpr)]
        return np.log(np.maximum(1.0, np.fmax(*ratios))), tpr, fpr


def epsilon_of_noise(noise_multiplier: float, delta: float) -> float:
    """Epsilon of one release of the Gaussian mechanism on all rows, exactly.

    Balle and Wang 2018, theorem 8 (https://arxiv.org/abs/1805.06530): delta(epsilon) =
    Phi(1/(2 s) - epsilon s) - e^epsilon Phi(-1/(2 s) - epsilon s).

    Parameters
    ----------
    noise_multiplier : s, the noise's standard deviation over what a row can change.
    delta : above 0.

    >>> round(epsilon_of_noise(1.0, 1e-5), 2)
    4.38
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    s = noise_multiplier

    def above(epsilon: float) -> float:
        first, second = log_ndtr(0.5 / s - epsilon * s), log_ndtr(-0.5 / s - epsilon * s)
        return float(np.exp(first) - np.exp(epsilon + second) - delta)

    if above(0.0) <= 0:
        return 0.0
    high = 1.0
    while above(high) > 0:
        high *= 2
    return float(brentq(above, 0.0, high))


def bounds_by_group(attack: AttackContent) -> dict[tuple[str, str], EpsilonBound | None]:
    """(attribute, group) -> its bound; that of all rows is ("", "")."""
    groups = {
        (attribute, group): numbers.epsilon
        for attribute, named in attack.by_group.items()
        for group, numbers in named.items()
    }
    return {("", ""): attack.overall.epsilon, **groups}


def above_promise(name: str, attack: AttackContent, promised: float | None) -> list[str]:
    """A warning for each bound of an attack that is above the promise.

    Parameters
    ----------
    name, attack : the attack.
    promised : by training; None without a promise.
    """
    return [
        f"{', '.join(word for word in (name, attribute, group) if word)}: epsilon is at least "
        f"{bound.value:.2f}, above the promised {promised:g}: the promise does not hold, or this "
        "is one of the few bounds in a hundred that fail by chance"
        for (attribute, group), bound in bounds_by_group(attack).items()
        if promised is not None and bound is not None and (bound.value or 0.0) > promised
    ]
