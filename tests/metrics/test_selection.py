"""Audits without labels: rates by hand, intervals by simulation, bounds by trying all."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import fairlora
from fairlora.errors import InputError
from fairlora.metrics.groups.estimates import proportions
from fairlora.metrics.groups.gaps import ratios_to_highest
from fairlora.metrics.selection.bounds import ratio_bounds


def test_counts_give_rates_ratios_and_verdicts() -> None:
    result = fairlora.audit_counts(
        [1000, 500, 200], [600, 150, 100], {"race": ["a", "b", "c"]}, bootstrap=200
    )
    content = result.to_dict()
    groups = content["by_group"]["race"]
    assert content["n"] == 1700
    assert content["selected"] == 850
    assert [groups[g]["selection_rate"]["value"] for g in "abc"] == [0.6, 0.3, 0.5]
    assert [groups[g]["impact_ratio"]["value"] for g in "abc"] == [1.0, 0.5, pytest.approx(5 / 6)]
    # Half the rate on 500 people is below four fifths; 5/6 on 200 people may be either.
    assert [groups[g]["impact_ratio"]["four_fifths"] for g in "abc"] == [
        "not below",
        "below",
        "not shown",
    ]
    assert groups["b"]["impact_ratio"]["highest"] == "a"
    assert content["disparities"]["race"]["dpd"]["value"] == pytest.approx(0.3)
    assert content["disparities"]["race"]["dp_ratio"]["value"] == 0.5


def test_rows_and_their_counts_are_one_audit() -> None:
    rng = np.random.default_rng(3)
    race, sex = rng.choice(list("abc"), 600), rng.choice(["f", "m", None], 600)
    hired = rng.random(600) < 0.4
    rows = fairlora.audit_decisions(hired, {"race": race, "sex": sex}, positive=True)
    frame = pd.DataFrame({"race": race, "sex": sex, "hired": hired})
    table = frame.groupby(["race", "sex"], dropna=False)["hired"].agg(["size", "sum"]).reset_index()
    counts = fairlora.audit_counts(table["size"], table["sum"], table[["race", "sex"]])
    one, other = rows.to_dict(), counts.to_dict()
    for part in ("n", "selected", "overall", "by_group", "disparities", "pairwise"):
        assert one[part] == other[part], part


def test_selection_rates_are_those_of_an_audit_with_labels() -> None:
    rng = np.random.default_rng(5)
    race, y = rng.choice(list("abc"), 400), rng.integers(0, 2, 400)
    h = rng.integers(0, 2, 400)
    labelled = fairlora.audit(y, h, {"race": race}, positive=1, four_fifths=True).to_dict()
    plain = fairlora.audit_decisions(h, {"race": race}, positive=1).to_dict()
    for group in "abc":
        with_label, without = labelled["by_group"]["race"][group], plain["by_group"]["race"][group]
        assert with_label["selection_rate"] == without["selection_rate"]
        assert with_label["dpd"]["value"] == without["dpd"]["value"]
        ratio = labelled["impact_ratios"]["race"][group]["impact_ratio"]
        assert ratio["value"] == without["impact_ratio"]["value"]
        assert ratio["four_fifths"] == without["impact_ratio"]["four_fifths"]
    gap = labelled["disparities"]["race"]["dpd"]
    assert gap["value"] == plain["disparities"]["race"]["dpd"]["value"]


@pytest.mark.parametrize("rates", [(0.5, 0.5, 0.5), (0.5, 0.45, 0.3), (0.1, 0.1, 0.05)])
def test_intervals_of_ratios_hold_where_the_highest_is_estimated(rates: tuple[float, ...]) -> None:
    """Each group's interval covers its true ratio in at least 95 of 100 draws (here 1,000)."""
    rng = np.random.default_rng(11)
    sizes, p = np.array([400, 150, 60]), np.array(rates)
    truth = p / p.max()
    misses = np.zeros(3)
    for _ in range(1000):
        family = proportions(rng.binomial(sizes, p), sizes, 1)
        for g, ratio in enumerate(ratios_to_highest(family, "abc", 0.95)):
            assert ratio.low is not None
            assert ratio.high is not None
            misses[g] += not ratio.low <= truth[g] <= ratio.high
    assert (misses <= 65).all(), misses  # 50 expected at most; sampling error of 1,000 is 7


