"""Curves and operating points by group, against scikit-learn, the plain audit, and simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import AuditResult
from fairlora.metrics.content import AuditContent, GroupRatesAt
from fairlora.metrics.curves.precision import average_precision, precision_points
from fairlora.metrics.curves.roc_scores import Sides, roc_points
from fairlora.metrics.settings import Settings

FAST: dict[str, Any] = {"bootstrap": 0, "min_group": 1, "positive": 1}


def drawn(seed: int, n: int = 400, tied: bool = False) -> tuple[Any, Any, Any]:
    """Labels, probabilities and groups; b's scores are a little higher than a's."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    group = rng.choice(["a", "b"], n, p=[0.6, 0.4])
    p = norm.cdf(rng.normal(size=n) + 1.3 * y - 0.6 + 0.4 * (group == "b"))
    return y, (np.round(p, 1) if tied else p).astype(np.float32), group


def audited(y: Any, p: Any, group: Any, **options: Any) -> AuditContent:
    given = {**FAST, **options}
    return fairlora.audit(y, (p >= 0.5).astype(int), {"g": group}, p, **given).content


def sides(scores: Any, y: Any) -> Sides:
    return Sides(-np.sort(-scores[y == 1]), -np.sort(-scores[y == 0]))


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_curves_are_scikit_learns(seed: int, tied: bool) -> None:
    y, p, group = drawn(seed, 150, tied)
    found = audited(y, p, group, curves=True).curves
    assert found is not None
    for name, one in {"all": found.overall, **found.by_group["g"]}.items():
        here = np.ones(len(y), bool) if name == "all" else group == name
        fpr, tpr, _ = roc_curve(y[here], p[here], drop_intermediate=False)
        for point in one.roc:
            assert point["tpr"] == pytest.approx(tpr[fpr <= point["fpr"] + 1e-9].max())
            assert point["low"] <= point["tpr"] <= point["high"]
        precision, recall, _ = precision_recall_curve(y[here], p[here])
        for at in one.precision_recall:
            # The highest threshold that reaches the recall: recalls fall along the curve.
            k = np.flatnonzero(recall >= at["recall"] - 1e-9)[-1]
            assert at["precision"] == pytest.approx(precision[k])
            assert at["low"] <= at["precision"] <= at["high"]
        assert one.average_precision.value == pytest.approx(
            average_precision_score(y[here], p[here])
        )
        assert one.auc.value == pytest.approx(roc_auc_score(y[here], p[here]))


def test_a_threshold_is_the_audit_of_its_decisions() -> None:
    y, p, group = drawn(1)
    point = (audited(y, p, group, at={"threshold": 0.7}, bootstrap=200).operating_points or [])[0]
    plain = fairlora.audit(
        y, (p >= np.float32(0.7)).astype(int), {"g": group}, **{**FAST, "bootstrap": 200}
    ).content
    for name, one in plain.by_group["g"].items():
        here = point.by_group["g"][name]
        assert here.own is None
        assert here.common.sensitivity.to_dict() == one.tpr.to_dict()
        assert here.common.specificity.value == pytest.approx(1 - (one.fpr.value or 0))
    gap, expected = point.gaps["g"]["sensitivity_gap"], plain.disparities["g"].tpr_gap
    assert gap.to_dict() == expected.to_dict()
    assert point.gaps["g"]["specificity_gap"].value == pytest.approx(
        plain.disparities["g"].fpr_gap.value
    )


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.6, 0.8, 0.9]))
@settings(max_examples=30, deadline=None)
def test_at_a_rate_the_thresholds_reach_it_and_give_the_rates(
    seed: int, tied: bool, rate: float
) -> None:
    y, p, group = drawn(seed, 200, tied)
    at = {"specificity": rate, "sensitivity": rate}
    for point in audited(y, p, group, at=at).operating_points or []:
        chosen = {"all": point.overall}
        chosen |= {name: one.own for name, one in point.by_group["g"].items() if one.own}
        for name, own in chosen.items():
            here = np.ones(len(y), bool) if name == "all" else group == name
            selected = p[here] >= own.threshold
            assert own.sensitivity.value == pytest.approx(selected[y[here] == 1].mean())
            assert own.specificity.value == pytest.approx((~selected)[y[here] == 0].mean())
            reached = getattr(own, point.of)
            assert reached.value >= rate - 1e-9
            assert reached.low is None
            assert "chosen" in (reached.reason or "")
        for name, one in point.by_group["g"].items():
            selected, here = p >= one.common.threshold, group == name
            expected = {
                "sensitivity": selected[here & (y == 1)].mean(),
                "specificity": (~selected)[here & (y == 0)].mean(),
            }
            for kind, value in expected.items():
                found = getattr(one.common, kind)
                assert found.value == pytest.approx(value)
                assert found.low - 1e-9 <= found.value <= found.high + 1e-9


