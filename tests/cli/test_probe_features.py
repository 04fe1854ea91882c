"""`fairlora probe features`: finished runs, their base model, and sensitive agreement."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.predictions import read_predictions

Run = Callable[..., Any]
SUGGESTS = ("--suggests", "skin_tone:dark=male", "--suggests", "skin_tone:light=female")


def test_runs_are_probed_beside_their_base_model(
    finished: dict[str, Path], fairlora: Run, tmp_path: Path
) -> None:
    page = tmp_path / "probe.html"
    done = fairlora(
        *("probe", "features", finished["lora-0"], finished["full-0"], "--group", "skin_tone"),
        *("--folds", 3, "--out", page, "--out", tmp_path / "probe.json", *SUGGESTS),
    )
    assert done.code == 0, done.err
    assert "What features hold: skin_tone" in done.out
    assert "Sensitive agreement" in page.read_text(encoding="utf-8")
    content = json.loads((tmp_path / "probe.json").read_text(encoding="utf-8"))
    found = content["attributes"]["skin_tone"]
    assert list(found["models"]) == ["base model", "lora-0", "full-0"]
    assert found["units"] < found["n"]  # families of emoji
    for name in ("lora-0", "full-0"):
        own = found["models"][name]
        assert own["against_base"]["verdict"] in ("better", "worse", "equivalent", "inconclusive")
        table = read_predictions(finished[name] / "predictions.parquet").select("test")
        pred = np.array(table.classes)[table.predictions]
        tone = np.array(table.groups["skin_tone"].tolist())
        hits = ((tone == "dark") & (pred == "male")) | ((tone == "light") & (pred == "female"))
        wanted = hits.sum() / np.isin(tone, ["dark", "light"]).sum()
        assert own["sensitive_agreement"]["value"] == pytest.approx(wanted)
    assert "sensitive_agreement" not in found["models"]["base model"]


def test_all_attributes_by_default_and_json_alone(finished: dict[str, Path], fairlora: Run) -> None:
    done = fairlora("probe", "features", finished["lora-0"], "--folds", 3, "--rows", 100, "--json")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["rows"] == 100
    assert set(content["attributes"]) == {"skin_tone"}  # there is one renderer alone


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("{run}", "--group", "race"), "'race'"),
        (("{run}", "--split", "holdout"), "'holdout'"),
        (("{run}", "--suggests", "tone"), "--suggests"),
        (("{run}", "--out", "x.docx"), ".docx"),
        (("nowhere",), "not a finished run"),
    ],
)
def test_bad_input_is_one_line(
    options: tuple[str, ...], said: str, finished: dict[str, Path], fairlora: Run
) -> None:
    words = [word.format(run=finished["lora-0"]) for word in options]
    done = fairlora("probe", "features", *words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
