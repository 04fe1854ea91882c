"""One loss an example from a model's logits, whatever the task."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fairlora.errors import InputError

IGNORED = -100  # Hugging Face's label of a token that no loss is taken of


class RowLosses(NamedTuple):
    """What an objective and a meter need of a batch."""

    losses: Tensor  # (N,) with gradient
    hits: Tensor  # (N,) right or wrong; of texts the share of the tokens that were right


def row_losses(
    logits: Tensor, labels: Tensor, *, causal: bool = False, smoothing: float = 0.0
) -> RowLosses:
    """Cross-entropy of each example.

    Parameters
    ----------
    logits : (N, classes), or (N, T, vocabulary) of tokens.
    labels : (N,) classes, `IGNORED` for a row without one (its loss is 0); or (N, T) tokens with
        `IGNORED` where no loss is taken. An example's loss is then the mean over its tokens that
        count; one without any has a loss of 0.
    causal : the logits at a place are of the next token.
    smoothing : label smoothing.

    Raises `InputError` for labels that are no classes.
    """
    if labels.is_floating_point() or labels.ndim != logits.ndim - 1:
        raise InputError(
            "the labels are not one class an example",
            where="labels",
            found=f"{tuple(labels.shape)} {labels.dtype} for logits {tuple(logits.shape)}",
            expected="integers (N,), or (N, T) where tokens are predicted",
        )
    if logits.dtype != torch.float64:
        logits = logits.float()
    if labels.ndim == 1:
        try:
            losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        except IndexError:  # on an accelerator the look would make every step wait for the device
            raise InputError(
                "a label that is no class of the model",
                where="labels",
                found=int(labels.max() if labels.max() >= logits.shape[1] else labels.min()),
                expected=f"0 to {logits.shape[1] - 1}, or {IGNORED} for a row that counts nowhere",
            ) from None
        return RowLosses(losses, (logits.detach().argmax(1) == labels).float())
    if causal:
        logits, labels = logits[:, :-1], labels[:, 1:]
    counted = labels != IGNORED
    tokens = F.cross_entropy(
        logits.flatten(0, 1),
        labels.flatten(),
        reduction="none",
        ignore_index=IGNORED,
        label_smoothing=smoothing,
    ).view(labels.shape)
    several = counted.sum(1).clamp(min=1)
    right = (logits.detach().argmax(2) == labels) & counted
    return RowLosses(tokens.sum(1) / several, right.sum(1) / several)


def predicts_next_token(model: Any) -> bool:
    """Whether the model's logits at a place are of the next token."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    while hasattr(model, "get_base_model"):  # behind a PEFT adapter
        model = model.get_base_model()
    return type(model).__name__ in set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())


class LossWatch:
    """Notices the first step whose loss is not a number, and in which groups it was.

    On a CPU that is said at once. On an accelerator the look would make every step wait for the
    device: there what was seen stays on it until `found` is asked, when something is logged.
    `at_once` chooses; None goes by the device.
    """

    def __init__(self, num_groups: int, *, at_once: bool | None = None) -> None:
        self.num_groups = num_groups
        self.at_once = at_once
        self._step: Tensor | None = None
        self._groups: Tensor | None = None

    def see(self, loss: Tensor, losses: Tensor, groups: Tensor | None, step: int) -> bool:
        """Look at a batch's objective, losses (N,) and groups; True if it is known to be bad.

        Parameters
        ----------
        loss : the objective, one number.
        losses : (N,) losses of the rows.
        groups : (N,) groups' numbers, -1 for none; or (N, G) zeros and ones; or None.
        step : the number of the step, which `found` gives back.
        """
        bad = ~torch.isfinite(losses.detach())
        here = bad.any() | ~torch.isfinite(loss.detach())
        look = loss.device.type == "cpu" if self.at_once is None else self.at_once
        if look and not bool(here):
            return False
        if self._step is None or self._groups is None:
            self._step = torch.full_like(here, -1, dtype=torch.long)
            self._groups = torch.zeros(self.num_groups, dtype=torch.bool, device=bad.device)
        first = here & (self._step < 0)
        self._step = torch.where(first, step, self._step)
        self._groups = torch.where(first, self._flags(bad, groups), self._groups)
        return look

    def _flags(self, bad: Tensor, groups: Tensor | None) -> Tensor:
        """(G,) which groups have a bad row."""
        if groups is None:
            return torch.zeros(self.num_groups, dtype=torch.bool, device=bad.device)
        if groups.ndim == 2:
            return ((groups > 0) & bad[:, None]).any(0)
        place = torch.where(groups >= 0, groups, self.num_groups)
        flags = torch.zeros(self.num_groups + 1, device=bad.device)
        return flags.index_add(0, place, bad.float())[: self.num_groups] > 0

    def found(self) -> tuple[int, list[int]] | None:
        """The first bad step and the groups' numbers, or None."""
        if self._step is None or self._groups is None or int(self._step) < 0:
            return None
        return int(self._step), torch.nonzero(self._groups).flatten().tolist()
