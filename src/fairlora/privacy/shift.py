"""Do members and non-members differ before anything was trained? Then no attack shows membership.

A classifier two-sample test (Lopez-Paz and Oquab 2017, ICLR) on what has nothing to do with
training: the scores of the base model, and how long the texts are. Where they tell members from
non-members, the two come from different sources, and an attack may tell the sources apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.comparison.verdict_parts import p_text
from fairlora.metrics.inference.design import seed_of
from fairlora.privacy.attack_inputs import Bool, Float, mask
from fairlora.privacy.content import Shift

# Fewer rows of either side say nothing of a difference.
FEWEST = 10
# Below this p-value the two sides differ.
ALPHA = 0.05
_FOLDS, _RIDGE = 5, 1e-3


def source_shift(
    features: Any,
    member: Any,
    read: str,
    *,
    clusters: Any = None,
    permutations: int = 500,
    seed: int = 0,
) -> Shift:
    """Test whether features that no training touched tell members from non-members.

    The classifier is a least-squares fit of membership on the ranks of the features and their
    squares, cross-fitted over five folds; its statistic is the AUC of the rows left out. Beside it
    stands how far the AUC of each feature alone is from one half, which sees a shift of one of them
    sooner. The p-value is that of the largest of them in units of its own spread over draws of the
    members (Westfall and Young 1993): exact where rows are exchangeable.

    Parameters
    ----------
    features : (n, p) numbers of each row, of the base model and of the text.
    member : (n,) whether the model trained on each.
    read : what the features are, in words.
    clusters : (n,) what was drawn together and is in training together or not at all; it is kept
        together in folds and permutations.
    permutations : of the members.
    seed : of the folds and the permutations.

    Returns
    -------
    A `Shift`, with a reason instead of numbers where a side has fewer than ten rows.

    Raises `InputError` for features that are missing or infinite, and for other lengths.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise InputError("not finite numbers a row", where="features", found=f"shape {x.shape}")
    inside = mask(member, "member", (len(x),))
    if min(int(inside.sum()), int((~inside).sum())) < FEWEST:
        return Shift(read=read, auc=None, p=None, reason=f"fewer than {FEWEST} rows of a side")
    from scipy.stats import rankdata

    rng = seed_of(seed, "shift")
    ranks = (np.apply_along_axis(rankdata, 0, x) - 0.5) / len(x) - 0.5
    design = np.hstack([np.ones((len(x), 1)), ranks, ranks**2 - 1 / 12])
    unit = np.arange(len(x))
    if clusters is not None:
        unit = np.unique(np.asarray(clusters), return_inverse=True)[1]
    trained = np.zeros(int(unit.max()) + 1, dtype=np.bool_)
    trained[unit] = inside
    draws = [inside, *(rng.permutation(trained)[unit] for _ in range(permutations))]
    drawn = np.stack([own for own in draws if 0 < own.sum() < len(own)], axis=1)
    fold = rng.permutation(len(trained))[unit] % _FOLDS
    fitted = _aucs(_cross_fitted(design, drawn.astype(np.float64), fold), drawn)
    alone = [np.abs(_aucs(np.tile(own[:, None], drawn.shape[1]), drawn) - 0.5) for own in ranks.T]
    each = np.stack([fitted, *alone]).round(10)
    spread = each.std(axis=1, keepdims=True)
    away = (each - each.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    largest = away.max(axis=0)
    p = float((largest >= largest[0] - 1e-9).mean())
    return Shift(read=read, auc=float(fitted[0]), p=p)


def _cross_fitted(design: Float, drawn: Float, fold: NDArray[np.intp]) -> Float:
    """(n, B) predictions of each drawn membership from rows that its fit did not see."""
    out = np.empty_like(drawn)
    ridge = _RIDGE * np.eye(design.shape[1])
    for k in np.unique(fold):
        rest = fold != k
        some, wanted = design[rest], drawn[rest]
        # The share of members differs between folds by chance: each has its own taken off, or the
        # rows left out would lie the other way.
        wanted = wanted - wanted.mean(axis=0)
        weights = np.linalg.solve(some.T @ some / len(some) + ridge, some.T @ wanted / len(some))
        predicted = design[~rest] @ weights
        out[~rest] = predicted - predicted.mean(axis=0)
    # Features that say nothing predict one number, but for its last digits.
    return np.asarray(out.round(10))


def _aucs(scores: Float, member: Bool | NDArray[Any]) -> Float:
    """(B,) AUC of each column of scores for its own membership."""
    from scipy.stats import rankdata

    ranks = np.apply_along_axis(rankdata, 0, scores)
    m = member.sum(axis=0)
    above = (ranks * member).sum(axis=0) - m * (m + 1) / 2
    return np.asarray(above / (m * (len(member) - m)))


def differs(shift: Shift | None) -> bool:
    """Whether members and non-members were shown to differ without the model that is attacked."""
    return shift is not None and shift.p is not None and shift.p < ALPHA


def shift_lines(shift: Shift | None) -> list[str]:
    """The line about the sources of members and non-members; none where nothing was tested."""
    if shift is None:
        return []
    if shift.p is None or shift.auc is None:
        return [
            "Whether members and non-members differ without the model is not known: "
            f"{shift.reason}."
        ]
    found = f"AUC of a classifier {100 * shift.auc:.1f}, {p_words(shift.p)}, from {shift.read}"
    if differs(shift):
        return [
            "Members and non-members can be told apart without the fine-tuned model "
            f"({found}): they differ in source, and the attacks' numbers are not membership alone."
        ]
    return [
        "Members and non-members are not shown to differ without the fine-tuned model "
        f"({found}), as attacks on membership need it."
    ]


def p_words(p: float) -> str:
    """A p-value in a sentence."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
