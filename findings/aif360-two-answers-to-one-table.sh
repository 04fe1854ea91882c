#!/bin/sh
# aif360 0.6.1: its two interfaces answer one table differently, and an undefined rate leaves a maximum.
#
# Expected: ClassificationMetric and aif360.sklearn agree; equalized odds are nan where a rate is.
# Seen: with nobody selected in the reference group the ratio of selection rates is infinity in one and 0.0 in the
# other; with nobody selected at all nan and 0.0. Where a group has no positives its true positive rate is
# undefined: average_odds_difference is nan, but equalized_odds_difference is the other rate's gap, 0.05.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    aif360==0.6.1 numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON' 2>/dev/null
import math

import numpy as np
import pandas as pd
from aif360.datasets import BinaryLabelDataset
from aif360.metrics import ClassificationMetric
from aif360.sklearn.metrics import disparate_impact_ratio

LABELS = np.array(([1] * 10 + [0] * 10) * 2)
TOLD = np.repeat([1, 0] * 4, [6, 4, 1, 9, 9, 1, 3, 7])
OTHER = np.array([0] * 20 + [1] * 20)  # 1 is the reference


def classic(labels: np.ndarray, told: np.ndarray) -> ClassificationMetric:
    frame = pd.DataFrame({"y": labels, "g": OTHER}).astype(float)
    true = BinaryLabelDataset(df=frame, label_names=["y"], protected_attribute_names=["g"])
    said = true.copy()
    said.labels = told.reshape(-1, 1).astype(float)
    return ClassificationMetric(
        true, said, unprivileged_groups=[{"g": 0}], privileged_groups=[{"g": 1}]
    )


def newer(labels: np.ndarray, told: np.ndarray) -> float:
    y = pd.Series(labels, index=pd.Index(OTHER, name="g"))
    return float(disparate_impact_ratio(y, told, prot_attr="g", priv_group=1))


nobody_there = np.where(OTHER == 1, 0, TOLD)
nobody = np.zeros_like(TOLD)
found = [
    (float(classic(LABELS, told).disparate_impact()), newer(LABELS, told))
    for told in (nobody_there, nobody)
]
print("ratio, nobody in the reference selected:", found[0])
print("ratio, nobody selected:", found[1])
assert math.isinf(found[0][0])
assert found[0][1] == 0.0
assert math.isnan(found[1][0])
assert found[1][1] == 0.0
metric = classic(np.where(OTHER == 0, 0, LABELS), TOLD)
average, largest = metric.average_odds_difference(), metric.equalized_odds_difference()
print("a group without positives: average odds", average, "equalized odds", round(largest, 3))
assert math.isnan(average)
assert math.isclose(largest, 0.05, abs_tol=1e-9)
PYTHON
