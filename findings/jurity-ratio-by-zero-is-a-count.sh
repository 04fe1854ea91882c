#!/bin/sh
# jurity 2.1.0: the disparate impact against a group of which nobody is chosen is how many rows of the other were.
#
# Expected: infinity, nan or an error.
# Seen: a whole number that doubles with the rows of the same data: 30 of 100 chosen is 30, 60 of 200 is 60. And the
# difference in false positive rates is None where a group has no positive label, which that rate does not ask for.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    jurity==2.1.0 numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from jurity.fairness import BinaryFairnessMetrics

for times in (1, 2, 10):
    # The first group, whom membership 1 marks, against the second.
    chosen = ([1] * 30 + [0] * 70 + [0] * 100) * times
    member = ([1] * 100 + [0] * 100) * times
    ratio = BinaryFairnessMetrics.DisparateImpact().get_score(chosen, member)
    print(f"{30 * times} of {100 * times} against 0 of {100 * times}: disparate impact {ratio}")
    assert ratio == 30 * times, ratio

labels, chosen, member = [1, 0, 1, 0, 0, 0, 0, 0], [1, 0, 1, 1, 0, 1, 0, 0], [0] * 4 + [1] * 4
rates = [
    sum(c for c, y, m in zip(chosen, labels, member) if m == side and y == 0)
    / sum(1 for y, m in zip(labels, member) if m == side and y == 0)
    for side in (0, 1)
]
answer = BinaryFairnessMetrics.PredictiveEquality().get_score(labels, chosen, member)
print(f"false positive rates {rates}: predictive equality {answer}")
assert rates == [0.5, 0.25]
assert answer is None, answer
PYTHON
