"""`fairlora schema`: the JSON that commands print is as the schema of its kind says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    path = tmp_path / "p.csv"
    columns = {"id": range(80), "y": labels, "sex": rng.choice(["f", "m"], 80)}
    columns |= {name: np.where(rng.random(80) < 0.8, labels, 1 - labels) for name in ("a", "b")}
    columns["p"] = rng.random(80)
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("audit", ["--label", "y", "--pred", "a", "--four-fifths"]),
        ("comparison", ["--label", "y", "--pred", "a", "--against-pred", "b"]),
        ("decisions", ["--pred", "a"]),
        ("scores", ["--score", "p"]),
        ("targets", ["--target", "y=p"]),
    ],
)
def test_what_an_audit_prints_is_as_its_schema_says(
    fairlora: Callable[..., Any], file: Path, kind: str, options: list[str]
) -> None:
    schema = json.loads(fairlora("schema", kind).out)
    done = fairlora("audit", file, *options, "--group", "sex", "--bootstrap", 200, "--json")
    assert done.code == 0, done.err
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(done.out))
    assert not validator.is_valid({**json.loads(done.out), "another": 1})


def test_a_schema_is_written_to_a_file(fairlora: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    assert fairlora("schema", "attack-comparison", "--out", out).code == 0
    assert out.read_text(encoding="utf-8") == fairlora("schema", "attack-comparison").out
