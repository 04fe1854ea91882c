#!/bin/sh
# Writes tests/models/mlx: a tiny Llama, a LoRA and a DoRA of it that mlx-lm trained, and the logits
# that mlx gave. Runs on Linux with mlx's CPU build; needs PyPI.
#
#     scripts/mlx_adapters.sh
set -eu
cd "$(dirname "$0")/.."
OUT=$PWD/tests/models/mlx
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
rm -rf "$OUT"
mkdir -p "$OUT" "$WORK/data"
.venv/bin/python - "$OUT/base" <<'PYTHON'
import sys
from pathlib import Path
from fairlora.models import write_tiny_model
write_tiny_model("meta-llama/Llama-2-7b-hf", Path(sys.argv[1]))
PYTHON
for part in train valid test; do
    printf '{"text": "the cat sat on the mat and ran away"}\n{"text": "a dog ran far away"}\n' \
        > "$WORK/data/$part.jsonl"
done
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet 'mlx[cpu]==0.32.4' 'mlx-lm==0.32.2'
cd "$OUT"
for kind in lora dora; do
    layers=$([ $kind = lora ] && echo -1 || echo 1)
    "$WORK/venv/bin/mlx_lm.lora" --train --model base --data "$WORK/data" --iters 4 --batch-size 1 \
        --learning-rate 0.05 --num-layers "$layers" --fine-tune-type $kind --adapter-path $kind
    # What of the machine's folders it wrote down, and nobody reads.
    sed -i "s|$WORK/||" $kind/adapter_config.json
    rm -f $kind/0*.safetensors
done
"$WORK/venv/bin/python" - <<'PYTHON'
import json
import mlx.core as mx
from mlx_lm import load
tokens = [5, 6, 7, 8, 9]
logits = {}
for kind in ("lora", "dora"):
    model, _ = load("base", adapter_path=kind)
    logits[kind] = model(mx.array([tokens]))[0, -1].astype(mx.float32).tolist()
json.dump({"tokens": tokens, "logits": logits}, open("expected.json", "w"), indent=1)
PYTHON
