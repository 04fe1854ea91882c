"""`fairlora audit FILE --against OTHER`: verdicts, files written, and one line for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlora.metrics import compare
from fairlora.predictions import PredictionsWriter, score_logits

Command = Callable[..., Any]
OPTIONS = ["--label", "y", "--pred", "h", "--positive", "yes", "--group", "sex", "--bootstrap", 200]


def table(right: float, seed: int, n: int = 600) -> pd.DataFrame:
    """Predictions that are right so often, on the same rows whatever the seed."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"name": [f"row {k}" for k in range(n)], "sex": rng.choice(["f", "m"], n)})
    rows["y"] = rng.choice(["no", "yes"], n)
    other = np.where(rows["y"] == "yes", "no", "yes")
    rows["h"] = np.where(np.random.default_rng(seed).random(n) < right, rows["y"], other)
    rows["p"] = np.where(rows["h"] == "yes", 0.9, 0.2)
    rows["person"] = [f"person {k // 3}" for k in range(n)]
    return rows


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A good model's predictions and a bad one's."""
    paths = tmp_path / "good.csv", tmp_path / "bad.csv"
    table(0.9, 1).to_csv(paths[0], index=False)
    table(0.7, 2).to_csv(paths[1], index=False)
    return paths


Files = tuple[Path, Path]
Content = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


@pytest.fixture
def content_of(fairlora: Command) -> Content:
    def run(file: Path, other: Path, *arguments: object) -> dict[str, Any]:
        done = fairlora("audit", file, "--against", other, *arguments, "--json")
        assert (done.code, done.err) == (0, "")
        content = json.loads(done.out)
        assert isinstance(content, dict)
        return content

    return run


@pytest.fixture
def refused(fairlora: Command) -> Refused:
    def run(file: Path, other: Path, *arguments: object) -> str:
        done = fairlora("audit", file, "--against", other, *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("fairlora: ")
        assert len(done.err.splitlines()) == 1
        return str(done.err)

    return run


def test_the_comparison_is_that_of_python(files: Files, content_of: Content) -> None:
    content = content_of(*files, *OPTIONS)
    good, bad = (pd.read_csv(file) for file in files)
    expected = compare(
        good["y"],
        good["h"],
        bad["h"],
        {"sex": good["sex"]},
        positive="yes",
        bootstrap=200,
        names=("good", "bad"),
    ).to_dict()
    assert content == expected
    assert content["overall"]["accuracy"]["verdict"] == "better"


def test_probabilities_are_compared_too(files: Files, content_of: Content) -> None:
    content = content_of(*files, *OPTIONS, "--probs", "p")
    assert {"mean_loss", "ece"} <= set(content["overall"])
    assert "loss_variance" in content["disparities"]["sex"]


def test_rows_in_another_order_are_paired_by_id(files: Files, content_of: Content) -> None:
    expected = content_of(*files, *OPTIONS)
    table(0.7, 2).sample(frac=1, random_state=0).to_csv(files[1], index=False)
    assert content_of(*files, *OPTIONS, "--id", "name") == expected


def test_without_ids_rows_are_paired_by_their_number(files: Files, refused: Refused) -> None:
    table(0.7, 2)[:599].to_csv(files[1], index=False)
    message = refused(*files, *OPTIONS)
    assert "bad.csv: not the same rows" in message
    assert "--id" in message


def test_a_csv_against_a_parquet_file(files: Files, content_of: Content) -> None:
    expected = content_of(*files, *OPTIONS)
    other = files[1].with_suffix(".parquet")
    table(0.7, 2).to_parquet(other, index=False)
    assert content_of(files[0], other, *OPTIONS) == expected


def test_a_cluster_column_is_used(files: Files, content_of: Content) -> None:
    alone = content_of(*files, *OPTIONS)["overall"]["accuracy"]
    clustered = content_of(*files, *OPTIONS, "--cluster", "person")["overall"]["accuracy"]
    assert clustered["value"] == alone["value"]
    assert clustered["low"] != alone["low"]


def test_the_margin_is_used_and_said(files: Files, content_of: Content, fairlora: Command) -> None:
    content = content_of(*files, *OPTIONS, "--margin", 0.5)
    assert content["settings"]["margin"] == 0.5
    assert content["overall"]["accuracy"]["verdict"] == "equivalent"
    done = fairlora("audit", files[0], "--against", files[1], *OPTIONS, "--margin", 0.5)
    assert "50 points" in done.out


def test_level_and_seed_are_used(files: Files, content_of: Content) -> None:
    one, two = (
        content_of(*files, *OPTIONS, "--level", v)["overall"]["accuracy"] for v in (0.8, 0.99)
    )
    assert two["low"] < one["low"] < one["high"] < two["high"]
    assert content_of(*files, *OPTIONS, "--seed", 3) != content_of(*files, *OPTIONS)
    assert content_of(*files, *OPTIONS, "--seed", 3) == content_of(*files, *OPTIONS, "--seed", 3)


def test_the_comparison_for_people(files: Files, fairlora: Command, tmp_path: Path) -> None:
    out = [tmp_path / "out" / name for name in ("c.html", "c.md", "c.tex", "c.json", "c.png")]
    wanted = [part for path in out for part in ("--out", path)]
    done = fairlora("audit", files[0], "--against", files[1], *OPTIONS, *wanted)
    assert (done.code, done.err) == (0, "")
    assert "good against bad" in done.out
    assert "Exploratory" not in done.out
    full = fairlora("audit", files[0], "--against", files[1], *OPTIONS, "--full")
    assert "Exploratory" in full.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in out}
    assert "good against bad" in out[0].read_text(encoding="utf-8")
    assert json.loads(out[3].read_text(encoding="utf-8"))["n"] == 600


def test_json_stays_pure_where_files_are_written(
    files: Files, content_of: Content, tmp_path: Path
) -> None:
    content = content_of(*files, *OPTIONS, "--out", tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8")) == content


def run_table(folder: Path, flips: int, classes: tuple[str, ...] = ("no", "yes")) -> Path:
    """A table of fairlora with 60 rows of the test split and 20 of the training split."""
    folder.mkdir(parents=True)
    labels = np.arange(80) % 2
    logits = np.eye(len(classes))[labels]
    logits[:flips] = logits[:flips, ::-1]
    with PredictionsWriter(folder / "predictions.parquet", classes, ["race"]) as writer:
        ids = [str(k) for k in range(60)] + [str(k) for k in range(20)]
        splits = ["test"] * 60 + ["train"] * 20
        groups = {"race": [["x", "y"][k // 2 % 2] for k in range(80)]}
        writer.append(ids, splits, labels, score_logits(logits, labels), groups)
    return folder / "predictions.parquet"


def test_two_runs_need_no_options_and_are_called_by_their_folders(
    tmp_path: Path, content_of: Content
) -> None:
    one, two = run_table(tmp_path / "lora", 5), run_table(tmp_path / "full", 20)
    content = content_of(one, two)
    assert (content["first"], content["second"]) == ("lora", "full")
    assert content["n"] == 60
    assert content["overall"]["accuracy"]["value"] == pytest.approx(0.25)
    assert "race" in content["disparities"]


def test_the_split_can_be_chosen(tmp_path: Path, content_of: Content, refused: Refused) -> None:
    one, two = run_table(tmp_path / "lora", 5), run_table(tmp_path / "full", 20)
    assert content_of(one, two, "--split", "train", "--min-group", 5)["n"] == 20
    assert "no rows of split 'validation'" in refused(one, two, "--split", "validation")


def test_a_class_that_one_model_never_predicts_is_no_fault(
    files: Files, content_of: Content
) -> None:
    rows = table(0.9, 1)
    rows.loc[:5, "h"] = "maybe"
    rows.to_csv(files[0], index=False)
    options = ["--label", "y", "--pred", "h", "--group", "sex", "--bootstrap", 0]
    content = content_of(*files, *options)
    assert content["positive"] is None
    assert content["n"] == 600


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--margin", 0], ("--margin", "found 0.0", "above 0, below 1")),
        (["--margin", 1], ("--margin", "found 1.0")),
        (["--margin", "nan"], ("--margin", "found nan")),
        (["--level", 2], ("level", "found 2.0")),
        (["--id", "z"], ("good.csv", "--id", "'z'", "name, sex, y")),
        (["--id", "person"], ("good.csv", "an id stands twice", "'person ")),
        (["--cluster", "z"], ("(--cluster)", "'z'")),
        (["--group", "z"], ("(--group)", "'z'")),
        (["--positive", "maybe"], ("no such class", "'maybe'")),
        (["--out", "c.docx"], ("--out", "'c.docx'")),
    ],
)
def test_bad_values_are_one_line_and_code_2(
    files: Files,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    replaced: Callable[..., list[object]],
    change: list[object],
    expected: tuple[str, ...],
) -> None:
    monkeypatch.chdir(files[0].parent)
    message = refused(*files, *replaced(OPTIONS, change))
    for text in expected:
        assert text in message


def test_other_files_that_do_not_fit_are_refused_by_name(
    files: Files, refused: Refused, tmp_path: Path
) -> None:
    good, bad = files
    assert "none.csv: no such file" in refused(good, tmp_path / "none.csv", *OPTIONS)
    rows = table(0.7, 2)
    rows.drop(columns="h").to_csv(bad, index=False)
    assert "bad.csv (--pred): no column 'h'" in refused(good, bad, *OPTIONS)
    rows.loc[7, "y"] = {"no": "yes", "yes": "no"}[str(rows.loc[7, "y"])]
    rows.to_csv(bad, index=False)
    message = refused(good, bad, *OPTIONS, "--id", "name")
    assert "bad.csv, row 'row 7': another label" in message


def test_an_id_column_is_no_group(files: Files, refused: Refused) -> None:
    message = refused(*files, *OPTIONS, "--group", "name", "--max-groups", 500)
    assert "group column 'name': too many groups (found 600 distinct values in 600" in message


@pytest.mark.parametrize(
    "option",
    [
        ["--subgroups", 1],
        ["--power", 0.1],
        ["--suggests", "sex:f=yes"],
    ],
)
def test_what_a_comparison_has_not_is_refused_and_not_ignored(
    files: Files, refused: Refused, option: list[object]
) -> None:
    assert "not part of a comparison" in refused(*files, *OPTIONS, *option)


def test_combinations_are_compared_too(files: Files, content_of: Content) -> None:
    for file in files:
        rows = pd.read_csv(file)
        rows.assign(half=["a", "b"] * 300).to_csv(file, index=False)
    content = content_of(*files, *OPTIONS, "--group", "half", "--intersect", "sex,half")
    assert list(content["disparities"]) == ["sex", "half", "sex&half"]
