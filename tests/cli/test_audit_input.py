"""What enters an audit by a file: understood, refused in one line, or left out and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
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
    assert "row '3': another group of 'g'" in line
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


def test_a_file_of_another_form_is_read_as_the_same_rows(
    tmp_path: Path, content_of: ContentOf
) -> None:
    frame = loans().rename(columns={"p_approved": "p"})
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    options = [*COLUMNS, "--probs", "p", "--positive", "approved"]
    usual = content_of(path, *options)
    assert usual["overall"]["accuracy"]["value"] == accuracy_score(frame["y"], frame["h"])
    text = path.read_text()
    forms = {
        "semicolons": text.replace(",", ";"),
        "decimal commas": text.replace(",", ";").replace(".", ","),
        "tabs": text.replace(",", "\t"),
        "bars": text.replace(",", "|"),
        "a spreadsheet's hint": "sep=;\n" + text.replace(",", ";"),
        "spaces after commas": text.replace(",", ", "),
        "spaces in the header": text.replace("y,h,g,p", " y , h , g , p ", 1),
        "a mark of UTF-8": "\ufeff" + text,
        "an index and a last comma": "\n".join(f"{k},{x}," for k, x in enumerate(text.split())),
    }
    notes = {
        "semicolons": "semicolons between columns",
        "decimal commas": "semicolons between columns and decimal commas",
        "tabs": "tabs between columns",
        "bars": "bars between columns",
        "a spreadsheet's hint": "semicolons between columns",
    }
    forms["an index and a last comma"] = forms["an index and a last comma"].removeprefix("0")
    for name, form in forms.items():
        path.write_text(form, encoding="utf-8")
        found = content_of(path, *options)
        said = [text for text in found["warnings"] if text.startswith("t.csv: read as text with")]
        noted = [notes[name]] if name in notes else []
        assert said == [f"t.csv: read as text with {words}" for words in noted]
        found["warnings"] = [text for text in found["warnings"] if text not in said]
        assert found == usual, name
    note = [f"{'x' * 3000}\nmore, {k}" for k in range(N)]
    frame.assign(note=note).to_csv(tmp_path / "t.csv.gz", index=False)
    assert content_of(tmp_path / "t.csv.gz", *options) == usual


def test_names_asked_for_with_their_spaces_are_found(tmp_path: Path, content_of: ContentOf) -> None:
    frame = loans().rename(columns={"h": " h"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", "--label", "y", "--pred", " h", "--group", "g")
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"], frame[" h"])


def test_a_header_among_the_rows_is_refused(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    path = tmp_path / "t.csv"
    loans().to_csv(path, index=False)
    path.write_text(path.read_text() * 2)
    assert f"row {N + 1}: the header stands among the rows" in refused(path, *COLUMNS)
    # A class may have the name of its column.
    words = loans().replace({"approved": "y", "denied": "n"})
    words.to_csv(path, index=False)
    found = content_of(path, *COLUMNS)
    assert found["overall"]["accuracy"]["value"] == accuracy_score(words["y"], words["h"])


@pytest.mark.parametrize(
    "word", [" ", " NA", "None ", "\\N", "(null)", "[NULL]", "<null>", "#NULL!", "#DIV/0!", "N.A."]
)
def test_words_of_databases_and_spreadsheets_for_a_missing_label(
    tmp_path: Path, word: str, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans()
    frame.loc[:8, "y"] = word
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "missing value" in refused(tmp_path / "t.csv", *COLUMNS)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--missing-label", "drop")
    assert found["left_out"] == {"missing label": 9}
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"][9:], frame["h"][9:])
    if word.strip() not in ("NA", "None"):
        frame = loans().assign(g=np.where(np.arange(N) < 9, word, loans()["g"]))
        frame.to_csv(tmp_path / "t.csv", index=False)
        groups = content_of(tmp_path / "t.csv", *COLUMNS)["by_group"]["g"]
        assert (groups["(missing)"]["n"], groups["(missing)"]["missing"]) == (9, True)


def test_a_quote_that_never_closes_is_refused_with_its_line(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    """Arrow takes the rest of the file for one value."""
    frame = loans()
    text = frame[["y", "h", "g"]].to_csv(index=False).splitlines()
    path = tmp_path / "t.csv"
    path.write_text("\n".join([*text[:3], text[3].rpartition(",")[0] + ',"a', *text[4:]]) + "\n")
    assert "t.csv, line 4: a quote that never closes" in refused(path, *COLUMNS)
    # Inches within a word, and a value with a quote and a line's end in it, are values.
    rows = [text[1].rpartition(",")[0] + f",{name}" for name in ('5" pipe', '"a ""b""\nc"')]
    path.write_text("\n".join([*text, *rows]) + "\n")
    assert content_of(path, *COLUMNS)["n"] == N + 2


@pytest.mark.parametrize("other", ["1\u200b", "01", "\uff11", "1 ", "-0", "true"])
def test_classes_that_differ_in_how_they_are_written_are_said(
    tmp_path: Path, other: str, content_of: ContentOf
) -> None:
    frame = pd.DataFrame({"y": ["0", "1"] * 20 + [other], "h": ["1", "0", "0", "1"] * 10 + ["1"]})
    found = content_of(_write(frame.assign(g="f"), tmp_path / "t.parquet"), *COLUMNS)
    (said,) = [text for text in found["warnings"] if "how they are written alone" in text]
    assert repr(other) in said


def test_a_class_of_thousands_of_digits_is_one_line(tmp_path: Path, refused: Refused) -> None:
    frame = loans().assign(y="9" * 5000, h="9" * 5000)
    frame.loc[:9, "y"] = "1"
    path = _write(frame, tmp_path / "t.parquet")
    assert "a label must be a class" in refused(path, *COLUMNS)


def test_odd_groups_are_said(tmp_path: Path, content_of: ContentOf) -> None:
    frame = loans()
    words = ["Unknown", "White", "white ", "caf\u00e9", "cafe\u0301", "['a', 'b']"]
    frame["g"] = np.resize(np.array(words, dtype=object), N)
    frame.to_csv(tmp_path / "t.csv", index=False)
    said = " | ".join(content_of(tmp_path / "t.csv", *COLUMNS)["warnings"])
    assert "the group 'Unknown' is taken for a group" in said
    assert "'White' and 'white '" in said
    assert "'cafe\\u0301'" in said
    assert "is a list written as text" in said


def test_words_for_a_missing_number_of_a_range(tmp_path: Path, content_of: ContentOf) -> None:
    age = [20 + k % 40 if k > 5 else ["NA", ".", "", "unknown", "-", "None"][k] for k in range(N)]
    loans().assign(age=age).to_csv(tmp_path / "t.csv", index=False)
    columns = ["--label", "y", "--pred", "h", "--group", "age", "--bin", "age=30,50"]
    found = content_of(tmp_path / "t.csv", *columns)["by_group"]["age"]
    assert found["(missing)"]["n"] == 6
    assert found["under 30"]["n"] == sum(isinstance(one, int) and one < 30 for one in age)


@pytest.mark.parametrize("form", ["one", "names", "lists"])
def test_rows_left_out_need_no_probabilities(
    tmp_path: Path, form: str, content_of: ContentOf
) -> None:
    frame, probs = rows(["no", "yes"])
    gone = np.arange(N) < 9
    frame.loc[gone, "y"] = None
    columns: dict[str, Any] = {"p_yes": np.where(gone, np.nan, probs[:, 1])}
    if form == "names":
        columns["p_no"] = np.where(gone, np.nan, probs[:, 0])
    elif form == "lists":
        columns = {"p_": [None if k < 9 else row for k, row in enumerate(probs)]}
    frame.assign(**columns).to_parquet(tmp_path / "t.parquet")
    name = {"one": "p_yes", "names": "p_", "lists": "p_"}[form]
    options = ["--missing-label", "drop", "--probs", name]
    found = content_of(tmp_path / "t.parquet", *COLUMNS, *options)
    assert found["left_out"] == {"missing label": 9}
    auc = roc_auc_score(frame["y"][9:] == "yes", probs[9:, 1])
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)


@pytest.mark.parametrize("kind", ["csv", "parquet", "folder"])
def test_rows_of_other_splits_are_not_looked_at(
    tmp_path: Path, kind: str, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans().rename(columns={"p_approved": "p"})
    test = np.arange(N) % 2 == 0
    frame["split"] = np.where(test, "test", "train")
    whole = frame.copy()
    frame.loc[~test, "h"] = None
    frame["p"] = frame["p"].where(test)
    frame.loc[~test, "y"] = "withdrawn"
    frame.loc[~test, "g"] = "z"
    (tmp_path / "folder").mkdir()
    path = {"csv": tmp_path / "t.csv", "parquet": tmp_path / "t.parquet"}.get(kind)
    if path is None:
        path = tmp_path / "folder"
        frame[:100].to_parquet(path / "a.parquet")
        frame[100:].to_parquet(path / "b.parquet")
    else:
        _write(frame, path)
    part = whole[test]
    options = [*COLUMNS, "--probs", "p", "--positive", "approved"]
    found = content_of(path, *options)
    assert found["classes"] == ["approved", "denied"]
    assert set(found["by_group"]["g"]) == {"a", "b"}
    assert found["left_out"] == {}
    assert found["overall"]["accuracy"]["value"] == accuracy_score(part["y"], part["h"])
    auc = roc_auc_score(part["y"] == "approved", part["p"])
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=2e-4)
    assert any(f"rows of split 'test' alone: 150 of {N}" in text for text in found["warnings"])
    # A fault is named by its row of the file.
    bad = frame.assign(p=frame["p"].mask(np.arange(N) == 104, 7.0))
    if kind == "folder":
        bad[100:].to_parquet(path / "b.parquet")
        assert "b.parquet, column p, row 5" in refused(path, *options)
    else:
        _write(bad, path)
        assert "column p, row 105" in refused(path, *options)


def test_all_splits_together_are_said(tmp_path: Path, content_of: ContentOf) -> None:
    loans().assign(split=["Test", "Train"] * (N // 2)).to_csv(tmp_path / "t.csv", index=False)
    said = content_of(tmp_path / "t.csv", *COLUMNS)["warnings"]
    assert any("all splits are counted together: Test, Train" in text for text in said)
    loans().assign(split="x").to_csv(tmp_path / "t.csv", index=False)
    assert not any("split" in text for text in content_of(tmp_path / "t.csv", *COLUMNS)["warnings"])


@pytest.mark.parametrize("kind", ["string_view", "large_string", "dictionary", "int64"])
def test_a_split_of_any_type(tmp_path: Path, kind: str, content_of: ContentOf) -> None:
    frame = loans()
    values = pa.array(np.where(np.arange(N) < 100, "1", "2").tolist())
    split = values.dictionary_encode() if kind == "dictionary" else values.cast(getattr(pa, kind)())
    table = pa.table({name: pa.array(frame[name].tolist()) for name in ("y", "h", "g")})
    pq.write_table(table.append_column("split", split), tmp_path / "t.parquet")
    found = content_of(tmp_path / "t.parquet", *COLUMNS, "--split", "1")
    assert found["n"] == 100
    wanted = accuracy_score(frame["y"][:100], frame["h"][:100])
    assert found["overall"]["accuracy"]["value"] == wanted


def test_classes_with_equals_signs_are_mapped_as_suggested(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    frame = loans().replace({"approved": "<=50K", "denied": ">50K"})
    frame["y"] += "."  # as the test file of UCI Adult writes them
    frame.to_csv(tmp_path / "t.csv", index=False)
    line = refused(tmp_path / "t.csv", *COLUMNS)
    assert "--map '<=50K=<=50K.,>50K=>50K.'" in line
    wanted = (frame["y"] == frame["h"] + ".").mean()
    for pairs in ("<=50K=<=50K.,>50K=>50K.", "<=50K.=<=50K, >50K.=>50K"):
        found = content_of(tmp_path / "t.csv", *COLUMNS, "--map", pairs)
        assert found["overall"]["accuracy"]["value"] == pytest.approx(wanted)
        assert not any("--map" in text for text in found["warnings"])


def test_options_that_name_classes(tmp_path: Path, content_of: ContentOf, refused: Refused) -> None:
    frame = loans()
    words = frame.assign(y=(frame["y"] == "denied").astype(float))
    path = tmp_path / "t.csv"
    words.to_csv(path, index=False)
    wanted = accuracy_score(frame["y"], frame["h"])
    # By the number, however it is spelled, and with a space after the comma.
    found = content_of(path, *COLUMNS, "--map", "0=approved, 1=denied")
    assert found["overall"]["accuracy"]["value"] == wanted
    frame.to_csv(path, index=False)
    found = content_of(path, *COLUMNS, "--classes", "denied, approved", "--map", "maybe=denied")
    assert found["classes"] == ["denied", "approved"]
    assert any("no row has what --map maybe=denied renames" in text for text in found["warnings"])
    assert "two new names" in refused(path, *COLUMNS, "--map", "approved=a,approved=b")
    assert "an empty name" in refused(path, *COLUMNS, "--classes", "approved,denied,")
    age = [*COLUMNS, "--group", "age"]
    frame.assign(age=30).to_csv(path, index=False)
    assert "ranges given twice" in refused(path, *age, "--bin", "age=20", "--bin", "age=40")


def test_codes_that_are_no_classes(tmp_path: Path, content_of: ContentOf, refused: Refused) -> None:
    frame, _ = rows(["0", "1"])
    path = tmp_path / "t.csv"
    frame.assign(h=frame["h"].where(np.arange(N) > 3, "-100")).to_csv(path, index=False)
    assert "the prediction -100" in refused(path, *COLUMNS)
    frame.replace({"h": {"0": "-1"}}).to_csv(path, index=False)
    assert "--map -1=0" in refused(path, *COLUMNS)
    found = content_of(path, *COLUMNS, "--map", "-1=0")
    assert found["overall"]["accuracy"]["value"] == accuracy_score(frame["y"], frame["h"])
    frame.assign(y=frame["y"].astype(float).where(np.arange(N) > 3, -100.0)).to_csv(
        path, index=False
    )
    found = content_of(path, *COLUMNS, "--ignore-label", "-100")
    assert found["left_out"] == {"label -100": 4}


def test_labels_and_predictions_of_one_column_are_said(
    tmp_path: Path, content_of: ContentOf
) -> None:
    loans().to_csv(tmp_path / "t.csv", index=False)
    said = content_of(tmp_path / "t.csv", "--label", "y", "--pred", "y", "--group", "g")["warnings"]
    assert any("labels and predictions are one column, 'y'" in text for text in said)


def test_decimals_words_and_percentages(
    tmp_path: Path, content_of: ContentOf, refused: Refused
) -> None:
    frame, probs = rows(["no", "yes"])
    p = probs[:, 1].round(6)
    auc = roc_auc_score(frame["y"] == "yes", p)
    forms: dict[str, Any] = {
        "decimals": pa.array([Decimal(f"{v:.6f}") for v in p]),
        "words": pa.array([f"{v:.6f}" for v in p]),
    }
    table = pa.Table.from_pandas(frame)
    for form in forms.values():
        pq.write_table(table.append_column("p", form), tmp_path / "t.parquet")
        found = content_of(tmp_path / "t.parquet", *COLUMNS, "--probs", "p")
        assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    both = table.append_column("p_yes", forms["decimals"])
    both = both.append_column("p_no", pa.array([Decimal(f"{1 - v:.6f}") for v in p]))
    pq.write_table(both.append_column("p_max", forms["decimals"]), tmp_path / "t.parquet")
    found = content_of(tmp_path / "t.parquet", *COLUMNS, "--probs", "p_")
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    for wrong, cause in ((100 * p, "percentages"), (np.log(p), "logarithms")):
        frame.assign(p=wrong).to_csv(tmp_path / "t.csv", index=False)
        assert cause in refused(tmp_path / "t.csv", *COLUMNS, "--probs", "p")
    frame.assign(p=["NA", *p[1:]]).to_csv(tmp_path / "t.csv", index=False)
    assert "row 1" in refused(tmp_path / "t.csv", *COLUMNS, "--probs", "p")
    frame.assign(p_no=1 - p, p_yes=p, **{"p_yes.1": p}).to_csv(tmp_path / "t.csv", index=False)
    assert content_of(tmp_path / "t.csv", *COLUMNS, "--probs", "p_")["classes"] == ["no", "yes"]
    numbers = frame.replace({"no": 0, "yes": 1}).assign(p_0=1 - p, p_1=p, p_01=p)
    numbers.to_csv(tmp_path / "t.csv", index=False)
    assert "two columns of probabilities of one class" in refused(
        tmp_path / "t.csv", *COLUMNS, "--probs", "p_"
    )


def test_one_column_of_the_other_class_without_predictions_is_said(
    tmp_path: Path, content_of: ContentOf
) -> None:
    frame, probs = rows(["no", "yes"])
    score = np.clip(0.6 * (frame["y"] == "no") + 0.3 * probs[:, 0], 0, 1)
    frame.assign(score=score).to_csv(tmp_path / "t.csv", index=False)
    columns = ["--label", "y", "--probs", "score", "--group", "g"]
    said = content_of(tmp_path / "t.csv", *columns)["warnings"]
    assert any("better as those of 'no': name the column" in text for text in said)


def test_rows_of_a_cluster(tmp_path: Path, refused: Refused) -> None:
    frame = loans()
    frame.assign(who=[None, *range(1, N)]).to_parquet(tmp_path / "t.parquet")
    line = refused(tmp_path / "t.parquet", *COLUMNS, "--cluster", "who")
    assert "column who, row 1: missing value" in line
    frame.assign(who=[["a"]] * N).to_parquet(tmp_path / "t.parquet")
    assert "a row is in one cluster" in refused(
        tmp_path / "t.parquet", *COLUMNS, "--cluster", "who"
    )


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_what_stands_in_rows_left_out_is_not_looked_at(
    tmp_path: Path, kind: str, content_of: ContentOf
) -> None:
    frame = loans().assign(age=np.arange(N))
    gone = np.arange(N) < N // 2
    frame.loc[gone, "y"] = "-100"
    frame.loc[gone, "h"] = np.resize(["padding", "-100"], N // 2)
    frame.loc[gone, "g"] = "z"
    path = tmp_path / "t.csv"
    if kind == "csv":
        frame.astype({"age": object}).assign(age=frame["age"].where(~gone, "x")).to_csv(path)
    else:
        path = tmp_path / "folder"
        path.mkdir()
        frame[:100].to_parquet(path / "a.parquet")
        frame[100:].to_parquet(path / "b.parquet")
    options = ["--ignore-label", "-100", "--group", "age", "--bin", "age=quantiles:2"]
    found = content_of(path, *COLUMNS, *options)
    assert found["left_out"] == {"label -100": N // 2}
    assert found["classes"] == ["approved", "denied"]
    assert set(found["by_group"]["g"]) == {"a", "b"}
    # The quantiles are of the rows that are kept.
    assert [row["n"] for row in found["by_group"]["age"].values()] == [N // 4, N // 4]
    wanted = accuracy_score(frame["y"][~gone], frame["h"][~gone])
    assert found["overall"]["accuracy"]["value"] == pytest.approx(wanted)


def test_columns_of_something_else_have_the_prefix_of_probabilities(
    tmp_path: Path, content_of: ContentOf
) -> None:
    frame, probs = rows(["0", "1"])
    frame = frame.assign(p_0=probs[:, 0], p_1=probs[:, 1])
    names = {"y": "p_true", "h": "p_hat", "g": "p_g"}
    frame.rename(columns=names).to_csv(tmp_path / "t.csv", index=False)
    columns = ["--label", "p_true", "--pred", "p_hat", "--group", "p_g", "--probs", "p_"]
    auc = roc_auc_score(frame["y"] == "1", probs[:, 1])
    found = content_of(tmp_path / "t.csv", *columns)
    assert found["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    # The prediction serves as its own probability.
    hard = content_of(tmp_path / "t.csv", *columns[:-1], "p_hat")
    auc = roc_auc_score(frame["y"] == "1", frame["h"] == "1")
    assert hard["overall"]["auc"]["value"] == pytest.approx(auc, abs=1e-6)


def test_a_typo_in_a_column_of_a_file_with_semicolons(tmp_path: Path, refused: Refused) -> None:
    loans().to_csv(tmp_path / "t.csv", index=False, sep=";")
    line = refused(tmp_path / "t.csv", *COLUMNS, "--group", "race")
    assert "no column 'race' (expected one of y, h, g, p_approved)" in line


def test_a_suggested_class_by_any_spelling(tmp_path: Path, content_of: ContentOf) -> None:
    frame, _ = rows(["0", "1"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = content_of(tmp_path / "t.csv", *COLUMNS, "--suggests", "g:a=1.0")
    wanted = (frame["h"][frame["g"] == "a"] == "1").mean()
    number = found["by_group"]["g"]["a"]["sensitive_agreement"]
    assert number["value"] == pytest.approx(wanted)


def test_quantiles_of_two_files_are_the_firsts(tmp_path: Path, content_of: ContentOf) -> None:
    frame = loans().assign(age=np.arange(N))
    frame.to_csv(tmp_path / "one.csv", index=False)
    frame["h"] = frame["h"].where(frame["age"] >= 60)
    frame.to_csv(tmp_path / "two.csv", index=False)
    columns = ["--label", "y", "--pred", "h", "--group", "age", "--bin", "age=quantiles:2"]
    options = [*columns, "--missing-label", "drop"]
    found = content_of(tmp_path / "one.csv", "--against", tmp_path / "two.csv", *options)
    assert found["n"] == N - 60
    assert set(found["by_group"]["age"]) == {"under 150", "150 and over"}
    found = content_of(tmp_path / "two.csv", "--against", tmp_path / "one.csv", *options)
    assert set(found["by_group"]["age"]) == {"under 180", "180 and over"}
