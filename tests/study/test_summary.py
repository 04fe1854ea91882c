"""`fairlora compare` of finished runs: one page, and which runs cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from fairlora.errors import InputError
from fairlora.report.page import check_page
from fairlora.study.report.figures import FIGURES
from fairlora.study.report.measures import (
    Run,
    mean_interval,
    overall_columns,
    seeds_words,
    standard_deviation,
)
from fairlora.study.report.results import ArmResult, Axes, Setting
from fairlora.study.report.summary import (
    by_method,
    comparison_page,
    read_runs,
    run_page,
)
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec


def as_if_run(folder: Path) -> None:
    """Seal a changed copy of a run as if it had been made so."""
    RunFolder(folder).seal_again(".*", accept=False)


def test_runs_that_differ_in_their_seed_are_one_method(finished: dict[str, Path]) -> None:
    runs = read_runs(finished.values())
    methods = by_method(runs)
    assert [m.name for m in methods] == ["LoRA", "fair full"]
    assert [len(m.runs) for m in methods] == [2, 2]


def test_the_page_holds_means_over_seeds(finished: dict[str, Path]) -> None:
    runs = read_runs(finished.values())
    page = check_page(comparison_page(runs, title="Both", notes=["a caveat"]))
    table = page["tables"][0]
    assert [row["cells"][0]["text"] for row in table["rows"]] == ["LoRA", "fair full"]
    values = [run.audit["overall"]["accuracy"]["value"] for run in runs[:2]]
    assert [column["name"] for column in table["columns"]][:3] == ["Method", "Seeds", "Accuracy"]
    assert table["rows"][0]["cells"][2]["text"].startswith(f"{50 * sum(values):.1f}")
    # Of the renderer there is one, and nothing to compare.
    titles = [chart["title"] for chart in page["charts"]]
    assert titles == ["Accuracy by skin_tone", "Loss during training"]
    facts = {fact["name"]: fact["value"] for fact in page["facts"]}
    assert facts["Trained for the groups of"] == "skin_tone"
    assert len(page["charts"][0]["series"][0]["points"][0]["marks"]) == 2
    assert "a caveat" in page["notes"]


def test_one_run_is_a_page_of_its_audit(finished: dict[str, Path]) -> None:
    page = check_page(run_page(read_runs([finished["lora-0"]])[0]))
    assert "LoRA, seed 0" in page["title"]
    assert "Trained for the groups of" not in {fact["name"] for fact in page["facts"]}
    fair = run_page(read_runs([finished["full-0"]])[0])
    assert {"name": "Trained for the groups of", "value": "skin_tone"} in fair["facts"]
    assert any(table["title"] == "By skin_tone" for table in page["tables"])


def test_runs_on_other_data_do_not_compare(finished: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished["lora-0"], other)
    environment = json.loads((other / "environment.json").read_text())
    environment["data_fingerprint"] = "another"
    (other / "environment.json").write_text(json.dumps(environment))
    as_if_run(other)
    with pytest.raises(InputError, match="different data"):
        comparison_page(read_runs([finished["lora-0"], other]), title="No")


@pytest.mark.parametrize(
    ("key", "value"), [("target", "skin_tone"), ("split", {"test": 0.3}), ("renderers", ["fluent"])]
)
def test_the_same_data_used_in_another_way_do_not_compare(
    finished: dict[str, Path], tmp_path: Path, key: str, value: object
) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished["lora-1"], other)
    spec = yaml.safe_load((other / "spec.yaml").read_text())
    spec["data"][key] = value
    (other / "spec.yaml").write_text(yaml.safe_dump(spec))
    as_if_run(other)
    with pytest.raises(InputError, match="in different ways"):
        comparison_page(read_runs([finished["lora-0"], other]), title="No")


def test_what_training_leaves_out_may_differ(finished: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished["lora-1"], other)
    spec = yaml.safe_load((other / "spec.yaml").read_text())
    spec["data"].update(scarcity={"skin_tone": {"dark": 0.5}}, train_rows=50, path=None)
    (other / "spec.yaml").write_text(yaml.safe_dump(spec))
    as_if_run(other)
    page = comparison_page(read_runs([finished["lora-0"], other]), title="Yes")
    assert len(page["tables"][0]["rows"]) == 2


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a finished run"):
        read_runs([tmp_path])
    with pytest.raises(InputError, match="no runs"):
        comparison_page([], title="Nothing")


def test_the_interval_of_a_mean_is_students() -> None:
    from scipy import stats

    values = [0.81, 0.84, 0.80]
    low, high = mean_interval(values, runs_of("fixed")) or (0.0, 0.0)
    expected = stats.t.interval(
        0.95, 2, loc=sum(values) / 3, scale=standard_deviation(values) / 3**0.5
    )
    assert (low, high) == pytest.approx(expected)
    assert mean_interval([0.8], runs_of("fixed")) is None


def runs_of(mode: str) -> list[Run]:
    """Runs of three seeds with 150 training, 50 validation and 50 test rows."""
    spec = RunSpec.model_validate(
        {
            "name": "x",
            "data": {"name": "people-emoji", "split": {"mode": mode}},
            "model": {"id": "m"},
        }
    )
    rows = {"train": 150, "validation": 50, "test": 50}
    found = []
    for value in (0.81, 0.84, 0.80):
        group = {"dark": {"n": 20, "accuracy": {"value": value, "low": 0.0, "high": 1.0}}}
        audit = {"overall": {"accuracy": {"value": value}}, "by_group": {"tone": group}}
        metrics = {"rows": rows, "audit": {**audit, "disparities": {"tone": {}}}}
        found.append(Run(RunFolder(Path("nowhere")), spec, metrics))
    return found


def test_test_rows_that_vary_with_the_seed_widen_every_interval_of_a_mean() -> None:
    # By hand: mean 0.816667, sd 0.0208167; Student's t of 2 degrees of freedom is 4.302653.
    # Nadeau and Bengio: (1 / 3 + 50 / 200) instead of 1 / 3; t interval: 0.051712 to either side.
    half = 4.302653 * 0.0208167 * (1 / 3 + 1 / 4) ** 0.5
    runs = runs_of("papers")
    column = overall_columns()[0]
    arm = ArmResult(SimpleNamespace(place={"method": "lora"}), tuple(runs), "lora")  # type: ignore[arg-type]
    point = arm.point(column)
    assert point["high"] - point["y"] == pytest.approx(half, rel=1e-5)
    assert point["y"] - point["low"] == pytest.approx(half, rel=1e-5)
    assert half / 0.051712 == pytest.approx(1.75**0.5, rel=1e-4)
    # The CSV, and the chart of `fairlora compare`, have the same interval, and the captions say so.
    assert column.interval(runs) == (point["low"], point["high"])
    (chart,) = FIGURES["accuracy"](Setting("", [arm], Axes(()), ("tone",)))
    drawn = chart["series"][0]["points"][0]
    assert (drawn["low"], drawn["high"]) == (point["low"], point["high"])
    for caption in (chart["caption"], seeds_words(runs)):
        assert "intervals of Nadeau and Bengio" in caption
    assert "95 % t intervals" in seeds_words(runs_of("fixed"))


def test_several_models_are_told_apart_and_judged_each_by_its_own(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished["lora-1"], other)
    spec = yaml.safe_load((other / "spec.yaml").read_text())
    spec["model"]["id"] = "models/small.gguf"
    (other / "spec.yaml").write_text(yaml.safe_dump(spec))
    as_if_run(other)
    runs = read_runs([finished["lora-0"], finished["full-0"], other])
    first, full, second = (method.name for method in by_method(runs))
    assert second == "LoRA (small)"
    assert first.startswith("LoRA (")
    assert full.startswith("fair full (")
    assert full.endswith(first.removeprefix("LoRA ("))
