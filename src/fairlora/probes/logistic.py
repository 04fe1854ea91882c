r"""A logistic mixed model of choices among options: effects of symbol, place, meaning and wording.

Prompt n of text i offers options k with utilities

    u_nk = x_nk' beta + z_nk' b_i,     P(k) = exp(u_nk) / sum_j exp(u_nj)

With two options that is logistic regression on the difference of their x (McFadden 1974). `beta`
has the effects of each factor (symbol, place, meaning, and meaning by wording), in orthonormal
sum-to-zero contrasts; `b_i` are a text's own deviations, independent normals with one variance a
factor. So texts, whose prompts are many and alike, count as texts.

Fitting: first beta and all b at the mode of their joint density given the variances (Newton, the
Hessian an arrow, solved text by text), the variances at the mode of Laplace's approximation to
their marginal density; from there beta and the variances at the mode of Laplace's approximation to
their joint marginal density, b integrated (Breslow and Clayton 1993; as lme4's glmer), and beta's
covariance is that of both together. beta has a weak normal prior, of standard deviation 2.5 on the
log odds of two levels, which matters where a factor decides every choice: then there is no finite
maximum. The standard deviations have a prior too, half-normal of scale 1 times a small power of
them. It keeps them from 0 (in the manner of Chung et al. 2013), and where few choices go the other
way it keeps the fit from explaining these by texts that differ ever more while the effect grows.

The response is the option that is chosen (`fit_choices`), or the model's own log-likelihoods of the
options (`fit_log_odds`), which are not drawn at random: the same model is then linear in the logs,
fitted by least squares, and its errors are of the texts alone, by their own scores (the sandwich).
Both with Student's t of texts - 1.

Written here because no library's intervals hold: `docs/probes.md` has the simulated coverage of
this model, of statsmodels' mixed model and GEE, and of the sandwich for choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlora.errors import InputError
from fairlora.probes.laplace import Float, Texts

PRIOR = 2.5
_LEAST, _MOST = 1e-3, 20.0  # of a text's standard deviation, in log odds
# Power of a prior of the texts' deviations: enough to leave 0, too little to make effects larger.
_AWAY = 0.1
# Half-normal above: where few choices go the other way, they do not tell a large effect from texts
# that differ much.
_SPREAD = 1.0
# Curvature of the loss along a deviation's logarithm that is taken at least. Of 1, 3 and 6, tried
# on simulated choices: with 1 the errors of strong effects are more than twice what they should be,
# with 6 those of moderate ones are too small.
_FLATTEST = 3.0


@dataclass(frozen=True)
class Block:
    """The columns of one factor.

    Attributes
    ----------
    name : symbol, place, meaning or wording.
    levels : names of the levels that the columns are contrasts of.
    contrasts : (levels, columns), orthonormal columns; level effects are contrasts @ coefficients.
    scale : the size of the effect over the norm of its coefficients: the root mean square log odds
        between two of its levels.
    varies : whether every text has effects of its own.
    """

    name: str
    levels: tuple[str, ...]
    contrasts: Float
    scale: float
    varies: bool


def sum_to_zero(levels: int) -> Float:
    """(L, L - 1) orthonormal columns, each of which adds up to 0.

    >>> sum_to_zero(2).round(3).tolist()
    [[0.707], [-0.707]]
    """
    out = np.zeros((levels, levels - 1))
    for k in range(levels - 1):
        out[: k + 1, k] = 1.0
        out[k + 1, k] = -(k + 1.0)
        out[:, k] /= math.sqrt((k + 1.0) * (k + 2.0))
    return out


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    blocks : the factors, in the order of their columns.
    beta : (p,) coefficients; `covariance` (p, p) is theirs.
    influence : (texts, p) how much each text moves the coefficients; of choices, the deviations
        taken as known, which `covariance` does not.
    deviations : standard deviation over texts of each factor that varies, in log odds of levels.
    texts, prompts : how many.
    """

    blocks: tuple[Block, ...]
    beta: Float
    covariance: Float
    influence: Float
    deviations: dict[str, float]
    texts: int
    prompts: int

    def columns(self, name: str) -> slice:
        """Where a factor's coefficients are."""
        start = 0
        for block in self.blocks:
            width = block.contrasts.shape[1]
            if block.name == name:
                return slice(start, start + width)
            start += width
        raise KeyError(name)

    @property
    def degrees(self) -> int:
        return max(1, self.texts - 1)


