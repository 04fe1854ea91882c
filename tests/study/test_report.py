"""From a study's cells to its tables, figures and page: one small real study."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.models import write_tiny_model
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.report.figures import FIGURES
from fairlora.study.report.from_disk import report_study
from fairlora.study.report.measures import Run
from fairlora.study.report.page import settings_of, study_parts
from fairlora.study.report.results import ArmResult, Axes, Results, results_of
from fairlora.study.runs.runner import Outcome, StudyRunner
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import StudySpec, parse_study


def small_study(model: Path, **changes: Any) -> StudySpec:
    return parse_study(
        {
            "name": "small",
            "data": {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]},
            "models": {"id": str(model), "label": "tiny <ViT>"},
            "methods": ["lora", "full"],
            "ranks": [0, 2],
            "strengths": [0, 1],
            "objective": {"groups": "skin_tone"},
            "seeds": 2,
            "training": {"max_steps": 3, "learning_rate": 1e-2},
            "audit": {"positive": "male"},
            "compare": {"bootstrap": 200},
            "report": {"figures": ["groups", "ranks"], "formats": ["svg"]},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySpec, Path, Outcome]:
    folder = tmp_path_factory.mktemp("study")
    study = small_study(write_tiny_model("google/vit-base-patch16-224-in21k", folder / "model"))
    root = folder / "runs" / "small"
    return study, root, StudyRunner(study, root, InlineEngine()).run()


def results(ran: tuple[StudySpec, Path, Outcome]) -> Results:
    return results_of(ran[2].arms, ran[2].cells)


def test_all_cells_ran(ran: tuple[StudySpec, Path, Outcome]) -> None:
    outcome = ran[2]
    assert (outcome.ran, outcome.failed) == (12, 0)
    assert [len(a.runs) for a in results(ran).arms] == [2] * 6


def test_every_figure_is_drawn_and_holds_the_means_over_seeds(
    ran: tuple[StudySpec, Path, Outcome],
) -> None:
    found = results(ran)
    setting = settings_of(ran[0], found)[0]
    charts = {name: figure(setting) for name, figure in FIGURES.items()}
    # Epsilons are drawn of studies with differential privacy (test_dp.py).
    assert [name for name, made in charts.items() if not made] == ["epsilons"]
    ranks = charts["ranks"][0]
    assert [s["name"] for s in ranks["series"]] == ["LoRA", "FairLoRA"]
    assert [[p["x"] for p in s["points"]] for s in ranks["series"]] == [[0, 2], [0, 2]]
    assert [r["name"] for r in ranks["references"]] == ["full", "fair full"]
    full = next(a for a in found.arms if a.arm.method == "full")
    values = [run.audit["overall"]["accuracy"]["value"] for run in full.runs]
    assert ranks["references"][0]["value"] == pytest.approx(sum(values) / 2)
    strengths = charts["strengths"][0]
    assert [s["name"] for s in strengths["series"]] == ["linear", "LoRA", "full"]
    sizes = [c["n"] for c in charts["sizes"][0]["categories"]]
    assert sizes == sorted(sizes)
    for chart in charts["metrics"]:
        for place in range(len(chart["categories"])):
            ys = [s["points"][place]["y"] for s in chart["series"]]
            assert max(ys) == 1.0
            assert min(ys) == 0.0


def test_loss_variance_is_that_of_the_classes_mean_losses(
    ran: tuple[StudySpec, Path, Outcome],
) -> None:
    import numpy as np

    from fairlora.predictions import read_predictions

    run: Run = results(ran).arms[0].runs[0]
    test = read_predictions(run.folder.predictions).select("test")
    assert test.loss is not None
    means = [test.loss[test.labels == k].astype(float).mean() for k in (0, 1)]
    assert run.class_loss_variance == pytest.approx(np.var(means))


def test_the_report_is_written_once_and_again_when_something_changes(
    ran: tuple[StudySpec, Path, Outcome],
) -> None:
    study, root, outcome = ran
    page = report_study(study, root, outcome)
    text = page.read_text(encoding="utf-8")
    assert "tiny &lt;ViT&gt;" in text
    assert "tiny <ViT>" not in text
    content = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    titles = [table["title"] for table in content["tables"]]
    assert titles[:2] == ["All methods", "Disparities by skin_tone"]
    assert "Parameters" in titles
    rows = content["tables"][0]["rows"]
    assert [row["cells"][0]["text"] for row in rows] == [
        "linear",
        "fair linear",
        "LoRA",
        "FairLoRA",
        "full",
        "fair full",
    ]
    made = page.stat().st_mtime_ns
    # Without the outcome the cells are found on disk, and nothing has changed.
    assert report_study(study, root).stat().st_mtime_ns == made
    assert report_study(study, root, again=True).stat().st_mtime_ns > made


def test_every_table_and_figure_is_a_file_of_its_own(
    ran: tuple[StudySpec, Path, Outcome],
) -> None:
    study, root, outcome = ran
    folder = report_study(study, root, outcome).parent
    figures = {p.name for p in (folder / "figures").iterdir()}
    assert {"accuracy-by-skin-tone.svg", "accuracy-by-skin-tone.csv"} <= figures
    assert not any(name.endswith(".png") for name in figures)
    tables = {p.name for p in (folder / "tables").iterdir()}
    assert {"all-methods.csv", "all-methods.tex", "verdicts.csv", "parameters.tex"} <= tables
    assert r"\toprule" in (folder / "tables" / "all-methods.tex").read_text()
    runs = list(csv.DictReader((folder / "tables" / "runs.csv").open()))
    assert len(runs) == 12
    assert {row["method"] for row in runs} >= {"LoRA", "FairLoRA", "full"}
    measures = list(csv.DictReader((folder / "tables" / "measures.csv").open()))
    mean = next(
        float(row["mean"])
        for row in measures
        if (row["method"], row["measure"]) == ("full", "accuracy")
    )
    accuracies = [float(row["accuracy"]) for row in runs if row["method"] == "full"]
    assert mean == pytest.approx(sum(accuracies) / 2)


def test_verdicts_are_of_adapters_and_of_objectives(ran: tuple[StudySpec, Path, Outcome]) -> None:
    from fairlora.study.report.comparisons import pairs_of

    found = results(ran)
    (setting,) = found.settings()
    pairs = {(a.arm.method, b.arm.method) for _, a, b in pairs_of(ran[0], setting)}
    assert pairs == {
        ("linear", "full"),
        ("LoRA", "full"),
        ("fair linear", "fair full"),
        ("FairLoRA", "fair full"),
        ("fair linear", "linear"),
        ("FairLoRA", "LoRA"),
        ("fair full", "full"),
    }
    named = small_study(Path("x"), compare={"pairs": [["FairLoRA", "full"]]})
    assert len(pairs_of(named, setting)) == 1
    with pytest.raises(InputError, match="no such method"):
        expand(small_study(Path("x"), compare={"pairs": [["DoRA", "full"]]}))
    # A method without a finished run is no reason for no report.
    left = replace(setting, members=[m for m in setting.members if m.arm.method != "full"])
    assert pairs_of(named, left) == []


@pytest.mark.parametrize(
    ("report", "words"),
    [({"figures": ["pie"]}, "no such figure"), ({"attribute": "shoe"}, "no such group column")],
)
def test_a_report_that_cannot_be_made_is_one_line(
    ran: tuple[StudySpec, Path, Outcome], report: dict[str, Any], words: str
) -> None:
    study = ran[0].model_copy(update={"report": small_study(Path("x"), report=report).report})
    with pytest.raises(InputError, match=words):
        study_parts(study, results(ran), [])


def test_names_say_what_differs_and_no_more(ran: tuple[StudySpec, Path, Outcome]) -> None:
    arms = [a.arm for a in results(ran).arms]
    axes = Axes.of(arms)
    assert axes.names == ("method", "rank", "strength")
    assert [axes.name(arm) for arm in arms][:3] == ["linear", "fair linear", "LoRA"]
    lone = ArmResult(arms[2], ())
    assert lone.point(settings_columns()[0]) == {"y": None}


def settings_columns() -> list[Any]:
    from fairlora.study.report.measures import overall_columns

    return overall_columns()
