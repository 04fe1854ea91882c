#!/usr/bin/env bash
# Audits of the UTKFace runs that scripts/utkface_clip.sh makes, as the pages in docs/results.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/utkface-clip}
fairlora=${FAIRLORA:-fairlora}

"$fairlora" audit "$runs/age/lora/predictions.parquet" --group race --group gender \
    --intersect race,gender --subgroups 2 --power 0.05 \
    --title "UTKFace, age in nine bins: LoRA on the CLIP tower" \
    --out docs/results/utkface-age-lora.md > /dev/null
"$fairlora" audit "$runs/gender/lora/predictions.parquet" --group race --group age_bin \
    --positive female --against "$runs/gender/full/predictions.parquet" \
    --title "UTKFace, gender: LoRA against full fine-tuning" \
    --out docs/results/utkface-gender-lora-against-full.md > /dev/null
