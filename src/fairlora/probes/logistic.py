r"""A logistic mixed model of choices among options: whose pull is it?

Prompt n of text i offers options k with utilities

    u_nk = x_nk' beta + z_nk' b_i,     P(k) = exp(u_nk) / sum_j exp(u_nj)

With two options that is logistic regression on the difference of their x (McFadden 1974). `beta`
has the effects of each factor (symbol, place, meaning, and meaning by wording), in orthonormal
sum-to-zero contrasts; `b_i` are a text's own deviations, independent normals with one variance a
factor. So texts, whose prompts are many and alike, count as texts.

Fitting: first beta and all b at the mode of their joint density given the variances (Newton, the
Hessian an arrow, solved text by text), the variances at the mode of Laplace's approximation to
their marginal density; from there beta and the variances at the mode of Laplace's approximation to
their joint marginal density, b integrated (Breslow and Clayton 1993; as lme4's glmer). beta has a
weak normal prior, of standard deviation 2.5 on the log odds of two levels, which matters where a
factor decides every choice: then there is no finite maximum. A prior of the standard
deviations, half-normal of scale 1 times a small power of them, keeps them from 0 (in the manner of
Chung et al. 2013) and, where few choices go the other way, from explaining these by texts that
differ ever more while the effect grows with them.

The response is the option that is chosen (`fit_choices`), or the model's own log-likelihoods of the
options (`fit_log_odds`). Of these nothing is drawn: the same model is then linear in the logs,
fitted by least squares, and its errors are of the texts alone, by their own scores (the sandwich).
Both with Student's t of texts - 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlora.errors import InputError

Float = NDArray[np.float64]
PRIOR = 2.5
_LEAST, _MOST = 1e-3, 20.0  # of a text's standard deviation, in log odds
_STEPS = 60
# Power of a prior of the texts' deviations: enough to leave 0, too little to make effects larger.
_AWAY = 0.1
# Half-normal above: where few choices go the other way, they do not tell a large effect from texts
# that differ much.
_SPREAD = 1.0


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
    influence : (texts, p) how much each text moves the coefficients.
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
    count, place = _numbered(texts)
    width = x.shape[2]
    cross = np.zeros((count, width, width))
    moment = np.zeros((count, width))
    np.add.at(cross, place, np.einsum("nkp,nkq->npq", x, x))
    np.add.at(moment, place, np.einsum("nkp,nk->np", x, y))
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


def _numbered(texts: ArrayLike) -> tuple[int, NDArray[np.int64]]:
    names, place = np.unique(np.asarray(texts), return_inverse=True)
    if len(names) < 2:
        raise InputError("a mixed model needs texts", found=len(names), expected="two at least")
    return len(names), place.astype(np.int64)


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
    count, place = _numbered(texts)
    data = _Data.of(blocks, x, y, place, count)
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
        found = minimize(loss, start, method="L-BFGS-B", bounds=bounds,
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
        begin = np.concatenate([mode.beta, np.maximum(found.x, math.log(0.3))])
        found = minimize(
            marginal, begin, method="L-BFGS-B", bounds=[*free, *bounds],
            options={"maxiter": 40, "ftol": 1e-8, "eps": 1e-4},
        )  # fmt: skip
        beta, sigma = found.x[:fixed], np.exp(np.asarray(found.x[fixed:]))
        mode = data.at(beta, own, np.repeat(sigma / scales, widths))
    else:
        sigma = np.zeros(0)
    covariance = np.linalg.inv(mode.schur)
    influence = mode.scores @ covariance
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


def _prior(logs: Float) -> float:
    """Log density of the texts' standard deviations, up to a constant."""
    sigma = np.exp(logs)
    return _AWAY * float(logs.sum()) - float((sigma**2).sum()) / (2 * _SPREAD**2)


@dataclass(frozen=True)
class _Mode:
    """beta and b at the joint mode; the Hessian's Schur complement; the texts' scores of beta."""

    beta: Float
    b: Float
    schur: Float
    laplace: float
    scores: Float


