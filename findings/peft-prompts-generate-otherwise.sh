#!/bin/sh
# peft 0.21.2 with transformers 5.24.0: a causal model with virtual tokens generates other text than
# its own logits say. With transformers 5.23.0 both agree.
#
# Expected: greedy generation takes the likeliest token of the model's logits at every step.
# Seen with 5.24.0, of 40 prompts and 8 greedy tokens each: with prefix tuning the first token is the
# base model's already, in all 40; with prompt tuning the first token is right and the second
# wrong in most, so that no continuation is right to its end; with p-tuning 1 is. There is no warning.
# 5.24 calls `past_key_values` `cache`; peft looks for the old name when it prepares each step.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/ask.py" <<'PYTHON'
import sys
import warnings

import torch
import transformers
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
PROMPTS, LENGTH, NEW = 40, 6, 8
some = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 8}
KINDS = {
    "prefix tuning": PrefixTuningConfig(**some),
    "prompt tuning": PromptTuningConfig(**some),
    "p-tuning": PromptEncoderConfig(**some, encoder_hidden_size=32),
}


def small():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, initializer_range=0.3, pad_token_id=0, bos_token_id=1,
        eos_token_id=None,
    )
    return transformers.LlamaForCausalLM(config).eval()


base = small()
whole = {}
for name, config in KINDS.items():
    model = get_peft_model(small(), config).eval()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.prompt_encoder.parameters():
            weight.add_(3 * torch.randn(weight.shape, generator=noise))
    draws = torch.Generator().manual_seed(2)
    first = right = of_base = 0
    for _ in range(PROMPTS):
        ids = torch.randint(3, 64, (1, LENGTH), generator=draws)
        with torch.no_grad():
            out = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW,
                do_sample=False,
            )
            logits = model(input_ids=out, attention_mask=torch.ones_like(out)).logits[0]
            plain = base(input_ids=ids).logits[0, -1].argmax()
        said = logits[-out.shape[1] :].argmax(-1)[LENGTH - 1 : -1]
        agree = said == out[0, LENGTH:]
        first += int(agree[0])
        right += int(agree.all())
        of_base += int(out[0, LENGTH] == plain)
    whole[name] = (first, right, of_base)
    print(f"  {name}: first token as the logits say {first}, whole continuation {right}, first "
          f"token of the base model {of_base}, of {PROMPTS}")
if sys.argv[1] == "agree":
    assert all(first == right == PROMPTS for first, right, _ in whole.values()), whole
else:
    assert whole["prefix tuning"][2] == PROMPTS, whole
    assert whole["prompt tuning"][0] == PROMPTS and whole["prompt tuning"][1] == 0, whole
    assert whole["p-tuning"][0] == PROMPTS and whole["p-tuning"][1] < PROMPTS / 2, whole
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 peft==0.21.2 \
    accelerate==1.15.0 numpy==2.4.6 transformers==5.23.0
echo "transformers 5.23.0"
"$folder/venv/bin/python" "$folder/ask.py" agree
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
echo "transformers 5.24.0"
"$folder/venv/bin/python" "$folder/ask.py" differ
