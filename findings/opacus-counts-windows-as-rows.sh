#!/bin/sh
# opacus 1.6.0 on transformers 5.23's Swin-v2: a picture has as many "per-sample" gradients as windows, and each is clipped
# by itself.
#
# Expected: a gradient a picture, or a refusal; clipping to 1 bounds what one picture adds to the summed gradient by 1.
# Seen: windows are folded into the batch before attention, and opacus takes each for a row. Where the layers of one stage
# are trained, nothing raises: with 16 windows one picture adds up to 16 times the norm that the accountant was told of,
# and the epsilon that is reported is not kept.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    torch==2.13.0 transformers==5.23.0 opacus==1.6.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from transformers import Swinv2Config, Swinv2ForImageClassification

torch.manual_seed(0)
config = Swinv2Config(
    image_size=64, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=2
)
model = Swinv2ForImageClassification(config).requires_grad_(False)
layer = model.swinv2.encoder.layers[0].blocks[0].attention.self.query
layer.requires_grad_(True)
private = GradSampleModule(model, loss_reduction="sum")
trained = [p for p in private.parameters() if p.requires_grad]
optimizer = DPOptimizer(
    torch.optim.SGD(trained, lr=1.0), noise_multiplier=0.0, max_grad_norm=1.0,
    expected_batch_size=1, loss_reduction="sum",
)
pictures = torch.randn(1, 3, 64, 64)
# A loss steep enough that every gradient is cut.
loss = 1e6 * torch.nn.functional.cross_entropy(private(pixel_values=pictures).logits, torch.tensor([0]))
loss.backward()
rows = len(layer.weight.grad_sample)
optimizer.step()
norm = torch.stack([p.grad.norm() for p in trained]).norm().item()
print(f"1 picture: {rows} gradients of single rows; clipped to 1 each, their sum has the norm {norm:.2f}")
assert rows == 16
assert norm > 1.5
PYTHON
