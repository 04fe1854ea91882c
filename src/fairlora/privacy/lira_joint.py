"""LiRA over several queries of an example at once: normal distributions with a covariance.

Carlini et al. 2022 (IEEE S&P) fit a multivariate normal to an example's queries (the picture and
its mirror image, say), whose margins hang together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import Bool, Float, Floats
from fairlora.privacy.shadows import Center, blocks, moments, require_models


class _Normal(NamedTuple):
    """center (n, q); covariance (n, q, q), or (1, q, q) for all rows, or None: too few models."""

    center: Float
    covariance: Float | None


def offline(x: Floats, shadows: Floats, fixed: bool, center: Center) -> Float:
    """See `lira_offline`; returns (n,) scores.

    Parameters
    ----------
    x : (n, q) margins of the target model.
    shadows : (n, q, k) margins under models that did not train on the example, NaN where one has
        none.
    fixed : one covariance for all rows; else each row has its own.
    center : "mean" or "median" of the shadow models' margins.

    Raises
    ------
    InputError : too few shadow models; queries whose covariance has no inverse.
    """
    normal = _fit(shadows, fixed, center, "shadows")
    covariance = np.eye(x.shape[1])[None] if normal.covariance is None else normal.covariance
    off = (x - normal.center)[..., None]
    ones = np.ones((len(covariance), x.shape[1], 1))
    weights = np.linalg.solve(covariance, ones)
    top = (weights * off).sum(axis=(1, 2))
    return np.asarray(top / np.sqrt(weights.sum(axis=(1, 2))))


def online(x: Floats, shadows: Floats, trained: Bool, fixed: bool, center: Center) -> Float:
    """See `lira_online`; returns (n,) scores.

    Parameters
    ----------
    x : (n, q) margins of the target model.
    shadows : (n, q, k) margins under shadow models, NaN where one has none.
    trained : (n, k) whether a shadow model trained on the example.
    fixed : one covariance for all rows on either side; else each row has its own two.
    center : "mean" or "median" of the shadow models' margins.

    Raises
    ------
    InputError : too few shadow models; queries whose covariance has no inverse.
    """
    sides = [
        _fit(np.where(side[:, None, :], shadows, np.nan), fixed, center, f"shadows that {name}")
        for side, name in ((trained, "trained on it"), (~trained, "did not train on it"))
    ]
    # A side of one model a row has the other's covariance, as a sigma of one query has.
    known = [own.covariance for own in sides if own.covariance is not None]
    shared = known[0] if known else np.eye(x.shape[1])[None]
    score = np.zeros(len(x))
    for sign, normal in zip((1, -1), sides, strict=True):
        covariance = shared if normal.covariance is None else normal.covariance
        off = (x - normal.center)[..., None]
        far = (off * np.linalg.solve(covariance, off)).sum(axis=(1, 2))
        score -= sign * (far + np.linalg.slogdet(covariance).logabsdet) / 2
    return score


def _fit(shadows: Floats, fixed: bool, center: Center, where: str) -> _Normal:
    n, q, k = shadows.shape
    flat = moments(shadows.reshape(-1, k), center, where, q)
    mean = (
        flat.center
        if center == "mean"
        else moments(shadows.reshape(-1, k), "mean", where, q).center
    )
    count = flat.number[::q]
    require_models(
        count,
        1 if fixed else q + 1,
        where,
        None
        if fixed
        else f"at least {q + 1} for a covariance of {q} queries; fixed_variance=True takes one "
        'for all rows, queries="mean" needs none',
    )
    about = mean.reshape(n, q)
    products = np.zeros((1 if fixed else n, q, q))
    for part in blocks(n, q * k):
        residual = shadows[part].astype(np.float64) - about[part][..., None]
        np.nan_to_num(residual, copy=False, nan=0.0)
        if fixed:
            products[0] += np.einsum("nqk,npk->qp", residual, residual)
        else:
            products[part] = residual @ residual.transpose(0, 2, 1)
    freedom = np.array([float((count - 1).sum())]) if fixed else count - 1
    if fixed and freedom[0] < q:
        return _Normal(flat.center.reshape(n, q), None)
    covariance = products / freedom[:, None, None]
    _require_definite(covariance, where)
    return _Normal(flat.center.reshape(n, q), covariance)


def _require_definite(covariance: Float, where: str) -> None:
    """Raise `InputError` where queries determine one another (two that are the same, say)."""
    values = np.linalg.eigvalsh(covariance)
    bad = values[:, 0] <= 1e-12 * np.maximum(values[:, -1], np.finfo(float).tiny)
    if bad.any():
        row = "" if len(covariance) == 1 else f", row {int(np.flatnonzero(bad)[0]) + 1}"
        raise InputError(
            "the queries' margins do not vary by themselves",
            where=where + row,
            found="a covariance that has no inverse",
            expected='queries that differ, or queries="mean"',
        )
