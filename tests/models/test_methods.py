"""The table of adapters: names, fields, targets, seeds, and one clear line for what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models import (
    ADAPTERS,
    Adapter,
    adapter_kinds,
    after_step,
    attach,
    load_classifier,
    load_finetuned,
    resolve_targets,
    save_finetuned,
)
from fairlora.models.targets import ia3_targets, norm_targets

TinyModel = Callable[[str], Path]
HEAD = ("classifier",)


def loaded(tiny_model: TinyModel, name: str) -> Any:
    kind = "text" if name in ("bert", "distilbert", "roberta", "llama", "mistral") else "image"
    return load_classifier(str(tiny_model(name)), ("no", "yes"), kind=kind)  # type: ignore[arg-type]


def attached(tiny_model: TinyModel, name: str, adapter: Adapter, seed: int = 0) -> Any:
    classifier = loaded(tiny_model, name)
    return attach(classifier.model, adapter, classifier.head, seed=seed)


def test_the_kinds_are_the_table_and_then_pefts_others() -> None:
    kinds = adapter_kinds()
    assert kinds[: len(ADAPTERS)] == ADAPTERS
    assert len(set(kinds)) == len(kinds)
    assert {"full", "linear", "lora", "dora", "ia3", "vera", "prefix_tuning"} <= set(kinds)
    assert "xlora" not in kinds


class Named(nn.Module):
    """Linear layers under the given names, inside one block and with a head."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.block = nn.ModuleDict({name: nn.Linear(2, 2) for name in names})
        self.classifier = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("q_proj", "k_proj", "v_proj", "o_proj"), ("q_proj", "v_proj")),
        (("query", "key", "value"), ("query", "value")),
        (("q_lin", "k_lin", "v_lin"), ("q_lin", "v_lin")),
        (("query_proj", "key_proj", "value_proj"), ("query_proj", "value_proj")),
        (("query_key_value", "dense"), ("query_key_value",)),
    ],
)
def test_query_and_value_are_found_by_the_models_own_names(
    names: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert resolve_targets(Named(*names), None, HEAD) == found


def test_without_query_and_value_the_candidates_are_listed() -> None:
    with pytest.raises(InputError, match=r"adapter\.targets.*expected.*fc1, mixer"):
        resolve_targets(Named("mixer", "fc1"), None, HEAD)
    assert resolve_targets(Named("mixer", "fc1"), ("fc1",)) == ("fc1",)


def test_a_target_of_another_name_is_refused_with_the_candidates() -> None:
    with pytest.raises(InputError, match=r"'query'.*k_proj, q_proj, v_proj"):
        resolve_targets(Named("q_proj", "k_proj", "v_proj"), ("query",), HEAD)


@pytest.mark.parametrize(
    ("name", "attention", "mlp"),
    [
        ("vit", ("k_proj", "v_proj"), "vit.layers.0.mlp.fc2"),
        ("dinov2", ("k_proj", "v_proj"), "dinov2.encoder.layer.0.mlp.fc2"),
        ("swinv2", ("key", "value"), "swinv2.encoder.layers.0.blocks.0.output.dense"),
        ("clip_tower", ("k_proj", "v_proj"), "vision_model.encoder.layers.0.mlp.fc2"),
        ("bert", ("key", "value"), "bert.encoder.layer.0.output.dense"),
        ("distilbert", ("k_lin", "v_lin"), "distilbert.transformer.layer.0.ffn.lin2"),
        ("llama", ("k_proj", "v_proj"), "model.layers.0.mlp.down_proj"),
    ],
)
def test_ia3_scales_keys_values_and_the_mlps_second_layer(
    tiny_model: TinyModel, name: str, attention: tuple[str, str], mlp: str
) -> None:
    classifier = loaded(tiny_model, name)
    every, feedforward = ia3_targets(classifier.model, classifier.head)
    assert every[:2] == attention
    assert every[2:] == feedforward
    assert feedforward == (mlp, mlp.replace("0", "1", 1))
    with pytest.raises(InputError, match="no key, value and MLP"):
        ia3_targets(Named("mixer"), HEAD)


def test_every_norm_outside_the_head_is_found(tiny_model: TinyModel) -> None:
    for name, count in (("vit", 5), ("llama", 5), ("bert", 5), ("swinv2", 7)):
        classifier = loaded(tiny_model, name)
        assert len(norm_targets(classifier.model, classifier.head)) == count, name
    with pytest.raises(InputError, match="no layer norms"):
        norm_targets(Named("q"), HEAD)


@pytest.mark.parametrize(
    ("adapter", "settings"),
    [
        (Adapter("lora", rank=4), {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0}),
        (Adapter("lora", rank=4, alpha=1.5, dropout=0.1), {"lora_alpha": 1.5, "lora_dropout": 0.1}),
        (Adapter("lora", fields={"r": 3, "bias": "lora_only"}), {"r": 3, "bias": "lora_only"}),
        (Adapter("dora", rank=4), {"r": 4, "use_dora": True}),
        (Adapter("rslora", rank=4), {"use_rslora": True}),
        (Adapter("pissa", rank=4), {"init_lora_weights": "pissa"}),
        (Adapter("adalora", rank=4, fields={"total_step": 300}), {"target_r": 4, "init_r": 6}),
        (Adapter("loha", rank=4), {"r": 4, "alpha": 4}),
        (Adapter("loha", dropout=0.1), {"module_dropout": 0.1}),
        (Adapter("oft", rank=4), {"r": 0, "oft_block_size": 32}),
        (Adapter("vera", rank=4), {"r": 4, "projection_prng_key": 7}),
        (Adapter("vera", fields={"projection_prng_key": 1}), {"projection_prng_key": 1}),
        (Adapter("lora", targets=("fc1",)), {"target_modules": {"fc1"}}),
        (
            Adapter("lora", fields={"target_modules": ["fc1", "fc2"]}),
            {"target_modules": {"fc1", "fc2"}},
        ),
        (Adapter("ia3", targets=("v_proj",)), {"feedforward_modules": set()}),
        (
            Adapter("lora", fields={"modules_to_save": ["layernorm"]}),
            {"modules_to_save": ["classifier", "layernorm"]},
        ),
    ],
)
def test_settings_reach_pefts_config(
    tiny_model: TinyModel, adapter: Adapter, settings: dict[str, Any]
) -> None:
    model = attached(tiny_model, "vit", adapter, seed=7)
    config = model.peft_config["default"]
    for name, value in settings.items():
        assert getattr(config, name) == value, name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adapter("lroa"), r"adapter\.kind: unknown adapter.*'lora'\? Known: full, linear"),
        (lambda: Adapter("Prefix-Tuning"), "'prefix_tuning'"),
        (lambda: Adapter("nonsense"), "one of full, linear, lora"),
        (lambda: Adapter("xlora"), "mixes adapters that are trained already"),
        (lambda: Adapter("cpt"), "is for text generation"),
        (lambda: Adapter(rank=-1), r"adapter\.rank"),
        (lambda: Adapter(dropout=1.0), r"adapter\.dropout"),
        (lambda: Adapter(alpha=0.0), r"adapter\.alpha"),
        (
            lambda: Adapter(fields={"lora_aplha": 1}),
            r"adapter\.fields\.lora_aplha: LoraConfig has no such field.*'lora_alpha'",
        ),
        (lambda: Adapter("ia3", fields={"qqqq": 1}), "one of exclude_modules, fan_in_fan_out"),
        (lambda: Adapter(fields={"task_type": "SEQ_CLS"}), "no such field"),
        (lambda: Adapter("full", fields={"r": 1}), "'full' has no fields"),
        (
            lambda: Adapter(targets=("query",), fields={"target_modules": ["value"]}),
            "given twice",
        ),
    ],
)
def test_settings_that_make_no_adapter_are_refused(
    make: Callable[[], Adapter], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "adapter", "message"),
    [
        ("vit", Adapter("prefix_tuning"), "before a text, and this model takes pictures"),
        ("vit", Adapter("ia3", alpha=2.0), r"adapter\.alpha: this adapter has no such scale"),
        ("vit", Adapter("ia3", dropout=0.1), r"adapter\.dropout: this adapter has no dropout"),
        ("vit", Adapter("adalora"), "PEFT refuses this adalora adapter.*total_step"),
        ("vit", Adapter("boft", fields={"boft_block_size": 7}), "must be divisible by.*7"),
        ("vit", Adapter("lora", fields={"r": "many"}), "PEFT refuses this lora adapter"),
        ("vit", Adapter("lora", fields={"init_lora_weights": "best"}), "PEFT refuses.*best"),
        ("vit", Adapter("lora", targets=("query",)), "no layer is named 'query'"),
        ("llama", Adapter("prompt_tuning"), "last token of a text.*'prefix_tuning'"),
        ("mistral", Adapter("p_tuning"), "last token of a text"),
    ],
)
def test_what_peft_or_the_model_cannot_do_is_one_line(
    tiny_model: TinyModel, name: str, adapter: Adapter, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        attached(tiny_model, name, adapter)
    assert "\n" not in str(caught.value)


def test_rank_zero_is_the_head_alone_where_there_is_a_rank() -> None:
    assert Adapter("dora", rank=0).trains_head_alone
    assert Adapter("vera", rank=0).trains_head_alone
    assert Adapter("linear").trains_head_alone
    assert not Adapter("ia3", rank=0).trains_head_alone
    assert not Adapter("full", rank=0).trains_head_alone


@pytest.mark.parametrize("kind", adapter_kinds())
def test_every_kind_describes_itself(kind: str) -> None:
    said = Adapter(kind, rank=5).describe()
    assert said.startswith("Trains ")
    assert ("rank 5" in said) != ("no meaning" in said) or kind in ("full", "linear")


def test_the_rank_does_not_matter_where_it_is_said_not_to(tiny_model: TinyModel) -> None:
    def shapes(rank: int) -> list[torch.Size]:
        model = attached(tiny_model, "vit", Adapter("ia3", rank=rank))
        return [p.shape for p in model.parameters() if p.requires_grad]

    assert shapes(2) == shapes(16)


def test_random_projections_follow_the_seed(tiny_model: TinyModel) -> None:
    def projection(seed: int) -> torch.Tensor:
        model = attached(tiny_model, "vit", Adapter("vera", rank=2), seed)
        value: torch.Tensor = model.base_model.vera_A["default"]
        return value

    assert torch.equal(projection(1), projection(1))
    assert not torch.equal(projection(1), projection(2))


def test_after_a_step_adalora_moves_its_ranks(tiny_model: TinyModel, tmp_path: Path) -> None:
    fields = {"total_step": 6, "tinit": 1, "tfinal": 1, "deltaT": 1}
    classifier = loaded(tiny_model, "vit")
    adapter = Adapter("adalora", rank=2, fields=fields)
    model = attach(classifier.model, adapter, classifier.head)
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for step in range(1, 7):
        loss = nn.functional.cross_entropy(
            model(pixel_values=pixels).logits, torch.tensor([0, 1, 0, 1])
        )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        after_step(model, step)
        optimizer.zero_grad()
    expected = model.eval()(pixel_values=pixels).logits
    classifier_folder = save_finetuned(classifier, model, adapter, tmp_path)
    again = load_finetuned(str(classifier_folder)).model(pixel_values=pixels).logits
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-4)
    kept = model.peft_config["default"].rank_pattern
    # Four matrices of three directions (one and a half times the rank) keep eight in all.
    assert sum(sum(directions) for directions in kept.values()) == 8
    after_step(classifier.model, 1)  # of no interest to what is no AdaLoRA


@pytest.mark.parametrize("kind", ["prefix_tuning", "cartridge"])
def test_a_model_without_the_name_that_peft_uses_for_keys_is_refused(
    tiny_model: TinyModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of transformers 5.24."""
    classifier = load_classifier(str(tiny_model("bert")), ("a", "b"), kind="text")
    monkeypatch.setattr(classifier.model.bert, "forward", lambda input_ids, cache=None: None)
    with pytest.raises(InputError, match=r"adapter\.kind: PEFT [\d.]+ and transformers [\d.]+ do"):
        attach(classifier.model, Adapter(kind), classifier.head)


@pytest.mark.parametrize("start", ["eva", "lora_ga", "corda", "loftq", "pissa_niter_16"])
def test_a_start_that_would_be_another_is_refused(start: str) -> None:
    with pytest.raises(InputError, match=f"init_lora_weights.*{start}.*olora"):
        Adapter("lora", fields={"init_lora_weights": start})
