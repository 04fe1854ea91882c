#!/bin/sh
# torchmetrics 1.9.0: BinaryGroupStatRates books a batch without group 0 to group 0.
#
# Expected: an update with all rows of group 0 and then one with all rows of group 1 give what one update
# with both gives, as for every torchmetrics metric.
# Seen: the second batch is counted for group 0, and group 1 is nan: the groups of a batch are numbered
# by their order in it, not by their ids. A sorted evaluation set, or a rare group that a batch lacks, is enough.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics.classification import BinaryGroupStatRates

true = torch.tensor(([1] * 10 + [0] * 10) * 2)
runs = torch.tensor([6, 4, 1, 9, 9, 1, 3, 7])
told = torch.repeat_interleave(torch.tensor([1, 0] * 4), runs)
group = torch.tensor([0] * 20 + [1] * 20)

whole = BinaryGroupStatRates(2)
whole.update(told, true, group)
at_once = {name: [round(float(x), 3) for x in rates] for name, rates in whole.compute().items()}

parts = BinaryGroupStatRates(2)
for one in (group == 0, group == 1):
    parts.update(told[one], true[one], group[one])
in_two = {name: [round(float(x), 3) for x in rates] for name, rates in parts.compute().items()}
print("TP, FP, TN, FN in one update ", at_once)
print("the same rows in two updates", in_two)
assert at_once["group_0"] == [0.3, 0.05, 0.45, 0.2], at_once
assert at_once["group_1"] == [0.45, 0.15, 0.35, 0.05], at_once
assert in_two["group_0"] == [0.375, 0.1, 0.4, 0.125], in_two
assert all(x != x for x in in_two["group_1"]), in_two
PYTHON
