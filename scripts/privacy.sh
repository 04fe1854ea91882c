#!/usr/bin/env bash
# Membership inference on UTKFace, docs/results/privacy.md: every attack on an overfitted model with
# 16 and with 64 models, and LoRA against full fine-tuning. A model of the first two studies takes about two
# minutes on two cores. Stopped and started again, it goes on where it was.
#
#   scripts/privacy.sh UTKFACE_FOLDER [OUT [ARGUMENTS of fairlora study run]]
#
# On processors without AVX512-BF16: scripts/privacy.sh UTKFACE runs --set training.bf16=false
set -euo pipefail
data=$1 out=${2:-runs}
shift $(($# < 2 ? $# : 2))
fairlora=${FAIRLORA:-fairlora} python=${PYTHON:-python}
here=$(dirname "$0")
studies=$here/../examples/studies
both=(--out "$out" --set data.path="$data" --set training.bf16=true "$@")

"$fairlora" study run "$studies/privacy-leak.yaml" "${both[@]}"
"$fairlora" study run "$studies/privacy-leak.yaml" "${both[@]}" \
  --set privacy.shadows=63 --set name=privacy-leak-64 --set 'reuse=[privacy-leak]'
"$fairlora" study run "$studies/privacy-lora-full.yaml" "${both[@]}"
"$python" "$here/privacy_shadows.py" full "$out/privacy-leak" "$out/privacy-leak-64"
