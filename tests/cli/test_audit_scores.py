"""`fairlora audit` of scores: a column of a table, evaluation logs, and one line for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.metrics import read_log

Command = Callable[..., Any]
WRITTEN = Path(__file__).parents[1] / "predictions" / "logs" / "written"
FIRST, SECOND = WRITTEN / "inspect" / "first.eval", WRITTEN / "inspect" / "second.eval"
CHOICE = WRITTEN / "harness" / "samples_local_choice_model0.jsonl"
FILTERS = WRITTEN / "harness" / "samples_local_filters_model0.jsonl"


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Twenty rows, 8 of 10 right in one group, 5 of 10 in the other."""
    rows = [f"{k},{'f' if k < 10 else 'm'},{k % 10 < (8 if k < 10 else 5)}" for k in range(20)]
    file = tmp_path / "scores.csv"
    file.write_text("row,sex,right\n" + "\n".join(rows) + "\n")
    return file


def test_a_column_of_any_table_is_a_score(fairlora: Command, scores: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "audit.html", tmp_path / "audit.json"
    done = fairlora(
        "audit", scores, "--score", "right", "--group", "sex", "--out", page, "--out", data
    )
    assert (done.code, done.err) == (0, "")
    assert "0.3000" in done.out
    content = json.loads(data.read_text())
    assert content["by_group"]["sex"]["f"]["score"]["value"] == 0.8
    assert content["disparities"]["sex"]["score_gap"]["value"] == pytest.approx(0.3)
    assert "Gap of the mean scores" in page.read_text()


def test_a_log_needs_no_more_than_a_score_and_a_group(fairlora: Command) -> None:
    done = fairlora("audit", FIRST, "--score", "match", "--group", "metadata.race", "--json")
    content = json.loads(done.out)
    assert content["overall"]["score"]["value"] == pytest.approx(2 / 3)
    assert content["settings"]["clusters"] == 24


def test_two_logs_are_compared_sample_by_sample(fairlora: Command, tmp_path: Path) -> None:
    page = tmp_path / "paired.md"
    done = fairlora(
        "audit", FIRST, "--against", SECOND, "--score", "match", "--group", "metadata.race",
        "--out", page,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "On the same 48 rows" in done.out.replace("\n", " ")
    assert "first minus second" in page.read_text()


def test_a_log_with_labels_is_audited_as_predictions(fairlora: Command) -> None:
    done = fairlora(
        "audit", CHOICE, "--label", "target", "--pred", "choice", "--group", "doc.person.race",
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["classes"] == ["0", "1", "2"]
    assert content["overall"]["accuracy"]["value"] == pytest.approx(0.3)


def test_a_score_takes_groups_from_another_file(
    fairlora: Command, scores: Path, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    lines = [f"{k},{'f' if k < 10 else 'm'}" for k in reversed(range(19))]
    people.write_text("\n".join(["person,gender", *lines]) + "\n")
    named = ["audit", scores, "--score", "right", "--json"]
    done = fairlora(*named, "--join", people, "--on", "row=person", "--group", "gender")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["by_group"]["gender"]["f"]["score"]["value"] == 0.8
    assert content["by_group"]["gender"]["m"]["n"] == 9
    assert content["by_group"]["gender"]["(missing)"]["n"] == 1
    assert any("1 of 20 rows have an id that is not there" in one for one in content["warnings"])
    both = fairlora(
        *named, "--against", scores, "--join", people, "--on", "row=person", "--group", "gender"
    )
    assert both.code == 0, both.err
    people.write_text("\n".join(["person,gender", *lines, "3,m"]) + "\n")
    done = fairlora(*named, "--join", people, "--on", "row=person", "--group", "gender")
    assert (done.code, done.out) == (2, "")
    assert "an id stands twice" in done.err


def test_a_logs_score_takes_groups_from_another_file(fairlora: Command, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in CHOICE.read_text().splitlines()]
    people = tmp_path / "people.csv"
    ids = [f"{row['doc_id']}:{row['doc_hash'][:12]}" for row in rows]
    lines = [f"{id_},{row['doc']['person']['race']}" for id_, row in zip(ids, rows, strict=True)]
    people.write_text("\n".join(["id,race", *lines]) + "\n")
    named = ["audit", CHOICE, "--score", "acc", "--json"]
    own = json.loads(fairlora(*named, "--group", "doc.person.race").out)
    done = fairlora(*named, "--join", people, "--on", "id", "--group", "race")
    assert done.code == 0, done.err
    joined = json.loads(done.out)["by_group"]["race"]
    for group, numbers in own["by_group"]["doc.person.race"].items():
        assert joined[group]["score"]["value"] == numbers["score"]["value"]
    in_python = read_log(CHOICE).audit("race", "acc", join={people: "id"})
    assert in_python.content.by_group["race"]["black"].n == joined["black"]["n"]


def test_many_scores_are_said_to_be_read_whole(
    fairlora: Command, scores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlora.predictions.scores.STREAM_ROWS", 10)
    done = fairlora("audit", scores, "--score", "right", "--group", "sex", "--json")
    assert any("all 20 rows were read into memory" in w for w in json.loads(done.out)["warnings"])


def test_a_log_takes_groups_from_another_file(fairlora: Command, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in CHOICE.read_text().splitlines()]
    people = tmp_path / "people.csv"
    ids = [f"{row['doc_id']}:{row['doc_hash'][:12]}" for row in rows]
    lines = [f"{id_},{row['doc']['person']['race']}" for id_, row in zip(ids, rows, strict=True)]
    people.write_text("\n".join(["id,race", *lines]) + "\n")
    named = ["audit", CHOICE, "--label", "target", "--pred", "choice", "--json"]
    own = json.loads(fairlora(*named, "--group", "doc.person.race").out)
    done = fairlora(*named, "--join", people, "--on", "id", "--group", "race")
    assert done.code == 0, done.err
    joined = json.loads(done.out)
    for group, numbers in own["by_group"]["doc.person.race"].items():
        assert joined["by_group"]["race"][group]["accuracy"] == numbers["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [FIRST, "--group", "metadata.race"],
            "which score? (found 5 scores; expected one of match",
        ),
        ([FILTERS, "--group", "doc.dialect"], "which filter? (found 2 filters; expected one of"),
        (
            [FILTERS, "--label", "target", "--pred", "target", "--group", "doc.dialect"],
            "which filter?",
        ),
        ([FIRST, "--score", "match", "--group", "metadata.faith"], "no column 'metadata.faith'"),
        ([CHOICE, "--score", "acc"], "no group column named"),
        ([FIRST, "--score", "match", "--pred", "match", "--group", "sample"], "a score needs none"),
        ([FIRST, "--filter", "x", "--score", "match", "--group", "sample"], "has no filters"),
        ([FIRST, "--score", "match", "--group", "sample", "--map", "a=b"], "has no classes"),
        ([FIRST, "--score", "match", "--group", "sample", "--subgroups", "2"], "not part of"),
        (["none.eval", "--score", "match", "--group", "sample"], "no such file"),
    ],
)
def test_bad_input_is_one_line(fairlora: Command, arguments: list[Any], said: str) -> None:
    done = fairlora("audit", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_words_are_no_scores(fairlora: Command, scores: Path) -> None:
    scores.write_text(scores.read_text().replace("False", "perhaps", 1))
    done = fairlora("audit", scores, "--score", "right", "--group", "sex")
    assert done.code == 2
    assert "column right, row 9: not a number (found 'perhaps'" in done.err


def test_a_filter_is_of_a_log(fairlora: Command, scores: Path) -> None:
    done = fairlora("audit", scores, "--score", "right", "--group", "sex", "--filter", "x")
    assert done.code == 2
    assert "not an evaluation log" in done.err