def test_bounds_are_those_of_all_assignments() -> None:
    selected, sizes, unknown = np.array([4, 2, 3]), np.array([6, 5, 9]), (2, 2)
    lowest, highest = np.full(3, 2.0), np.full(3, -1.0)
    for placed in itertools.product(range(3), repeat=4):
        k, n = selected.copy(), sizes.copy()
        for person, group in enumerate(placed):
            n[group] += 1
            k[group] += person < unknown[0]
        ratios = (k / n) / (k / n).max()
        lowest, highest = np.minimum(lowest, ratios), np.maximum(highest, ratios)
    found = ratio_bounds(selected, sizes, np.ones(3, dtype=bool), *unknown)
    for g, ends in enumerate(found):
        assert ends is not None
        assert ends[0] == pytest.approx(lowest[g])
        # The rejected are spread in fractions: never below what whole people allow.
        assert highest[g] <= ends[1] + 1e-12
        assert ends[1] == pytest.approx(highest[g], abs=0.05)


def test_small_categories_of_the_law_are_shown_and_not_compared() -> None:
    result = fairlora.audit_counts(
        [500, 480, 10, 40],
        [200, 180, 9, 20],
        {"sex": ["Male", "Female", "Other", "Unknown"]},
        standard="nyc-ll144",
    )
    groups = result.to_dict()["by_group"]["sex"]
    # The highest rate is the small category's: it is no comparator.
    assert groups["Male"]["impact_ratio"]["value"] == 1.0
    assert groups["Female"]["impact_ratio"]["value"] == pytest.approx(180 / 480 / 0.4)
    assert groups["Other"]["impact_ratio"]["value"] is None
    assert groups["Other"]["selection_rate"]["value"] == 0.9
    assert groups["(missing)"]["n"] == 40
    low, high = groups["Female"]["impact_ratio"]["if_unknown_were_known"]
    assert low == pytest.approx((180 / 500) / (220 / 520))
    assert high == 1.0
    assert "under 2 %" in result.to_markdown()


def test_the_law_takes_both_attributes_crossed_and_the_median_of_scores() -> None:
    scores = [1, 2, 3, 4, 5, 6, 7, None]
    groups = {"race": list("aabbaabb"), "sex": list("fmfmfmfm")}
    content = fairlora.audit_decisions(
        None, groups, scores=scores, standard="nyc-ll144", bootstrap=0
    ).to_dict()
    assert list(content["by_group"]) == ["race", "sex", "race&sex"]
    assert content["n"] == 7
    assert content["selected"] == 3  # 5, 6, 7 are above the median of 4
    assert any("above 4, the median of 7 scores" in text for text in content["warnings"])
    assert content["by_group"]["race&sex"]["a & f"]["selection_rate"]["value"] == 0.5


@pytest.mark.parametrize(
    ("count", "selected", "message"),
    [
        ([10, 5], [11, 1], "row 1: more selected than there are"),
        ([10, -5], [1, 1], "not a count"),
        ([10, "x"], [1, 1], "not a number"),
        ([0, 0], [0, 0], "nobody is counted"),
        ([10], [1], "another length"),
    ],
)
def test_counts_that_are_none_are_refused(
    count: list[object], selected: list[object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fairlora.audit_counts(count, selected, {"sex": ["f", "m"]})


def test_rows_of_sums_are_refused() -> None:
    with pytest.raises(InputError, match="a row of sums"):
        fairlora.audit_counts([10, 5, 15], [1, 1, 2], {"sex": ["f", "m", "Total"]})


def test_rows_without_a_number_are_left_out_and_counted() -> None:
    result = fairlora.audit_counts([10, 20, 30], [5, 5, "NA"], {"sex": ["f", "m", "x"]})
    content = result.to_dict()
    assert content["n"] == 30
    assert any("left out, with 30 people" in text for text in content["warnings"])


def test_decisions_need_a_name_where_there_are_more_than_two() -> None:
    groups = {"sex": ["f", "m", "f", "m"]}
    with pytest.raises(InputError, match="which decision selects"):
        fairlora.audit_decisions(["hire", "reject", "wait", "hire"], groups)
    content = fairlora.audit_decisions(
        ["hire", "reject", "wait", "hire"], groups, positive="hire"
    ).to_dict()
    assert content["selected"] == 2


def test_clusters_widen_the_intervals() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(100), 5)
    hired = np.repeat(rng.random(100) < 0.5, 5)
    groups = {"sex": np.repeat(rng.choice(["f", "m"], 100), 5)}
    alone = fairlora.audit_decisions(hired, groups, positive=True).to_dict()
    together = fairlora.audit_decisions(hired, groups, positive=True, clusters=people).to_dict()

    def width(content: dict) -> float:  # type: ignore[type-arg]
        number = content["by_group"]["sex"]["f"]["selection_rate"]
        return float(number["high"] - number["low"])

    assert width(together) > 1.8 * width(alone)


def test_an_audit_without_labels_names_the_function_for_decisions() -> None:
    with pytest.raises(InputError, match="audit_decisions"):
        fairlora.audit(None, [1, 0], {"sex": ["f", "m"]})