def test_a_sensitivity_is_the_specificity_of_the_classes_changed_over() -> None:
    y, p, group = drawn(2)
    one = audited(y, p, group, at={"sensitivity": 0.8}, bootstrap=100)
    other = audited(1 - y, 1 - p, group, at={"specificity": 0.8}, bootstrap=100)
    first, second = (content.operating_points[0] for content in (one, other))  # type: ignore[index]
    for name in ("a", "b"):
        here, there = first.by_group["g"][name], second.by_group["g"][name]
        for mine, theirs in ((here.common, there.common), (here.own, there.own)):
            assert mine is not None
            assert theirs is not None
            expected = theirs.sensitivity
            for end in ("value", "low", "high"):
                assert getattr(mine.specificity, end) == pytest.approx(getattr(expected, end))
    for key, twin in (
        ("specificity_gap_own", "sensitivity_gap_own"),
        ("specificity_gap", "sensitivity_gap"),
        ("sensitivity_gap", "specificity_gap"),
    ):
        mine, theirs = first.gaps["g"][key], second.gaps["g"][twin]
        assert mine.value == pytest.approx(theirs.value)
        assert mine.low == pytest.approx(theirs.low)
        assert mine.expected_by_chance == pytest.approx(theirs.expected_by_chance, rel=0.4)


def test_intervals_hold_though_the_thresholds_are_estimated() -> None:
    """Binormal groups, 300 simulations: the intervals that take a threshold as given do not."""
    rng = np.random.default_rng(3)
    n, hits, plain = 300, dict.fromkeys(("own", "common", "gap", "ap", "pr"), 0), 0
    shift = {"a": 0.0, "b": 0.5}
    # What specificity of 0.9 over both groups means, and what each then has.
    grid = np.linspace(-3, 5, 80_001)
    at = grid[np.argmax((norm.cdf(grid) + norm.cdf(grid - 0.5)) / 2 >= 0.9)]
    true = {g: norm.sf(at - s - 1) for g, s in shift.items()}
    own = norm.sf(norm.isf(0.1) - 1)
    steps = norm.isf((np.arange(4000) + 0.5) / 4000) + 1
    recall = norm.sf(steps - 1)
    ap = float((recall / (recall + norm.sf(steps))).mean())
    precision = 0.5 / (0.5 + norm.sf(1))
    for _ in range(300):
        y = rng.integers(0, 2, 2 * n)
        group = np.repeat(["a", "b"], n)
        score = rng.normal(size=2 * n) + y + 0.5 * (group == "b")
        found = audited(y, norm.cdf(score / 3), group, at={"specificity": 0.9})
        assert found.operating_points is not None
        point = found.operating_points[0]
        one: GroupRatesAt = point.by_group["g"]["a"]
        assert one.own is not None
        hits["own"] += inside(one.own.sensitivity, own)
        hits["common"] += inside(one.common.sensitivity, true["a"])
        hits["gap"] += inside(point.gaps["g"]["sensitivity_gap"], true["b"] - true["a"])
        a = sides(score[:n], y[:n])
        hits["ap"] += inside(average_precision(a, 0.95), ap)
        at_half = precision_points(a, np.array([0.5]), 0.95)[0]
        hits["pr"] += at_half["low"] <= precision <= at_half["high"]
        threshold = a.thresholds(np.array([int(0.1 * len(a.negatives))]))
        alone = a.rate(threshold, 0.95, "positives")[1]
        plain += bool(alone.low[0] <= own <= alone.high[0])
    # 95 % less two and a half standard errors of it.
    assert min(hits.values()) >= 0.918 * 300, hits
    assert plain < hits["own"]


def inside(number: Any, truth: float) -> bool:
    return bool(number.low <= truth <= number.high)


