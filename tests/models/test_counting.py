"""Sizes told from a config, against those of models that are really loaded, and published ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    attach,
    count_of,
    count_parameters,
    load_classifier,
    save_finetuned,
)
from fairlora.models.counting import ModelCount
from fairlora.models.tiny import write_tiny_model

TinyModel = Callable[[str], Path]
Kind = Literal["image", "text"]
CLASSES = ("a", "b", "c")
IMAGES = ("vit", "dinov2", "dinov2_registers", "swinv2", "clip_tower", "clip_full")
TEXTS = ("bert", "distilbert", "roberta", "llama", "mistral")
ADAPTERS = {
    "full": Adapter("full"),
    "linear": Adapter("linear"),
    "lora": Adapter("lora", rank=4),
    "rank 0": Adapter("lora", rank=0),
    "dora": Adapter("dora", rank=3),
    "pissa": Adapter("pissa", rank=2),
    "adalora": Adapter("adalora", rank=4, fields={"total_step": 10}),
    "ia3": Adapter("ia3"),
    "ln_tuning": Adapter("ln_tuning"),
    "vera": Adapter("vera", rank=4),
    "boft": Adapter("boft", rank=4),  # looks at the weights
}


def loaded(folder: Path, kind: Kind, adapter: Adapter) -> Any:
    classifier = load_classifier(str(folder), CLASSES, kind=kind)
    model = attach(classifier.model, adapter, classifier.head, task=kind)
    return count_parameters(model, classifier.head)


@pytest.mark.parametrize("name", [*IMAGES, *TEXTS])
def test_a_count_from_the_config_is_that_of_the_loaded_model(
    tiny_model: TinyModel, name: str
) -> None:
    kind: Kind = "image" if name in IMAGES else "text"
    folder = tiny_model(name)
    for title, adapter in ADAPTERS.items():
        counted = count_of(str(folder), len(CLASSES), kind=kind, adapter=adapter)
        assert counted.parameters == loaded(folder, kind, adapter), title


def test_prompts_count_too(tiny_model: TinyModel) -> None:
    adapter = Adapter("prefix_tuning", fields={"num_virtual_tokens": 3})
    for name in ("bert", "llama"):
        counted = count_of(str(tiny_model(name)), 3, kind="text", adapter=adapter)
        assert counted.parameters == loaded(tiny_model(name), "text", adapter)


def test_a_pooler_is_of_the_head_only_where_the_checkpoint_stores_none(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    stored = write_tiny_model("bert-base-uncased", tmp_path / "bert")
    pooler = 32 * 32 + 32
    with_pooler = count_of(str(stored), 2, kind="text", adapter=Adapter("linear"))
    assert with_pooler.parameters.head == 33 * 2
    without = count_of(str(tiny_model("bert")), 2, kind="text", adapter=Adapter("linear"))
    assert without.parameters.head == 33 * 2 + pooler
    assert with_pooler.encoder == without.encoder + pooler


# A folder with a config alone: nothing else of these models is needed.
def config_folder(path: Path, config: Any) -> str:
    config.save_pretrained(path)
    return str(path)


def test_the_five_rows_of_the_fairlora_papers_table(tmp_path: Path) -> None:
    from transformers import ViTConfig

    dino = config_folder(tmp_path, ViTConfig())
    published = {8: 325_672, 16: 666_724, 32: 1_256_548, 64: 2_436_196, 128: 4_795_492}
    for rank, trainable in published.items():
        classes = 40 if rank == 8 else 100
        count = count_of(dino, classes, kind="image", adapter=Adapter("lora", rank=rank))
        assert count.parameters.trainable == trainable
        if rank == 8:
            assert count.parameters.total_as_stored == 86_155_088
        assert count.encoder == 85_056_000  # 12 blocks and the last norm
        assert count.tokens == 197


def test_llama_2_of_seven_billion_takes_no_memory(tmp_path: Path) -> None:
    """In a process of its own, which may take 4 GB of addresses in all; the weights need 26."""
    from transformers import LlamaConfig

    folder = config_folder(tmp_path, LlamaConfig())
    code = f"""
import resource, torch
from fairlora.models import Adapter, count_of
torch.set_num_threads(1)
_, hard = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, hard))
for rank in (8, 16, 64):
    count = count_of({folder!r}, 2, kind="text", adapter=Adapter("lora", rank=rank))
    print(count.parameters.trainable, count.parameters.total_without_head, count.encoder)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    body, embeddings, head = 6_607_343_616, 32_000 * 4096, 2 * 4096
    for rank, row in zip((8, 16, 64), rows, strict=True):
        adapter = 32 * 2 * rank * (4096 + 4096)
        assert row == (adapter + head, body + adapter, body - embeddings)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [(None, 16 + 1), (64, 64 + 1)],
)
def test_tokens_follow_the_size(tiny_model: TinyModel, size: int | None, tokens: int) -> None:
    count = count_of(
        str(tiny_model("vit")), 2, kind="image", adapter=Adapter("full"), image_size=size
    )
    assert count.tokens == tokens


