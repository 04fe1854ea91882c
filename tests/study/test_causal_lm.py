"""Runs of language models: trained, measured, saved, run again, or refused in a line."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fairlora.data.tiny import write_tiny
from fairlora.errors import InputError
from fairlora.models import load_language
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.probes import run
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import result_settings
from fairlora.study.runs.prepare import prepare
from fairlora.study.tasks.causal_lm import CausalLM

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Settings of a quick run; sections can be added to."""
    root = tmp_path_factory.mktemp("language-runs")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-chat-hf", root / "llama")
    data = {
        name: {"name": name, **write_tiny(name, root / name, rows=60)}
        for name in ("winomt", "yelp-md-gender", "plain-text")
    }

    def settings(name: str = "winomt", **sections: Any) -> dict[str, Any]:
        base: dict[str, Any] = {
            "data": data[name],
            "model": {"id": str(model), "max_length": 96},
            "adapter": {"kind": "lora", "rank": 2},
            "training": {"max_steps": 3, "learning_rate": 0.01, "batch_size": 4, "select": "last"},
        }
        for key, values in sections.items():
            base[key] = {**base.get(key, {}), **values} if isinstance(values, dict) else values
        return base

    return settings


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("winomt", {}),
        ("winomt", {"adapter": {"kind": "full"}, "model": {"chat": True}}),
        ("winomt", {"data": {"set": "pro-stereotype"}, "training": {"select": "loss"}}),
        ("winomt", {"adapter": {"kind": "base"}}),
        ("yelp-md-gender", {}),
        ("yelp-md-gender", {"training": {"pack": False}}),
        ("plain-text", {"objective": {"name": "loss-variance", "groups": "dialect"}}),
    ],
    ids=["lora", "full chat", "pro", "base", "packed", "one a row", "fair"],
)
def test_a_run_is_trained_and_saved(
    make: Make, tmp_path: Path, name: str, sections: dict[str, Any]
) -> None:
    options = dict(make(name)["data"], **sections.pop("data", {}))
    spec = parse_spec(make(name, data=options, **sections))
    folder = RunFolder(tmp_path / "run")
    assert run_cell(prepare(spec), folder)
    assert folder.is_finished()
    metrics = folder.metrics()
    assert metrics["task"] == "language"
    assert set(metrics["mean_loss"]) == {"train", "validation", "test"}
    assert metrics["perplexity"]["test"] == pytest.approx(math.exp(metrics["mean_loss"]["test"]))
    trained = metrics["parameters"]["trainable"]
    assert (trained == 0) == (spec.adapter.kind == "base")
    assert not (folder.path / "checkpoints").exists()
    language = load_language(str(folder.path))
    assert language.chat == spec.model.chat
    assert language.max_length == 96
    assert not run_cell(prepare(spec), folder, resume=True)


def test_training_learns_the_answers(make: Make, tmp_path: Path) -> None:
    losses = {}
    for kind, steps in (("base", 1), ("full", 40)):
        spec = parse_spec(
            make(adapter={"kind": kind}, training={"max_steps": steps, "learning_rate": 0.01})
        )
        folder = RunFolder(tmp_path / kind)
        run_cell(prepare(spec), folder)
        losses[kind] = folder.metrics()["mean_loss"]["test"]
    assert losses["full"] < 0.6 * losses["base"]


def test_the_same_run_gives_the_same_numbers_and_another_seed_others(
    make: Make, tmp_path: Path
) -> None:
    found = []
    for k, seed in enumerate((0, 0, 1)):
        folder = RunFolder(tmp_path / str(k))
        run_cell(prepare(parse_spec(make(seed=seed))), folder)
        found.append(folder.metrics()["mean_loss"])
    assert found[0] == found[1]
    assert found[0]["validation"] != found[2]["validation"]


def test_a_study_asks_the_base_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    loss, cloze = CausalLM._loss, run.PROBES["cloze"]
    monkeypatch.setattr(CausalLM, "_loss", lambda self, n, r: asked.append(n) or loss(self, n, r))
    counted = cloze._replace(ask=lambda *a: asked.append("cloze") or cloze.ask(*a))
    monkeypatch.setitem(run.PROBES, "cloze", counted)

    def ask(name: str, kept: Path | None, **more: Any) -> RunFolder:
        probes = {"cloze": {"rows": 2, "split": "test"}}
        spec = parse_spec(make(adapter={"kind": "base"}, probes=probes, **more))
        folder = RunFolder(tmp_path / name)
        run_cell(prepare(spec), folder, kept=kept)
        return folder

    whole = ask("whole", None)
    assert asked == ["train", "validation", "test", "cloze"]
    kept = tmp_path / "kept"
    first = ask("first", kept)
    assert len(asked) == 8
    # Settings that change nothing of the answers.
    other = ask("other", kept, training={"learning_rate": 0.5})
    assert len(asked) == 8
    for folder in (first, other):
        assert folder.metrics() == whole.metrics()
        for name in ("cloze.json", "cloze.parquet"):
            ours, theirs = (f.path / "probes" / name for f in (folder, whole))
            assert ours.read_bytes() == theirs.read_bytes()
    # Another split of the other rows: the test rows, and the probe on them, are known.
    ask("seed", kept, seed=1)
    assert asked[8:] == ["train", "validation"]
    # What is trained is asked as it is.
    trained = parse_spec(make(training={"max_steps": 1}))
    run_cell(prepare(trained), RunFolder(tmp_path / "trained"), kept=kept)
    assert asked[10:] == ["train", "validation", "test"]