def test_average_precision_without_fault_has_an_interval() -> None:
    one = average_precision(Sides(np.linspace(2, 1, 20), np.linspace(0.5, 0, 30)), 0.95)
    assert (one.value, one.high) == (1.0, 1.0)
    assert one.low is not None
    assert 0.8 < one.low < 0.9


def test_clusters_of_copies_count_once() -> None:
    y, p, group = drawn(4, 300)
    single = audited(y, p, group, curves=True, at={"specificity": 0.8})
    many = audited(
        *(np.repeat(v, 4) for v in (y, p, group)),
        curves=True,
        at={"specificity": 0.8},
        clusters=np.repeat(np.arange(300), 4),
    )
    assert single.curves is not None
    assert many.curves is not None
    first, second = (content.curves.by_group["g"]["b"] for content in (single, many))
    assert second.average_precision.value == pytest.approx(first.average_precision.value)
    pairs: list[tuple[Any, Any]] = [
        (first.average_precision.to_dict(), second.average_precision.to_dict()),
        (first.roc[8], second.roc[8]),
        (first.precision_recall[10], second.precision_recall[10]),
    ]
    points = [(content.operating_points or [])[0] for content in (single, many)]
    own, other = (point.by_group["g"]["b"].own for point in points)
    assert own is not None
    assert other is not None
    pairs.append((own.sensitivity.to_dict(), other.sensitivity.to_dict()))
    for one, two in pairs:
        assert two["high"] - two["low"] == pytest.approx(one["high"] - one["low"], rel=0.1)


def test_rows_without_a_group_are_shown_and_not_compared() -> None:
    y, p, group = drawn(5)
    named = [None if k % 7 == 0 else g for k, g in enumerate(group)]
    options = {"curves": True, "at": {"specificity": 0.9, "threshold": 0.5}, "bootstrap": 40}
    content = audited(y, p, named, **options)
    assert content.curves is not None
    assert content.curves.by_group["g"]["(missing)"].missing
    for point in content.operating_points or []:
        assert point.by_group["g"]["(missing)"].missing
        for gap in point.gaps["g"].values():
            assert {gap.largest, gap.smallest} == {"a", "b"}
            assert gap.expected_by_chance is not None
    kept = audited(y, p, named, **options, missing_group="keep")
    assert not (kept.operating_points or [])[0].by_group["g"]["(missing)"].missing


def test_groups_that_cannot_reach_a_rate_say_why() -> None:
    y, p, group = drawn(6)
    group = group.astype("<U2")
    group[:3], y[:3] = "c", [0, 0, 1]
    group[3:5], y[3:5] = "d", 1
    content = audited(y, p, group, at={"specificity": 0.9}, curves=True, min_group=10)
    groups = (content.operating_points or [])[0].by_group["g"]
    assert groups["c"].own is not None
    assert groups["d"].own is not None
    assert "less than one" in (groups["c"].own.sensitivity.reason or "")
    assert "both classes" in (groups["d"].own.sensitivity.reason or "")
    assert groups["d"].common.specificity.value is None
    assert groups["c"].small
    assert groups["d"].small
    assert content.curves is not None
    assert content.curves.by_group["g"]["d"].roc == []
    written = AuditResult(content).to_json()
    assert AuditResult(AuditContent.model_validate_json(written)).to_json() == written


def test_the_page_has_tables_and_charts(tmp_path: Path) -> None:
    y, p, group = drawn(7)
    options = {**FAST, "curves": True, "at": {"specificity": 0.9, "threshold": 0.4}}
    result = fairlora.audit(y, (p >= 0.5).astype(int), {"g": group}, p, **options)
    page = result.page("t")
    titles = [table["title"] for table in page["tables"]]
    assert "AUC and average precision by g" in titles
    assert "At a specificity of 90 % by g" in titles
    assert "Gaps at a threshold of 0.4 by g" in titles
    assert [c["title"] for c in page["charts"]] == ["ROC by g", "Precision and recall by g"]
    assert "negative" in page["charts"][0]["caption"]
    for kind in ("roc", "precision_recall"):
        result.plot(tmp_path / f"{kind}.png", kind=kind)
        assert (tmp_path / f"{kind}.png").stat().st_size > 5000
    without = fairlora.audit(y, (p >= 0.5).astype(int), {"g": group}, p, **FAST)
    with pytest.raises(InputError, match="no curves"):
        without.plot(kind="roc")
    assert without.content.curves is None
    assert "charts" not in without.page("t")


