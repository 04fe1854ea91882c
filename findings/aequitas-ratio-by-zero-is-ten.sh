#!/bin/sh
# aequitas 1.0.0: a ratio to a group whose rate is 0 is 10.0, and no mark says so.
#
# Expected: infinity, nan or an error where the reference group is never selected.
# Seen: every ratio of the other group (selection, true and false positive rate) is exactly 10.0, whatever its own
# rate: the default of fill_divbyzero stands in the table like a measured one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    aequitas==1.0.0 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from aequitas.bias import Bias
from aequitas.group import Group


def ratios(chosen: int) -> list[float]:
    """Of group a, of which so many of 20 are chosen, to group b, of which nobody is."""
    frame = pd.DataFrame(
        {
            "score": [1] * chosen + [0] * (40 - chosen),
            "label_value": [1, 0] * 20,
            "g": np.array(["a"] * 20 + ["b"] * 20, dtype=object),
        }
    )
    rates, _ = Group().get_crosstabs(frame, attr_cols=["g"])
    table = Bias().get_disparity_predefined_groups(
        rates, original_df=frame, ref_groups_dict={"g": "b"}, alpha=0.05, mask_significance=False
    )
    row = table.set_index("attribute_value").loc["a"]
    return [float(row[f"{name}_disparity"]) for name in ("pprev", "tpr", "fpr")]


for chosen in (2, 10, 20):
    found = ratios(chosen)
    print(f"{chosen} of 20 chosen against 0 of 20: ratios", found)
    assert found == [10.0, 10.0, 10.0], found
PYTHON
