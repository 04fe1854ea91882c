"""Last-layer retraining: fit the head anew on a subset where every group counts the same.

Kirichenko et al. (2023, "Last Layer Re-Training is Sufficient for Robustness to Spurious
Correlations", deep feature reweighting): what a model trained in the ordinary way knows suffices
for the groups it fails; its last layer weighs it wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fairlora.errors import InputError
from fairlora.models.heads import in_head


class Retrained(NamedTuple):
    """What `retrain_last_layer` did."""

    rows_per_cell: int
    cells: int
    subsets: int


def retrain_last_layer(
    model: nn.Module,
    head: Sequence[str],
    dataset: Dataset[Any],
    labels: NDArray[np.int64],
    cells: NDArray[np.int64],
    collate: Callable[[Any], dict[str, Tensor]],
    *,
    forward_arguments: dict[str, Any] | None = None,
    subsets: int = 10,
    penalty: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    device: torch.device | None = None,
) -> Retrained:
    """Replace the weights of the model's last layer, in place.

    Each subset has the same number of rows of every cell (label and groups together), that of the
    smallest; the weights are the mean over the subsets' logistic regressions.

    Parameters
    ----------
    model : a classifier, with or without an adapter; `head` names the head's modules.
    dataset : n items for `collate`; labels (n,) and cells (n,) are theirs.
    penalty : of the squared weights of standardised features: 1 / C of scikit-learn's
        LogisticRegression.

    Raises `InputError` if a class has no row, or the head has no linear last layer.
    """
    layer = last_linear(model, head)
    if len(np.unique(labels)) < layer.out_features:
        raise InputError(
            "a class has no row to retrain the last layer on",
            where="last_layer",
            found=f"{len(np.unique(labels))} classes",
            expected=f"{layer.out_features}",
        )
    features = features_of(
        model, layer, dataset, collate, forward_arguments or {}, batch_size, device
    )
    centre, scale = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    features = (features - centre) / scale
    target = torch.from_numpy(labels)
    rng = np.random.default_rng(seed)
    size = int(np.bincount(cells)[np.unique(cells)].min())
    weight = torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64)
    bias = torch.zeros(layer.out_features, dtype=torch.float64)
    for _ in range(subsets):
        rows = torch.from_numpy(balanced_rows(cells, size, rng))
        fitted = logistic_regression(features[rows], target[rows], layer.out_features, penalty)
        weight += fitted[0] / subsets
        bias += fitted[1] / subsets
    with torch.no_grad():
        layer.weight.copy_(weight / scale)
        if layer.bias is not None:
            layer.bias.copy_(bias - weight @ (centre / scale))
    return Retrained(size, len(np.unique(cells)), subsets)


def last_linear(model: nn.Module, head: Sequence[str]) -> nn.Linear:
    """The trained linear layer of the head that is called last."""
    found = None
    for name, module in model.named_modules():
        # PEFT keeps the head that it does not train beside the one that it does.
        own = in_head(name, head) and "original_module" not in name.split(".")
        if own and isinstance(module, nn.Linear):
            found = module
    if found is None:
        raise InputError(
            "the head has no linear layer", where="last_layer", found=", ".join(head) or "no head"
        )
    return found


def features_of(
    model: nn.Module,
    layer: nn.Linear,
    dataset: Dataset[Any],
    collate: Callable[[Any], dict[str, Tensor]],
    forward_arguments: dict[str, Any],
    batch_size: int = 64,
    device: torch.device | None = None,
) -> Tensor:
    """(n, width) float64 what goes into a layer, of every row, without dropout.

    Parameters
    ----------
    model : put back into its mode afterwards.
    layer : a layer of the model; of several tokens a row, the last one's input is taken.
    dataset : n items for `collate`.
    collate : makes a batch of items; labels, ``row`` and fairlora's own columns are taken out.
    forward_arguments : passed to every call of the model.
    batch_size : rows of one call.
    device : where batches are moved; None is where the model's weights are.
    """
    device = device or next(model.parameters()).device
    seen: list[Tensor] = []
    taken: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0].detach()))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in DataLoader(dataset, batch_size, collate_fn=collate):
                inputs = {
                    k: v.to(device)
                    for k, v in batch.items()
                    if k not in ("labels", "row") and not k.startswith("fairlora_")
                }
                taken.clear()
                model(**inputs, **forward_arguments)
                value = taken[-1]
                if value.ndim == 3:
                    # A language model's head looks at every token; its last one decides.
                    last = inputs["attention_mask"].sum(1) - 1
                    value = value[torch.arange(len(value), device=device), last]
                seen.append(value.double().cpu())
    finally:
        hook.remove()
        model.train(was_training)
    return torch.cat(seen)


def balanced_rows(
    cells: NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`size` rows of every cell, drawn without replacement.

    Parameters
    ----------
    cells : (n,) the cell of each row.
    size : at most the number of rows of the smallest cell.
    rng : what the rows are drawn by.

    Returns
    -------
    (number of cells * size,) row numbers, in ascending order.
    """
    chosen = [
        rng.choice(np.flatnonzero(cells == cell), size, replace=False) for cell in np.unique(cells)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def logistic_regression(
    features: Tensor, labels: Tensor, classes: int, penalty: float
) -> tuple[Tensor, Tensor]:
    """Weights (classes, width) and biases of the penalised maximum likelihood, by L-BFGS.

    Parameters
    ----------
    features : (n, width) float64.
    labels : (n,) numbers of the classes.
    classes : how many there are.
    penalty : of the squared weights: 1 / C of scikit-learn's LogisticRegression. Biases have none.
    """
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=500,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = features @ weight.T + bias
        fit = nn.functional.cross_entropy(logits, labels)
        value = fit + penalty / (2 * len(labels)) * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