def test_gaps_beyond_chance_are_marked_also_at_own_thresholds() -> None:
    y, p, group = drawn(0, n=2000)
    p = np.where((group == "a") & (y == 1), p / 4, p)
    page = fairlora.audit(
        y, (p > 0.5).astype(int), {"g": group}, np.stack([1 - p, p], 1), positive=1,
        at={"specificity": 0.9}, bootstrap=50,
    ).page("t")  # fmt: skip
    (table,) = [t for t in page["tables"] if t["title"].startswith("Gaps at a specificity")]
    marks = {row["cells"][0]["text"]: row["cells"][1]["mark"] for row in table["rows"]}
    assert marks["Sensitivity gap, each group at its own threshold"] == "beyond"
    assert marks["Sensitivity gap at the common threshold"] == "beyond"


def test_several_targets_have_curves_too() -> None:
    y, p, group = drawn(8)
    found = fairlora.audit_targets(
        {"one": y, "two": 1 - y},
        {"one": p, "two": 1 - p},
        {"g": group},
        curves=True,
        at={"sensitivity": 0.8},
        bootstrap=0,
    )
    page = found.page("t")
    assert "ROC by g, two" in [chart["title"] for chart in page["charts"]]
    target = found.to_dict()["targets"]["one"]
    assert target["curves"]["overall"]["auc"]["value"] == pytest.approx(roc_auc_score(y, p))
    point = target["operating_points"][0]
    assert point["overall"]["sensitivity"]["value"] >= 0.8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probs": None}, "probabilities"),
        ({"labels": [0, 1, 2] * 4, "probs": np.eye(3)[[0, 1, 2] * 4]}, "3 classes"),
        ({"at": {"specificity": 1.0}}, "between 0 and 1"),
        ({"at": {"threshold": 1.5}}, "from 0 to 1"),
        ({"at": {"recall": 0.5}}, "at"),
        ({"at": {"threshold": [0.5, 0.5]}}, "twice"),
        ({"labels": [1] * 12, "at": {"specificity": 0.9}, "classes": [0, 1]}, "both classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, Any], words: str) -> None:
    y = np.array([0, 1] * 6)
    given: dict[str, Any] = {"labels": y, "probs": 0.2 + 0.6 * y, "curves": True, **change}
    labels = given.pop("labels")
    with pytest.raises(InputError, match=words):
        fairlora.audit(labels, labels, {"g": ["a", "b"] * 6}, **{"bootstrap": 0, **given})


def test_other_audits_have_no_curves() -> None:
    group = {"g": ["a", "b"] * 6}
    with pytest.raises(InputError, match="needs labels"):
        fairlora.audit_decisions([0, 1] * 6, group, positive=1, curves=True)
    with pytest.raises(InputError, match="not part of an audit of several targets"):
        fairlora.audit_targets({"t": [0, 1] * 6}, {"t": [0.2, 0.8] * 6}, group, subgroups=1)
    with pytest.raises(InputError, match="not part of a comparison"):
        Settings(at={"threshold": 0.5}).check_comparison()


def test_a_folder_streams_and_is_refused(tmp_path: Path) -> None:
    from fairlora.metrics import audit_table

    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "one.csv").write_text("y,h,p,g\n1,1,0.9,a\n0,0,0.1,b\n", encoding="utf-8")
    columns = dict.fromkeys(("label", "pred", "probs", "positive", "cluster"))
    columns |= {"label": "y", "pred": "h", "probs": "p", "groups": ("g",)}
    from fairlora.predictions.classes import ClassRules

    given: dict[str, Any] = {**columns, "rules": ClassRules(), "bins": {}}
    with pytest.raises(InputError, match="rows in memory"):
        audit_table(folder, given, settings=Settings(curves=True))


def test_points_that_few_negatives_do_not_resolve_are_left_out() -> None:
    one = Sides(np.array([3.0, 2.0]), np.array([2.5, 1.0, 0.0, -1.0]))
    fprs = np.array([0.1, 0.25, 0.5])
    assert [point["fpr"] for point in roc_points(one, fprs, 0.95)] == [0.25, 0.5, 1.0]
