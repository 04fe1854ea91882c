"""Several targets in one audit, and what medicine asks of a test, against rival libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score

import fairlora as package
from fairlora.errors import InputError
from fairlora.metrics.clinical import calibration_line
from fairlora.metrics.targets import settled_labels

Command = Callable[..., Any]


def table(seed: int = 0, n: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex, patient = rng.choice(["f", "m"], n), rng.integers(0, n // 3, n)
    out = pd.DataFrame({"sex": sex, "patient": patient})
    for name, shift in (("Edema", 0.0), ("Effusion", 1.5)):
        y = rng.random(n) < 0.4
        logit = 1.5 * (2 * y - 1) + rng.normal(0, 1, n) - shift * (sex == "f") * y
        out[name], out[f"p_{name}"] = y.astype(float), 1 / (1 + np.exp(-logit))
    return out


def audited(frame: pd.DataFrame, **options: Any) -> dict[str, Any]:
    names = ["Edema", "Effusion"]
    return package.audit_targets(
        {name: frame[name] for name in names},
        {name: frame[f"p_{name}"] for name in names},
        frame[["sex"]],
        **options,
    ).to_dict()


def test_numbers_are_those_of_scikit_learn() -> None:
    frame = table()
    content = audited(frame, bootstrap=0)
    for name in ("Edema", "Effusion"):
        clinical = content["targets"][name]["clinical"]
        aucs = []
        for group in ("f", "m"):
            part = frame[frame["sex"] == group]
            y, p = part[name], part[f"p_{name}"].astype(np.float32)
            tn, fp, fn, tp = confusion_matrix(y, p >= 0.5).ravel()
            expected = {
                "sensitivity": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "ppv": tp / (tp + fp),
                "npv": tn / (tn + fn),
                "fnr": fn / (tp + fn),
                "fdr": fp / (tp + fp),
                "for": fn / (tn + fn),
                "auc": roc_auc_score(y, p),
            }
            aucs.append(expected["auc"])
            for key, value in expected.items():
                number = clinical["by_group"]["sex"][group][key]
                assert number["value"] == pytest.approx(value), key
                assert number["low"] <= number["value"] <= number["high"]
        overall = roc_auc_score(frame[name], frame[f"p_{name}"].astype(np.float32))
        scaled = overall / (1 + sum(abs(overall - auc) for auc in aucs))
        assert clinical["es_auc"]["sex"] == pytest.approx(scaled)


def test_the_calibration_line_is_a_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    logit = rng.normal(0, 2, 3000)
    y = rng.random(3000) < 1 / (1 + np.exp(-(0.5 + 0.6 * logit)))
    intercept, slope = calibration_line(1 / (1 + np.exp(-logit)), y, 0.95)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], y)
    assert slope.value == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert slope.low is not None
    assert slope.high is not None
    assert slope.low < 0.6 < slope.high
    # With a slope of 1 the score equation is that the mean probability is the share.
    assert intercept.value is not None
    assert np.mean(1 / (1 + np.exp(-(logit + intercept.value)))) == pytest.approx(y.mean())


def test_the_calibration_line_holds_and_widens_by_cluster() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        logit = rng.normal(0, 1, 200)
        y = rng.random(200) < 1 / (1 + np.exp(-logit))
        _, slope = calibration_line(1 / (1 + np.exp(-logit)), y, 0.95)
        assert slope.low is not None
        assert slope.high is not None
        hits += slope.low <= 1 <= slope.high
    assert hits >= 276  # 95 % of 300 is 285, its standard error 3.8
    each = np.repeat(np.arange(200), 4)
    alone = calibration_line(1 / (1 + np.exp(-logit[each])), y[each], 0.95)[1]
    together = calibration_line(1 / (1 + np.exp(-logit[each])), y[each], 0.95, each)[1]
    assert alone.high is not None
    assert alone.low is not None
    assert together.high is not None
    assert together.low is not None
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_a_perfect_model_has_no_finite_slope() -> None:
    _, slope = calibration_line(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]) == 1, 0.95)
    assert slope.value is None
    assert slope.reason is not None


def test_uncertain_and_blank_labels_need_a_policy() -> None:
    frame = table()
    frame.loc[:9, "Edema"] = -1
    frame.loc[10:29, "Edema"] = np.nan
    with pytest.raises(InputError, match=r"uncertain labels.*--uncertain"):
        audited(frame)
    with pytest.raises(InputError, match=r"blank labels.*--blank"):
        audited(frame, uncertain="drop")
    content = audited(frame, uncertain="positive", blank="drop", bootstrap=0)
    assert content["targets"]["Edema"]["n"] == 880
    assert content["targets"]["Effusion"]["n"] == 900
    assert content["targets"]["Edema"]["labels"] == {
        "uncertain (positive)": 10,
        "blank (left out)": 20,
    }
    with pytest.raises(InputError, match="not a label of a finding"):
        settled_labels(np.array([2.0]), "Edema", "drop", "drop")


def test_one_correction_over_all_targets() -> None:
    """Where no target differs, at most 1 in 20 tables shows a gap, however many targets."""
    shown = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sex = rng.choice(["f", "m"], 300)
        y = {f"t{k}": rng.integers(0, 2, 300) for k in range(6)}
        p = {
            name: np.clip(0.5 + 0.2 * (v - 0.5) + rng.normal(0, 0.1, 300), 0, 1)
            for name, v in y.items()
        }
        content = package.audit_targets(y, p, {"sex": sex}, bootstrap=0).to_dict()
        shown += any(
            one["disparities"]["sex"]["accuracy_gap"]["low"] > 0
            for one in content["targets"].values()
        )
    assert shown <= 4  # 1.5 expected at 5 %; one by one it would be 8 of 30


def test_the_command(fairlora: Command, tmp_path: Path) -> None:
    file, page = tmp_path / "x.csv", tmp_path / "x.html"
    frame = table()
    frame["age"] = np.random.default_rng(0).integers(20, 90, len(frame))
    frame.to_csv(file, index=False)
    options = ["--target", "Edema=p_Edema", "--target", "Effusion=p_Effusion", "--group", "sex"]
    done = fairlora("audit", file, *options, "--cluster", "patient", "--out", page)
    assert done.code == 0, done.err
    (lead,) = re.findall(r'<p class="told"><bdi>(.*?)</bdi>', page.read_text(encoding="utf-8"))
    assert "Effusion" in lead
    assert lead.split(":")[0] in " ".join(done.out.split())
    assert "Calibration slope" in page.read_text(encoding="utf-8")
    done = fairlora("audit", file, *options, "--group", "age", "--bin", "age=40,60", "--json")
    groups = json.loads(done.out)["targets"]["Edema"]["by_group"]["age"]
    assert len(groups) == 3
    done = fairlora("audit", file, "--target", "Edema", "--group", "sex")
    assert (done.code, "not a target" in done.err) == (2, True)
    frame["split"] = ["train"] * 600 + ["test"] * 300
    frame.to_csv(file, index=False)
    done = fairlora("audit", file, *options, "--json")
    assert json.loads(done.out)["targets"]["Edema"]["n"] == 300
    done = fairlora("audit", file, *options, "--split", "train", "--json")
    assert json.loads(done.out)["targets"]["Edema"]["n"] == 600
    done = fairlora("audit", file, *options, "--map", "0=no")
    assert (done.code, "not part of an audit of several targets" in done.err) == (2, True)
    done = fairlora("audit", file, *options, "--label", "Edema")
    assert (done.code, "not part of an audit of several targets" in done.err) == (2, True)
