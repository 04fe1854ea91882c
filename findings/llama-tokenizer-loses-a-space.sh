#!/bin/sh
# transformers 5.23.0: LlamaTokenizer made from tokenizer.model alone loses a space before a text.
#
# Expected: the pieces of SentencePiece itself, which the model was trained on, as transformers 4's
# slow tokenizer gave them; or an error.
# Seen: with "legacy": false in tokenizer_config.json, as Llama's files have it, " nurse" is cut as
# "nurse" is, so two texts that SentencePiece tells apart are one; "  women" has one space instead of
# two. No warning. Spaces inside and after a text are kept. The model is one of byte pairs with the
# settings of Llama's: no normalisation, no spaces removed, bytes for unknown letters.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import json
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import AutoTokenizer

lines = ["the cat sat on a mat", "women and men ran far away", "a nurse said so today"] * 20
folder = Path("model")
folder.mkdir()
SentencePieceTrainer.train(
    sentence_iterator=iter(lines), model_prefix=str(folder / "tokenizer"), vocab_size=340,
    model_type="bpe", hard_vocab_limit=False, byte_fallback=True, minloglevel=2,
    normalization_rule_name="identity", remove_extra_whitespaces=False,
)
(folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 340}))
settings = {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>", "bos_token": "<s>",
            "eos_token": "</s>", "add_bos_token": True, "legacy": False}
(folder / "tokenizer_config.json").write_text(json.dumps(settings))
own = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
made = AutoTokenizer.from_pretrained("model")
lost = []
for text in ("nurse", " nurse", "  women", "a  cat", "a cat "):
    print(repr(text), "SentencePiece", own.encode(text, out_type=str), "made", made.tokenize(text))
    if own.encode(text, out_type=str) != made.tokenize(text):
        lost.append(text)
assert lost == [" nurse", "  women"], lost
assert made.tokenize(" nurse") == made.tokenize("nurse")
PYTHON
