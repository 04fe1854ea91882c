"""Settings of the Trainer with FairTrainer: kept as they are, or refused in one line."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from accelerate import DistributedType
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora import TrainerMetrics
from fairlora.errors import InputError
from fairlora.objectives import LossVariance
from fairlora.training import FairTrainer
from fairlora.training.checks import check_clipping, check_sharding

NAMES = ["north", "south", "west"]


def test_predicting_what_has_no_labels_works(toy: Any) -> None:
    """The Trainer then calls the model itself, which knows neither groups nor rows."""
    rows = toy.rows(10, region=[NAMES[k % 3] for k in range(10)])
    trainer = toy.trainer(rows, objective=LossVariance(1.0))
    unlabelled = [
        {k: v for k, v in rows[n].items() if k != "labels"} | {"row": n} for n in range(10)
    ]
    found = trainer.predict(unlabelled)
    expected = toy.model().linear(rows.x).detach().numpy()
    assert found.predictions == pytest.approx(expected)
    assert found.label_ids is None
    labelled = trainer.predict(rows)
    assert labelled.predictions == pytest.approx(expected)
    assert labelled.metrics["test_loss"] > 0


def test_training_on_what_has_no_labels_is_refused(toy: Any) -> None:
    rows = toy.rows(4, region=NAMES + NAMES[:1])
    unlabelled = [{k: v for k, v in rows[n].items() if k != "labels"} for n in range(4)]
    with pytest.raises(InputError, match="labels: a batch without labels"):
        toy.trainer(unlabelled, objective=LossVariance(1.0)).train()


def test_with_label_smoothing_the_users_metrics_still_get_the_groups(toy: Any) -> None:
    rows = toy.rows(42, region=[NAMES[k % 3] for k in range(42)])
    trainer = toy.trainer(
        rows,
        eval_dataset=rows,
        objective=LossVariance(1.0),
        compute_metrics=TrainerMetrics(columns=["region"], positive=1),
        arguments={"label_smoothing_factor": 0.2, "max_steps": 1, "learning_rate": 0.0},
    )
    trainer.train()
    logits = toy.model().linear(rows.x).detach()
    labels = torch.arange(42) % 2
    smooth = F.cross_entropy(logits[:8], labels[:8], reduction="none", label_smoothing=0.2)
    line = trainer.state.log_history[0]
    for g, name in enumerate(NAMES):
        assert line[f"loss/{name}"] == pytest.approx(smooth[g::3].mean().item(), rel=1e-5)
    found = trainer.evaluate()
    right = (logits.argmax(1) == labels).double()
    for g, name in enumerate(NAMES):
        expected = right[g::3].mean().item()
        assert found[f"eval_region/{name}/accuracy"] == pytest.approx(expected)
    assert found["eval_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_another_loss_function_is_refused(toy: Any) -> None:
    def mine(*_: Any, **__: Any) -> None: ...

    with pytest.raises(InputError, match="compute_loss_func: .*found mine; expected an objective"):
        toy.trainer(toy.rows(4, region=NAMES + NAMES[:1]), compute_loss_func=mine)


@pytest.mark.parametrize(
    ("name", "value"),
    [("packing", True), ("eval_packing", True), ("padding_free", True), ("loss_type", "dft")],
)
def test_settings_that_leave_no_loss_of_an_example_are_refused(
    toy: Any, name: str, value: Any
) -> None:
    arguments = toy.arguments()
    setattr(arguments, name, value)
    with pytest.raises(InputError, match=f"{name}: FairTrainer needs the cross-entropy of each"):
        FairTrainer(toy.model(), arguments, train_dataset=toy.rows(2), objective=LossVariance(0.0))


def test_sharding_with_one_process_is_refused(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the Trainer itself; with several on a CPU it goes on without: see test_distributed."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")  # the arguments set it, and leave it
    rows = toy.rows(4, region=NAMES + NAMES[:1])
    with pytest.raises(ValueError, match="only works in distributed training"):
        toy.trainer(rows, arguments={"fsdp": True})
    toy.trainer(rows)


class Accelerator(NamedTuple):
    num_processes: int
    distributed_type: DistributedType


@pytest.mark.parametrize(
    ("asked", "launched", "processes", "kind", "refused"),
    [
        (True, False, 2, DistributedType.MULTI_CPU, True),
        (True, False, 1, DistributedType.NO, True),
        (False, True, 2, DistributedType.MULTI_GPU, True),
        (False, True, 1, DistributedType.NO, False),
        (True, True, 2, DistributedType.FSDP, False),
        (False, False, 2, DistributedType.MULTI_GPU, False),
    ],
)
def test_sharding_is_done_or_refused(
    monkeypatch: pytest.MonkeyPatch,
    toy: Any,
    asked: bool,
    launched: bool,
    processes: int,
    kind: DistributedType,
    refused: bool,
) -> None:
    arguments = toy.arguments()
    arguments.fsdp = asked
    monkeypatch.setenv("ACCELERATE_USE_FSDP", str(launched).lower())
    if not refused:
        check_sharding(arguments, Accelerator(processes, kind))
        return
    with pytest.raises(InputError, match=f"fsdp: .*found {kind.value}; expected several proc"):
        check_sharding(arguments, Accelerator(processes, kind))


def test_deepspeed_of_which_accelerate_knows_one_process_is_refused(
    monkeypatch: pytest.MonkeyPatch, toy: Any
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    check_sharding(toy.arguments(), Accelerator(2, DistributedType.DEEPSPEED))
    with pytest.raises(InputError, match="deepspeed: .*found 2 processes, .*knows 1"):
        check_sharding(toy.arguments(), Accelerator(1, DistributedType.DEEPSPEED))


@pytest.mark.parametrize(
    ("config", "norm", "refused"),
    [
        (None, 0.0, False),
        ({}, 1.0, False),
        ({"gradient_clipping": 5.0}, 5.0, False),
        ({}, 0.0, True),
    ],
)
def test_clipping_that_deepspeed_would_do_by_itself_is_refused(
    toy: Any, config: dict[str, float] | None, norm: float, refused: bool
) -> None:
    arguments = toy.arguments()
    arguments.max_grad_norm = norm
    if config is not None:
        arguments.hf_deepspeed_config = SimpleNamespace(config=config)
    if not refused:
        check_clipping(arguments)
        return
    with pytest.raises(InputError, match="left out, with max_grad_norm 0; expected auto"):
        check_clipping(arguments)


class _Encoder(nn.Module):
    """A classifier on torch's own encoder, whose fast path reads past an adapter in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.head(self.encoder(pixel_values).mean(1)))


@pytest.mark.parametrize("fast", [True, False])
def test_an_adapter_that_a_fast_path_reads_past_is_said(tmp_path: Path, fast: bool) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["linear1", "linear2"], modules_to_save=["head"])
    model = get_peft_model(_Encoder(), config)
    rows = [
        {"pixel_values": torch.randn(3, 8), "labels": k % 2, "region": NAMES[k % 3]}
        for k in range(12)
    ]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, learning_rate=0.1, report_to="none", use_cpu=True,
        save_strategy="no", remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = FairTrainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer.train()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    said = [str(w.message) for w in caught if "same answers" in str(w.message)]
    assert len(said) == int(fast)
