"""A tokenizer that is SentencePiece's model alone: its own pieces, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from fairlora.errors import InputError
from fairlora.models import texts
from fairlora.models.source import resolve_source
from fairlora.models.texts import read_tokenizer

LINES = ["the cat sat on a mat", "women and men ran far away", "a nurse said so today"] * 20
TEXTS = [
    "the cat sat on a mat",
    "  women and men",
    " nurse said",
    "women  and men",
    "dog ",
    "The é cat\nran",
]


def model_folder(folder: Path, **options: Any) -> Path:
    folder.mkdir()
    SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_prefix=str(folder / "tokenizer"), vocab_size=340,
        model_type="bpe", hard_vocab_limit=False, byte_fallback=True, minloglevel=2, **options,
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 340}))
    said = {
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_bos_token": True,
        "add_eos_token": False,
        "legacy": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def test_llamas_gives_the_pieces_of_sentencepiece_with_every_space(tmp_path: Path) -> None:
    options = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    folder = model_folder(tmp_path / "llama", **options)
    own = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokenizer = read_tokenizer(resolve_source(str(folder)))
    for text in TEXTS:
        assert tokenizer.tokenize(text) == own.encode(text, out_type=str)
        assert tokenizer(text)["input_ids"] == [own.bos_id(), *own.encode(text)]


def test_a_model_that_changes_texts_before_it_cuts_them_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "nmt")
    with pytest.raises(InputError, match=r"otherwise than tokenizer\.model does .*tokenizer\.json"):
        read_tokenizer(resolve_source(str(folder)))


def test_without_the_extra_its_name_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "llama")
    (folder / "tokenizer.model").write_bytes(b"no model of SentencePiece")
    monkeypatch.setattr(texts, "_installed", lambda name: False)
    with pytest.raises(InputError, match=r"fairlora\[sentencepiece\]"):
        read_tokenizer(resolve_source(str(folder)))
