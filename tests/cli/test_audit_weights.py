"""`fairlora audit --weight`: labels, scores, decisions, targets; refused where it has no part."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]
LABELS = ["--label", "y", "--pred", "h", "--group", "sex"]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """60 rows; those of weight 0 would change every number."""
    random = np.random.default_rng(0)
    path = tmp_path / "survey.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["y", "h", "p", "sex", "w", "person", "t"])
        for k in range(60):
            y, p = k % 2, round(float(random.random()), 4)
            w = 0 if k % 10 == 0 else round(float(random.exponential()), 3) + 0.1
            writer.writerow([y, int(p > 0.5), p, "fm"[k % 3 > 0], w, k // 2, y])
    return path


def table(path: Path) -> dict[str, np.ndarray]:
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    return {
        name: np.array([row[name] for row in rows], dtype=str if name == "sex" else float)
        for name in rows[0]
    }


def found(fairlora: Command, *arguments: object) -> dict[str, Any]:
    done = fairlora("audit", *arguments, "--json")
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def test_rates_are_by_weight(fairlora: Command, survey: Path) -> None:
    content, t = found(fairlora, survey, *LABELS, "--weight", "w"), table(survey)
    assert content["left_out"] == {"weight 0": 6}
    assert content["settings"]["weight"] == "w"
    for sex in "fm":
        here = (t["sex"] == sex) & (t["w"] > 0)
        w = t["w"][here]
        group = content["by_group"]["sex"][sex]
        expected = np.average((t["y"] == t["h"])[here], weights=w)
        assert group["accuracy"]["value"] == pytest.approx(expected)
        assert group["effective"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
        assert group["n"] == here.sum()


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["--score", "p", "--group", "sex"], "score"),
        (["--pred", "h", "--positive", "1", "--group", "sex"], "selection_rate"),
        (["--pred", "h", "--positive", "1", "--group", "sex", "--cluster", "person"], None),
    ],
)
def test_scores_and_decisions_are_by_weight(
    fairlora: Command, survey: Path, arguments: list[str], number: str | None
) -> None:
    content, t = found(fairlora, survey, *arguments, "--weight", "w"), table(survey)
    values = t["p"] if number == "score" else t["h"]
    name = number or "selection_rate"
    expected = np.average(values, weights=t["w"])
    assert content["overall"][name]["value"] == pytest.approx(expected)
    assert content["settings"]["weight"] == "w"
    assert content["by_group"]["sex"]["f"]["effective"] < 20


def test_targets_are_by_weight(fairlora: Command, survey: Path) -> None:
    content = found(fairlora, survey, "--target", "t=p", "--group", "sex", "--weight", "w")
    t, target = table(survey), content["targets"]["t"]
    positive = t["t"] == 1
    expected = np.average(t["p"][positive] >= 0.5, weights=t["w"][positive])
    assert target["clinical"]["overall"]["sensitivity"]["value"] == pytest.approx(expected)
    assert content["settings"]["weight"] == "w"
    assert "t: left out: 6 of 60 rows (6 weight 0)" in content["warnings"]


def test_the_page_says_so(fairlora: Command, survey: Path) -> None:
    done = fairlora("audit", survey, *LABELS, "--weight", "w")
    assert "column w, effective size" in done.out
    table = fairlora("audit", survey, *LABELS, "--weight", "w", "--full")
    assert "Effective n" in table.out
    assert "6 rows (6 weight 0)" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*LABELS, "--against", "survey.csv"], "not part of a comparison"),
        (["--score", "p", "--group", "sex", "--against", "survey.csv"], "not part of a comparison"),
        ([*LABELS, "--subgroups", "1"], "a search for subgroups"),
        ([*LABELS, "--probs", "p", "--sensitivity", "0.9"], "takes all rows alike"),
        (
            ["--count", "person", "--selected", "h", "--group", "sex"],
            "not part of a table of counts",
        ),
        (["--pred", "h", "--group", "sex", "--standard", "nyc-ll144"], "takes all rows alike"),
        (
            ["--score", "p", "--group", "sex", "--standard", "nyc-ll144"],
            "a median of scores takes all rows alike",
        ),
    ],
)
def test_what_takes_all_rows_alike_refuses_weights(
    fairlora: Command,
    survey: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(survey.parent)
    done = fairlora("audit", "survey.csv", *arguments, "--weight", "w")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("sex", "column sex, row 1: a weight is no number (found 'f' (20 rows)"),
        ("v", "no column 'v'"),
    ],
)
def test_what_is_no_column_of_weights_is_said(
    fairlora: Command, survey: Path, column: str, words: str
) -> None:
    for arguments in (LABELS, ["--score", "p", "--group", "sex"]):
        done = fairlora("audit", survey, *arguments, "--weight", column)
        assert (done.code, done.out) == (2, "")
        assert words in done.err


def test_a_log_is_weighted_too(fairlora: Command, tmp_path: Path) -> None:
    log = tmp_path / "samples_t_2026.jsonl"
    lines = [
        {
            "doc_id": k,
            "doc": {"sex": "fm"[k % 2], "w": float(1 + k % 4)},
            "target": "x",
            "arguments": {"gen_args_0": {"arg_0": "q", "arg_1": {}}},
            "resps": [["x"]],
            "filtered_resps": ["x"],
            "filter": "none",
            "metrics": ["acc"],
            "doc_hash": "a",
            "prompt_hash": "b",
            "target_hash": "c",
            "acc": float(k % 3 == 0),
        }
        for k in range(40)
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    content = found(fairlora, log, "--score", "acc", "--group", "doc.sex", "--weight", "doc.w")
    k = np.arange(40)
    expected = np.average(k % 3 == 0, weights=1 + k % 4)
    assert content["overall"]["score"]["value"] == pytest.approx(expected)
