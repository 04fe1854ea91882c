"""`fairlora attack`: of a study, of runs, of a file of scores; and what it says of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.models import write_tiny_model
from fairlora.privacy import roc
from fairlora.privacy.attacks import ATTACKS

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Scores of 400 examples, of which members score higher; two groups."""
    rng = np.random.default_rng(0)
    member = np.arange(400) % 2 == 0
    path = tmp_path / "scores.csv"
    lines = ["id,score,loss,member,sex,person"]
    for k in range(400):
        score = rng.normal() + 1.5 * member[k]
        word = "in" if member[k] else "out"
        lines.append(f"e{k},{score},{-score},{word},{'fm'[k % 4 // 2]},{k // 4}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


STUDY = {
    "name": "leak",
    "data": {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]},
    "methods": ["lora", "full"],
    "seeds": 1,
    "training": {"max_steps": 2, "learning_rate": 0.001},
    "audit": {"positive": "male", "min_group": 2},
    "privacy": {"shadows": 2, "permutations": 20, "bootstrap": 200, "fprs": [0.1]},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study with two shadow models for each of two methods."""
    from fairlora.study.engines.inline import InlineEngine
    from fairlora.study.runs.runner import StudyRunner
    from fairlora.study.spec.study import parse_study

    folder = tmp_path_factory.mktemp("attack")
    model = write_tiny_model("google/vit-base-patch16-224-in21k", folder / "model")
    spec = parse_study({**STUDY, "models": {"id": str(model), "label": "tiny"}})
    outcome = StudyRunner(spec, folder / "runs" / "leak", InlineEngine()).run()
    assert outcome.reasons == {}
    return folder / "runs" / "leak"


def shadows_of(study: Path, method: str) -> list[str]:
    found = sorted(study.glob(f"{method}-*-papers*"))
    assert len(found) == 2
    return [word for path in found for word in ("--shadow", str(path))]


def target_of(study: Path, method: str) -> Path:
    return next(path for path in study.glob(f"{method}-*") if "papers" not in path.name)


def test_scores_are_judged_as_roc_judges_them(file: Path, fairlora: Run) -> None:
    done = fairlora("attack", "--scores", file, "--group", "sex", "--json", "--id", "id")
    assert (done.code, done.err) == (0, "")
    content = json.loads(done.out)
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    wanted = roc(
        {"score": [float(row[1]) for row in rows]},
        np.array([row[3] == "in" for row in rows]),
        {"sex": [row[4] for row in rows]},
    )
    assert content == json.loads(wanted.to_json())
    turned = fairlora(
        "attack", "--scores", file, "--score", "loss", "--smaller-is-member", "--json"
    )
    auc = json.loads(turned.out)["attacks"]["loss"]["overall"]["auc"]["value"]
    assert auc == pytest.approx(content["attacks"]["score"]["overall"]["auc"]["value"])


def test_scores_with_clusters_are_less_certain(file: Path, fairlora: Run) -> None:
    alone, together = (
        json.loads(fairlora("attack", "--scores", file, "--json", *more).out)
        for more in ((), ("--cluster", "person"))
    )
    assert not alone["settings"]["clusters"]
    assert together["settings"]["clusters"]


def test_every_output_is_written(file: Path, fairlora: Run, tmp_path: Path) -> None:
    outs = [tmp_path / f"found.{kind}" for kind in ("html", "md", "tex", "json", "svg")]
    options = [word for path in outs for word in ("--out", path)]
    done = fairlora(
        "attack", "--scores", file, "--group", "sex", "--title", "Leak", "--full", *options
    )
    assert done.code == 0, done.err
    assert "TPR at 10 %" in done.out
    assert "<title>Leak" in outs[0].read_text(encoding="utf-8")
    assert "unresolvable" in outs[1].read_text(encoding="utf-8")
    assert r"\toprule" in outs[2].read_text(encoding="utf-8")
    assert json.loads(outs[3].read_text(encoding="utf-8"))["n"] == 400
    assert len(list(tmp_path.glob("found-*.svg"))) == 3  # all rows, by sex, resistance


def test_a_study_is_attacked_from_its_folder(study: Path, fairlora: Run, tmp_path: Path) -> None:
    done = fairlora("attack", study, "--full", "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "Who tells less: all rows (LoRA and full)" in done.out
    assert "LiRA offline, fixed variance" in (tmp_path / "page.html").read_text(encoding="utf-8")
    one = fairlora("attack", study, "--method", "LoRA", "--json")
    content = json.loads(one.out)
    assert [arm["method"] for arm in content["arms"]] == ["LoRA"]
    assert content["pairs"] == []
    assert content["arms"][0]["settings"]["clusters"]


def test_a_run_with_its_shadow_models_says_what_the_study_says(study: Path, fairlora: Run) -> None:
    whole = json.loads(fairlora("attack", study, "--json").out)
    one = fairlora(
        *("attack", target_of(study, "lora"), *shadows_of(study, "lora")),
        *("--fpr", 0.1, "--min-group", 2, "--permutations", 20, "--json"),
    )
    assert one.code == 0, one.err
    for name, found in json.loads(one.out)["attacks"].items():
        if name in whole["arms"][0]["attacks"]:
            assert found == whole["arms"][0]["attacks"][name]


def test_two_runs_are_compared(study: Path, fairlora: Run) -> None:
    done = fairlora(
        *("attack", target_of(study, "lora"), *shadows_of(study, "lora")),
        *("--against", target_of(study, "full"), "--attack", "difference", "--json"),
    )
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["overall"]["auc"]["verdict"] in ("equivalent", "inconclusive", "better", "worse")
    assert set(content["by_group"]) == {"skin_tone"}


def test_a_run_alone_gives_the_loss(finished: dict[str, Path], fairlora: Run) -> None:
    done = fairlora("attack", finished["lora-0"], "--group", "skin_tone", "--json")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert list(content["attacks"]) == ["LOSS"]
    assert set(content["groups"]) == {"skin_tone"}


def test_scores_kept_by_a_study_can_be_read_again(study: Path, fairlora: Run) -> None:
    whole = json.loads(fairlora("attack", study, "--json").out)
    file = study / "report" / "privacy" / "lora.parquet"
    again = fairlora("attack", "--scores", file, "--fpr", 0.1, "--min-group", 2, "--json")
    assert again.code == 0, again.err
    found = json.loads(again.out)["attacks"]["loss"]["overall"]["auc"]
    wanted = whole["arms"][0]["attacks"]["LOSS"]["overall"]["auc"]
    assert found["value"] == pytest.approx(wanted["value"])
    assert found["low"] == pytest.approx(wanted["low"])


def refused(done: Any) -> str:
    assert done.code == 2, done.out
    assert done.out == ""
    assert done.err.startswith("fairlora: ")
    assert len(done.err.splitlines()) == 1
    return str(done.err)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "what is attacked?"),
        (("--scores", "{file}", "--score", "lira"), "'lira'"),
        (("--scores", "{file}", "--member", "sex"), "neither member nor non-member"),
        (("--scores", "{file}", "--score", "sex"), "sex, row 1"),
        (("--scores", "{file}", "--group", "race"), "--group"),
        (("--scores", "{file}", "--id", "person"), "is both"),
        (("--scores", "{file}", "--shadow", "x"), "not an option of --scores"),
        (("--scores", "{file}", "--fpr", "2"), "fprs.0: out of range"),
        (("--scores", "{file}", "--out", "x.docx"), ".docx"),
        (("--scores", "{file}", "--group", "id", "--max-groups", "99"), "at most 99"),
        (("--scores", "nowhere.csv"), "no such file"),
        (("nowhere",), "nothing there"),
        (("{folder}",), "study.json"),
    ],
)
def test_bad_input_is_one_line(
    options: tuple[str, ...], said: str, file: Path, fairlora: Run
) -> None:
    words = [word.format(file=file, folder=file.parent) for word in options]
    assert said in refused(fairlora("attack", *words))


def test_bad_scores_name_the_row(fairlora: Run, tmp_path: Path) -> None:
    for name, scores, said in (
        ("missing", [1.0, None, 2.0, 3.0], "score, row 2"),
        ("infinite", [1.0, 2.0, float("inf"), 3.0], "row 3"),
        ("word", ["1.0", "2", "x", "3"], "score, row 3: no score (found 'x'"),
    ):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"score": scores, "member": [1, 1, 0, 0]}), path)
        assert said in refused(fairlora("attack", "--scores", path))
    path = tmp_path / "all.parquet"
    pq.write_table(pa.table({"score": [1.0, 2.0], "member": [1, 1]}), path)
    assert "no non-members" in refused(fairlora("attack", "--scores", path))


def test_runs_that_do_not_belong_together_are_one_line(
    study: Path, finished: dict[str, Path], fairlora: Run, tmp_path: Path
) -> None:
    target = target_of(study, "lora")
    other = refused(fairlora("attack", target, "--shadow", finished["lora-0"]))
    assert "other rows" in other
    assert "its own shadow" in refused(fairlora("attack", target, "--shadow", target))
    assert "no shadow models" in refused(fairlora("attack", target, "--attack", "lira-offline"))
    assert "quantile" in refused(fairlora("attack", target, "--attack", "quantile"))
    assert "no such attack" in refused(fairlora("attack", target, "--attack", "lirra"))
    assert "--method" in refused(fairlora("attack", study, "--method", "DoRA"))
    for option in (("--attack", "loss"), ("--level", 0.9), ("--permutations", 0), ("--seed", 0)):
        assert "not an option of a study" in refused(fairlora("attack", study, *option))
    against = ("--against", target_of(study, "full"), "--permutations", 10)
    assert "--permutations" in refused(fairlora("attack", target, *against))
    # The shadow models of one run are not another's: here a shadow model is the target.
    shadow = shadows_of(study, "lora")[1]
    assert "target" in refused(fairlora("attack", shadow, *shadows_of(study, "lora")[2:]))


def test_the_help_names_every_attack(fairlora: Run) -> None:
    words = fairlora("attack", "--help").out.replace("│", " ").split()
    assert set(ATTACKS) <= {word.strip(",;") for word in words}


def test_groups_of_a_file_of_scores_have_the_names_that_stand_there(
    file: Path, fairlora: Run
) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(",f,", ",01,").replace(",m,", ",1,"), encoding="utf-8")
    done = fairlora("attack", "--scores", file, "--group", "sex", "--fpr", 0.1, "--json")
    groups = json.loads(done.out)["attacks"]["score"]["by_group"]["sex"]
    assert set(groups) == {"01", "1"}