def fit_log_odds(
    blocks: Sequence[Block], design: ArrayLike, logs: ArrayLike, texts: ArrayLike
) -> Fit:
    """Fit the model to log-likelihoods of the options, which need not be normalised.

    Parameters
    ----------
    design : (n, K, p), each option's contrasts, blocks side by side.
    logs : (n, K) natural logarithms.
    texts : (n,) the text of each prompt.

    Raises `InputError` for fewer than two texts.
    """
    x = np.asarray(design, dtype=np.float64)
    y = np.asarray(logs, dtype=np.float64)
    # What adds to all options of a prompt alike changes no choice.
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    count, text = _numbered(texts)
    width = x.shape[2]
    cross = np.zeros((count, width, width))
    moment = np.zeros((count, width))
    np.add.at(cross, text, np.einsum("nkp,nkq->npq", x, x))
    np.add.at(moment, text, np.einsum("nkp,nk->np", x, y))
    inverse = np.linalg.pinv(cross.sum(axis=0))
    beta = inverse @ moment.sum(axis=0)
    influence = (moment - cross @ beta) @ inverse
    covariance = influence.T @ influence * count / (count - 1)
    own = np.einsum("ipq,iq->ip", np.linalg.pinv(cross), moment) - beta
    deviations, start = {}, 0
    for block in blocks:
        end = start + block.contrasts.shape[1]
        if block.varies:
            variance = (own[:, start:end] ** 2).sum() / ((count - 1) * (end - start))
            deviations[block.name] = block.scale * math.sqrt(float(variance))
        start = end
    return Fit(tuple(blocks), beta, covariance, influence, deviations, count, len(y))


def need_texts(texts: ArrayLike) -> None:
    """Raise `InputError` for fewer than two texts: one does not say how far texts differ."""
    count = len(np.unique(np.asarray(texts)))
    if count < 2:
        raise InputError("a mixed model needs texts", found=count, expected="two at least")


def _numbered(texts: ArrayLike) -> tuple[int, NDArray[np.int64]]:
    need_texts(texts)
    names, text = np.unique(np.asarray(texts), return_inverse=True)
    return len(names), text.astype(np.int64)


