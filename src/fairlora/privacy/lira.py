"""LiRA, the likelihood ratio attack: the target's margin against shadow models' margins.

Carlini et al. 2022 (IEEE S&P, "Membership inference attacks from first principles"): algorithm 1,
and its offline variant. Margins of one example under models that trained on it, and under models
that did not, are taken as normal, with variances of each example's own, one for all, or in between
by a prior (`fairlora.privacy.lira_bayes`).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fairlora.errors import InputError, require_known
from fairlora.privacy import lira_bayes, lira_joint
from fairlora.privacy.attack_inputs import (
    Bool,
    Float,
    Floats,
    mask,
    mean_over_queries,
    models,
    signal,
)
from fairlora.privacy.lira_bayes import VariancePrior
from fairlora.privacy.shadows import (
    Center,
    Moments,
    both_moments,
    moments,
    require_absent,
    require_center,
    require_models,
)

Queries = Literal["mean", "joint"]
_OWN = "at least 2 for a variance of its own; fixed_variance=True takes one variance for all rows"
_ROWS = "; NaN where a model has none"
_QUERIES = ("mean", "joint")


def lira_offline(
    target: Any,
    shadows: Any,
    fixed_variance: bool = False,
    *,
    center: Center = "mean",
    queries: Queries = "mean",
    trained: Any = None,
    prior: VariancePrior | None = None,
) -> Float:
    """Score examples by how far above the shadow models' margins the target model's is.

    The score is (x - mu) / sigma of shadow models that did not train on the example. The papers
    threshold the normal distribution function of it, which is 1 for every clear member and so ties
    them: the score itself has the same order, without the ties. It is one-sided, unlike the density
    of x, which is low for margins far below mu as well.

    Parameters
    ----------
    target : (n,) margins of the target model (the `margin` of a predictions table: true-class logit
        minus logsumexp of the others), or (n, q) of q queries an example.
    shadows : (n, k) or (n, q, k) margins under k shadow models that did not train on the example,
        NaN where one did. Rows of fewer models have noisier scores: see `equal_counts`.
    fixed_variance : one sigma for all examples, pooled from the shadow models' residuals about each
        example's own center, and not from the target's margins, which are the members' too. For few
        shadow models (Carlini et al. say below 64), whose own sigmas are noisy. One shadow model
        leaves no residual: sigma is then 1, which changes no ROC.
    center : mu is the shadow margins' "mean" or "median"; sigma is about the mean in both cases.
    queries : of several queries, the "mean" of their scores; or "joint", which takes their errors'
        covariance into account: the best combination for a shift that all queries share,
        1' S^-1 (x - mu) / sqrt(1' S^-1 1).
    trained : (n, k) whether a shadow model trained on an example, if it is to be checked.
    prior : BaVarIA instead of one's own or a fixed variance: the score is then (x - center) / scale
        of the predictive distribution, which has the order of its upper tail among rows of as many
        shadow models. One model is enough. The paper's own offline score puts a distribution of
        all members' margins on the other side, which an attacker without any does not have.

    Returns
    -------
    (n,) scores, larger for a likelier member, in standard deviations.

    Raises
    ------
    InputError : shapes that do not agree; a missing or infinite margin; a row without a shadow
        model, or with one alone where each has a variance of its own; margins that do not vary; a
        shadow model that trained on a target row.

    >>> scores = lira_offline([4.0, 0.0], [[1.0, 2.0, 3.0], [-1.0, float("nan"), 1.0]])
    >>> scores.round(3).tolist()
    [2.0, 0.0]
    """
    require_known([queries], _QUERIES, "way to join queries", "queries")
    require_center(center)
    _require_alone(prior, fixed_variance, center, queries)
    x = signal(target, "target")
    margins = models(shadows, "shadows", x, _ROWS)
    if trained is not None:
        require_absent(margins, trained)
    if queries == "joint" and x.ndim == 2:
        return lira_joint.offline(x, margins, fixed_variance, center)
    step = _per_row(x.shape)
    flat = moments(margins.reshape(-1, margins.shape[-1]), center, "shadows", step)
    one = fixed_variance or prior is not None
    require_models(flat.number[::step], 1 if one else 2, "shadows", None if one else _OWN)
    if prior is not None:
        expected = lira_bayes.predict(flat, prior, "shadows")
        return mean_over_queries(expected.distance(x.reshape(-1)).reshape(x.shape))
    sigma = _sigma(flat, fixed_variance, x.shape, "shadows")
    return mean_over_queries((x - flat.center.reshape(x.shape)) / sigma)


def lira_online(
    target: Any,
    shadows: Any,
    trained: Any,
    fixed_variance: bool = False,
    *,
    center: Center = "mean",
    queries: Queries = "mean",
    prior: VariancePrior | None = None,
) -> Float:
    """Score examples by the log-likelihood ratio of the target's margin, member to non-member.

    log N(x; mu_in, sigma_in) - log N(x; mu_out, sigma_out): with the true parameters this is the
    most powerful test there is (Neyman and Pearson).

    Parameters
    ----------
    target : (n,) margins of the target model, or (n, q) of q queries an example.
    shadows : (n, k) or (n, q, k) margins under k shadow models, some of which trained on the
        example; NaN leaves a model out of a row. Rows of fewer models have noisier scores, and in a
        crossed design their number is a matter of membership: see `equal_counts`.
    trained : (n, k) whether a shadow model trained on an example.
    fixed_variance, center : as of `lira_offline`; one sigma for the models that trained on a row
        and one for those that did not.
    queries : of several queries, the "mean" of their log-likelihood ratios, or "joint" for normal
        distributions of all queries together, with their covariance.
    prior : BaVarIA instead of one's own or a fixed variance: the log-likelihood ratio of the
        predictive distributions of both sides, each with a prior of its own (Student's t, or
        normal: `VariancePrior.form`). One model of each side is enough.

    Returns
    -------
    (n,) scores, larger for a likelier member, in nats.

    Raises
    ------
    InputError : as `lira_offline`, and a row that no shadow model trained on, or that all did.

    >>> scores = lira_online([3.0, 0.0], [[0.0, 1.0, 3.0, 4.0]] * 2, [[0, 0, 1, 1]] * 2)
    >>> scores.round(3).tolist()
    [6.0, -12.0]
    """
    require_known([queries], _QUERIES, "way to join queries", "queries")
    require_center(center)
    _require_alone(prior, fixed_variance, center, queries)
    x = signal(target, "target")
    margins = models(shadows, "shadows", x, _ROWS)
    inside = mask(trained, "trained", (len(x), margins.shape[-1]))
    if queries == "joint" and x.ndim == 2:
        return lira_joint.online(x, margins, inside, fixed_variance, center)
    wide = _each_query(inside, x)
    flat = margins.reshape(-1, margins.shape[-1])
    step = _per_row(x.shape)
    sides = both_moments(flat, wide, center, "shadows", step)
    log_ratio = np.zeros(x.shape)
    sigmas = []
    for sign, side, name in zip((1.0, -1.0), sides, ("trained", "did not train"), strict=True):
        where = f"shadows that {name} on it"
        least, expected = (1, None) if fixed_variance or prior is not None else (2, _OWN)
        require_models(side.number[::step], least, where, expected)
        if prior is None:
            sigmas.append(_sigma(side, fixed_variance, x.shape, where))
        else:
            density = lira_bayes.predict(side, prior, where).log_density(x.reshape(-1))
            log_ratio += sign * density.reshape(x.shape)
    if prior is not None:
        return mean_over_queries(log_ratio)
    if fixed_variance:
        sigmas = _shared_if_unknown(sides, sigmas)
    for sign, side, sigma in zip((1.0, -1.0), sides, sigmas, strict=True):
        z = (x - side.center.reshape(x.shape)) / sigma
        log_ratio -= sign * (z * z / 2 + np.log(sigma))
    return mean_over_queries(log_ratio)


def _require_alone(
    prior: VariancePrior | None, fixed: bool, center: Center, queries: Queries
) -> None:
    """Raise `InputError` for a prior beside what it takes the place of."""
    if prior is None:
        return
    for wrong, found in (
        (fixed, "fixed_variance=True"),
        (center != "mean", f"center={center!r}"),
        (queries != "mean", f"queries={queries!r}"),
    ):
        if wrong:
            raise InputError(
                "a prior is of normal margins about their mean, one query at a time",
                where="prior",
                found=found,
                expected='fixed_variance=False, center="mean" and queries="mean"',
            )


def _sigma(side: Moments, fixed: bool, shape: tuple[int, ...], where: str) -> Float:
    """Standard deviations of `shape`, or one for all rows; 1 where no residual tells."""
    if fixed:
        freedom = float((side.number - 1).sum())
        total = float(side.squares.sum())
        if freedom > 0 and total == 0:
            _refuse_constant(where, None)
        return np.array(np.sqrt(total / freedom) if freedom > 0 else 1.0)
    variance = side.squares / (side.number - 1)
    if not variance.all():
        _refuse_constant(where, int(np.flatnonzero(variance == 0)[0]) // _per_row(shape))
    return np.asarray(np.sqrt(variance).reshape(shape))


def _shared_if_unknown(sides: tuple[Moments, Moments], sigmas: list[Float]) -> list[Float]:
    """The other side's sigma for a side of one model a row, whose residuals tell nothing."""
    known = [bool((side.number > 1).any()) for side in sides]
    if known == [True, False]:
        return [sigmas[0], sigmas[0]]
    if known == [False, True]:
        return [sigmas[1], sigmas[1]]
    return sigmas


def _refuse_constant(where: str, row: int | None) -> None:
    raise InputError(
        "the margins do not vary over the models",
        where=where if row is None else f"{where}, row {row + 1}",
        found="a variance of 0",
        expected="margins that differ"
        if row is None
        else "margins that differ, or fixed_variance=True, which takes one variance for all rows",
    )


def _each_query(inside: Bool, x: Floats) -> Bool:
    """(n k) as (n q, k): each query of a row has the row's models."""
    return inside if x.ndim == 1 or x.shape[1] == 1 else np.repeat(inside, x.shape[1], axis=0)


def _per_row(shape: tuple[int, ...]) -> int:
    return 1 if len(shape) == 1 else shape[1]
