"""Membership by the tokens of a text, without shadow models: one model, and the base it came from.

Every attack reads the log-probabilities of a text's tokens (nats), each given the true tokens
before it, under the model that is attacked. Some read those under its base too: the same model with
its adapter off, or as it was before fine-tuning. A text is one array; its first token has no
log-probability and is none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import Float

Ragged = Sequence[NDArray[Any]]
# The share of a text's tokens that Min-K % takes, as its authors do.
LOWEST = 0.2
# The window sizes of WBC: ten between 2 and 40, equation 12 of its paper.
WINDOWS = tuple(int(size) for size in np.round(2 * 20 ** (np.arange(10) / 9)))


@dataclass(frozen=True, eq=False)
class TokenRows:
    """What an attacker reads of the tokens of n texts; each of the first five is n arrays.

    Attributes
    ----------
    log_probs : of each token, under the model (nats).
    means, sds : of the log-probability over the vocabulary at each place, under the model's own
        distribution there.
    top : whether the token is the model's likeliest one.
    base_log_probs : of each token under the base; None where there is no base to compare with.
    compressed : (n,) bytes of each text after zlib.
    no_base : why there is no base.
    """

    log_probs: Ragged
    means: Ragged
    sds: Ragged
    top: Ragged
    base_log_probs: Ragged | None
    compressed: NDArray[np.integer[Any]]
    no_base: str | None = None

    def base(self, attack: str) -> Ragged:
        """The base's log-probabilities; `InputError` that names the attack where there are none."""
        if self.base_log_probs is None:
            raise InputError(
                "no base to compare with",
                where=attack,
                found=self.no_base or "no numbers of one",
                expected="a fine-tuned model whose base was scored too",
            )
        return self.base_log_probs


def base_ratio(log_probs: Ragged, base_log_probs: Ragged) -> Float:
    """Score texts by the mean log-ratio of their tokens' probabilities, model over base.

    The likelihood ratio with the pretrained model as the reference (Carlini et al. 2021, USENIX
    Security; Mireshghallah et al. 2022, arXiv:2203.03929), its logarithm divided by the number of
    tokens.

    Returns
    -------
    (n,) scores, larger for a likelier member, in nats a token.

    Raises `InputError` for no texts, a text without a token, numbers that are missing or infinite,
    and arrays that do not go together.

    >>> base_ratio([[-1.0, -2.0]], [[-2.0, -4.0]]).tolist()
    [1.5]
    """
    x, base = _checked(log_probs=log_probs, base_log_probs=base_log_probs)
    return _each(lambda own, other: float((own - other).mean()), x, base)


def zlib_ratio(log_probs: Ragged, compressed: Any) -> Float:
    """Score texts by minus their loss over their entropy as zlib finds it.

    Carlini et al. 2021 (USENIX Security): the ratio of log-perplexity and zlib entropy. A text that
    repeats itself is likely under every model, and compresses well.

    Parameters
    ----------
    log_probs : n arrays of log-probabilities.
    compressed : (n,) bytes of each text after zlib, above 0.

    Returns and raises as `base_ratio`; in nats a token and byte.
    """
    (x,) = _checked(log_probs=log_probs)
    size = np.asarray(compressed, dtype=np.float64)
    if size.shape != (len(x),) or not (size > 0).all():
        raise InputError("not a number of bytes a text", where="compressed", found=size.shape)
    return _each(lambda own: float(own.mean()), x) / size


def min_k(log_probs: Ragged, share: float = LOWEST) -> Float:
    """Score texts by the mean log-probability of their least likely tokens: Min-K % Prob.

    Shi et al. 2024 (ICLR; arXiv:2310.16789): a text that was not trained on has a few tokens that
    surprise the model. Of a short text one token at least is taken.

    Parameters
    ----------
    log_probs : n arrays of log-probabilities.
    share : of a text's tokens that are taken, above 0 and at most 1; rounded down.

    Returns and raises as `base_ratio`, for a share out of range too.

    >>> min_k([[-1.0, -5.0, -2.0, -3.0]], 0.5).tolist()
    [-4.0]
    """
    (x,) = _checked(log_probs=log_probs)
    return _each(_lowest(share), x)


def min_k_plus(log_probs: Ragged, means: Ragged, sds: Ragged, share: float = LOWEST) -> Float:
    """Score texts by their lowest log-probabilities in units of the vocabulary's: Min-K %++.

    Zhang et al. 2025 (ICLR; arXiv:2404.02936): (log p - mu) / sigma of each token, with mean and
    standard deviation of log p over the vocabulary under the model's own distribution; then the
    mean of the lowest `share`. Where the model is sure (sigma 0), the token is as likely as it can
    be, and its value is 0.

    Parameters
    ----------
    log_probs, means, sds : n arrays each.
    share : as of `min_k`.

    Returns and raises as `min_k`; without a unit.
    """
    x, mu, sigma = _checked(log_probs=log_probs, means=means, sds=sds)
    lowest = _lowest(share)

    def score(own: Float, mean: Float, sd: Float) -> float:
        sure = sd <= 0
        return lowest(np.where(sure, 0.0, (own - mean) / np.where(sure, 1.0, sd)))

    return _each(score, x, mu, sigma)


