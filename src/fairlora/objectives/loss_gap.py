"""The mean loss plus the largest difference between two groups' mean losses."""

from __future__ import annotations

import torch
from torch import Tensor

from fairlora.objectives.penalty import Penalised, Penalty


class LossGap(Penalised):
    r"""Mean loss plus the gap between the worst and the best group's (after Gu et al. 2025).

    .. math:: J = L + \lambda (\max_g L_g - \min_g L_g)

    over the groups present. MaxAccGap ("Fairness-Aware Fine-Tuning of Vision-Language Models for
    Medical Glaucoma Diagnosis", arXiv 2512.03477) is the largest difference between the groups'
    *accuracies*. An accuracy has no gradient; here each group's mean cross-entropy takes its place,
    which the other objectives are of too: it goes to 0 where the accuracy goes to 1, and
    exp(-L_g) is the geometric mean of the probability given to the true class, which bounds the
    accuracy's smooth version, the mean of that probability, from below. The authors' own smooth
    accuracy was not at hand; where groups' losses are equal their accuracies need not be.

    An example of the worst group weighs 1/N + strength / n_g, one of the best 1/N - strength / n_g,
    all others 1/N; groups that are equally bad (or good) share the slope. With two groups of one
    size each, a strength above 1/2 therefore trains against the better one: see `negative_share`.

    Parameters
    ----------
    strength : lambda, >= 0; 0 is plain training.
    num_groups : size of the group vocabulary; None takes what the batch holds.

    >>> import torch
    >>> losses = torch.tensor([1.0, 1.0, 3.0, 2.0], requires_grad=True)
    >>> value = LossGap(strength=0.5)(losses, torch.tensor([0, 0, 1, 2]))
    >>> value.item()  # 7/4 + 0.5 * (3 - 1)
    2.75
    >>> value.backward(); losses.grad
    tensor([0.0000, 0.0000, 0.7500, 0.2500])
    """

    name = "loss-gap"

    def _penalty(self, mean: Tensor, present: Tensor) -> Penalty:
        worst = torch.where(present, mean, -torch.inf).amax()
        best = torch.where(present, mean, torch.inf).amin()
        any_present = present.any()
        at_worst, at_best = ((present & (mean == end)).to(mean.dtype) for end in (worst, best))
        slope = at_worst / at_worst.sum().clamp(min=1) - at_best / at_best.sum().clamp(min=1)
        gap = torch.where(any_present, worst - best, 0.0)
        return Penalty(self.strength * gap, self.strength * slope)

    def __repr__(self) -> str:
        return f"LossGap(strength={self.strength:g})"
