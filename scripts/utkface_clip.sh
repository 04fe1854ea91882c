#!/usr/bin/env bash
# The runs behind docs/results/utkface-clip.md: four methods x two targets, one seed each.
# Stopped and started again, it leaves finished runs as they are.
#
#   scripts/utkface_clip.sh DATA_FOLDER MODEL_ID_OR_FOLDER [OUT]
set -euo pipefail
data=$1 model=$2 out=${3:-runs/utkface-clip}
fairlora=${FAIRLORA:-fairlora}

run() { # TARGET NAME SETTINGS...
  local target=$1 name=$2 positive=null
  shift 2
  [ "$target" = gender ] && positive=female
  "$fairlora" train "$(dirname "$0")/../examples/utkface-gender.yaml" --resume --out "$out/$target/$name" \
    --set name="utkface-$target" --set data.path="$data" --set data.target="$target" \
    --set model.id="$model" --set audit.positive=$positive "$@" >/dev/null
}

for target in gender age; do
  run $target linear --set adapter.kind=linear --set training.learning_rate=3.0e-3
  run $target lora
  run $target fairlora --set objective.name=loss-variance
  # Two rates of the papers' grid; the results page says which one validation chose.
  run $target full-5e-5 --set adapter.kind=full --set training.learning_rate=5.0e-5
  run $target full --set adapter.kind=full --set training.learning_rate=1.0e-5
  "$fairlora" compare "$out/$target"/{linear,lora,fairlora,full} --title "UTKFace $target, CLIP tower" \
    --out "$out/$target.md"
  "$fairlora" compare "$out/$target"/{linear,lora,fairlora,full} --title "UTKFace $target, CLIP tower" \
    --out "$out/$target.html"
done
