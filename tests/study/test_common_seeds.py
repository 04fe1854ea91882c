"""Numbers over fewer seeds than planned say so, and methods are compared over the seeds of all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlora.report import chart_csv, table_csv, to_latex
from fairlora.report.chart_table import chart_table
from fairlora.report.markdown import to_markdown
from fairlora.study.report import comparisons
from fairlora.study.report.figures import FIGURES
from fairlora.study.report.measures import Run, disparity_columns, overall_columns
from fairlora.study.report.records import measure_records
from fairlora.study.report.results import ArmResult, Axes, Results, Setting, over_common_seeds
from fairlora.study.report.tables import means_table
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec

ACCURACY = overall_columns()[0]
GAP = next(column for column in disparity_columns("tone") if column.key == "accuracy_gap")


def method(
    name: str, accuracy: dict[int, float], gap: dict[int, float | None], planned: int = 5
) -> ArmResult:
    """A method with a run for each seed of `accuracy`."""
    runs = []
    for seed, value in accuracy.items():
        group = {"n": 20, "missing": False, "accuracy": {"value": value, "low": 0, "high": 1}}
        audit = {
            "overall": {"accuracy": {"value": value}},
            "by_group": {"tone": {"dark": group, "light": group}},
            "disparities": {"tone": {"accuracy_gap": {"value": gap.get(seed)}}},
        }
        spec = RunSpec.model_validate({"seed": seed})
        runs.append(Run(RunFolder(Path("nowhere")), spec, {"audit": audit}))
    arm: Any = SimpleNamespace(
        place={"method": name}, method=name, name=name, varied={}, spec=RunSpec(), strength=0.0
    )
    return ArmResult(arm, tuple(runs), name, planned)


A = method("A", {0: 0.9, 1: 0.9, 2: 0.1, 3: 0.1, 4: 0.1}, {0: 0.171, 1: 0.171})
B = method("B", {0: 0.8, 1: 0.8, 3: 0.0, 4: 0.0}, dict.fromkeys(range(5), 0.3))


def test_a_mean_over_fewer_seeds_than_its_row_says_so_in_every_format() -> None:
    table = means_table("Gaps", "", [A, B], [ACCURACY, GAP])
    (_, *first), (_, *second) = [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
    assert (first[0], second[0]) == ("5", "4 of 5")
    assert first[2] == "17.1 (2 of 5 seeds)"
    assert second[2] == "30.0"  # of all that the row has
    page: Any = {"title": "Page", "tables": [table]}
    for text in (table_csv(table), to_latex(page), to_markdown(page)):
        assert "17.1 (2 of 5 seeds)" in text
        assert "4 of 5" in text


def test_the_best_is_that_over_the_seeds_that_all_have() -> None:
    table = means_table("All", "", [A, B], [ACCURACY, GAP])
    marks = [[cell["mark"] for cell in row["cells"][2:]] for row in table["rows"]]
    # Of their own seeds B has 40.0 and A 42.0; of the common ones A has 50.0.
    assert marks == [["best", "best"], [None, None]]
    apart = method("C", {7: 0.99}, {})
    marks = [
        row["cells"][2]["mark"] for row in means_table("All", "", [A, apart], [ACCURACY])["rows"]
    ]
    assert marks == [None, None]  # nothing in common, nothing compared
    lucky = method("D", {0: 0.95, 1: 0.95}, {})
    table = means_table("All", "", [A, lucky], [ACCURACY])
    assert [row["cells"][2]["mark"] for row in table["rows"]] == [None, "best"]


def test_a_method_without_a_value_takes_no_seed_from_the_others() -> None:
    none = method("E", {0: 0.5}, {})
    found = over_common_seeds([A, B, none], [GAP])
    assert [[run.spec.seed for run in one.runs] for one in found] == [[0, 1], [0, 1], []]


def test_points_of_figures_say_it_too() -> None:
    point = A.point(GAP)
    assert (point["y"], point["label"]) == (pytest.approx(0.171), "2 of 5 seeds")
    assert "label" not in A.point(ACCURACY)
    setting = Setting("", [A, B], Axes(("method",)), ("tone",))
    (chart,) = FIGURES["accuracy"](setting)
    texts = [cell["text"] for row in chart_table(chart)["rows"] for cell in row["cells"]]
    assert sum("(4 of 5 seeds)" in text for text in texts) == 2
    labels = [row["label"] for row in csv.DictReader(io.StringIO(chart_csv(chart)))]
    assert labels == ["", "", "4 of 5 seeds", "4 of 5 seeds"]


def test_a_front_is_of_the_seeds_that_all_have() -> None:
    setting = Setting("", [A, B], Axes(("method",)), ("tone",))
    chart = next(c for c in FIGURES["pareto"](setting) if "Accuracy gap" in c["title"])
    points = {series["name"]: series["points"] for series in chart["series"]}
    assert [p["y"] for p in points["A"] + points["B"]] == pytest.approx([0.9, 0.8])
    assert {p["label"] for p in points["A"] + points["B"]} == {"2 of 5 seeds"}
    assert len(points["Pareto front"]) == 1


def test_records_have_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "class_loss_variance", None)  # needs the rows
    rows = {
        (row["method"], row["measure"]): (row["seeds"], row["seeds_planned"])
        for row in measure_records(Results((A, B)))
        if row["measure"] in ("accuracy", "tone.accuracy_gap")
    }
    assert rows == {
        ("A", "accuracy"): (5, 5),
        ("A", "tone.accuracy_gap"): (2, 5),
        ("B", "accuracy"): (4, 5),
        ("B", "tone.accuracy_gap"): (4, 5),
    }


def test_verdicts_over_fewer_seeds_are_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def compared(first: Any, second: Any, **how: Any) -> dict[str, Any]:
        asked.append(how["names"])
        return {}

    monkeypatch.setattr(comparisons, "compare_over_seeds", compared)
    monkeypatch.setattr(comparisons, "_test_rows", lambda path: None)
    comparisons.compare_pairs([("", A, B), ("", A, A)], 200)
    assert asked == [("A", "B, 4 of 5 seeds"), ("A", "A")]
