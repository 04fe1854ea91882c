#!/bin/sh
# netcal 1.4.0 and torchmetrics 1.9.0: one expected calibration error is six times the other, on the same rows.
#
# Expected: the same number, both with ten bins of equal width that are closed on one side.
# Seen: 0.075 and 0.475. Probabilities with one decimal lie on the edges of the bins, and float32 edges put 0.6
# into another bin than float64 ones: beside 0.55 in one library, alone in the other. torchmetrics differs from
# itself between float64 and float32 input. Models that state 60 % or 70 %, as language models do, have such
# probabilities only.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 netcal==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
from netcal.metrics import ECE
from torchmetrics.functional.classification import binary_calibration_error


def both(high: float, low: float, kind: torch.dtype) -> tuple[float, float]:
    """Of six rows at each probability, the higher ones all true, the lower ones all false."""
    p, y = np.array([high] * 6 + [low] * 6), np.array([1] * 6 + [0] * 6)
    theirs = binary_calibration_error(torch.tensor(p, dtype=kind), torch.tensor(y), n_bins=10)
    return round(float(ECE(10).measure(p, y)), 3), round(float(theirs), 3)


first = both(0.6, 0.55, torch.float64)
print("0.60 and 0.55: netcal, torchmetrics", first)
assert first == (0.075, 0.475), first
double, single = both(0.3, 0.25, torch.float64)[1], both(0.3, 0.25, torch.float32)[1]
print("0.30 and 0.25: torchmetrics in float64, in float32", double, single)
assert (double, single) == (0.225, 0.475), (double, single)
PYTHON
