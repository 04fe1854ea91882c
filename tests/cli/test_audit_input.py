"""What enters an audit by a file: understood, refused in one line, or left out and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

Command = Callable[..., Any]
COLUMNS = ["--label", "y", "--pred", "h", "--group", "g"]
QUICK = ["--bootstrap", 0]
N = 300


@pytest.fixture
def content_of(fairlora: Command) -> Callable[..., dict[str, Any]]:
    def run(*arguments: object) -> dict[str, Any]:
        done = fairlora("audit", *arguments, *QUICK, "--json")
        assert (done.code, done.err) == (0, "")
        return dict(json.loads(done.out))

    return run


@pytest.fixture
def refused(fairlora: Command) -> Callable[..., str]:
    """The one line that a file is refused with."""

    def run(*arguments: object) -> str:
        done = fairlora("audit", *arguments, *QUICK)
        assert done.code == 2
        assert done.out == ""
        assert done.err.startswith("fairlora: ")
        assert done.err.count("\n") == 1
        return str(done.err)

    return run


ContentOf = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def rows(classes: list[str], seed: int = 0) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Labels, predictions and groups, and the probabilities (n, c) that they are of."""
    rng = np.random.default_rng(seed)
    c = len(classes)
    y = rng.integers(0, c, N)
    scores = np.exp(rng.normal(0, 1, (N, c)) + 1.5 * np.eye(c)[y])
    probs = scores / scores.sum(axis=1, keepdims=True)
    names = np.array(classes)
    frame = pd.DataFrame({"y": names[y], "h": names[probs.argmax(axis=1)]})
    frame["g"] = rng.choice(["a", "b"], N)
    return frame, probs


def loans() -> pd.DataFrame:
    frame, probs = rows(["approved", "denied"])
    return frame.assign(p_approved=probs[:, 0])