def fit_choices(
    blocks: Sequence[Block], design: ArrayLike, choices: ArrayLike, texts: ArrayLike
) -> Fit:
    """Fit the model to choices.

    Parameters
    ----------
    design : (n, K, p), each option's contrasts, blocks side by side.
    choices : (n, K), 1 for the option chosen and 0 for the others.
    texts : (n,) the text of each prompt.

    Raises `InputError` for fewer than two texts.
    """
    x = np.asarray(design, dtype=np.float64)
    y = np.asarray(choices, dtype=np.float64)
    count, text = _numbered(texts)
    data = Texts.of(x, y, text, *_random_and_prior(blocks))
    if len(data.precision) != x.shape[2]:
        raise ValueError(f"{x.shape[2]} columns, and contrasts of {len(data.precision)}")
    widths = [b.contrasts.shape[1] for b in blocks if b.varies]
    scales = np.array([b.scale for b in blocks if b.varies])
    start = np.log(np.full(len(widths), 0.5))
    mode = data.mode(np.repeat(np.exp(start) / scales, widths) if widths else np.zeros(0))
    if widths:
        from scipy.optimize import minimize

        def loss(logs: Float) -> float:
            nonlocal mode
            sigma = np.exp(logs)
            mode = data.mode(np.repeat(sigma / scales, widths), mode)
            return -(mode.laplace + _prior(logs))

        bounds = [(math.log(_LEAST), math.log(_MOST))] * len(widths)
        minimum = minimize(loss, start, method="L-BFGS-B", bounds=bounds,
                         options={"maxiter": 60, "ftol": 1e-9, "eps": 1e-4})  # fmt: skip
        # From there beta too at the mode of its marginal density: the joint mode, which is quick,
        # draws large effects towards 0 where texts have few prompts.
        fixed = len(mode.beta)
        own = mode.b

        def marginal(parameters: Float) -> float:
            nonlocal own
            logs = parameters[fixed:]
            deviations = np.repeat(np.exp(logs) / scales, widths)
            value, own = data.marginal(parameters[:fixed], own, deviations)
            return -(value + _prior(logs))

        free: list[tuple[float | None, float | None]] = [(None, None)] * fixed
        begin = np.concatenate([mode.beta, np.maximum(minimum.x, math.log(0.3))])
        minimum = minimize(
            marginal, begin, method="L-BFGS-B", bounds=[*free, *bounds],
            options={"maxiter": 40, "ftol": 1e-8, "eps": 1e-4},
        )  # fmt: skip
        beta, sigma = minimum.x[:fixed], np.exp(np.asarray(minimum.x[fixed:]))
        mode = data.at(beta, own, np.repeat(sigma / scales, widths))
        known = np.asarray(np.linalg.inv(mode.schur), dtype=np.float64)
        covariance = with_unsure(known, *_curvature(marginal, minimum.x, fixed))
    else:
        sigma = np.zeros(0)
        known = covariance = np.asarray(np.linalg.inv(mode.schur), dtype=np.float64)
    influence = mode.scores @ known
    varying = [b.name for b in blocks if b.varies]
    return Fit(
        tuple(blocks),
        mode.beta,
        (covariance + covariance.T) / 2,
        influence,
        dict(zip(varying, sigma.tolist(), strict=True)),
        count,
        len(y),
    )


def with_unsure(covariance: Float, across: Float, among: Float) -> Float:
    """The covariance of beta where the texts' deviations are estimated too, and not known.

    In a logistic model an effect grows with the deviations: what is unsure of these is unsure of
    it. Where the density is flat along these, as where nearly every choice is the same, its
    curvature at the mode overstates how far it reaches: a variance of a logarithm counts as one
    over `_FLATTEST` at most.

    Parameters
    ----------
    covariance : (p, p) of beta where the deviations are known.
    across : (p, q) second derivatives of the loss, between beta and the deviations' logarithms.
    among : (q, q) those among the deviations' logarithms.
    """
    inner = among - across.T @ covariance @ across
    values, axes = np.linalg.eigh((inner + inner.T) / 2)
    moved = covariance @ across @ axes
    return np.asarray(covariance + (moved / np.maximum(values, _FLATTEST)) @ moved.T)


def _curvature(
    loss: Callable[[Float], float], at: Float, fixed: int, step: float = 0.02
) -> tuple[Float, Float]:
    """Second derivatives of `loss` (p + q parameters) that have one of the last q, numerically."""
    count = len(at)
    second = np.zeros((count, count))

    def moved(i: int, j: int, sign_i: float, sign_j: float) -> float:
        corner = at.copy()
        corner[i] += sign_i * step
        corner[j] += sign_j * step
        return loss(corner)

    for j in range(fixed, count):
        for i in range(j + 1):
            corners = (moved(i, j, a, b) * a * b for a in (1, -1) for b in (1, -1))
            second[i, j] = second[j, i] = sum(corners) / (2 * step) ** 2
    return second[:fixed, fixed:], second[fixed:, fixed:]


def _random_and_prior(blocks: Sequence[Block]) -> tuple[list[int], list[float]]:
    """The columns that every text has effects of its own of, and beta's prior precisions."""
    precision: list[float] = []
    random: list[int] = []
    for block in blocks:
        width = block.contrasts.shape[1]
        if block.varies:
            random += range(len(precision), len(precision) + width)
        precision += [(block.scale / PRIOR) ** 2] * width
    return random, precision


def _prior(logs: Float) -> float:
    """Log density of the texts' standard deviations, up to a constant."""
    sigma = np.exp(logs)
    return _AWAY * float(logs.sum()) - float((sigma**2).sum()) / (2 * _SPREAD**2)
