#!/bin/sh
# PEFT 0.21.2 with transformers 5.23.0: half of an adapter that transformers 4 wrote is dropped.
#
# Expected: DINOv2's "query" and "value" are called otherwise since transformers 5, so an adapter on
# query, value and fc1 that peft 0.10.0 saved beside transformers 4.40.2 is translated, as the base
# model's own weights are, or refused.
# Seen: PeftModel.from_pretrained loads it without an error or a warning of PEFT. fc1, which kept its
# name, is adapted; the weights of query and value are gone, and the answers are neither the
# adapter's nor the base model's. An adapter on query and value alone raises ValueError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in old new; do python3 -m venv "$folder/$name"; done
"$folder/old/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==4.40.2 peft==0.10.0 accelerate==0.29.3 numpy==1.26.4
"$folder/new/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 numpy==2.4.6
cd "$folder"
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error
"$folder/old/bin/python" -W ignore - <<'PYTHON'
import peft
import torch
import transformers

torch.manual_seed(0)
config = transformers.Dinov2Config(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
    mlp_ratio=2, num_labels=3, initializer_range=0.2,
)
transformers.Dinov2ForImageClassification(config).save_pretrained("base")
for name, targets in (("mixed", ["query", "value", "fc1"]), ("attention", ["query", "value"])):
    base = transformers.AutoModelForImageClassification.from_pretrained("base")
    settings = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    model = peft.get_peft_model(base, settings).eval()
    model.save_pretrained(name)
    pixels = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    with torch.no_grad():
        torch.save(model(pixel_values=pixels).logits, f"{name}.pt")
PYTHON
"$folder/new/bin/python" - <<'PYTHON'
import warnings

import peft
import torch
import transformers

pixels = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)


def base():
    return transformers.AutoModelForImageClassification.from_pretrained("base").eval()


with warnings.catch_warnings(record=True) as seen, torch.no_grad():
    warnings.simplefilter("always")
    model = peft.PeftModel.from_pretrained(base(), "mixed").eval()
    found = model(pixel_values=pixels).logits
    plain = base()(pixel_values=pixels).logits
said = [str(one.message) for one in seen if "peft" in one.filename or "adapter" in str(one.message)]
written = torch.load("mixed.pt", weights_only=True)
print("the adapter's answers", written, "read", found, "the base model's", plain)
print("warnings about it:", said)
assert said == []
assert (found - written).abs().max() > 0.1
assert (found - plain).abs().max() > 0.1
adapted = sorted({name.split(".lora_")[0].rsplit(".", 1)[-1] for name in model.state_dict() if "lora_" in name})
print("adapted", adapted)
assert adapted == ["fc1"]
try:
    peft.PeftModel.from_pretrained(base(), "attention")
except ValueError as error:
    print("query and value alone:", str(error)[:100])
else:
    raise SystemExit("an adapter on query and value alone is read now")
PYTHON
