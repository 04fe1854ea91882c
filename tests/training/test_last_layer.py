"""Last-layer retraining: the minimum of the penalised loss, balance, and what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.training.last_layer import (
    balanced_rows,
    last_linear,
    retrain_last_layer,
)


def test_every_cell_has_as_many_rows() -> None:
    cells = np.array([0] * 50 + [1] * 7 + [4] * 20)
    rows = balanced_rows(cells, 7, np.random.default_rng(0))
    assert np.bincount(cells[rows]).tolist() == [7, 7, 0, 0, 7]
    assert len(set(rows.tolist())) == 21


class Model(nn.Module):
    """Passes two features through; its head follows the one that misleads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Identity()
        self.classifier = nn.Linear(2, 2)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
            self.classifier.bias.zero_()

    def forward(self, pixel_values: Tensor) -> Any:
        return self.classifier(self.body(pixel_values))


def spurious(n: int, agree: float, seed: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Feature 0 follows the label with noise; feature 1 follows the place without."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    places = np.where(rng.random(n) < agree, labels, 1 - labels)
    x = np.stack([labels + 0.4 * rng.normal(size=n), places + 0.1 * rng.normal(size=n)], axis=1)
    return torch.from_numpy(x).float(), labels, places


def collate(items: list[Tensor]) -> dict[str, Tensor]:
    return {"pixel_values": torch.stack(items)}


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("penalty", [0.1, 5.0])
def test_the_weights_are_at_the_minimum_of_the_penalised_loss(classes: int, penalty: float) -> None:
    """Cross-entropy summed over rows, and the penalty times half of all squared weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6))
    y = (x[:, :classes] + rng.normal(size=(300, classes))).argmax(axis=1)
    x, model = (x - x.mean(0)) / x.std(0), Model()
    layer = model.classifier = nn.Linear(6, classes).double()
    retrain_last_layer(
        model,
        ["classifier"],
        list(torch.from_numpy(x)),
        y,
        np.zeros(300, dtype=np.int64),
        collate,
        subsets=1,
        penalty=penalty,
    )
    logits = torch.from_numpy(x) @ layer.weight.T + layer.bias
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(y), reduction="sum")
    (loss + penalty / 2 * layer.weight.square().sum()).backward()
    for parameter in (layer.weight, layer.bias):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-3


def test_the_worst_group_gets_better() -> None:
    model = Model()
    x, labels, places = spurious(2000, 0.95, 0)

    def worst() -> float:
        test_x, test_y, test_place = spurious(2000, 0.5, 1)
        hits = (model(test_x).argmax(1).numpy() == test_y).astype(float)
        return min(hits[(test_y == y) & (test_place == p)].mean() for y in (0, 1) for p in (0, 1))

    before = worst()
    done = retrain_last_layer(
        model, ["classifier"], list(x), labels, labels * 2 + places, collate, subsets=5
    )
    assert before < 0.1
    assert worst() > 0.8
    assert done.cells == 4
    assert done.subsets == 5
    assert done.rows_per_cell == np.bincount(labels * 2 + places).min()
    assert not model.classifier.weight.isnan().any()


def test_a_seed_gives_the_same_weights() -> None:
    x, labels, places = spurious(300, 0.8, 0)
    found = []
    for seed in (0, 0, 1):
        model = Model()
        retrain_last_layer(
            model, ["classifier"], list(x), labels, labels * 2 + places, collate, seed=seed
        )
        found.append(model.classifier.weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_head_that_is_trained_is_found_behind_an_adapter() -> None:
    model = nn.ModuleDict(
        {
            "classifier": nn.ModuleDict(
                {"original_module": nn.Linear(2, 2), "modules_to_save": nn.Linear(2, 2)}
            )
        }
    )
    assert last_linear(model, ["classifier"]) is model["classifier"]["modules_to_save"]  # type: ignore[index]


def test_says_what_is_missing() -> None:
    x, labels, _ = spurious(20, 0.5, 0)
    with pytest.raises(InputError, match="a class has no row"):
        retrain_last_layer(
            Model(), ["classifier"], list(x), np.zeros(20, dtype=np.int64), labels, collate
        )
    with pytest.raises(InputError, match="no linear layer"):
        last_linear(Model(), ["score"])
