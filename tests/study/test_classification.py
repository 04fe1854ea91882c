"""From a spec to a trainer: every source of chance on its own, settings where they belong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fairlora.errors import InputError
from fairlora.objectives import ERM, LossVariance
from fairlora.study import parse_spec
from fairlora.study.runs.prepare import prepare
from fairlora.study.tasks.classification import Classification

MakeBuilt = Callable[..., Classification]


@pytest.fixture
def built(settings: Callable[..., dict[str, Any]], tmp_path: Path) -> MakeBuilt:
    def make(*overrides: str) -> Classification:
        prepared = prepare(parse_spec(settings(), overrides))
        return Classification(prepared.spec, prepared.examples, tmp_path)

    return make


def head_of(one: Classification) -> torch.Tensor:
    weight: torch.Tensor = one.classifier.model.classifier.weight
    return weight


def test_methods_of_one_seed_start_from_one_head_and_one_order(built: MakeBuilt) -> None:
    linear, full = built("adapter.kind=linear"), built("adapter.kind=full")
    other = built("adapter.kind=full", "seed=1")
    assert torch.equal(head_of(linear), head_of(full))
    assert not torch.equal(head_of(other), head_of(full))
    for name in ("seed", "data_seed"):
        own = getattr(full.trainer.args, name)
        assert getattr(linear.trainer.args, name) == own
        assert getattr(other.trainer.args, name) != own
    assert full.trainer.args.seed != full.trainer.args.data_seed


def test_training_pictures_are_flipped_unless_told_and_others_never(built: MakeBuilt) -> None:
    one, other = built(), built("seed=1")
    training: Any = one.trainer.train_dataset
    assert training.flip_seed is not None
    assert training.flip_seed != other.trainer.train_dataset.flip_seed  # type: ignore[union-attr]
    assert all(part.flip_seed is None for part in one.parts.values())
    still: Any = built("training.flip=false").trainer.train_dataset
    assert still.flip_seed is None


def test_the_objective_and_its_groups_are_the_specs(built: MakeBuilt) -> None:
    plain = built().trainer
    assert isinstance(plain.objective, ERM)
    assert plain.group_names == ("female", "male")
    fair = built(
        "objective.name=loss-variance", "objective.strength=3", "objective.groups=skin_tone"
    ).trainer
    assert isinstance(fair.objective, LossVariance)
    assert fair.objective.strength == 3
    assert fair.group_column == "skin_tone"
    assert len(fair.group_names) == 6
    none = built("objective.name=loss-variance", "objective.strength=0").trainer
    assert isinstance(none.objective, ERM)


def test_settings_reach_the_trainer_and_arguments_have_the_last_word(built: MakeBuilt) -> None:
    arguments = built("training.batch_size=5", "training.gradient_accumulation=3").trainer.args
    assert arguments.per_device_train_batch_size == 5
    assert arguments.gradient_accumulation_steps == 3
    assert arguments.lr_scheduler_type == "cosine"
    assert arguments.load_best_model_at_end
    assert arguments.metric_for_best_model == "accuracy"
    loss = built("training.select=loss").trainer.args
    assert loss.greater_is_better is False
    last = built("training.select=last").trainer.args
    assert not last.load_best_model_at_end
    said = built("training.arguments={max_grad_norm: 7, learning_rate: 0.5}").trainer.args
    assert said.max_grad_norm == 7
    assert said.learning_rate == 0.5


def test_arguments_that_hugging_face_does_not_know_are_named(built: MakeBuilt) -> None:
    with pytest.raises(InputError, match=r"training: .*no_such_argument"):
        built("training.arguments={no_such_argument: 1}")
    with pytest.raises(InputError, match=r"training: .*sawtooth"):
        built("training.schedule=sawtooth")


def test_adalora_moves_its_ranks_while_it_trains(settings: Any, tmp_path: Path) -> None:
    """PEFT must be told of every step, and how many there will be."""
    spec = parse_spec(
        settings(
            adapter={"kind": "adalora", "rank": 2, "fields": {"tinit": 1, "tfinal": 1}},
            training={"epochs": 2},
        )
    )
    cell = prepare(spec)
    built = Classification(cell.spec, cell.examples, tmp_path)
    assert built.trainer.model.peft_config["default"].total_step == 6
    built.trainer.train()
    # Which singular values are kept, decided by their gradients.
    assert built.trainer.model.peft_config["default"].rank_pattern


def test_retraining_the_last_layer_changes_the_head_alone(settings: Any, tmp_path: Path) -> None:
    spec = parse_spec(settings(adapter={"rank": 2}, last_layer={"groups": ["skin_tone"]}))
    assert spec.method == "LoRA + last layer"
    cell = prepare(spec)
    built = Classification(cell.spec, cell.examples, tmp_path)
    before = {k: v.clone() for k, v in built.trainer.model.state_dict().items()}
    done = built.retrain_last_layer()
    assert done is not None
    assert done.cells == 12
    changed = {
        k for k, v in built.trainer.model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert {".".join(k.split(".")[-4:]) for k in changed} == {
        "classifier.modules_to_save.default.weight",
        "classifier.modules_to_save.default.bias",
    }


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_predictions_of_a_bfloat16_run_have_float32_logits(built: MakeBuilt, kind: str) -> None:
    one = built(f"adapter.kind={kind}", "training.bf16=true", "training.max_steps=1")
    one.train(None)
    logits = torch.as_tensor(one.trainer.predict(one.parts["test"]).predictions)
    assert logits.dtype == torch.float32
    assert (logits != logits.bfloat16().float()).any()


def test_trackers_are_told_the_audit_of_each_evaluation(built: MakeBuilt) -> None:
    assert built().trainer.compute_metrics is None
    trainer = built("training.report_to=[tensorboard]", "audit.positive=female").trainer
    said = trainer.evaluate()
    last: Any = trainer.compute_metrics.last  # type: ignore[union-attr]
    assert last["positive"] == "female"
    tones = last["by_group"]["skin_tone"]
    for tone in ("dark", "light"):
        assert said[f"eval_skin_tone/{tone}/accuracy"] == tones[tone]["accuracy"]["value"]
    page = Path(trainer.args.output_dir) / "audit" / "audit.html"
    assert "skin_tone" in page.read_text(encoding="utf-8")