@dataclass(frozen=True)
class _Data:
    """Prompts by text, padded with prompts of weight 0: arrays (texts, prompts, K, ...)."""

    x: Float
    y: Float
    weight: Float
    fixed: int
    random: NDArray[np.int64]  # columns of x that texts have their own effects of
    precision: Float  # of the prior of beta

    @classmethod
    def of(
        cls, blocks: Sequence[Block], x: Float, y: Float, place: NDArray[Any], count: int
    ) -> _Data:
        sizes = np.bincount(place, minlength=count)
        most = int(sizes.max())
        number = np.zeros(len(place), dtype=np.int64)
        seen = np.zeros(count, dtype=np.int64)
        for n, i in enumerate(place):
            number[n] = seen[i]
            seen[i] += 1
        wide = np.zeros((count, most, *x.shape[1:]))
        wide[place, number] = x
        response = np.zeros((count, most, y.shape[1]))
        response[place, number] = y
        weight = np.zeros((count, most))
        weight[place, number] = 1.0
        precision, random, start = [], [], 0
        for block in blocks:
            width = block.contrasts.shape[1]
            precision += [(block.scale / PRIOR) ** 2] * width
            if block.varies:
                random += list(range(start, start + width))
            start += width
        if start != x.shape[2]:
            raise ValueError(f"{x.shape[2]} columns, and contrasts of {start}")
        return cls(
            wide, response, weight, start, np.array(random, dtype=np.int64), np.array(precision)
        )

    def mode(self, deviations: Float, start: _Mode | None = None) -> _Mode:
        """The joint mode given the deviations of each random column, by damped Newton steps."""
        count, random = len(self.x), self.random
        beta = np.zeros(self.fixed) if start is None else start.beta
        b = np.zeros((count, len(random))) if start is None else start.b
        inner = 1.0 / deviations**2 if len(random) else np.zeros(0)
        value = self._value(beta, b, inner)
        for _ in range(_STEPS):
            step = self._newton(beta, b, inner)
            size = 1.0
            while size > 1e-6:
                new_beta, new_b = beta + size * step.beta, b + size * step.b
                new = self._value(new_beta, new_b, inner)
                if new >= value - 1e-12:
                    break
                size /= 2
            gain = new - value
            beta, b, value = new_beta, new_b, new
            if abs(gain) < 1e-9 * (1 + abs(value)):
                break
        last = self._newton(beta, b, inner)
        _, log_schur = np.linalg.slogdet(last.schur)
        laplace = value - 0.5 * (log_schur + last.log_inner)
        if len(random):
            laplace += 0.5 * count * float(np.log(inner).sum())
        return _Mode(beta, b, last.schur, float(laplace), last.scores)

    def marginal(self, beta: Float, b: Float, deviations: Float) -> tuple[float, Float]:
        """Laplace's approximation to the log of beta's marginal density; and the texts' modes."""
        inner = 1.0 / deviations**2
        b = self._own_mode(beta, b, inner)
        step = self._newton(beta, b, inner)
        value = self._value(beta, b, inner) - 0.5 * step.log_inner
        return value + 0.5 * len(self.x) * float(np.log(inner).sum()), b

    def at(self, beta: Float, b: Float, deviations: Float) -> _Mode:
        """The texts' modes for a given beta, with what the covariance needs."""
        inner = 1.0 / deviations**2
        b = self._own_mode(beta, b, inner)
        last = self._newton(beta, b, inner)
        return _Mode(beta, b, last.schur, 0.0, last.scores)

    def _own_mode(self, beta: Float, b: Float, inner: Float) -> Float:
        """(texts, q) the texts' own effects at their mode given beta."""
        value = self._value(beta, b, inner)
        for _ in range(_STEPS):
            step = self._newton(beta, b, inner).pulled
            size = 1.0
            while size > 1e-6:
                new_b = b + size * step
                new = self._value(beta, new_b, inner)
                if new >= value - 1e-12:
                    break
                size /= 2
            gain, b, value = new - value, new_b, new
            if abs(gain) < 1e-9 * (1 + abs(value)):
                break
        return b

    def _utilities(self, beta: Float, b: Float) -> Float:
        out = self.x @ beta
        if len(self.random):
            out = out + np.einsum("imkq,iq->imk", self.x[..., self.random], b)
        return np.asarray(out)

    def _value(self, beta: Float, b: Float, inner: Float) -> float:
        u = self._utilities(beta, b)
        top = u.max(axis=2)
        norm = top + np.log(np.exp(u - top[..., None]).sum(axis=2))
        likelihood = float((self.weight * ((self.y * u).sum(axis=2) - norm)).sum())
        prior = float((self.precision * beta**2).sum()) + float((inner * b**2).sum())
        return likelihood - prior / 2

    def _newton(self, beta: Float, b: Float, inner: Float) -> _Step:
        """One Newton step from here, the Hessian's blocks reduced text by text."""
        u = self._utilities(beta, b)
        u = np.exp(u - u.max(axis=2, keepdims=True))
        p = u / u.sum(axis=2, keepdims=True)
        middle = np.einsum("imk,imkp->imp", p, self.x)
        centred = self.x - middle[:, :, None, :]
        rooted = centred * np.sqrt(p * self.weight[..., None])[..., None]
        flat = rooted.reshape(len(rooted), -1, rooted.shape[-1])
        hessian = flat.transpose(0, 2, 1) @ flat  # (texts, p, p)
        residual = (self.y - p) * self.weight[..., None]
        gradient = np.einsum("imk,imkp->ip", residual, self.x)
        total = hessian.sum(axis=0) + np.diag(self.precision)
        own = gradient.sum(axis=0) - self.precision * beta
        random = self.random
        if not len(random):
            return _Step(np.linalg.solve(total, own), b * 0, total, 0.0, gradient, b * 0)
        inside = hessian[:, random[:, None], random[None, :]] + np.diag(inner)
        across = hessian[:, :, random]  # (texts, p, q)
        pull = gradient[:, random] - inner * b
        solved = np.linalg.solve(inside, across.transpose(0, 2, 1))  # (texts, q, p)
        schur = total - np.einsum("ipq,iqr->pr", across, solved)
        pulled = np.linalg.solve(inside, pull[..., None])[..., 0]
        right = own - np.einsum("ipq,iq->p", across, pulled)
        step = np.linalg.solve(schur, right)
        step_b = pulled - np.einsum("iqp,p->iq", solved, step)
        _, logs = np.linalg.slogdet(inside)
        # At the mode a text's pull on its own effects is 0, and its score of beta is what is left.
        scores = gradient - np.einsum("ipq,iq->ip", across, pulled)
        return _Step(step, step_b, schur, float(logs.sum()), scores, pulled)


@dataclass(frozen=True)
class _Step:
    beta: Float
    b: Float
    schur: Float
    log_inner: float
    scores: Float
    pulled: Float  # the step of b for a beta that stays
