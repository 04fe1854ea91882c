"""`fairlora audit --numeric`: files of measurements, two models, and one line for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error

import fairlora as package

Command = Callable[..., Any]
NAMED = ["--numeric", "--label", "y", "--pred", "h", "--group", "sex"]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng, n = np.random.default_rng(3), 240
    out = pd.DataFrame({"id": rng.permutation(n), "sex": rng.choice(["f", "m"], n)})
    out["age"], out["person"] = rng.integers(18, 80, n), rng.integers(0, 60, n)
    out["y"] = rng.normal(40, 10, n).round(2)
    out["h"] = (out["y"] + rng.normal(0, np.where(out["sex"] == "f", 6, 3))).round(2)
    out["h2"] = (out["y"] + rng.normal(0, 3, n)).round(2)
    out["low"], out["high"] = out["h"] - 5, out["h"] + 5
    return out


@pytest.fixture
def file(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "ages.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_file_is_audited_as_arrays_are(
    fairlora: Command, frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    pages = [tmp_path / f"page.{ending}" for ending in ("html", "md", "tex", "json", "png")]
    wanted = [word for page in pages for word in ("--out", page)]
    done = fairlora(
        "audit", file, *NAMED, "--group", "age", "--bin", "age=30,60", "--cluster", "person",
        "--quantile", "0.1=low", "--quantile", "0.9=high", "--intersect", "sex,age", *wanted,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "the mean absolute error is largest for" in " ".join(done.out.split())
    found = json.loads((tmp_path / "page.json").read_text())
    arrays = package.audit_numeric(
        frame["y"], frame["h"], {"sex": frame["sex"], "age": frame["age"]},
        quantiles={0.1: frame["low"], 0.9: frame["high"]}, clusters=frame["person"],
        bin_groups={"age": [30, 60]}, intersect=[("sex", "age")],
    )  # fmt: skip
    assert found == arrays.to_dict()
    for page in pages[:3]:
        assert "Quantiles by sex" in page.read_text(encoding="utf-8")
    assert len(list(tmp_path.glob("page*.png"))) == 6


def test_a_file_without_numbers_in_some_rows_says_how_many(
    fairlora: Command, frame: pd.DataFrame, file: Path
) -> None:
    frame.loc[[1, 5], "y"] = np.nan
    frame.loc[[5, 7, 8], "h"] = np.nan
    frame.to_csv(file, index=False)
    done = fairlora("audit", file, *NAMED, "--json")
    found = json.loads(done.out)
    assert found["left_out"] == {"without a label": 2, "without a prediction": 2}
    kept = frame.dropna()
    assert found["overall"]["mae"]["value"] == pytest.approx(
        mean_absolute_error(kept["y"], kept["h"])
    )


def test_groups_may_come_from_another_file(
    fairlora: Command, frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    frame[["id", "sex"]].sample(frac=1, random_state=0).to_csv(people, index=False)
    whole = json.loads(fairlora("audit", file, *NAMED, "--json").out)
    frame.drop(columns="sex").to_csv(file, index=False)
    done = fairlora("audit", file, *NAMED, "--join", people, "--on", "id", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["by_group"] == whole["by_group"]


def test_two_files_are_compared_row_by_row(
    fairlora: Command, frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    shuffled = frame.assign(h=frame["h2"]).sample(frac=1, random_state=1)
    shuffled.to_csv(other, index=False)
    done = fairlora("audit", file, *NAMED, "--against", other, "--id", "id", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    same = fairlora("audit", file, *NAMED, "--against-pred", "h2", "--json")
    assert json.loads(same.out)["overall"] == found["overall"]
    arrays = package.compare_numeric(
        frame["y"], frame["h"], frame["h2"], {"sex": frame["sex"]}, names=("ages", "other")
    )
    assert arrays.to_dict()["overall"] == found["overall"]
    assert "other is better than ages in mean absolute error" in repr(arrays)
    errors = [mean_absolute_error(frame["y"], frame[name]) for name in ("h", "h2")]
    assert found["overall"]["mae"]["value"] == pytest.approx(errors[0] - errors[1])
    assert found["by_group"]["sex"]["f"]["mae"]["verdict"] == "worse"
    page = fairlora(
        "audit", file, *NAMED, "--against", other, "--id", "id", "--margin", 3, "--full"
    ).out
    assert "Margin of equivalence 3" in " ".join(page.split())
    assert "numbers as they are" in page


def test_a_measurement_without_the_option_is_told_of_it(fairlora: Command, file: Path) -> None:
    done = fairlora("audit", file, *NAMED[1:])
    assert done.code == 2
    assert "not a measurement" in done.err
    assert "for measurements add --numeric" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--numeric", "--pred", "h", "--group", "sex"], "--label: which label?"),
        (["--numeric", "--label", "y", "--group", "sex"], "nothing is predicted"),
        (["--numeric", "--label", "y", "--pred", "h"], "no group column named"),
        ([*NAMED, "--quantile", "low"], "not a quantile (found 'low'"),
        ([*NAMED, "--quantile", "1.5=low"], "not a quantile (found '1.5=low'"),
        ([*NAMED, "--quantile", "0.1=low", "--quantile", "0.10=high"], "a level given twice"),
        ([*NAMED, "--quantile", "0.1=none"], "no column 'none'"),
        ([*NAMED, "--probs", "p_"], "--probs: not part of an audit of measurements"),
        ([*NAMED, "--score", "h2"], "--score: not part of an audit of measurements"),
        ([*NAMED, "--threshold", "0.5"], "--threshold: not part of an audit of measurements"),
        ([*NAMED, "--four-fifths"], "--four-fifths: not part of an audit of measurements"),
        ([*NAMED, "--subgroups", "2"], "subgroups: not part of an audit of measurements"),
        ([*NAMED, "--map", "a=b"], "measurements have no classes"),
        ([*NAMED, "--margin", "1"], "--margin: of a comparison alone"),
        ([*NAMED, "--against-pred", "h"], "the model against itself"),
        ([*NAMED, "--against-pred", "h2", "--margin", "-1"], "no margin"),
        ([*NAMED, "--against-pred", "h2", "--quantile", "0.1=low"], "compared by their errors"),
        ([*NAMED[:3], "--pred", "sex", "--group", "sex"], "column sex, row 1: not a number"),
    ],
)
def test_bad_input_is_one_line(
    fairlora: Command, file: Path, arguments: list[Any], said: str
) -> None:
    done = fairlora("audit", file, *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_infinity_is_named_with_its_row(fairlora: Command, frame: pd.DataFrame, file: Path) -> None:
    frame.loc[4, "h"] = np.inf
    frame.to_csv(file, index=False)
    frame.to_parquet(file.with_suffix(".parquet"))
    for path, said in ((file, "not a number"), (file.with_suffix(".parquet"), "not a finite")):
        done = fairlora("audit", path, *NAMED)
        assert done.code == 2
        assert f"column h, row 5: {said}" in done.err


def test_another_label_of_a_row_is_refused(
    fairlora: Command, frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    frame.loc[3, "y"] += 1
    frame.to_csv(other, index=False)
    done = fairlora("audit", file, *NAMED, "--against", other, "--id", "id")
    assert done.code == 2
    assert "another label (found" in done.err


def test_the_schema_is_that_of_the_result(fairlora: Command) -> None:
    schema = json.loads(fairlora("schema", "numeric").out)
    assert "rank_correlation" in schema["$defs"]["NumericGroup"]["properties"]


def test_a_log_has_numbers_too_and_its_samples_are_clusters(fairlora: Command) -> None:
    log = Path(__file__).parents[1] / "predictions/logs/written/inspect/first.eval"
    named = ["--numeric", "--label", "length", "--pred", "graded", "--group", "metadata.race"]
    found = json.loads(fairlora("audit", log, *named, "--json").out)
    assert (found["n"], found["settings"]["clusters"]) == (42, 21)


def test_a_row_that_one_of_two_files_lacks_is_left_out_of_both(
    fairlora: Command, frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    frame.assign(h=frame["h2"].mask(frame["id"] < 5)).to_csv(other, index=False)
    frame.assign(h=frame["h"].mask(frame["id"] == 7)).to_csv(file, index=False)
    done = fairlora("audit", file, *NAMED, "--against", other, "--id", "id", "--json")
    found = json.loads(done.out)
    assert found["n"] == len(frame) - 6
    kept = frame[(frame["id"] >= 5) & (frame["id"] != 7)]
    assert found["overall"]["mae"]["first"] == pytest.approx(
        mean_absolute_error(kept["y"], kept["h"])
    )


def test_weights_count_and_two_models_are_compared_without(
    fairlora: Command, frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame["w"] = np.random.default_rng(1).gamma(2, 1, len(frame))
    path = tmp_path / "weighted.csv"
    frame.to_csv(path, index=False)
    done = fairlora("audit", path, *NAMED, "--weight", "w", "--json")
    found = json.loads(done.out)
    assert found["settings"]["weight"] == "w"
    expected = mean_absolute_error(frame["y"], frame["h"], sample_weight=frame["w"])
    assert found["overall"]["mae"]["value"] == pytest.approx(expected)
    assert "Effective n" in fairlora("audit", path, *NAMED, "--weight", "w").out
    done = fairlora("audit", path, *NAMED, "--weight", "w", "--against-pred", "h2")
    assert (done.code, done.out) == (2, "")
    assert "--weight" in done.err