def test_training_stops_at_a_loss(make: Make, tmp_path: Path) -> None:
    spec = parse_spec(
        make(
            adapter={"kind": "full"},
            training={
                "max_steps": 60,
                "until_loss": 3.0,
                "learning_rate": 0.01,
                "arguments": {"eval_strategy": "steps", "eval_steps": 5},
            },
        )
    )
    folder = RunFolder(tmp_path / "run")
    run_cell(prepare(spec), folder)
    matched = folder.metrics()["matched_loss"]
    assert matched["reached"]
    assert matched["loss"] <= 3.0


def test_what_a_language_model_is_asked_is_part_of_the_identity(make: Make) -> None:
    asked = result_settings(parse_spec(make(model={"chat": True}, probes={"cloze": {}})))
    assert asked["probes"] == {"cloze": {}}
    assert asked["model"]["chat"]


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"adapter": {"kind": "linear"}}, r"adapter.kind: a language model has no new head"),
        ({"adapter": {"rank": 0}}, r"adapter.rank: a language model has no new head"),
        ({"adapter": {"rank": 33}}, r"adapter.rank: a rank above the model's width .*1 to 32"),
        ({"audit": {"positive": "male"}}, r"audit.positive: a language model classifies nothing"),
        ({"model": {"image_size": 8}}, r"model.image_size: a language model classifies nothing"),
        ({"training": {"select": "accuracy_worst"}}, r"training.select: without groups"),
        (
            {"objective": {"name": "reweight"}},
            r"objective.groups: a language model has no classes .*stereotype, case",
        ),
    ],
)
def test_what_makes_no_run_is_said(
    make: Make, tmp_path: Path, sections: dict[str, Any], says: str
) -> None:
    spec = parse_spec(make(**sections))
    with pytest.raises(InputError, match=says):
        run_cell(prepare(spec), RunFolder(tmp_path / "run"))


def test_packed_blocks_are_in_no_group(make: Make) -> None:
    objective = {"name": "reweight", "groups": "dialect"}
    spec = parse_spec(make("plain-text", objective=objective))
    options = {k: v for k, v in spec.data.options.items() if k != "answer"}
    plain = parse_spec(make(data={"name": "plain-text", **options}, objective=objective))
    with pytest.raises(InputError, match=r"training.pack: a block of packed texts is in no group"):
        prepare(plain)


def test_a_classifier_has_no_base_and_no_probes(settings: Make) -> None:
    with pytest.raises(InputError, match=r"adapter.kind: only of a language model, .*'base'"):
        prepare(parse_spec(settings(adapter={"kind": "base"})))
    with pytest.raises(InputError, match=r"probes: only of a language model, .*cloze"):
        prepare(parse_spec(settings(probes={"cloze": {}})))


@pytest.mark.parametrize(
    ("name", "probes", "says"),
    [
        ("winomt", {"cloze": {"rowz": 3}}, r"probes.cloze.rowz: unknown key"),
        ("winomt", {"cloze": {"templates": "nowhere.yaml"}}, r"nowhere.yaml: no such file of temp"),
        ("winomt", {"choice": {"symbols": ["runes"]}}, r"probes.choice.symbols: no such set"),
        ("winomt", {"token-bias": {"only": ["gender"]}}, r"only: no question is left"),
        ("yelp-md-gender", {"translation": {}}, r"needs prompts with reference answers"),
        ("yelp-md-gender", {"cloze": {"part": "answer"}}, r"part: the data have no answers"),
    ],
)
def test_what_cannot_be_asked_is_said_before_training(
    make: Make, name: str, probes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        prepare(parse_spec(make(name, probes=probes)))


def test_without_sacrebleu_nothing_is_trained(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora\[translation\]'"):
        prepare(parse_spec(make(probes={"translation": {}})))


def test_a_bfloat16_run_is_asked_with_float32_logits(make: Make, tmp_path: Path) -> None:
    prepared = prepare(parse_spec(make()))
    model = CausalLM(prepared.spec, prepared.examples, tmp_path).trainer.model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=torch.arange(1, 9)[None]).logits
    assert logits.dtype == torch.float32
    assert (logits != logits.bfloat16().float()).any()
