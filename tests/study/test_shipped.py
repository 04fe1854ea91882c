"""What is trained and shipped: every form is predicted anew, compared, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics.comparison.variance import Variance
from fairlora.metrics.comparison.verdicts import Difference
from fairlora.predictions import Predictions, group_column, read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.packs import packs
from fairlora.study.export.deployed import SPLITS
from fairlora.study.report.flips import count_flips
from fairlora.study.report.from_disk import report_study
from fairlora.study.report.scarce import scarce_findings
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.runner import Outcome, StudyRunner
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import StudySpec, parse_study

MakeSettings = Callable[..., dict[str, Any]]
LORA = {"adapter": {"kind": "lora", "rank": 2}, "seed": 0}


@pytest.mark.parametrize(
    ("form", "moves"),
    [
        ("float32", 1e-5),
        ("bfloat16", 0.05),
        ("nf4", 0.5),
        ("onnx", 1e-5),
        ("onnx-int8", 0.5),
        ("onnx-int8-static", 0.5),
    ],
)
def test_every_form_predicts_what_the_run_predicts_as_far_as_it_can(
    finished: dict[str, Path],
    settings: MakeSettings,
    tmp_path: Path,
    form: str,
    moves: float,
) -> None:
    source, folder = finished["lora-0"], RunFolder(tmp_path / "cell")
    prepared = prepare(parse_spec(settings(**LORA, deploy=form)))
    assert run_cell(prepared, folder, source=source)
    own = read_predictions(source / "predictions.parquet")
    new = read_predictions(folder.predictions)
    assert set(np.unique(new.split)) == set(SPLITS)
    order = {row: k for k, row in enumerate(own.ids.tolist())}
    index = [order[row] for row in new.ids.tolist()]
    assert (own.labels[index] == new.labels).all()
    assert own.probs is not None
    assert new.probs is not None
    off = np.abs(new.probs - own.probs[index]).max()
    assert off < moves
    if moves > 0.01:
        assert off > 0  # it is another model
    metrics, trained = folder.metrics(), RunFolder(source).metrics()
    shipped = metrics["shipped"]
    assert (shipped["form"], shipped["from"]) == (form, prepare(prepared.spec.trained).identity)
    assert metrics["parameters"] == trained["parameters"]
    assert metrics["mean_loss"]["train"] is None
    assert metrics["predicted"] == {"train": 0}
    assert sum(shipped["train_rows"]["skin_tone"].values()) == metrics["rows"]["train"]
    weights = 4 * trained["parameters"]["total"]
    if form in ("float32", "bfloat16"):
        stored = weights / (2 if form == "bfloat16" else 1)
        assert 0.95 * stored < shipped["bytes"] <= stored  # a pooler is not loaded
    if form == "nf4":
        assert shipped["bytes"] < weights
    assert folder.whole(prepared.identity) is not None


STUDY: dict[str, Any] = {
    "name": "ships",
    "data": {"name": "people-emoji", "renderers": ["noto"], "groups": ["skin_tone"],
             "target": "gender", "train_rows": 96},
    "methods": [{"adapter": {"kind": "lora", "rank": 2}}, "full"],
    "deploy": ["float32", "bfloat16"],
    "seeds": 2,
    "training": {"epochs": 1, "learning_rate": 0.01, "precision": "float32"},
    "audit": {"positive": "male"},
    "compare": {"bootstrap": 200},
    "report": {"formats": ["svg"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(
    tiny_vit: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StudySpec, Path, Outcome]:
    """A study of two methods, each shipped in two forms, with its report."""
    spec = parse_study({**STUDY, "models": {"id": str(tiny_vit)}})
    root = tmp_path_factory.mktemp("ships") / spec.name
    outcome = StudyRunner(spec, root, InlineEngine()).run()
    report_study(spec, root, outcome)
    return spec, root, outcome


def test_a_study_ships_what_it_trained(study: tuple[StudySpec, Path, Outcome]) -> None:
    _, root, outcome = study
    assert (outcome.ran, outcome.failed) == (12, 0)
    forms = [arm.name.split(", ")[-1] for arm in outcome.arms[:3]]
    assert forms == [
        "strength 0",
        "float32",
        "bfloat16",
    ]
    page = json.loads((root / "report" / "report.json").read_text())
    assert page["question"].startswith("Does what is shipped answer otherwise")
    tables = {table["title"]: table for table in page["tables"]}
    changed = tables["What shipping changed"]["rows"]
    assert [[cell["text"] for cell in row["cells"][:3]] for row in changed] == [
        ["LoRA", "float32", "2"], ["LoRA", "bfloat16", "2"],
        ["full", "float32", "2"], ["full", "bfloat16", "2"],
    ]  # fmt: skip
    assert changed[0]["cells"][5]["text"] == "0.0"  # folded in, nothing flips
    uneven = tables["Do scarce groups lose more?"]["rows"]
    rows = RunFolder(root / outcome.cells[outcome.arms[1].name][0].name).metrics()
    counts = rows["shipped"]["train_rows"]["skin_tone"]
    assert uneven[0]["cells"][2]["text"].startswith("skin_tone: ")
    assert min(counts.values()) <= counts[uneven[0]["cells"][2]["text"].partition(": ")[2]]
    assert len(uneven) == 4
    assert page["charts"][0]["title"] == "Change of accuracy by skin_tone (LoRA)"
    first = page["findings"][0]["text"]
    assert first.startswith("No form is shown to cost the scarcest group more than others")
    assert not any("LoRA and full" in finding["text"] for finding in page["findings"])
    # The usual figures are of what was trained.
    accuracy = next(c for c in page["charts"] if c["title"] == "Accuracy by skin_tone")
    assert [series["name"] for series in accuracy["series"]] == ["LoRA", "full"]


def test_shipped_methods_are_compared_with_themselves_as_trained(
    study: tuple[StudySpec, Path, Outcome],
) -> None:
    _, root, _ = study
    page = json.loads((root / "report" / "report.json").read_text())
    summary = next(t for t in page["tables"] if t["title"].startswith("Does what is shipped"))
    assert [row["cells"][0]["text"] for row in summary["rows"]] == [
        "LoRA against full",
        "LoRA, float32 against LoRA",
        "LoRA, bfloat16 against LoRA",
        "full, float32 against full",
        "full, bfloat16 against full",
    ]


def test_nothing_is_shipped_twice_and_what_is_there_is_verified(
    study: tuple[StudySpec, Path, Outcome],
) -> None:
    spec, root, _ = study
    again = StudyRunner(spec, root, InlineEngine()).run()
    assert (again.ran, again.kept) == (0, 12)
    report_study(spec, root, again, verify=True)


def test_a_run_is_the_same_whether_it_is_shipped_or_not(tiny_vit: Path) -> None:
    content = {**STUDY, "models": {"id": str(tiny_vit)}}
    with_forms = expand(parse_study(content))
    without = expand(parse_study({**content, "deploy": []}))
    assert [arm.spec for arm in with_forms if arm.deploy is None] == [arm.spec for arm in without]


def test_what_ships_is_never_trained_together_with_others() -> None:
    jobs = [
        Job(f"cell{k}", parse_spec({**LORA, "deploy": form}).to_yaml(), f"{k}", "trained")
        for k, form in enumerate((None, "float32", None, "nf4"))
    ]
    assert [len(pack) for pack in packs(jobs, 4)] == [2, 1, 1]


def test_a_page_opens_with_whose_scarce_group_loses_more() -> None:
    def change(off: float, error: float) -> Difference:
        each = [[off, 0.0], [off, 0.0]]
        variance = Variance(error**2)
        return Difference("accuracy", each, +1, 0.02, variance, None, ("race", "Others"), 1.0)

    lost, open_, alike = change(-0.2, 0.02), change(-0.01, 0.1), change(0.0, 0.001)
    (shown,) = scarce_findings([(["LoRA", "nf4"], lost), (["full", "nf4"], open_)], "form")
    assert shown["text"] == "LoRA, nf4: Others loses more accuracy than all others."
    assert (shown["size"], shown["verdict"]) == ("20.0 points [16.1, 23.9]", "shown")
    (none,) = scarce_findings([(["a"], open_), (["b"], alike)], "form")
    assert none["verdict"] == "not shown"
    assert none["text"].endswith("more than others; 1 of 2 are shown not to.")
    (equal,) = scarce_findings([(["b"], alike)], "form")
    assert equal["verdict"] == "equivalent"
    assert scarce_findings([], "form") == []


def test_flips_by_direction() -> None:
    def made(predictions: list[int]) -> Predictions:
        n = len(predictions)
        return Predictions(
            ids=np.arange(n).astype(str),
            split=np.full(n, "test"),
            labels=np.array([0, 0, 1, 2, 2]),
            predictions=np.array(predictions),
            classes=("a", "b", "c"),
            groups={"g": group_column(["x", "x", "x", "y", "y"])},
        )

    found = count_flips(made([0, 0, 0, 1, 2]), made([0, 1, 1, 0, 2]), positive=1)
    everyone = found["", ""]
    assert (everyone.rows, everyone.count) == (5, 3)
    assert (everyone.lost, everyone.gained, everyone.other) == (1, 1, 1)
    assert (everyone.into, everyone.out_of) == (2, 1)
    assert (found["g", "y"].rows, found["g", "y"].share) == (2, 0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"deploy": ["float32", "float32"]}, "stands twice"),
        ({"deploy": ["int4"]}, "deploy"),
        ({"train": False}, "deploy"),
        ({"search": {"trials": 2, "space": {"training.learning_rate": [0.1, 0.2]}}}, "deploy"),
    ],
)
def test_what_no_study_can_ship_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_study({**STUDY, **change})


def test_what_cannot_be_shipped_is_refused_before_anything_is_trained(
    settings: MakeSettings, tmp_path: Path, finished: dict[str, Path]
) -> None:
    quantised = settings(**LORA, deploy="onnx")
    quantised["model"]["quantize"] = "4bit"
    with pytest.raises(InputError, match="quantised weights"):
        prepare(parse_spec(quantised))
    asked = settings(**LORA, deploy="onnx")
    asked["model"]["prompt"] = "Who is it?"
    with pytest.raises(InputError, match="asked a prompt"):
        prepare(parse_spec(asked))
    prepared = prepare(parse_spec(settings(**LORA, deploy="float32")))
    with pytest.raises(InputError, match="trained before"):
        run_cell(prepared, RunFolder(tmp_path / "alone"))
    assert not (tmp_path / "alone").exists()
    with pytest.raises(InputError, match="another run"):
        run_cell(prepared, RunFolder(tmp_path / "other"), source=finished["lora-1"])
    with pytest.raises(InputError, match="not finished"):
        run_cell(prepared, RunFolder(tmp_path / "none"), source=tmp_path / "nowhere")
