"""Predicting: splits of a run's own data, classes matched by name, heads that do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from fairlora.data import Examples, load_examples
from fairlora.errors import InputError
from fairlora.models import Adapter, attach, load_image_classifier, save_finetuned
from fairlora.predictions import read_predictions
from fairlora.predictions.thresholds import Thresholds
from fairlora.study.runs.predict import (
    KnownRun,
    predict_with,
    rows_to_predict,
    with_classes_of,
)
from fairlora.study.spec.run import parse_spec

EMOJI = ("data.renderers=[noto]", "data.groups=[skin_tone]")


def save_constant(base: Path, folder: Path, classes: tuple[str, ...], favourite: str) -> Path:
    """A fine-tuned model that always answers with one class."""
    classifier = load_image_classifier(str(base), classes)
    with torch.no_grad():
        classifier.model.classifier.bias[classes.index(favourite)] = 100
    adapter = Adapter("full")
    model = attach(classifier.model, adapter, classifier.head)
    return save_finetuned(classifier, model, adapter, folder)


@pytest.mark.parametrize("name", ["lora-0", "full-1"])
def test_a_run_keeps_its_splits_and_its_answers(
    finished: dict[str, Path], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "made" / "p.parquet"
    summary = predict_with(str(finished[name]), out)
    own = read_predictions(finished[name] / "predictions.parquet")
    new = read_predictions(out)
    order = {row: k for k, row in enumerate(new.ids.tolist())}
    index = np.array([order[row] for row in own.ids.tolist()])
    assert len(new) == len(own) == summary["rows"]
    assert (new.split[index] == own.split).all()
    assert new.probs is not None
    assert own.probs is not None
    np.testing.assert_allclose(new.probs[index], own.probs, atol=1e-5)
    right = np.mean(new.labels == new.predictions)
    assert summary["accuracy"] == pytest.approx(right)


def test_long_texts_are_read_to_the_models_own_length_and_cut_ones_are_counted(
    tmp_path: Path,
) -> None:
    words = {word: k for k, word in enumerate(("[PAD]", "[UNK]", "what", "north", "south"))}
    made = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=512, initializer_range=0.5,
        pad_token_id=tokenizer.pad_token_id, id2label={0: "no", 1: "yes"},
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    # The words that differ stand behind the 256th.
    texts = ["what " * 300 + end * 100 for end in ("north ", "south ")] + ["north " * 600]
    rows = [f"{text},{'no' if k else 'yes'},g{k % 2}" for k, text in enumerate(texts)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label,group", *rows]) + "\n")
    out = tmp_path / "p.parquet"
    options = [f"data.path={tmp_path / 't.csv'}", "data.groups=[group]"]
    summary = predict_with(str(tmp_path / "model"), out, data="text-table", overrides=options)
    table = read_predictions(out)
    batch = tokenizer(
        texts, padding=True, truncation=True, max_length=512, return_tensors="pt",
        return_token_type_ids=False,
    )  # fmt: skip
    with torch.no_grad():
        expected = model(**batch).logits.softmax(1).numpy()
    assert table.probs is not None
    np.testing.assert_allclose(table.probs, expected, atol=1e-5)
    assert abs(expected[0] - expected[1]).max() > 1e-3  # a hundred times the tolerance
    assert "1 text is cut at 512 tokens" in summary["notes"]
    # A threshold decides in place of the largest probability, and the scores stay.
    assert table.probs is not None
    limit = float(np.median(table.probs[:, 1]))
    Thresholds(positive="yes", default=limit).write(tmp_path / "t.json")
    decided = tmp_path / "d.parquet"
    summary = predict_with(
        str(tmp_path / "model"),
        decided,
        data="text-table",
        overrides=options,
        thresholds=tmp_path / "t.json",
    )
    new = read_predictions(decided)
    assert new.probs is not None
    np.testing.assert_array_equal(new.probs, table.probs)
    assert (new.predictions == (table.probs[:, 1] >= np.float32(limit))).all()
    assert summary["accuracy"] == pytest.approx((new.predictions == new.labels).mean())
    assert any("is predicted from a probability of" in text for text in summary["notes"])


def test_data_that_the_run_did_not_see_are_all_test(
    tiny_vit: Path, tmp_path: Path, pictures: Callable[..., list[Path]]
) -> None:
    model = save_constant(tiny_vit, tmp_path, ("cat", "dog"), "dog")
    paths = pictures([f"{k}.jpg" for k in range(4)])
    table = tmp_path / "t.csv"
    rows = [f"{p},{'dog' if k else 'cat'},g{k % 2}" for k, p in enumerate(paths)]
    table.write_text("\n".join(["image,label,group", *rows]) + "\n")
    out = tmp_path / "p.parquet"
    options = (f"data.path={table}", "data.groups=[group]")
    assert predict_with(str(model), out, data="image-table", overrides=options)["accuracy"] == 0.75
    found = read_predictions(out)
    assert set(found.split.tolist()) == {"test"}
    assert found.groups["group"].tolist() == ["g0", "g1", "g0", "g1"]


@pytest.mark.parametrize(
    "classes", [("female", "male"), ("male", "female"), ("robot", "MALE", "Female")]
)
def test_classes_are_matched_by_name_whatever_their_order(
    tiny_vit: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    model = save_constant(tiny_vit, tmp_path, classes, classes[1])
    out = tmp_path / "p.parquet"
    predict_with(str(model), out, data="people-emoji", overrides=EMOJI)
    found = read_predictions(out)
    assert found.classes == classes
    assert set(found.predictions.tolist()) == {1}
    examples = load_examples("people-emoji", {"renderers": ["noto"]})
    assert found.ids.tolist() == examples.ids.tolist()
    named = np.array(classes)[found.labels]
    assert np.char.lower(named).tolist() == examples.groups["gender"].tolist()


def test_a_class_that_the_model_does_not_know_is_named(tiny_vit: Path, tmp_path: Path) -> None:
    model = save_constant(tiny_vit, tmp_path, ("female", "child"), "child")
    with pytest.raises(InputError, match=r"'male' \(the model's: female, child\)"):
        predict_with(str(model), tmp_path / "p.parquet", data="people-emoji", overrides=EMOJI)
    assert not (tmp_path / "p.parquet").exists()


def examples_of(classes: tuple[str, ...]) -> Examples:
    return Examples(
        name="made",
        ids=np.array(["a", "b", "c"]),
        images=[b""] * 3,
        labels=np.array([0, 1, 1]),
        classes=classes,
        groups={},
        fingerprint="",
    )


def test_classes_without_names_are_taken_by_position_with_a_note(tiny_vit: Path) -> None:
    classifier = load_image_classifier(str(tiny_vit), ("LABEL_0", "LABEL_1"))
    fitted = with_classes_of(examples_of(("no", "yes")), classifier)
    assert fitted.labels.tolist() == [0, 1, 1]
    assert classifier.classes == ("no", "yes")
    assert "no, yes" in classifier.notes[-1]
    three = load_image_classifier(str(tiny_vit), ("LABEL_0", "LABEL_1", "LABEL_2"))
    with pytest.raises(InputError, match="does not know"):
        with_classes_of(examples_of(("no", "yes")), three)


def test_an_untrained_head_is_asked_for_and_hangs_on_its_seed(
    tiny_vit: Path, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"data": "people-emoji", "overrides": EMOJI}
    with pytest.raises(InputError, match="--untrained-head"):
        predict_with(str(tiny_vit), tmp_path / "p.parquet", **arguments)

    def probs(seed: int) -> Any:
        out = tmp_path / f"{seed}.parquet"
        predict_with(str(tiny_vit), out, untrained_head=True, seed=seed, **arguments)
        return read_predictions(out).probs

    first, other = probs(0), probs(1)
    assert first.shape == (994, 2)
    assert not np.allclose(first, other)


def test_the_data_of_a_run_file_can_be_used(finished: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    section = {"name": "people-emoji", "renderers": ["twemoji"], "groups": ["skin_tone"]}
    file.write_text(yaml.safe_dump({"data": section}))
    out = tmp_path / "p.parquet"
    summary = predict_with(str(finished["lora-0"]), out, data=str(file))
    assert summary["rows"] == 994
    # The same file of pictures, and no row of it was in the run, whose renderer was noto.
    assert set(read_predictions(out).split.tolist()) == {"unused"}


@pytest.mark.parametrize(
    ("data", "overrides", "message"),
    [
        (None, ["seed=1"], "only options of the data"),
        ("people-emoji", ["data.train_rows=-1"], r"people-emoji: data\.train_rows"),
        ("faces", [], "no such data set"),
        ("people-emoji", ["data.colour=red"], r"data\.colour"),
    ],
)
def test_bad_data_options_are_named(
    finished: dict[str, Path], tmp_path: Path, data: str | None, overrides: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        predict_with(str(finished["lora-0"]), tmp_path / "p", data=data, overrides=overrides)


def test_a_model_that_is_no_run_needs_data(tiny_vit: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data named"):
        predict_with(str(tiny_vit), tmp_path / "p.parquet")


def test_rows_that_a_run_trained_on_are_no_test_rows_whatever_is_known_of_its_data() -> None:
    spec = parse_spec({"data": {"name": "people-emoji", "groups": ["skin_tone"]}})
    known, unknown, other = (
        rows_to_predict(KnownRun(spec, fingerprint, trained), None, [])
        for fingerprint, trained in (("a fingerprint", True), (None, True), (None, False))
    )
    assert known.split is not None
    assert unknown.split is not None
    assert unknown.split.tolist() == known.split.tolist()
    assert {"train", "validation", "test"} == set(known.split.tolist())
    assert other.split is not None
    assert "validation" not in other.split.tolist()


def test_where_nothing_can_be_written_nothing_is_computed(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("fairlora.study.runs.predict.load_finetuned", never)
    with pytest.raises(InputError, match="--out: a folder"):
        predict_with(str(finished["lora-0"]), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write here"):
        predict_with(str(finished["lora-0"]), tmp_path / "file" / "p.parquet")


def test_an_unfinished_run_has_no_model(finished: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished["lora-0"], copy, ignore=shutil.ignore_patterns("adapter"))
    with pytest.raises(InputError, match="adapter/adapter_config.json is missing"):
        predict_with(str(copy), tmp_path / "p.parquet")
    (copy / "status.json").unlink()
    with pytest.raises(InputError, match="no model in this folder"):
        predict_with(str(copy), tmp_path / "p.parquet")
