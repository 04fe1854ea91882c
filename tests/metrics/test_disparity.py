"""Disparities, against fairlearn and a plain loop over groups and classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    equalized_odds_ratio,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlora.metrics import audit

SETTINGS = settings(derandomize=True, deadline=None, max_examples=40)
Mask = NDArray[np.bool_]


def value_of(number: Mapping[str, Any]) -> float:
    return float("nan") if number["value"] is None else float(number["value"])


@settings(SETTINGS, max_examples=20)
@given(data=st.data())
def test_spreads_agree_with_fairlearn_where_every_group_has_both_classes(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, lists = data.draw(make_rows(2, complete=True))
    groups = [names[0] for names in lists]
    found = audit(labels, predictions, {"g": groups}, positive=1, min_group=0, bootstrap=0)
    summary = found.to_dict()["disparities"]["g"]
    if len(set(groups)) == 1:
        # fairlearn says 0: nothing was compared.
        assert summary["dpd"]["value"] is None
        assert summary["eod"]["value"] is None
        assert any("one group alone" in text for text in found.to_dict()["warnings"])
        return
    dpd = demographic_parity_difference(labels, predictions, sensitive_features=groups)
    eod = equalized_odds_difference(labels, predictions, sensitive_features=groups)
    assert summary["dpd"]["value"] == pytest.approx(dpd)
    assert summary["eod"]["value"] == pytest.approx(eod)


@settings(SETTINGS, max_examples=12)
@given(data=st.data())
def test_ratios_and_equal_opportunity_agree_with_fairlearn(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(groups=(2, 2, 8), rows=(30, 200), complete=True))
    y, h, groups = rows.labels, rows.predictions, rows.names
    result = audit(
        y, h, {"g": rows.groups}, positive=1, min_group=1, bootstrap=0, missing_group="keep"
    )
    summary = result.to_dict()["disparities"]["g"]
    with np.errstate(invalid="ignore"):
        dp = demographic_parity_ratio(y, h, sensitive_features=groups)
        eo = equalized_odds_ratio(y, h, sensitive_features=groups)
    chosen = np.array([(h == 1)[groups == g].any() for g in set(groups)])
    if chosen.any():
        assert summary["dp_ratio"]["value"] == pytest.approx(dp)
    else:
        # fairlearn has 0 / 0 here.
        assert summary["dp_ratio"]["value"] is None
        assert summary["dp_ratio"]["reason"] == "no group's rate is above 0"
    if (h & y).any() and (h & (1 - y)).any():
        assert summary["eo_ratio"]["value"] == pytest.approx(eo)
    spread = equal_opportunity_difference(y, h, sensitive_features=groups)
    pairs = result.pairwise["g"]
    apart = pairs.loc[pairs["metric"] == "tpr", "value"].abs().max()
    assert apart == pytest.approx(spread)
    if len(set(groups)) == 2:
        # Of two groups each is all that is outside the other.
        assert summary["eopp_max"]["value"] == pytest.approx(spread)


@pytest.mark.parametrize("right", [True, False])
def test_groups_that_are_all_right_or_all_wrong_are_no_different(right: bool) -> None:
    y = np.array([0, 1] * 40)
    groups = ["a", "a", "b", "b"] * 20
    found = audit(y, y if right else 1 - y, {"g": groups}, positive=1).to_dict()
    summary = found["disparities"]["g"]
    gaps = ("accuracy_gap", "dpd", "eod", "eopp_max", "f1_gap")
    assert {summary[metric]["value"] for metric in gaps} == {0}
    assert summary["accuracy_worst"]["value"] == float(right)
    assert summary["dp_ratio"]["value"] == 1
    for metric in ("accuracy_gap", "eod", "eopp_max"):
        # No row differs, and yet the rates are not known to the point.
        assert summary[metric]["low"] == 0 < summary[metric]["high"]


def rate(hits: Mask, among: Mask, least: int) -> float:
    """The share of hits; NaN with fewer than `least` rows to be among."""
    n = int(among.sum())
    return float((hits & among).sum() / n) if n >= max(1, least) else float("nan")


def by_loop(
    labels: Any, predictions: Any, members: Mapping[str, Mask], classes: list[int], least: int
) -> dict[str, Any]:
    """The same disparities, one class, one group and one rate at a time."""
    dpd: dict[tuple[int], float] = {}
    eod: dict[tuple[str, int], float] = {}
    against: dict[tuple[str, str, int], float] = {}  # what, group, class
    eopp: dict[tuple[str, int], float] = {}
    everyone = np.ones(len(labels), dtype=bool)
    for c in classes:
        chosen, own = predictions == c, labels == c
        kinds = {"selection": everyone, "tpr": own, "fpr": ~own}
        enough = max(1, least)
        both = {
            g
            for g, mask in members.items()
            if (own & mask).sum() >= enough and (~own & mask).sum() >= enough
        }
        for what, among in kinds.items():
            counted = members if what == "selection" else both
            values = {g: rate(chosen, among & members[g], least) for g in counted}
            known = [v for v in values.values() if v == v]
            if len(known) > 1:
                spread = max(known) - min(known)
                if what == "selection":
                    dpd[(c,)] = spread
                else:
                    eod[(what, c)] = spread
            for g, mask in members.items():
                inside = rate(chosen, among & mask, 1)
                outside = rate(chosen, among & ~mask, 1)
                against[(what, g, c)] = abs(inside - outside)
        for g, mask in members.items():
            apart = abs(rate(chosen, own & mask, least) - rate(chosen, own & ~mask, least))
            if apart == apart:
                eopp[(g, c)] = apart

    def largest(values: list[float]) -> float:
        known = [v for v in values if v == v]
        return max(known) if known else float("nan")

    return {
        "dpd": dpd,
        "eod": eod,
        "eopp": eopp,
        "by_group": {
            g: {
                "dpd": largest([against[("selection", g, c)] for c in classes]),
                # The larger of the two where both are defined: NaN is larger than nothing.
                "eod": largest(
                    [np.maximum(against[("tpr", g, c)], against[("fpr", g, c)]) for c in classes]
                ),
                "eopp": largest([against[("tpr", g, c)] for c in classes]),
            }
            for g in members
        },
    }


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize(("num", "positive"), [(2, 1), (2, 0), (4, None)])
@settings(SETTINGS, max_examples=50)
@given(data=st.data())
def test_everything_agrees_with_a_plain_loop(
    data: st.DataObject,
    make_rows: Callable[..., Any],
    num: int,
    positive: int | None,
    overlapping: bool,
) -> None:
    labels, predictions, lists = data.draw(make_rows(num, overlapping=overlapping))
    least = data.draw(st.sampled_from([0, 1, 3, 6]))
    names = [f"class {c}" for c in range(num)]
    found = audit(
        np.array(names)[labels],
        np.array(names)[predictions],
        {"g": lists},
        classes=names,
        positive=None if positive is None else names[positive],
        min_group=least,
        bootstrap=0,
    ).to_dict()
    members = {
        g: np.array([g in row for row in lists])
        for g in sorted({name for row in lists for name in row})
    }
    classes = [*range(num)] if positive is None else [positive]
    expected = by_loop(labels, predictions, members, classes, least)
    summary, groups = found["disparities"]["g"], found["by_group"]["g"]

    for metric, table in (("dpd", expected["dpd"]), ("eod", expected["eod"])):
        if not table:
            assert summary[metric]["value"] is None
            assert summary[metric]["reason"]
            continue
        assert summary[metric]["value"] == pytest.approx(max(table.values()))
        # The class that is named is one that reaches the maximum.
        c = names.index(summary[metric]["class"])
        key = (c,) if metric == "dpd" else (summary[metric]["rate"], c)
        assert table[key] == pytest.approx(max(table.values()))
    if expected["eopp"]:
        most = max(expected["eopp"].values())
        assert summary["eopp_max"]["value"] == pytest.approx(most)
        key = (summary["eopp_max"]["group"], names.index(summary["eopp_max"]["class"]))
        assert expected["eopp"][key] == pytest.approx(most)
    else:
        assert summary["eopp_max"]["value"] is None
    assert list(groups) == list(members)
    for g, numbers in groups.items():
        assert numbers["n"] == members[g].sum()
        for metric, value in expected["by_group"][g].items():
            assert value_of(numbers[metric]) == pytest.approx(value, nan_ok=True)

    sizes = {g: int(mask.sum()) for g, mask in members.items()}
    right = {
        g: rate(labels == predictions, members[g], 1) for g in sizes if sizes[g] >= max(1, least)
    }
    if right:
        assert summary["accuracy_worst"]["value"] == pytest.approx(min(right.values()))
        lowest = [g for g, value in right.items() if abs(value - min(right.values())) < 1e-9]
        worst = summary["accuracy_worst"]
        assert ([worst["group"]] if len(lowest) == 1 else worst["groups"]) == lowest
        assert worst["group"] is None or len(lowest) == 1
    else:
        assert summary["accuracy_worst"]["value"] is None
    if len(right) > 1:
        gap = summary["accuracy_gap"]
        assert gap["value"] == pytest.approx(max(right.values()) - min(right.values()))
        if gap["best"] is None:
            assert gap["value"] == pytest.approx(0)
        else:
            assert right[gap["best"]] - right[gap["worst"]] == pytest.approx(gap["value"])
    else:
        assert summary["accuracy_gap"]["value"] is None


def test_eod_names_the_groups_at_both_ends() -> None:
    labels = [1] * 30 + [0] * 30
    predictions = [1] * 10 + [1] * 5 + [0] * 5 + [0] * 10 + [0] * 30
    groups = (["high"] * 10 + ["middle"] * 10 + ["low"] * 10) * 2
    eod = audit(labels, predictions, {"g": groups}, positive=1).to_dict()["disparities"]["g"]["eod"]
    assert eod["value"] == 1
    assert (eod["largest"], eod["smallest"], eod["rate"]) == ("high", "low", "tpr")


def test_a_small_group_is_shown_and_left_out_of_the_maxima_and_named() -> None:
    labels = [0, 1] * 20 + [0, 1]
    predictions = [0, 1] * 20 + [1, 0]
    groups = ["x"] * 20 + ["y"] * 20 + ["tiny"] * 2
    found = audit(labels, predictions, {"g": groups}, positive=1, min_group=10).to_dict()
    assert found["by_group"]["g"]["tiny"]["accuracy"]["value"] == 0
    assert found["by_group"]["g"]["tiny"]["small"] is True
    assert found["by_group"]["g"]["x"]["small"] is False
    summary = found["disparities"]["g"]
    assert {summary[m]["value"] for m in ("accuracy_gap", "dpd", "eod", "f1_gap")} == {0}
    # The rest that another group is held against keeps all its rows.
    assert summary["eopp_max"]["value"] == pytest.approx(1 / 11)
    assert summary["eopp_max"]["group"] != "tiny"
    assert [text for text in found["warnings"] if "tiny" in text and "2 rows" in text]
    everyone = audit(labels, predictions, {"g": groups}, positive=1, min_group=0).to_dict()
    assert everyone["disparities"]["g"]["eod"]["value"] == 1
    assert everyone["warnings"] == []


def test_a_large_group_with_few_positives_is_left_out_of_what_they_carry_alone() -> None:
    # "rare" has 40 rows and 3 positives, all missed.
    labels = [1] * 20 + [0] * 20 + [1] * 3 + [0] * 37 + [1] * 20 + [0] * 20
    predictions = [1] * 20 + [0] * 20 + [0] * 40 + [1] * 10 + [0] * 30
    groups = ["x"] * 40 + ["rare"] * 40 + ["y"] * 40
    found = audit(labels, predictions, {"g": groups}, positive=1).to_dict()
    summary = found["disparities"]["g"]
    assert found["by_group"]["g"]["rare"]["tpr"]["value"] == 0
    assert summary["eod"]["value"] == 0.5
    assert summary["eopp_max"]["group"] != "rare"
    assert (summary["recall_min"]["value"], summary["recall_min"]["group"]) == (0.5, "y")
    # Accuracy and selection rate have all 40 rows to stand on.
    assert summary["dpd"]["smallest"] == "rare"
    assert summary["accuracy_worst"]["value"] == 0.75
    assert [text for text in found["warnings"] if "rare: TPR of 1" in text]


def test_the_lowest_f1_and_recall_of_groups_are_named() -> None:
    labels = [1, 1, 0, 0] * 5 + [1, 1, 0, 0] * 5
    predictions = [1, 1, 0, 0] * 5 + [1, 0, 0, 0] * 5
    groups = ["good"] * 20 + ["bad"] * 20
    summary = audit(labels, predictions, {"g": groups}, positive=1).to_dict()["disparities"]["g"]
    assert (summary["recall_min"]["value"], summary["recall_min"]["group"]) == (0.5, "bad")
    assert summary["f1_min"]["value"] == pytest.approx(2 / 3)
    assert summary["f1_min"]["group"] == "bad"
    assert summary["f1_gap"]["value"] == pytest.approx(1 / 3)
    assert summary["f1_gap"]["worst"] == summary["f1_min"]["group"] != summary["f1_gap"]["best"]
