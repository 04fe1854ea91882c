"""The arithmetic of `fairlora.probes.logistic`: Newton's method and Laplace's approximation.

Prompts are kept text by text, so that the Hessian of (beta, b_1, b_2, ...) is an arrow: every
text's own block meets beta's alone, and a Newton step costs as much as there are texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
STEPS = 60  # of Newton's method, at most


@dataclass(frozen=True)
class Mode:
    """beta and b at the joint mode; the Hessian's Schur complement; the texts' scores of beta."""

    beta: Float
    b: Float
    schur: Float
    laplace: float
    scores: Float


@dataclass(frozen=True)
class Texts:
    """Prompts by text, padded with prompts of weight 0: arrays (texts, prompts, K, ...)."""

    x: Float
    y: Float
    weight: Float
    random: NDArray[np.int64]  # columns of x that texts have their own effects of
    precision: Float  # (p,) of the prior of beta

    @classmethod
    def of(
        cls,
        x: Float,
        y: Float,
        text: NDArray[np.int64],
        random: Sequence[int],
        precision: Sequence[float],
    ) -> Texts:
        """Sort prompts by their text's number.

        Parameters
        ----------
        x : (n, K, p) each option's columns.
        y : (n, K) 1 for the option chosen and 0 for the others.
        text : (n,) the number of each prompt's text, from 0.
        random : (q,) columns of x that texts have their own effects of.
        precision : (p,) of the prior of beta.
        """
        sizes = np.bincount(text)
        shape = (len(sizes), int(sizes.max()))
        # The how-manieth of its text each prompt is.
        order = np.argsort(text, kind="stable")
        number = np.empty(len(text), dtype=np.int64)
        number[order] = np.arange(len(text)) - (np.cumsum(sizes) - sizes)[text[order]]
        wide, chosen, weight = (
            np.zeros((*shape, *x.shape[1:])),
            np.zeros((*shape, y.shape[1])),
            np.zeros(shape),
        )
        wide[text, number], chosen[text, number], weight[text, number] = x, y, 1.0
        columns = np.array(random, dtype=np.int64)
        return cls(wide, chosen, weight, columns, np.array(precision))

    def mode(self, deviations: Float, start: Mode | None = None) -> Mode:
        """The joint mode given the deviations of each random column, by damped Newton steps."""
        count, random = len(self.x), self.random
        beta = np.zeros(len(self.precision)) if start is None else start.beta
        b = np.zeros((count, len(random))) if start is None else start.b
        inner = 1.0 / deviations**2 if len(random) else np.zeros(0)
        beta, b, value = self._climb(beta, b, inner)
        last = self._newton(beta, b, inner)
        _, log_schur = np.linalg.slogdet(last.schur)
        laplace = value - 0.5 * (log_schur + last.log_inner)
        if len(random):
            laplace += 0.5 * count * float(np.log(inner).sum())
        return Mode(beta, b, last.schur, float(laplace), last.scores)

    def marginal(self, beta: Float, b: Float, deviations: Float) -> tuple[float, Float]:
        """Laplace's approximation to the log of beta's marginal density; and the texts' modes.

        Parameters
        ----------
        beta : (p,) coefficients.
        b : (texts, q) the texts' own effects to start from.
        deviations : (q,) standard deviation over texts of each random column.
        """
        inner = 1.0 / deviations**2
        _, b, log_density = self._climb(beta, b, inner, fixed=True)
        step = self._newton(beta, b, inner)
        value = log_density - 0.5 * step.log_inner
        return value + 0.5 * len(self.x) * float(np.log(inner).sum()), b

    def at(self, beta: Float, b: Float, deviations: Float) -> Mode:
        """The texts' modes for a given beta, with what the covariance needs.

        Parameters
        ----------
        beta, b, deviations : as of `marginal`.
        """
        inner = 1.0 / deviations**2
        _, b, _ = self._climb(beta, b, inner, fixed=True)
        last = self._newton(beta, b, inner)
        return Mode(beta, b, last.schur, 0.0, last.scores)

    def _climb(
        self, beta: Float, b: Float, inner: Float, *, fixed: bool = False
    ) -> tuple[Float, Float, float]:
        """The mode of beta and b, or of b alone where beta is fixed, and the log density there.

        Newton's steps, halved where they do not climb.
        """
        value = self._value(beta, b, inner)
        for _ in range(STEPS):
            step = self._newton(beta, b, inner)
            move, move_b = (np.zeros_like(beta), step.pulled) if fixed else (step.beta, step.b)
            size = 1.0
            while size > 1e-6:
                new_beta, new_b = beta + size * move, b + size * move_b
                new = self._value(new_beta, new_b, inner)
                if new >= value - 1e-12:
                    break
                size /= 2
            gain, beta, b, value = new - value, new_beta, new_b, new
            if abs(gain) < 1e-9 * (1 + abs(value)):
                break
        return beta, b, value

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

    def _newton(self, beta: Float, b: Float, inner: Float) -> Step:
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
            return Step(np.linalg.solve(total, own), b * 0, total, 0.0, gradient, b * 0)
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
        return Step(step, step_b, schur, float(logs.sum()), scores, pulled)


@dataclass(frozen=True)
class Step:
    beta: Float
    b: Float
    schur: Float
    log_inner: float
    scores: Float
    pulled: Float  # the step of b for a beta that stays