@pytest.mark.parametrize(
    "classes", [["positive", "negative", "neutral"], [f"class_{k}" for k in range(1, 11)]]
)
def test_a_list_in_the_models_own_order_is_refused_until_the_order_is_stated(
    tmp_path: Path, classes: list[str], content_of: ContentOf, refused: Refused
) -> None:
    frame, probs = rows(classes)
    path = tmp_path / "t.parquet"
    frame.assign(p=list(probs)).to_parquet(path)
    line = refused(path, *COLUMNS, "--probs", "p")
    assert "predictions and probabilities disagree" in line
    assert f"--classes {','.join(classes)}" in line
    assert "% of 300 rows" in line
    found = content_of(path, *COLUMNS, "--probs", "p", "--classes", ",".join(classes))
    y = pd.Categorical(frame["y"], categories=classes).codes
    auc = roc_auc_score(y, probs, multi_class="ovr", average="macro")
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"], frame["h"])
    # A struct names its fields, and so needs nothing.
    struct = pa.StructArray.from_arrays(list(probs.T), names=classes)
    pq.write_table(pa.Table.from_pandas(frame).append_column("p", struct), path)
    named = content_of(path, *COLUMNS, "--probs", "p")
    assert named["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)


def test_a_wrong_order_without_predictions_is_said(tmp_path: Path, fairlora: Command) -> None:
    frame, probs = rows(["positive", "negative", "neutral"])
    path = tmp_path / "t.parquet"
    frame.assign(p=list(probs)).to_parquet(path)
    arguments = ["--label", "y", "--probs", "p", "--group", "g", *QUICK, "--json"]
    warnings = json.loads(fairlora("audit", path, *arguments).out)["warnings"]
    assert any("better in the order positive,negative,neutral" in text for text in warnings)
    assert any("in the order negative, neutral, positive" in text for text in warnings)


def test_the_name_of_a_column_says_of_which_class_its_probabilities_are(
    tmp_path: Path, content_of: ContentOf
) -> None:
    frame = loans()
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--probs", "p_approved")
    auc = roc_auc_score(frame["y"] == "approved", frame["p_approved"])
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    assert any("probability of 'approved', as its name says" in t for t in found["warnings"])
    frame.rename(columns={"p_approved": "score"}).to_csv(tmp_path / "u.csv", index=False)
    options = ["--probs", "score", "--positive", "approved"]
    same = content_of(tmp_path / "u.csv", *COLUMNS, *options)
    assert same["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)


def test_a_column_of_the_other_class_is_refused(tmp_path: Path, refused: Refused) -> None:
    loans().rename(columns={"p_approved": "score"}).to_csv(tmp_path / "t.csv", index=False)
    line = refused(tmp_path / "t.csv", *COLUMNS, "--probs", "score")  # of denied, the last
    assert "predictions and probabilities disagree" in line


@pytest.mark.parametrize("word", ["NULL", "None", "N/A", "<NA>", "?", "", "nan", "NaN"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_missing_label_is_refused_or_left_out_and_counted(
    tmp_path: Path, word: str, ending: str, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans()
    part = content_of(_write(frame.iloc[30:], tmp_path / f"part.{ending}"), *COLUMNS)
    frame.loc[:29, "y"] = word
    path = _write(frame, tmp_path / f"t.{ending}")
    line = refused(path, *COLUMNS)
    assert "column y, row 1: missing value" in line
    assert "30 rows" in line
    found = content_of(path, *COLUMNS, "--missing-label", "drop")
    assert found["left_out"] == {"missing label": 30}
    assert "left out: 30 of 300 rows (30 missing label)" in found["warnings"]
    for name in ("n", "classes", "overall", "by_group", "disparities"):
        assert found[name] == part[name]


def _write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def test_rows_left_out_stand_on_the_page(tmp_path: Path, fairlora: Command) -> None:
    frame = loans()
    frame.loc[:29, "y"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    page = tmp_path / "page.html"
    options = ["--missing-label", "drop", "--out", page, *QUICK]
    done = fairlora("audit", tmp_path / "t.csv", *COLUMNS, *options)
    assert "left out: 30 of 300 rows" in " ".join(done.out.split())
    assert "30 rows (30 missing label)" in page.read_text(encoding="utf-8")


def test_ignored_labels_are_counted_and_suggested(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    frame, _ = rows(["0", "1", "2"])
    frame.loc[:9, "y"] = "-100"
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "--ignore-label -100" in refused(tmp_path / "t.csv", *COLUMNS)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--ignore-label", "-100")
    assert found["left_out"] == {"label -100": 10}
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"][10:], frame["h"][10:])
    frame.loc[:9, "y"] = "-1"
    frame.to_csv(tmp_path / "t.csv", index=False)
    warnings = content_of(tmp_path / "t.csv", *COLUMNS)["warnings"]
    assert any("--ignore-label -1" in text for text in warnings)


def test_groups_have_the_names_that_stand_in_the_file(
    tmp_path: Path, content_of: ContentOf
) -> None:
    frame = loans().assign(g=np.resize(["01", "1", "1e3", "1000", "NA", "None"], N))
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS)["by_group"]["g"]
    assert {name: row["n"] for name, row in found.items()} == dict.fromkeys(
        ["01", "1", "1e3", "1000", "NA", "None"], 50
    )


def test_labels_and_predictions_that_share_no_value(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans()
    frame["h"] = np.where(frame["h"] == "approved", "yes", "no")
    frame["y"] = (frame["y"] == "approved").astype(int)
    frame.to_csv(tmp_path / "t.csv", index=False)
    line = refused(tmp_path / "t.csv", *COLUMNS)
    assert "share no value" in line
    assert "--map no=0,yes=1" in line
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--map", "no=0,yes=1")
    expected = ((frame["h"] == "yes") == (frame["y"] == 1)).mean()
    assert found["overall"]["accuracy"]["value"] == pytest.approx(expected)
    frame["h"] = np.where(frame["h"] == "yes", "LABEL_1", "LABEL_0")
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "--map LABEL_0=0,LABEL_1=1" in refused(tmp_path / "t.csv", *COLUMNS)


def test_a_class_in_two_spellings_is_refused(tmp_path: Path, refused: Refused) -> None:
    frame = loans().replace({"h": {"denied": "Denied "}})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "spell a class in two ways" in refused(tmp_path / "t.csv", *COLUMNS)


def test_a_continuous_age_is_refused_with_the_remedy(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    rng = np.random.default_rng(3)
    frame = loans().assign(age=rng.uniform(18, 90, N).round(2))
    frame.to_csv(tmp_path / "t.csv", index=False)
    columns = ["--label", "y", "--pred", "h", "--group", "age"]
    line = refused(tmp_path / "t.csv", *columns)
    assert "--bin age=18,30,45,60" in line
    assert "--bin age=quantiles:4" in line
    found = content_of(tmp_path / "t.csv", *columns, "--bin", "age=30,60")["by_group"]["age"]
    assert {name: row["n"] for name, row in found.items()} == {
        "under 30": (frame["age"] < 30).sum(),
        "30 to under 60": ((frame["age"] >= 30) & (frame["age"] < 60)).sum(),
        "60 and over": (frame["age"] >= 60).sum(),
    }
    found = content_of(tmp_path / "t.csv", *columns, "--bin", "age=quantiles:4")["by_group"]["age"]
    assert [row["n"] for row in found.values()] == [75] * 4
    assert "not ranges of numbers" in refused(tmp_path / "t.csv", *columns, "--bin", "age=60,30")
    assert "no such group column" in refused(tmp_path / "t.csv", *columns, "--bin", "sex=3")


def test_two_models_in_one_file(tmp_path: Path, content_of: ContentOf, refused: Refused) -> None:
    frame = loans()
    frame["other"] = np.where(np.arange(N) % 5 == 0, "denied", frame["h"])
    frame["q_approved"] = frame["p_approved"].where(frame["other"] == frame["h"], 0.1)
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    assert "--against-pred" in refused(path, *COLUMNS, "--pred", "other")
    found = content_of(path, *COLUMNS, "--against-pred", "other")
    assert (found["first"], found["second"]) == ("h", "other")
    row = found["overall"]["accuracy"]
    assert row["first"] == pytest.approx(accuracy_score(frame["y"], frame["h"]))
    assert row["second"] == pytest.approx(accuracy_score(frame["y"], frame["other"]))
    probs = ["--probs", "p_approved", "--against-probs", "q_approved"]
    both = content_of(path, *COLUMNS, "--against-pred", "other", *probs)
    assert both["overall"]["brier"]["first"] != both["overall"]["brier"]["second"]
    assert "against itself" in refused(path, *COLUMNS, "--against-pred", "h")


def test_rows_paired_by_number_must_be_in_the_same_groups(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans()
    frame.to_csv(tmp_path / "one.csv", index=False)
    other = frame.copy()
    other.loc[[3, 7], "g"] = ["z", "z"]
    other.to_csv(tmp_path / "two.csv", index=False)
    line = refused(tmp_path / "one.csv", "--against", tmp_path / "two.csv", *COLUMNS)
    assert "another group in the other file" in line
    assert "row with id '3'" in line
    assert "2 rows differ" in line
    # Rows that one file has no label of are left out of both.
    frame.loc[:9, "h"] = None
    frame.to_csv(tmp_path / "two.csv", index=False)
    drop = ["--missing-label", "drop"]
    found = content_of(tmp_path / "one.csv", "--against", tmp_path / "two.csv", *COLUMNS, *drop)
    assert found["n"] == N - 10
    assert found["left_out"] == {"left out of the other predictions": 10}


def test_what_is_sound_is_read(tmp_path: Path, content_of: ContentOf) -> None:
    frame, probs = rows(["a", "b", "c"])
    frame = frame.assign(**{f"p_{k}": probs[:, j] for j, k in enumerate("abc")})
    two = frame[(frame["y"] != "c") & (frame["h"] != "c")]
    accuracy = (two["y"] == two["h"]).mean()
    # One of the model's classes has no row here.
    two.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--probs", "p_")
    assert found["classes"] == ["a", "b", "c"]
    assert found["overall"]["accuracy"]["value"] == pytest.approx(accuracy)
    # Probabilities rounded to two decimals.
    frame.round(2).to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--probs", "p_")
    off = (np.abs(frame.round(2)[["p_a", "p_b", "p_c"]].sum(axis=1) - 1) > 1e-3).sum()
    assert off > 0
    assert any(
        text.startswith(f"probabilities of {off} rows are rounded") for text in found["warnings"]
    )
    # A line's end in a quoted value, far into a file of more than a block.
    text = "x" * 4000
    frame.assign(note=[f"{text}\nmore, {k}" for k in range(N)]).to_csv(
        tmp_path / "t.csv", index=False
    )
    assert (tmp_path / "t.csv").stat().st_size > 1 << 20
    assert content_of(tmp_path / "t.csv", *COLUMNS)["n"] == N
    # A column called split that nobody named, with missing values.
    frame.assign(split=[None, "x"] * (N // 2)).to_parquet(tmp_path / "t.parquet")
    assert content_of(tmp_path / "t.parquet", *COLUMNS)["n"] == N
    # Words in Arrow's own views.
    views = {name: pa.array(frame[name], pa.string_view()) for name in ("y", "h", "g")}
    pq.write_table(pa.table(views), tmp_path / "t.parquet")
    found = content_of(tmp_path / "t.parquet", *COLUMNS)
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"], frame["h"])


def test_rows_of_the_split_called_test_are_said(tmp_path: Path, content_of: ContentOf) -> None:
    frame = loans().assign(split=["test", "train", None] * (N // 3))
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS)
    assert found["n"] == N // 3
    assert any("rows of split 'test' alone: 100 of 300" in text for text in found["warnings"])


@pytest.mark.parametrize("positive", ["True", "1.0", "1", "true"])
def test_the_positive_class_by_any_spelling(
    tmp_path: Path, content_of: ContentOf, positive: str
) -> None:
    frame = loans()
    frame[["y", "h"]] = frame[["y", "h"]] == "approved"
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--positive", positive)
    assert found["positive"] == "1"
    assert found["overall"]["selection_rate"]["value"] == pytest.approx(frame["h"].mean())
