#!/bin/sh
# fairlearn 0.15.0: demographic parity of classes that are words is 0.0, whatever the predictions.
#
# Expected: a difference of 0.5 (group a is told "yes" in 3 of 4 rows, group b in 1 of 4), or an error.
# Seen: demographic_parity_difference answers 0.0 and demographic_parity_ratio nan, without a warning.
# selection_rate takes 1 for the positive class, and no word is equal to 1. With classes 0, 1 and 2 it
# compares class 1 alone, without a word. equalized_odds_difference raises ValueError on the words.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fairlearn==0.15.0 scikit-learn==1.9.1 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import math

import numpy as np
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
)

group = ["a"] * 4 + ["b"] * 4
told = ["yes", "yes", "yes", "no", "yes", "no", "no", "no"]
true = ["yes", "no"] * 4
numbers = [int(word == "yes") for word in told]

difference = demographic_parity_difference(true, told, sensitive_features=group)
as_numbers = demographic_parity_difference(
    [int(word == "yes") for word in true], numbers, sensitive_features=group
)
with np.errstate(all="ignore"):
    ratio = demographic_parity_ratio(true, told, sensitive_features=group)
print("difference of words", difference, "of numbers", as_numbers, "ratio of words", ratio)
assert as_numbers == 0.5
assert difference == 0.0
assert math.isnan(ratio)

# Of three classes: class 2 is told to group a alone, class 1 to both alike.
three = [2, 2, 1, 0, 1, 0, 0, 0]
alone = demographic_parity_difference(three, three, sensitive_features=group)
print("difference of three classes", alone)
assert alone == 0.0
try:
    equalized_odds_difference(true, told, sensitive_features=group)
except ValueError as error:
    print("equalized odds:", str(error).splitlines()[0][:100])
else:
    raise SystemExit("equalized odds of words has an answer now")
PYTHON
