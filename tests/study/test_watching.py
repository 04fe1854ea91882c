"""What a run says of its progress: where in an epoch it is, also while it validates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fairlora.study.runs.progress import Progress
from fairlora.study.tasks import base


def test_training_says_where_in_its_epochs_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1, 100))
    monkeypatch.setattr(base.time, "monotonic", lambda: float(next(clock)))
    told: list[Progress] = []
    watching: Any = base._Watching(told.append, "predicting", 4, "accuracy")
    state = SimpleNamespace(global_step=5, max_steps=20, epoch=0.5, num_train_epochs=2)
    watching.on_step_end(None, state, None)
    watching.on_prediction_step(None, state, None)
    watching.on_evaluate(None, state, None, metrics={"eval_accuracy": 0.75})
    watching.on_train_end(None, state, None)
    watching.on_prediction_step(None, state, None)
    assert told == [
        Progress("training", 5, 20, "", "epoch 0.50 of 2"),
        Progress("training", 5, 20, "", "epoch 0.50 of 2, validating, batch 1"),
        Progress("training", 5, 20, "epoch 0.5: validation accuracy 0.7500", "epoch 0.50 of 2"),
        Progress("predicting", 1, 4),
    ]
