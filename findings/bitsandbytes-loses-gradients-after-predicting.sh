#!/bin/sh
# bitsandbytes 0.50.2 on a CPU with AVX512-BF16: once a 4-bit layer has predicted, no gradient goes through it any more.
#
# Expected: evaluating between epochs leaves a frozen 4-bit layer as it is, as on a GPU and on other CPUs; a layer that
# computes in training computes in evaluation.
# Seen: the first forward pass in evaluation repacks the weights for that processor. Back in training the answers are the
# same to the digits of bfloat16, and the gradient of what lies below is None: QLoRA with an evaluation after each epoch
# goes on with gradients that lack the base's part, and says so in one warning of torch's at most. Layers whose outputs are
# no multiple of 32, or whose inputs are none of 64, train well and raise when they are to predict.
set -eu
if ! grep -q avx512_bf16 /proc/cpuinfo; then
    echo "this processor has no AVX512-BF16: nothing is repacked here"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    torch==2.13.0 bitsandbytes==0.50.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from bitsandbytes.nn import Linear4bit, Params4bit


def layer(inputs: int, outputs: int) -> Linear4bit:
    torch.manual_seed(0)
    made = Linear4bit(inputs, outputs, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    weight = torch.randn(outputs, inputs)
    made.weight = Params4bit(weight, requires_grad=False, quant_type="nf4", module=made)
    return made.to("cpu")


def outcome(inputs: int, outputs: int, *modes: str) -> str:
    made, below = layer(inputs, outputs), torch.nn.Linear(8, inputs)
    said = ""
    for mode in modes:
        made.train(mode == "train")
        below.zero_grad()
        try:
            with torch.set_grad_enabled(mode == "train"):
                answer = made(below(torch.ones(4, 8)))
                if mode == "train":
                    answer.sum().backward()
                    gradient = below.weight.grad
                    said = "no gradient" if gradient is None else "a gradient"
        except (RuntimeError, AssertionError) as error:
            return f"{type(error).__name__} in {mode}"
    return said


for case, expected in {
    (128, 64, "train", "train"): "a gradient",
    (128, 64, "train", "predict", "train"): "no gradient",
    (128, 48, "train"): "a gradient",
    (128, 48, "train", "predict"): "AssertionError in predict",
    (96, 64, "train"): "a gradient",
    (96, 64, "train", "predict"): "RuntimeError in predict",
}.items():
    seen = outcome(*case)
    print(f"{case[0]} inputs, {case[1]} outputs, {', '.join(case[2:])}: {seen}")
    assert seen == expected, expected
PYTHON
