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

from fairlora.errors import InputError, optional_module
from fairlora.models.heads import in_head
from fairlora.training.frozen import FROZEN, FrozenPart


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
    frozen: FrozenPart | None = None,
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
    frozen : the part whose answers batches may have in the place of pictures.
    penalty : of the squared weights of standardised features, as of `logistic_regression`.

    Raises `InputError` if a class has no row, the head has no linear last layer, or scikit-learn is
    not installed.
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
        model, layer, dataset, collate, forward_arguments or {}, batch_size, device, frozen
    )
    centre, scale = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    standard = ((features - centre) / scale).numpy()
    rng = np.random.default_rng(seed)
    size = int(np.bincount(cells)[np.unique(cells)].min())
    weight = torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64)
    bias = torch.zeros(layer.out_features, dtype=torch.float64)
    fit = logistic_regression(layer.out_features, penalty)
    for _ in range(subsets):
        rows = balanced_rows(cells, size, rng)
        fit.fit(standard[rows], labels[rows])
        own, constant = torch.from_numpy(fit.coef_), torch.from_numpy(fit.intercept_)
        if layer.out_features == 2:
            own, constant = torch.cat([-own, own]) / 2, torch.cat([-constant, constant]) / 2
        weight += own / subsets
        bias += constant / subsets
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
    frozen: FrozenPart | None = None,
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
    frozen : the part whose answers batches may have in the place of pictures.
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
                    if k == FROZEN or not (k in ("labels", "row") or k.startswith("fairlora_"))
                }
                inputs.update(forward_arguments)
                taken.clear()
                model(**inputs) if frozen is None else frozen.call(model, inputs)
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


def logistic_regression(classes: int, penalty: float) -> Any:
    """scikit-learn's `LogisticRegression`, not yet fitted, with a penalty that classes share alike.

    Parameters
    ----------
    classes : how many there are.
    penalty : of the squared weights of every class; biases have none.

    Raises `InputError` where scikit-learn is not installed.
    """
    models = optional_module("sklearn.linear_model")
    # Of two classes scikit-learn fits the difference of their weights, whose square is twice
    # the sum of the two squares.
    share = 2 if classes == 2 else 1
    return models.LogisticRegression(C=share / penalty, tol=1e-6, max_iter=2000)