def test_registers_are_tokens_and_a_preprocessor_sets_the_size(tiny_model: TinyModel) -> None:
    def tokens(name: str) -> int | None:
        return count_of(str(tiny_model(name)), 2, kind="image", adapter=Adapter()).tokens

    assert tokens("dinov2_registers") == 16 + 1 + 4
    assert tokens("dinov2") == 16 + 1  # its config says 56 pixels, its preprocessor 32
    assert tokens("clip_full") == tokens("clip_tower") == 16 + 1


def test_tokens_of_swin_are_a_mean_over_its_stages(tmp_path: Path) -> None:
    """timm counts 26.2 billion multiply-adds a picture for this model, attention included."""
    from transformers import Swinv2Config

    folder = config_folder(
        tmp_path,
        Swinv2Config(
            image_size=192, patch_size=4, embed_dim=192, depths=[2, 2, 18, 2],
            num_heads=[6, 12, 24, 48], window_size=12,
        ),
    )  # fmt: skip
    count = count_of(folder, 2, kind="image", adapter=Adapter("lora", rank=8))
    assert count.parameters.total_without_head == pytest.approx(195.2e6 + 577_536, rel=1e-3)
    assert count.tokens is not None
    assert 0.9 * 26.2e9 < count.encoder * count.tokens < 26.2e9


def test_tokens_are_unknown_for_texts_and_for_networks_without_patches(tmp_path: Path) -> None:
    from transformers import ResNetConfig

    folder = config_folder(
        tmp_path, ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    )
    count = count_of(folder, 2, kind="image", adapter=Adapter("linear"))
    assert count.tokens is None
    assert count.parameters.trainable == 9 * 2
    llama = write_tiny_model("meta-llama/Llama-2-7b-hf", tmp_path / "llama")
    assert count_of(str(llama), 2, kind="text", adapter=Adapter()).tokens is None


def test_an_adapter_counts_as_the_base_that_it_is_folded_into(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    base = str(tiny_model("vit"))
    adapter = Adapter("lora", rank=4)
    first = load_classifier(base, ("x", "y"), kind="image", image_size=64)
    save_finetuned(first, attach(first.model, adapter, first.head), adapter, tmp_path)
    again = count_of(str(tmp_path), 3, kind="image", adapter=adapter)
    assert again.parameters == loaded(tmp_path, "image", adapter)
    assert again.tokens == 64 + 1  # of the size that it was fine-tuned at
    assert count_of("embedded", 3, kind="image", adapter=adapter).tokens == 64 + 1


def test_quantisation_changes_no_count_and_counting_changes_no_model(tiny_model: TinyModel) -> None:
    folder = str(tiny_model("llama"))

    def count(rank: int, **extra: Any) -> ModelCount:
        return count_of(folder, 2, kind="text", adapter=Adapter("lora", rank=rank), **extra)

    before = count(4)
    assert count(8).parameters.trainable > before.parameters.trainable
    assert count(4) == count(4, quantize="4bit") == before
    assert torch.empty(1).device.type == "cpu"


@pytest.mark.parametrize(
    ("model", "kind", "adapter", "words"),
    [
        ("nobody/nothing", "image", Adapter(), ["hub", "nobody/nothing"]),
        ("no/such/folder", "text", Adapter(), ["no such model folder"]),
        ("embedded", "text", Adapter(), ["pictures", "texts"]),
        ("bert", "image", Adapter(), ["not a model that classifies images", "bert"]),
        ("vit", "text", Adapter(), ["not a model that classifies texts", "vit"]),
        ("vit", "image", Adapter("prefix_tuning"), ["virtual tokens"]),
        ("vit", "image", Adapter(targets=("nothing",)), ["no layer is named 'nothing'"]),
    ],
)
def test_what_cannot_be_counted(
    tiny_model: TinyModel, model: str, kind: Kind, adapter: Adapter, words: list[str]
) -> None:
    name = str(tiny_model(model)) if model in (*IMAGES, *TEXTS) else model
    with pytest.raises(InputError) as error:
        count_of(name, 2, kind=kind, adapter=adapter)
    for word in words:
        assert word in str(error.value)


def test_a_folder_without_weights_is_enough_and_one_without_a_config_is_not(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot load this model"):
        count_of(str(folder), 2, kind="text", adapter=Adapter())
    shutil.copy(tiny_model("bert") / "config.json", folder)
    # Nothing says that the pooler is missing.
    assert count_of(str(folder), 2, kind="text", adapter=Adapter("linear")).parameters.head == 66


def test_methods_that_look_at_weights_are_refused_where_these_are_too_many(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    folder = config_folder(tmp_path, LlamaConfig(num_hidden_layers=2))
    with pytest.raises(InputError, match="without the model's weights"):
        count_of(folder, 2, kind="text", adapter=Adapter("boft"))


def test_a_models_fingerprint_and_the_adapters_names_need_no_torch() -> None:
    """A study is planned and its report is written without a model."""
    code = """
import sys
import fairlora.models
from fairlora.models import ADAPTERS, Preprocessing, model_fingerprint, resolve_source
from fairlora.models.methods import method_of
model_fingerprint(resolve_source("embedded")), [method_of(kind) for kind in ADAPTERS]
print(*{"torch", "transformers", "peft"} & set(sys.modules))
assert set(fairlora.models.__all__) == set(fairlora.models._HOMES)
for name in fairlora.models.__all__:
    getattr(fairlora.models, name)
try:
    fairlora.models.nothing
except AttributeError as error:
    assert "nothing" in str(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
