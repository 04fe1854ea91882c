#!/bin/sh
# fairbench 0.9.6: a model without a single error has the largest difference in recall that there is, and a recall of
# 0 in one group, where that group has no positive example.
#
# Expected: nan, or the group left out of what cannot be computed for it, or a warning.
# Seen: recall (tpr), precision (ppv) and F1 of such a group are 0.0; smallest 0, mean 0.5, "maxdiff" 1.0 in every
# reduction, and nothing marks them; accuracy of the same report is 1.0 everywhere.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    fairbench==0.9.6 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import re

import fairbench

labels = [1, 0, 1, 0] + [0, 0, 0, 0]
groups = fairbench.Dimensions(fairbench.categories @ (["a"] * 4 + ["b"] * 4))
report = str(fairbench.reports.pairwise(predictions=labels, labels=labels, sensitive=groups))
found: dict[tuple[str, str], float] = {}
reduction = ""
for line in report.splitlines():
    if head := re.search(r"\[reduction\] (\w+)", line):
        reduction = head[1]
    elif row := re.search(r"\[measure\] (\w+)\s+([\d.]+)", line):
        found[reduction, row[1]] = float(row[2])
for name in ("min", "mean", "maxdiff"):
    print(name, {m: found[name, m] for m in ("acc", "tpr", "ppv", "f1") if (name, m) in found})
assert found["min", "acc"] == 1.0
assert found["maxdiff", "acc"] == 0.0
for measure in ("tpr", "ppv", "f1"):
    assert found["min", measure] == 0.0, measure
    assert found["mean", measure] == 0.5, measure
    assert found["maxdiff", measure] == 1.0, measure
PYTHON
