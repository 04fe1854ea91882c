"""Every architecture with every adapter: what is trained, saved, loaded and merged.

A row of `CASES` is an architecture, a kind of adapter and its fields; the shared tests run on each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from peft import PeftModel
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.models import (
    ADAPTERS,
    Adapter,
    Classifier,
    ImageClassifier,
    TextClassifier,
    adapter_kinds,
    attach,
    load_classifier,
    load_finetuned,
    merge,
    save_finetuned,
    save_merged,
)
from fairlora.models.heads import in_head

CLASSES = ("no", "yes", "maybe")
LABELS = torch.tensor([0, 1, 2, 0])
TEXTS = ["the cat sat", "a dog ran very far away today", "owl", "not the mat"]
IMAGES = ("vit", "dinov2", "dinov2_registers", "swinv2", "clip_tower", "clip_full")
TEXT_MODELS = ("bert", "distilbert", "roberta", "llama", "mistral")
EVERYWHERE = ("full", "linear", "lora", "dora", "ia3")


@dataclass(frozen=True)
class Case:
    """One row: an architecture, an adapter, and what is special about them."""

    model: str
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    merges: bool = True

    @property
    def adapter(self) -> Adapter:
        return Adapter(self.kind, rank=2, fields=self.fields)

    @property
    def is_peft(self) -> bool:
        return self.kind not in ("full", "linear")

    def __str__(self) -> str:
        return f"{self.model}-{self.kind}"


# kind -> fields that fit a model of width 32, whether it merges, and the models it is tried on.
OTHERS: dict[str, tuple[dict[str, Any], bool, tuple[str, ...]]] = {
    "rslora": ({}, True, ("vit", "llama")),
    "pissa": ({}, True, ("vit", "bert")),
    "adalora": ({"total_step": 20, "tinit": 2, "tfinal": 2}, True, ("vit", "bert")),
    "ln_tuning": ({}, True, ("vit", "swinv2", "bert", "llama")),
    "vera": ({}, True, ("clip_tower", "mistral")),
    "loha": ({}, True, ("vit", "bert")),
    "lokr": ({}, True, ("vit", "llama")),
    "oft": ({"oft_block_size": 8}, True, ("vit", "bert")),
    "boft": ({}, True, ("vit", "bert")),
    "hra": ({}, True, ("vit", "llama")),
    "fourierft": ({"n_frequency": 20}, True, ("vit", "bert")),
    "vblora": ({"vector_length": 8, "num_vectors": 16}, True, ("vit", "bert")),
    "randlora": ({}, True, ("vit", "bert")),
    "prefix_tuning": ({"num_virtual_tokens": 4}, False, ("bert", "llama", "mistral")),
    "prompt_tuning": ({"num_virtual_tokens": 4}, False, ("bert", "roberta")),
    "p_tuning": ({"num_virtual_tokens": 4}, False, ("bert",)),
}
# Methods without a row in fairlora's table: by PEFT's own name alone.
UNLISTED: dict[str, tuple[dict[str, Any], bool, tuple[str, ...]]] = {
    "adamss": ({"num_subspaces": 2}, True, ("vit",)),
    "beft": ({}, True, ("vit",)),
    "c3a": ({"block_size": 8}, True, ("vit",)),
    "cartridge": ({"num_virtual_tokens": 4}, False, ("bert",)),
    "deft": ({}, True, ("vit",)),
    "delora": ({}, True, ("vit",)),
    "frod": ({}, True, ("vit",)),
    "glora": ({}, True, ("vit",)),
    "gralora": ({}, True, ("vit",)),
    "hira": ({}, True, ("vit",)),
    "lily": ({}, False, ("vit",)),
    "miss": ({}, True, ("vit",)),
    "osf": ({}, True, ("vit",)),
    "peanut": ({}, True, ("vit",)),
    "psoft": ({}, True, ("vit",)),
    "pvera": ({}, True, ("vit",)),
    "road": ({"group_size": 8}, True, ("vit",)),
    "shira": ({}, True, ("vit",)),
    "supertuning": ({}, True, ("vit",)),
    "tinylora": ({}, True, ("vit",)),
    "unilora": ({"theta_d_length": 64}, True, ("vit",)),
    "waveft": ({"n_frequency": 20}, True, ("vit",)),
}
# PEFT 0.21 does not know what transformers 5.24 calls learnt keys and values; that is refused.
NO_KEYS = Version(version("transformers")) >= Version("5.24")
CASES = [Case(model, kind) for model in (*IMAGES, *TEXT_MODELS) for kind in EVERYWHERE] + [
    Case(model, kind, fields, merges)
    for kind, (fields, merges, models) in {**OTHERS, **UNLISTED}.items()
    if kind in adapter_kinds()  # an older PEFT lacks some, and fairlora says so
    for model in models
    if not (NO_KEYS and kind in ("prefix_tuning", "cartridge"))
]


@dataclass
class Trained:
    """A case after two steps of training, and the folder that it is saved in."""

    case: Case
    base: Path
    classifier: Classifier
    model: Any
    own: dict[str, Tensor]  # the pretrained weights as they were when the adapter was attached
    parameters: dict[str, nn.Parameter]
    before: dict[str, Tensor]
    logits: Tensor
    folder: Path


def inputs(classifier: Classifier) -> dict[str, Any]:
    if isinstance(classifier, TextClassifier):
        return dict(
            classifier.tokenizer(
                TEXTS, padding=True, truncation=True, max_length=classifier.max_length,
                return_tensors="pt", return_token_type_ids=False,
            )
        )  # fmt: skip
    assert isinstance(classifier, ImageClassifier)
    size = classifier.preprocessing.size
    pixels = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    return {"pixel_values": pixels, **classifier.forward_arguments}


def answers(classifier: Classifier, model: Any = None) -> Tensor:
    network = (classifier.model if model is None else model).eval()
    with torch.no_grad():
        logits: Tensor = network(**inputs(classifier)).logits
    return logits


def load(case: Case, base: Path, seed: int = 0) -> Classifier:
    kind = "image" if case.model in IMAGES else "text"
    return load_classifier(str(base), CLASSES, kind=kind, head_seed=seed)  # type: ignore[arg-type]


def train(case: Case, base: Path, run: Path) -> Trained:
    classifier = load(case, base)
    parameters = dict(classifier.model.named_parameters())
    model = attach(classifier.model, case.adapter, classifier.head, seed=3)
    own = {name: p.detach().clone() for name, p in parameters.items()}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.3)
    model.train()
    for _ in range(2):
        optimizer.zero_grad()
        logits = model(**inputs(classifier)).logits
        nn.functional.cross_entropy(logits, LABELS).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    expected = answers(classifier, model)
    folder = save_finetuned(classifier, model, case.adapter, run)
    return Trained(case, base, classifier, model, own, parameters, before, expected, folder)


@pytest.fixture(scope="module")
def trained(
    tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Case], Trained]:
    done: dict[str, Trained] = {}

    def get(case: Case) -> Trained:
        if str(case) not in done:
            run = tmp_path_factory.mktemp("run")
            done[str(case)] = train(case, tiny_model(case.model), run)
        return done[str(case)]

    return get


def each(*kinds: str, peft: bool | None = None) -> pytest.MarkDecorator:
    cases = [c for c in CASES if not kinds or c.kind in kinds]
    cases = [c for c in cases if peft is None or c.is_peft == peft]
    return pytest.mark.parametrize("case", cases, ids=str)


def test_the_table_has_every_kind() -> None:
    # PEFT 0.18 still has Bone, which is MiSS by now.
    without = {"bone", *(("prefix_tuning", "cartridge") if NO_KEYS else ())}
    assert {case.kind for case in CASES} == set(adapter_kinds()) - without
    assert set(EVERYWHERE) | set(OTHERS) == set(ADAPTERS)


@each()
def test_only_the_adapter_and_the_head_are_trainable(
    trained: Callable[[Case], Trained], case: Case
) -> None:
    done = trained(case)
    head = done.classifier.head
    trainable = {n for n, p in done.model.named_parameters() if p.requires_grad}
    assert {n for n in done.parameters if in_head(n, head)}
    if case.kind == "full":
        assert trainable == set(done.parameters)
    elif case.kind == "linear":
        assert trainable == {n for n in done.parameters if in_head(n, head)}
    else:
        # What PEFT trains are tensors of its own, and copies of the head's.
        assert not [n for n, p in done.parameters.items() if p.requires_grad]
        copies = {n for n in trainable if in_head(n, head)}
        assert len(copies) == len([n for n in done.parameters if in_head(n, head)])
        assert trainable - copies, "nothing but the head is trained"


@each()
def test_a_step_moves_what_is_trainable_and_nothing_else(
    trained: Callable[[Case], Trained], case: Case
) -> None:
    done = trained(case)
    moved: list[str] = []
    trainable: list[str] = []
    for name, parameter in done.model.named_parameters():
        same = torch.equal(parameter, done.before[name])
        if parameter.requires_grad:
            trainable.append(name)
            moved += [] if same else [name]
            assert case.kind == "full" or parameter.grad is not None, name
        else:
            assert same, name
    if case.is_peft:
        for name, parameter in done.parameters.items():
            assert torch.equal(parameter, done.own[name]), name
    # Not all: a key's bias has no gradient under softmax, and some starts are at a saddle.
    assert len(moved) >= len(trainable) / 2
    assert {n for n in trainable if in_head(n, done.classifier.head)} <= set(moved)


@each()
def test_what_is_saved_answers_the_same(trained: Callable[[Case], Trained], case: Case) -> None:
    done = trained(case)
    loaded = load_finetuned(str(done.folder.parent if case.kind == "full" else done.folder))
    torch.testing.assert_close(answers(loaded), done.logits, atol=1e-5, rtol=1e-4)
    untrained = answers(load(case, done.base))
    assert (untrained - done.logits).abs().max() > 1e-3
    assert loaded.classes == CLASSES
    assert loaded.head == done.classifier.head
    assert loaded.kind == ("image" if case.model in IMAGES else "text")
    assert not list(done.folder.rglob("*.bin"))
    card = json.loads((done.folder / "fairlora.json").read_text())
    assert card["adapter"]["kind"] == case.kind


@each(peft=True)
def test_the_adapter_loads_with_plain_peft(trained: Callable[[Case], Trained], case: Case) -> None:
    done = trained(case)
    base = load(case, done.base, seed=99).model
    plain = PeftModel.from_pretrained(base, done.folder)
    torch.testing.assert_close(answers(done.classifier, plain), done.logits, atol=1e-5, rtol=1e-4)
    settings = json.loads((done.folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(done.base)
    assert settings["task_type"] == (None if case.model in IMAGES else "SEQ_CLS")


@each(peft=True)
def test_merged_it_answers_the_same(
    trained: Callable[[Case], Trained], case: Case, tmp_path: Path
) -> None:
    done = trained(case)
    loaded = load_finetuned(str(done.folder))
    if not case.merges:
        with pytest.raises(InputError, match=case.kind):
            merge(loaded)
        return
    folder = save_merged(loaded, tmp_path / "merged")
    again = load_finetuned(str(folder))
    torch.testing.assert_close(answers(again), done.logits, atol=1e-4, rtol=1e-3)
    assert not [n for n, _ in again.model.named_parameters() if "lora" in n]
    if case.model.startswith("clip"):
        return
    if isinstance(loaded, TextClassifier):
        plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(folder)
    else:
        plain = transformers.AutoModelForImageClassification.from_pretrained(folder)
    torch.testing.assert_close(answers(again, plain), done.logits, atol=1e-4, rtol=1e-3)
    assert plain.config.id2label == dict(enumerate(CLASSES))


@each(peft=True)
def test_the_adapter_starts_from_its_seed_alone(
    tiny_model: Callable[[str], Path], case: Case
) -> None:
    def start(seed: int, noise: int) -> dict[str, Tensor]:
        classifier = load(case, tiny_model(case.model))
        torch.manual_seed(noise)
        model = attach(classifier.model, case.adapter, classifier.head, seed=seed)
        after = torch.rand(2)
        torch.manual_seed(noise)
        assert torch.equal(after, torch.rand(2)), "the process's own generator was drawn from"
        return {n: p for n, p in model.named_parameters() if p.requires_grad}

    first, again = start(1, 0), start(1, 7)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_merging_after_training(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    done = train(Case("bert", "lora"), tiny_model("bert"), tmp_path)
    merged = merge(replace(done.classifier, model=done.model))
    torch.testing.assert_close(answers(merged), done.logits, atol=1e-5, rtol=1e-4)
    assert merge(merged) is merged
