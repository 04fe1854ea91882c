#!/usr/bin/env bash
# The runs behind docs/results/redditbias.md: ways of fine-tuning MiniLM on RedditBias, three seeds,
# and one LoRA run of SmolLM2-135M. Stopped and started again, it leaves finished runs as they are.
#
#   scripts/redditbias.sh DATA.csv MINILM_FOLDER SMOLLM2.gguf [OUT]
set -euo pipefail
data=$1 minilm=$2 smollm=$3 out=${4:-runs/redditbias}
fairlora=${FAIRLORA:-fairlora}
here=$(dirname "$0")

run() { # NAME SEED SETTINGS...
  local name=$1 seed=$2
  shift 2
  echo "== $name, seed $seed" >&2
  "$fairlora" train "$here/../examples/redditbias.yaml" --resume --out "$out/$name/seed$seed" \
    --set data.path="$data" --set model.id="$minilm" --set seed="$seed" "$@" >/dev/null
}

# Rates: chosen by validation accuracy on seed 0, by scripts/redditbias_rates.sh.
lora=${LORA_RATE:-3.0e-3} full=${FULL_RATE:-5.0e-5} linear=${LINEAR_RATE:-1.0e-2}
for seed in 0 1 2; do
  run linear $seed --set adapter.kind=linear --set training.learning_rate=$linear
  run lora $seed --set training.learning_rate=$lora
  run fairlora-classes $seed --set training.learning_rate=$lora --set objective.name=loss-variance
  run fairlora-targets $seed --set training.learning_rate=$lora --set objective.name=loss-variance \
    --set objective.groups=group
  run group-dro $seed --set training.learning_rate=$lora --set objective.name=group-dro \
    --set objective.groups=group
  run reweight $seed --set training.learning_rate=$lora --set objective.name=reweight \
    --set objective.groups=group
  run full $seed --set adapter.kind=full --set training.learning_rate=$full
done
run smollm2-lora 0 --set model.id="$smollm" --set training.learning_rate=3.0e-4 --set training.epochs=1

methods=(linear lora fairlora-classes fairlora-targets group-dro reweight full)
runs=()
for method in "${methods[@]}"; do runs+=("$out/$method"/seed?); done
for format in md html png; do
  "$fairlora" compare "${runs[@]}" --title "RedditBias, MiniLM" --out "$out/minilm.$format"
done