def error_zone(log_probs: Ragged, base_log_probs: Ragged, top: Ragged) -> Float:
    """Score texts by which way fine-tuning moved the tokens that the model gets wrong: EZ-MIA.

    Ilic, Stanojevic and Cvejoski 2026 (arXiv:2601.12104): over the places where the token is not
    the model's likeliest, P is the sum of the rises of the log-probability over the base's and N
    that of the falls, and the score is P / N. Here it is P / (P + N), which orders texts the same
    way and is finite. A text that fell nowhere, or that the model gets right throughout, is the
    surest of members in the paper: 1. Where nothing moved at all, neither way: 1/2. (The paper is
    known here by its abstract and by what others implemented of it, who also leave out the first
    place and texts of one error; it does not say so, and nothing is left out here.)

    Parameters
    ----------
    log_probs, base_log_probs : n arrays of log-probabilities.
    top : n arrays of whether the token is the model's likeliest.

    Returns and raises as `base_ratio`; 0 to 1.

    >>> error_zone([[-1.0, -5.0, -2.0]], [[-1.0, -4.0, -5.0]], [[True, False, False]]).tolist()
    [0.75]
    """
    x, base, right = _checked(log_probs=log_probs, base_log_probs=base_log_probs, top=top)

    def score(own: Float, other: Float, hit: Float) -> float:
        wrong = hit == 0
        if not wrong.any():
            return 1.0
        moved = (own - other)[wrong]
        up, all_moved = float(moved[moved > 0].sum()), float(np.abs(moved).sum())
        return up / all_moved if all_moved > 0 else 0.5

    return _each(score, x, base, right)


def window_comparison(
    log_probs: Ragged, base_log_probs: Ragged, windows: Sequence[int] = WINDOWS
) -> Float:
    """Score texts by the share of windows that the model finds likelier than its base: WBC.

    Chen et al. 2026 (USENIX Security; arXiv:2601.02751): for each window size the share of a text's
    windows whose summed log-probability is above the base's, and of these shares the mean over ten
    sizes between 2 and 40 in equal ratios. A window longer than the text is the whole text, as in
    the authors' code by what others report of it. (That code is said to list sizes which its
    equation does not give: 2, 3, 4, 6, 9, 13, 18, 25, 32, 40. The default here is the equation's.)

    Parameters
    ----------
    log_probs, base_log_probs : n arrays of log-probabilities.
    windows : sizes in tokens, 1 or more each.

    Returns and raises as `base_ratio`, for a size below 1 too; 0 to 1.

    >>> window_comparison([[-1.0, -5.0, -2.0]], [[-2.0, -4.5, -5.0]], [1, 2]).tolist()
    [0.8333333333333333]
    """
    x, base = _checked(log_probs=log_probs, base_log_probs=base_log_probs)
    if not len(windows) or min(windows) < 1:
        raise InputError("not window sizes", where="windows", found=list(windows))

    def score(own: Float, other: Float) -> float:
        summed = np.concatenate([[0.0], np.cumsum(own - other)])
        votes = []
        for window in windows:
            size = min(window, len(own))
            votes.append(float((summed[size:] - summed[:-size] > 0).mean()))
        return float(np.mean(votes))

    return _each(score, x, base)


def _lowest(share: float) -> Callable[[Float], float]:
    if not 0 < share <= 1:
        raise InputError("not a share", where="share", found=share, expected="above 0, at most 1")

    def mean(values: Float) -> float:
        some = max(1, int(share * len(values)))
        return float(np.partition(values, some - 1)[:some].mean())

    return mean


def _each(score: Callable[..., float], *columns: Sequence[Float]) -> Float:
    return np.array([score(*rows) for rows in zip(*columns, strict=True)], dtype=np.float64)


def _checked(**columns: Ragged) -> list[list[Float]]:
    """Each column as n arrays of float64, alike in their lengths; `InputError` that names a row."""
    read: list[list[Float]] = []
    first = next(iter(columns))
    for name, rows in columns.items():
        read.append([np.asarray(row, dtype=np.float64) for row in rows])
        if not read[-1] or len(read[-1]) != len(read[0]):
            raise InputError(
                "another number of texts" if read[-1] else "no texts",
                where=name,
                found=len(read[-1]),
                expected=len(read[0]) or "one at least",
            )
        for k, row in enumerate(read[-1]):
            where = f"{name}, text {k + 1}"
            if row.ndim != 1 or row.shape != read[0][k].shape or not len(row):
                raise InputError(
                    "no tokens" if not row.size else "another number of tokens",
                    where=where,
                    found=f"shape {row.shape}",
                    expected="a number each" if name == first else f"as {first} has",
                )
            if not np.isfinite(row).all():
                raise InputError("not a finite number", where=where)
    return read
