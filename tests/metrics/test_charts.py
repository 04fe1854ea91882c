"""The audit's figures: what is drawn, what is hollow, what is cut, and the files written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlora.errors import InputError
from fairlora.metrics import AuditResult, audit
from fairlora.metrics.charts import (
    accuracy_dots,
    difference_dots,
    disparity_dots,
    reliability_charts,
)
from fairlora.metrics.content import Disparity
from fairlora.metrics.findings import beyond_chance, lowest_groups
from fairlora.metrics.labels import DISPARITY, GAPS
from fairlora.metrics.page import audit_page

N = 900
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, N)
SKIN = RNG.choice(["dark", "light", "mid"], N)
AGE = RNG.choice(["old", "young"], N)
RIGHT = RNG.random(N) < np.where(SKIN == "dark", 0.7, 0.9)
PREDICTED = np.where(RIGHT, LABELS, 1 - LABELS)
PROBS = np.where(PREDICTED == 1, 0.85, 0.15)


def audited(groups: Any = None, probs: Any = PROBS, **options: Any) -> AuditResult:
    given = {"positive": 1, "bootstrap": 200, **options}
    columns = {"skin": SKIN, "age": AGE} if groups is None else groups
    return audit(LABELS, PREDICTED, columns, probs, **given)


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return audited()


def rows_of(dots: dict[str, Any], panel: int = 0) -> dict[str, Any]:
    return {row["label"]: row for row in dots["panels"][panel]["rows"]}


def test_groups_are_drawn_with_their_intervals(result: AuditResult) -> None:
    groups = result.content.by_group["skin"]
    rows = rows_of(accuracy_dots("skin", groups, "95 %"))
    assert list(rows) == ["dark", "light", "mid"]
    for group, row in rows.items():
        (point,) = row["points"]
        assert row["n"] == groups[group].n
        assert {k: point[k] for k in ("value", "low", "high")} == {
            k: getattr(groups[group].accuracy, k) for k in ("value", "low", "high")
        }


def test_a_difference_is_hollow_where_its_interval_holds_0(result: AuditResult) -> None:
    for attribute in ("skin", "age"):
        groups = result.content.by_group[attribute]
        for group, row in rows_of(difference_dots(attribute, groups, "95 %")).items():
            number = groups[group].accuracy_difference
            assert number.low is not None
            assert number.high is not None
            assert row["points"][0]["strong"] is not (number.low <= 0 <= number.high)
    strong = rows_of(difference_dots("skin", result.content.by_group["skin"], "95 %"))
    assert strong["dark"]["points"][0]["strong"] is True


def test_a_gap_is_hollow_unless_beyond_chance_and_stands_beside_chance(
    result: AuditResult,
) -> None:
    disparities = result.content.disparities
    dots = disparity_dots(disparities, "95 %")
    assert [panel["name"] for panel in dots["panels"]] == ["skin", "age"]
    hollow = set()
    for place, attribute in enumerate(("skin", "age")):
        rows = rows_of(dots, place)
        assert list(rows) == [DISPARITY[name] for name in GAPS]
        for name in GAPS:
            number = disparities[attribute].numbers()[name]
            assert isinstance(number, Disparity)
            found, *chance = rows[DISPARITY[name]]["points"]
            assert found["strong"] is beyond_chance(name, number)
            hollow.add(found["strong"])
            expected = number.expected_by_chance
            assert [one["value"] for one in chance] == ([] if expected is None else [expected])
    assert hollow == {True, False}


def test_an_attribute_without_a_gap_has_no_panel() -> None:
    content = audited({"one": ["x"] * N, "skin": SKIN}, bootstrap=0).content
    dots = disparity_dots(content.disparities, "95 %")
    assert [panel["name"] for panel in dots["panels"]] == ["skin"]


def test_reliability_is_drawn_overall_and_for_the_worst_group(result: AuditResult) -> None:
    charts = reliability_charts(result.content)
    assert len(charts) == 2
    overall, worst = charts[0]["panels"]
    assert (overall["name"], overall["n"]) == ("all", N)
    assert (worst["name"], worst["n"]) == ("dark: lowest accuracy", int((SKIN == "dark").sum()))
    bins = result.to_dict()["reliability"]
    assert overall["bins"] == bins["overall"]
    assert worst["bins"] == bins["by_group"]["skin"]["dark"]
    ece = result.content.overall.ece.value
    assert ece is not None
    assert overall["summary"].startswith(f"ECE {100 * ece:.1f}%")
    assert charts[0]["confidence"] == "Confidence in the predicted class"


def test_the_confidence_in_the_positive_class_is_named_so() -> None:
    content = audited(confidence="positive", bootstrap=0).content
    assert reliability_charts(content)[0]["confidence"] == "Confidence in class 1"


def test_one_group_alone_is_drawn_once() -> None:
    charts = reliability_charts(audited({"one": ["x"] * N}, bootstrap=0).content)
    assert [panel["name"] for panel in charts[0]["panels"]] == ["all"]


def test_without_probabilities_there_is_no_reliability() -> None:
    content = audited(probs=None, bootstrap=0).content
    assert reliability_charts(content) == []
    assert "reliability" not in audit_page(content, "Audit")


@pytest.fixture(scope="module")
def many() -> AuditResult:
    """60 groups of 15 rows, the last of few rows and all wrong."""
    codes = np.arange(N) % 60
    codes[codes == 59] = 58
    codes[:3] = 59
    right = RIGHT.copy()
    right[:3] = False
    predicted = np.where(right, LABELS, 1 - LABELS)
    groups = {"place": [f"g{k:02}" for k in codes]}
    return audit(LABELS, predicted, groups, PROBS, positive=1, bootstrap=0)


def test_of_many_groups_the_lowest_are_drawn_and_that_is_said(many: AuditResult) -> None:
    groups = many.content.by_group["place"]
    dots = accuracy_dots("place", groups, "95 %")
    rows = rows_of(dots)
    assert len(rows) == 40
    assert dots["caption"].endswith("The 40 lowest of 60 groups.")
    shown = [groups[g].accuracy.value or 0 for g in rows]
    hidden = [groups[g].accuracy.value or 0 for g in groups if g not in rows]
    # A group too small to tell is not among the lowest.
    assert groups["g59"].small
    assert "g59" not in rows
    hidden.remove(0.0)
    assert max(shown) <= min(hidden)
    assert "40 lowest of 60" in difference_dots("place", groups, "95 %")["caption"]


def test_of_many_groups_the_worst_still_has_its_reliability(many: AuditResult) -> None:
    (chart,) = reliability_charts(many.content)
    lowest = lowest_groups(many.content.disparities["place"].accuracy_worst)
    assert chart["panels"][1]["name"] == (
        f"{lowest[0]}: lowest accuracy, as of {len(lowest) - 1} more"
    )


def test_forty_groups_are_all_drawn() -> None:
    content = audited({"g": np.arange(N) % 40}, bootstrap=0).content
    dots = accuracy_dots("g", content.by_group["g"], "95 %")
    assert len(rows_of(dots)) == 40
    assert "lowest" not in dots["caption"]


@pytest.mark.parametrize("kind", ["disparities", "groups", "differences", "reliability"])
def test_every_kind_of_figure_is_written(result: AuditResult, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.png"
    result.plot(path, kind)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("ending", "beginning"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_every_kind_of_file_is_written(
    result: AuditResult, tmp_path: Path, ending: str, beginning: bytes
) -> None:
    path = tmp_path / f"figure.{ending}"
    result.plot(path, "groups", "age")
    assert path.read_bytes().startswith(beginning)


def test_without_a_path_the_figure_comes_back(result: AuditResult) -> None:
    from matplotlib.figure import Figure

    for kind in ("disparities", "groups", "differences", "reliability"):
        assert isinstance(result.plot(kind=kind), Figure)


def test_the_attribute_chosen_is_the_one_drawn(result: AuditResult) -> None:
    figure = result.plot(kind="groups", attribute="age")
    texts = [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]
    assert any("old" in text for text in texts)
    assert not any("dark" in text for text in texts)


def test_figures_that_there_are_none_of_are_refused(result: AuditResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind: unknown figure .found pie; expected disparities"):
        result.plot(kind="pie")
    with pytest.raises(InputError, match="attribute: no such attribute .found .nope.*skin, age"):
        result.plot(kind="groups", attribute="nope")
    bare = audited(probs=None, bootstrap=0)
    with pytest.raises(InputError, match="no probabilities were given"):
        bare.plot(tmp_path / "x.png", "reliability")
    with pytest.raises(InputError, match=r"docx"):
        result.plot(tmp_path / "x.docx")
    assert list(tmp_path.iterdir()) == []


def test_gaps_that_there_are_none_of_are_refused() -> None:
    alone = audited({"one": ["x"] * N}, probs=None, bootstrap=0)
    with pytest.raises(InputError, match="nothing to draw"):
        alone.plot()


def test_the_tables_come_in_latex(result: AuditResult) -> None:
    text = result.to_latex("Title & more")
    assert text.count(r"\toprule") == len(result.page("x")["tables"])
    assert r"Title \& more" in text


def test_the_tables_are_printed(result: AuditResult, capsys: pytest.CaptureFixture[str]) -> None:
    result.show("What was found")
    printed = capsys.readouterr().out
    assert "What was found" in printed
    assert "dark" in printed


def test_pairs_of_groups_come_as_frames(result: AuditResult) -> None:
    frame = result.pairwise["skin"]
    assert list(frame.columns) == ["metric", "group", "other", "value", "low", "high"]
    accuracy = frame[frame["metric"] == "accuracy"]
    assert len(accuracy) == 3
    means = {g: float(RIGHT[np.equal(SKIN, g)].mean()) for g in ("dark", "light", "mid")}
    for _, row in accuracy.iterrows():
        assert row["value"] == pytest.approx(means[row["group"]] - means[row["other"]])
        assert row["low"] <= row["value"] <= row["high"]


def test_more_than_thirty_groups_have_no_frame_of_pairs(many: AuditResult) -> None:
    frame = many.pairwise["place"]
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["metric", "group", "other", "value", "low", "high"]
    assert len(frame) == 0


def test_subgroups_come_as_a_frame() -> None:
    result = audited(subgroups=2, subgroup_size=20)
    frame = result.subgroups
    assert result.content.subgroups is not None
    assert list(frame["name"]) == [one.name for one in result.content.subgroups.ranked]
    assert frame.loc[0, "conditions"]["skin"] == "dark"
    assert (frame["n"] >= 20).all()
    assert audited(bootstrap=0).subgroups.empty


def test_an_audit_searches_for_what_it_is_told_to() -> None:
    for metric, worst in (("accuracy", min), ("tpr", min), ("selection_rate", min), ("fpr", max)):
        found = audited(subgroups=1, subgroup_metric=metric).content.subgroups
        assert found is not None
        assert found.worst is not None
        rows = found.ranked
        assert found.metric == metric
        assert found.worst.z == worst(row.z for row in rows)
        by_group = audited(bootstrap=0).content.by_group
        for row in rows:
            ((attribute, group),) = row.conditions.items()
            number = by_group[attribute][group].numbers()[metric]
            assert row.rate == pytest.approx(number.value)


def test_a_search_is_plain_json_and_a_table_of_the_page() -> None:
    result = audited(subgroups=2)
    assert json.loads(result.to_json()) == result.to_dict()
    table = next(t for t in audit_page(result.content, "x")["tables"] if "Subgroups" in t["title"])
    assert table["rows"][0]["cells"][0]["text"] == result.subgroups.loc[0, "name"]
    assert "skin: dark" in table["caption"]


def test_searches_that_there_are_none_of_are_refused() -> None:
    with pytest.raises(InputError, match="subgroup_metric: unknown value"):
        audited(subgroups=1, subgroup_metric="f1")
    with pytest.raises(InputError, match="found clusters"):
        audited(subgroups=1, clusters=np.arange(N))
    labels = np.arange(60) % 3
    with pytest.raises(InputError, match="tpr needs two classes"):
        audit(labels, labels, {"g": labels}, subgroups=1, subgroup_metric="tpr")
