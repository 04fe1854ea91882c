"""Settings models: one line for each error, however the model is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlora.data import SplitPlan
from fairlora.errors import InputError
from fairlora.metrics import Settings
from fairlora.models import Adapter
from fairlora.privacy.settings import PrivacySettings
from fairlora.study.spec.run import RunSpec


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: Settings(level=2),
            "level: out of range (found 2; expected >= 0.5 and <= 0.999999)",
        ),
        (lambda: Settings(bins=2.5), "bins: not a whole number (found 2.5)"),
        (lambda: Settings(bins=True), "bins: not a number (found True)"),
        (lambda: Settings(binz=3), "binz: unknown key (expected 'bins'?)"),
        (
            lambda: Settings(missing_group="drop"),
            "missing_group: unknown value (found 'drop'; expected 'show' or 'keep')",
        ),
        (
            lambda: SplitPlan(test=1.0),
            "data.split.test: out of range (found 1.0; expected > 0 and < 1)",
        ),
        (
            lambda: RunSpec.parse({"adapter": {"rank": -1}}, "run.yaml"),
            "run.yaml: adapter.rank: out of range (found -1; expected >= 0)",
        ),
        (
            lambda: RunSpec.parse({"data": {"split": {"mode": "papers", "tset": 0.3}}}, "run.yaml"),
            "run.yaml: data.split.tset: unknown key (expected 'test'?)",
        ),
        (
            lambda: RunSpec.parse({"training": {"epochs": True}}, "run.yaml"),
            "run.yaml: training.epochs: not a number (found True)",
        ),
        (
            lambda: RunSpec.parse({"last_layer": {"groups": "sex"}}, "run.yaml"),
            "run.yaml: last_layer.groups: not a list (found 'sex')",
        ),
        (
            lambda: RunSpec.parse({"name": [1]}, "run.yaml"),
            "run.yaml: name: not a text (found [1])",
        ),
        (
            lambda: PrivacySettings(fprs=(0.1, 1.5)),
            "fprs.1: out of range (found 1.5; expected < 1)",
        ),
    ],
)
def test_an_error_says_where_what_and_what_it_may_be(make: Callable[[], Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


def test_numbers_of_numpy_are_numbers() -> None:
    settings = Settings(bins=np.int64(5), level=np.float32(0.5))
    assert (type(settings.bins), settings.bins, settings.level) == (int, 5, 0.5)
    assert Adapter(rank=np.int32(4)) == Adapter(rank=4)


def test_a_file_is_read_without_peft_and_python_is_told_at_once() -> None:
    """Another version of PEFT has other fields: what an old file says of them can still be read."""
    content = {"adapter": {"fields": {"field_of_tomorrow": 1}}}
    spec = RunSpec.parse(content, "run.yaml")
    for make in (spec.adapter.check, lambda: Adapter(**content["adapter"])):
        with pytest.raises(InputError, match="field_of_tomorrow: LoraConfig has no such field"):
            make()


def test_equal_adapters_are_one_key() -> None:
    adapters = {Adapter("lora", fields={"bias": "all"}), Adapter("lora", fields={"bias": "all"})}
    assert len(adapters) == 1
