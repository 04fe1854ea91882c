"""The linear probe: which rows it is of."""

from __future__ import annotations

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.predictions import group_column
from fairlora.probes.features import probe_features


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice(np.array(["x", "y", None], dtype=object), 150)
    features = rng.normal(size=(150, 3)) + (values == "x")[:, None]
    known = np.array([value is not None for value in values])
    units = np.arange(150) // 2
    whole = probe_features({"m": features}, group_column(values), units)
    part = probe_features({"m": features[known]}, group_column(values[known]), units[known])
    assert whole == {**part, "without_value": (~known).sum()}
    with pytest.raises(InputError, match="one value alone"):
        probe_features({"m": features}, group_column(np.where(values == "x", "x", None)))
    with pytest.raises(InputError, match="features of m: another length"):
        probe_features({"m": features[1:]}, group_column(values))
