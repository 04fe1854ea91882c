#!/usr/bin/env bash
# Learning rates for scripts/redditbias.sh: validation accuracy on seed 0, test rows unseen.
#
#   scripts/redditbias_rates.sh DATA.csv MINILM_FOLDER [OUT]
set -euo pipefail
data=$1 minilm=$2 out=${3:-runs/redditbias-rates}
fairlora=${FAIRLORA:-fairlora}
here=$(dirname "$0")
for choice in linear:3e-3 linear:1e-2 lora:3e-4 lora:1e-3 lora:3e-3 lora:1e-2 full:5e-5 full:1e-4 full:3e-4; do
  kind=${choice%%:*} rate=${choice#*:}
  "$fairlora" train "$here/../examples/redditbias.yaml" --resume --json --out "$out/$kind-$rate" \
    --set data.path="$data" --set model.id="$minilm" --set adapter.kind="$kind" \
    --set training.learning_rate="$rate" |
    python3 -c "import json, sys; m = json.load(sys.stdin)['split_accuracy']; \
print('$kind', '$rate', 'validation', round(m['validation'], 4), 'training', round(m['train'], 4))"
done
