#!/bin/sh
# torch 2.13.0 on a CPU with AVX512-BF16: attention goes forward alike in bfloat16 and float32, and backward 3 to 5 times as
# slowly in bfloat16 where sequences are short.
#
# Expected: bfloat16 halves what attention takes, as it does with the products of linear layers on such a processor (2 times
# the rate of float32), or leaves it as it is.
# Seen: scaled_dot_product_attention's fused kernel, which is what is chosen by default, loses in its backward pass alone.
# 32 pictures of 65 tokens: forward 1.7 and 2.3 ms, backward 4 ms in float32 and 16 ms in bfloat16. The unfused one
# (SDPBackend.MATH) needs 3 ms in either, so at these lengths the fused one is the slowest of all that there is to choose from.
# Training a small ViT under autocast was slower than in float32 for it. Casting to float32 around attention mends it.
set -eu
if ! grep -q avx512_bf16 /proc/cpuinfo; then
    echo "this processor has no AVX512-BF16: all of bfloat16 is emulated here"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import statistics
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

torch.manual_seed(0)


def medians(dtype: torch.dtype, kind: SDPBackend) -> tuple[float, float]:
    """Milliseconds forward and backward."""
    query, key, value = (torch.randn(32, 3, 65, 64).to(dtype).requires_grad_() for _ in range(3))
    gradient = torch.randn(32, 3, 65, 64).to(dtype)
    took = []
    for _ in range(30):
        start = time.perf_counter()
        with sdpa_kernel(kind):
            output = scaled_dot_product_attention(query, key, value)
        between = time.perf_counter()
        output.backward(gradient)
        took.append((between - start, time.perf_counter() - between))
    forward, backward = (1000 * statistics.median(side) for side in zip(*took[5:]))
    print(f"{kind.name}, {dtype}: forward {forward:.1f} ms, backward {backward:.1f} ms")
    return forward, backward


fused = medians(torch.float32, SDPBackend.FLASH_ATTENTION)
short = medians(torch.bfloat16, SDPBackend.FLASH_ATTENTION)
unfused = medians(torch.bfloat16, SDPBackend.MATH)
assert short[0] < 2 * fused[0], "forward is slower too"
assert short[1] > 2 * fused[1], "backward is no slower any more"
assert short[1] > 2 * unfused[1], "the unfused one is no faster any more"
PYTHON
