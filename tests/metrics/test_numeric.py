"""Audits of measurements, against scikit-learn, SciPy, fairlearn and calculations by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    root_mean_squared_error,
)

import fairlora
from fairlora.errors import InputError
from fairlora.metrics.comparison.numeric import compare_measurements
from fairlora.metrics.numeric.content import NumericContent
from fairlora.predictions import group_column
from fairlora.predictions.measurements import with_measurements
from fairlora.predictions.scores import score_table

N = 600
rng = np.random.default_rng(0)
SEX = rng.choice(["f", "m"], N)
RACE = rng.choice(["a", "b", "c"], N)
PERSON = rng.integers(0, 150, N)
Y = rng.gamma(4, 10, N)
P = Y + rng.normal(0, np.where(SEX == "f", 8, 4), N) + np.where(RACE == "a", 2, 0)
LOW, HIGH = P - 6, P + 6
QUANTILES = {0.1: LOW, 0.9: HIGH}


def content(y: Any, p: Any, groups: Any, **options: Any) -> dict[str, Any]:
    return fairlora.audit_numeric(y, p, groups, **options).to_dict()


def test_numbers_are_those_of_scikit_learn_scipy_and_fairlearn() -> None:
    found = content(Y, P, {"sex": SEX}, quantiles=QUANTILES)
    frame = MetricFrame(
        metrics={"mae": mean_absolute_error, "rmse": root_mean_squared_error},
        y_true=Y, y_pred=P, sensitive_features=SEX,
    )  # fmt: skip
    gaps = found["disparities"]["sex"]
    for sex, numbers in found["by_group"]["sex"].items():
        here = sex == SEX
        assert numbers["n"] == here.sum()
        for name in ("mae", "rmse"):
            assert numbers[name]["value"] == pytest.approx(frame.by_group[name][sex])
        assert numbers["rmse"]["value"] ** 2 == pytest.approx(mean_squared_error(Y[here], P[here]))
        rho = stats.spearmanr(Y[here], P[here]).statistic
        assert numbers["rank_correlation"]["value"] == pytest.approx(rho)
        assert numbers["bias"]["value"] == pytest.approx((P - Y)[here].mean())
        for level, q in QUANTILES.items():
            one = numbers["quantiles"][f"{level}"]
            loss = mean_pinball_loss(Y[here], q[here], alpha=level)
            assert one["pinball"]["value"] == pytest.approx(loss)
            assert one["coverage"]["value"] == pytest.approx((q >= Y)[here].mean())
    for name in ("mae", "rmse"):
        assert gaps[f"{name}_gap"]["value"] == pytest.approx(frame.difference()[name])
        assert gaps[f"{name}_worst"]["value"] == pytest.approx(frame.group_max()[name])
        assert gaps[f"{name}_worst"]["group"] == "f"
    assert found["overall"]["mae"]["value"] == pytest.approx(mean_absolute_error(Y, P))


def test_a_table_by_hand() -> None:
    """Errors 1, -1 of group a and 3, 5 of group b; the quantiles hold 2 and 1 of 2 labels."""
    found = content(
        [10, 20, 30, 40], [11, 19, 33, 45], {"g": list("aabb")}, min_group=1,
        quantiles={0.25: [9, 18, 31, 35], 0.75: [12, 21, 40, 36]},
    )  # fmt: skip
    a, b = (found["by_group"]["g"][name] for name in "ab")
    assert [a[k]["value"] for k in ("label", "prediction", "bias", "mae")] == [15, 15, 0, 1]
    assert [b[k]["value"] for k in ("label", "prediction", "bias", "mae")] == [35, 39, 4, 4]
    assert a["rmse"]["value"] == 1
    assert b["rmse"]["value"] == pytest.approx(17**0.5)
    assert [one["mae_difference"]["value"] for one in (a, b)] == [-3, 3]
    inside = [one["intervals"]["0.25-0.75"]["coverage"]["value"] for one in (a, b)]
    assert inside == [1, 0]  # 30 lies below 31, and 40 above 36
    assert [one["intervals"]["0.25-0.75"]["width"]["value"] for one in (a, b)] == [3, 5]
    # 0.75 (y - q) where y is above q, 0.25 (q - y) where it is below
    assert b["quantiles"]["0.75"]["pinball"]["value"] == (0.25 * 10 + 0.75 * 4) / 2
    gaps = found["disparities"]["g"]
    assert (gaps["bias_gap"]["value"], gaps["bias_gap"]["largest"]) == (4, "b")
    assert (gaps["bias_worst"]["value"], gaps["bias_worst"]["group"]) == (4, "b")
    coverage = gaps["intervals"]["0.25-0.75"]["coverage_worst"]
    assert coverage["value"] == 0.5  # of 50 %: both groups are as far off


def test_intervals_of_errors_are_students_where_they_are_normal() -> None:
    off = np.random.default_rng(1).normal(1, 2, size=80)
    found = content(np.zeros(80), off, {"g": ["a"] * 80})["overall"]
    ends = stats.t.interval(0.95, 79, off.mean(), stats.sem(off))
    assert (found["bias"]["low"], found["bias"]["high"]) == pytest.approx(ends, abs=0.05)
    square = content(np.zeros(80), off, {"g": ["a"] * 80})["overall"]["rmse"]
    scores = fairlora.audit_scores(off**2, {"g": ["a"] * 80}).to_dict()["overall"]["score"]
    for end in ("value", "low", "high"):
        assert square[end] ** 2 == pytest.approx(scores[end])


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1000), st.floats(-1e6, 1e6), st.booleans())
def test_a_shift_moves_labels_alone_and_a_scale_moves_errors(
    scale: float, shift: float, clustered: bool
) -> None:
    rows = slice(0, 120)
    options = {"clusters": PERSON[rows]} if clustered else {}
    plain, moved = (
        content(a * Y[rows] + b, a * P[rows] + b, {"sex": SEX[rows]}, quantiles=None, **options)
        for a, b in ((1.0, 0.0), (scale, shift))
    )
    near = {"rel": 1e-5, "abs": 1e-7 * scale}
    for one, other in (
        (plain["overall"], moved["overall"]),
        (plain["by_group"]["sex"]["f"], moved["by_group"]["sex"]["f"]),
        (plain["disparities"]["sex"], moved["disparities"]["sex"]),
    ):
        for name, number in one.items():
            if not isinstance(number, dict) or "value" not in number:
                continue
            for end in ("value", "low", "high"):
                wanted = number[end]
                if not name.startswith("rank"):
                    wanted = scale * wanted
                if name in ("label", "prediction"):
                    wanted += shift
                assert other[name][end] == pytest.approx(wanted, **near), (name, end)


def test_years_keep_their_digits() -> None:
    """Far from 0 squares would drown the spread: the interval is that of the small numbers."""
    small = fairlora.audit_scores(Y, {"sex": SEX}).to_dict()
    large = fairlora.audit_scores(Y + 2.0**40, {"sex": SEX}).to_dict()
    for sex in "fm":
        one, other = (c["by_group"]["sex"][sex] for c in (small, large))
        for end in ("low", "high"):
            assert other["score"][end] - 2.0**40 == pytest.approx(one["score"][end], abs=0.01)
            assert other["score_difference"][end] == pytest.approx(
                one["score_difference"][end], abs=0.01
            )


def test_the_gap_by_chance_is_that_of_groups_that_are_alike() -> None:
    names = ("bias", "mae", "rmse", "rank_correlation")
    found = [
        content(Y, P, {"race": np.random.default_rng(k).permutation(RACE)})["disparities"]["race"]
        for k in range(40)
    ]
    people = content(Y, P, {"race": RACE}, clusters=PERSON)["disparities"]["race"]
    for name in names:
        gaps = [one[f"{name}_gap"] for one in found]
        mean = np.mean([gap["value"] for gap in gaps])
        assert gaps[0]["expected_by_chance"] == pytest.approx(mean, rel=0.2), name
        assert people[f"{name}_gap"]["expected_by_chance"] == pytest.approx(mean, rel=0.35), name
        assert np.mean([gap["low"] > 0 for gap in gaps]) <= 0.125


def test_many_rows_have_the_chance_that_permutations_find(monkeypatch: Any) -> None:
    from fairlora.metrics import scores
    from fairlora.metrics.inference import clusters

    lists = [["x", "y"] if k % 3 == 0 else ["x"] if k % 3 == 1 else ["y"] for k in range(N)]
    for people in (None, np.arange(N)):
        drawn, normal = [], []
        for many, out in ((10**9, drawn), (10, normal)):
            monkeypatch.setattr(scores, "MANY", many)
            monkeypatch.setattr(clusters, "MANY", many)
            found = content(Y, P, {"race": RACE, "tag": lists}, clusters=people)["disparities"]
            out += [found[name]["mae_gap"]["expected_by_chance"] for name in ("race", "tag")]
        assert normal == pytest.approx(drawn, rel=0.1)


def test_missing_numbers_are_left_out_and_counted() -> None:
    y, p, q = ([1.0, 2, 3, 4, 5, 6] for _ in range(3))
    y[0], p[1], q[2] = (float("nan"),) * 3
    y[1] = None  # type: ignore[call-overload]
    found = content(y, p, {"g": [*"aaabb", None]}, quantiles={0.5: q}, min_group=1)
    assert found["n"] == 3
    assert found["left_out"] == {"without a label": 2, "without the 0.5 quantile": 1}
    assert found["by_group"]["g"]["(missing)"]["missing"] is True
    reason = found["by_group"]["g"]["(missing)"]["mae_difference"]["reason"]
    assert reason == "rows without a group value are not compared"
    assert any("left out: 3 of 6 rows" in text for text in found["warnings"])


def test_what_is_undefined_says_why() -> None:
    found = content(
        [5, 5, 5, 5, 1, 2, 3, 9, 7], [1, 2, 3, 4, 1, 2, 4, 8, 7], {"g": list("aaaabbbbc")},
        min_group=1,
    )  # fmt: skip
    a, b, c = (found["by_group"]["g"][name] for name in "abc")
    assert a["rank_correlation"]["value"] is None
    assert "are alike" in a["rank_correlation"]["reason"]
    assert b["rank_correlation"]["value"] == 1
    assert b["rank_correlation"]["low"] < 0.8 < b["rank_correlation"]["high"] == 1
    assert (c["mae"]["value"], c["mae"]["low"]) == (0, None)
    assert c["mae"]["reason"] == "one row alone has no interval"
    assert found["disparities"]["g"]["rank_correlation_gap"]["value"] is None
    assert found["disparities"]["g"]["rank_correlation_worst"]["group"] == "b"


def test_quantiles_that_cross_are_counted_and_need_no_prediction() -> None:
    low = LOW.copy()
    low[:7] = HIGH[:7] + 1
    found = content(Y, None, {"sex": SEX}, quantiles={0.9: HIGH, 0.1: low, 0.5: P})
    assert found["quantiles"] == [0.1, 0.5, 0.9]
    assert found["crossing"] == 7
    assert any("quantiles cross in 7 of 600 rows" in text for text in found["warnings"])
    assert "mae" not in found["overall"]
    assert list(found["overall"]["intervals"]) == ["0.1-0.9"]
    lead = fairlora.audit_numeric(Y, None, {"sex": SEX}, quantiles=QUANTILES).page("")["lead"]
    assert "gaps" in lead


def test_a_coverage_far_from_its_level_is_beyond_chance_and_marked() -> None:
    result = fairlora.audit_numeric(Y, P, {"sex": SEX}, quantiles=QUANTILES)
    one = result.content.disparities["sex"].intervals["0.1-0.9"]  # type: ignore[index]
    assert one.coverage_worst.group == "f"
    assert one.coverage_worst.low > 0.1  # type: ignore[operator]
    (table,) = (t for t in result.page("")["tables"] if t["title"] == "Quantiles by sex")
    place = [column["name"] for column in table["columns"]].index("Within 0.1-0.9")
    marks = {row["cells"][0]["text"]: row["cells"][place]["mark"] for row in table["rows"]}
    assert marks["f"] == "beyond"


def test_predictions_that_are_right_have_no_gap_and_no_noise() -> None:
    found = content(0.1 * Y + 0.2, 0.2 + Y * 0.1, {"sex": SEX}, quantiles={0.1: Y - 0.1, 0.9: Y})
    for name in ("bias", "mae", "rmse"):
        gap = found["disparities"]["sex"][f"{name}_gap"]
        assert [gap[k] for k in ("value", "low", "high", "expected_by_chance")] == [0, 0, 0, 0]
    width = content(Y, P, {"sex": SEX}, quantiles={0.1: P - 0.1, 0.9: P + 0.2})
    gap = width["disparities"]["sex"]["intervals"]["0.1-0.9"]["width_gap"]
    assert [gap[k] for k in ("value", "low", "high", "expected_by_chance")] == [0, 0, 0, 0]


def test_groups_overlap_cross_and_are_ranges() -> None:
    lists = [["x", "y"] if k % 3 == 0 else ["x"] if k % 2 else ["y"] for k in range(N)]
    found = content(
        Y, P, {"tag": lists, "race": RACE, "age": Y}, intersect=[("tag", "race")],
        bin_groups={"age": [30, 50]},
    )  # fmt: skip
    holds = np.array(["x" in names for names in lists])
    x = found["by_group"]["tag"]["x"]
    assert x["mae"]["value"] == pytest.approx(np.abs(Y - P)[holds].mean())
    assert x["rank_correlation"]["value"] == pytest.approx(stats.spearmanr(Y[holds], P[holds])[0])
    assert "x & a" in found["by_group"]["tag&race"]
    assert list(found["by_group"]["age"]) == ["under 30", "30 to under 50", "50 and over"]
    assert found["disparities"]["tag"]["rank_correlation_gap"]["high"] is not None


def test_rows_repeated_within_a_cluster_tell_no_more() -> None:
    once = content(Y[:200], P[:200], {"race": RACE[:200]}, clusters=np.arange(200))
    thrice = content(
        *(np.repeat(v, 3) for v in (Y[:200], P[:200])),
        {"race": np.repeat(RACE[:200], 3)},
        clusters=np.repeat(np.arange(200), 3),
    )
    assert thrice["settings"]["clusters"] == 200
    for name in "abc":
        for key in ("bias", "mae", "rmse", "rank_correlation", "rmse_difference"):
            one, other = (c["by_group"]["race"][name][key] for c in (once, thrice))
            ends = [[two[end] for end in ("value", "low", "high")] for two in (one, other)]
            assert ends[1] == pytest.approx(ends[0], rel=0.02), key


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": ["x", "y"]}, "labels: not numbers"),
        ({"predictions": [1, np.inf]}, "predictions: not a finite number"),
        ({"predictions": [1, 2, 3]}, "predictions: another length"),
        ({"predictions": None}, "nothing is predicted"),
        ({"labels": [np.nan, np.nan]}, "no row has all of these numbers"),
        ({"quantiles": {1.0: [1, 2]}}, "quantile: not the level of a quantile"),
        ({"quantiles": {0: [1, 2]}}, "not the level of a quantile"),
        ({"labels": [1e40, 2]}, "too large or too small to be squared"),
        ({"positive": "1"}, "not part of an audit of measurements"),
        ({"groups": {"g": ["a"]}}, "another length"),
    ],
)
def test_bad_input_is_one_line(change: dict[str, Any], said: str) -> None:
    given_: dict[str, Any] = {"labels": [1, 2], "predictions": [1, 2], "groups": {"g": ["a", "b"]}}
    with pytest.raises(InputError, match=said) as caught:
        fairlora.audit_numeric(**given_ | change)
    assert "\n" not in str(caught.value)


def test_a_label_that_is_a_measurement_leads_here() -> None:
    with pytest.raises(InputError, match=r"--numeric \(fairlora.audit_numeric\)"):
        fairlora.audit(Y, P, {"sex": SEX})
    ages = np.arange(60)
    whole = fairlora.audit(ages, ages, {"sex": SEX[:60]}, bootstrap=0).content.warnings
    assert any("are taken for classes: if they are measurements" in text for text in whole)


class TestTwo:
    @staticmethod
    def pair(clusters: Any = None) -> tuple[Any, Any]:
        table = score_table(Y, {"sex": group_column(SEX)}, clusters=clusters)
        second = Y + (P - Y) * 0.5 + np.random.default_rng(2).normal(0, 1, N)
        one, other = (
            with_measurements(table, [Y, values], [], predicted=True) for values in (P, second)
        )
        return one, other

    def test_differences_are_a_paired_t_test(self) -> None:
        first, second = self.pair()
        found = compare_measurements(first, second).to_dict()
        off = [np.abs(one.measured.predictions - Y) for one in (first, second)]
        ends = stats.ttest_rel(*off).confidence_interval()
        row = found["overall"]["mae"]
        assert (row["low"], row["high"]) == pytest.approx(tuple(ends), rel=0.01)
        assert row["verdict"] == "worse"
        for sex in "fm":
            here = sex == SEX
            row = found["by_group"]["sex"][sex]["mae"]
            ends = stats.ttest_rel(off[0][here], off[1][here]).confidence_interval()
            assert (row["low"], row["high"]) == pytest.approx(tuple(ends), rel=0.01)

    def test_the_error_of_roots_is_that_of_a_bootstrap(self) -> None:
        first, second = self.pair()
        row = compare_measurements(first, second).to_dict()["overall"]["rmse"]
        squares = np.stack([(one.measured.predictions - Y) ** 2 for one in (first, second)])
        draws = np.random.default_rng(0).integers(0, N, size=(2000, N))
        roots = np.sqrt(squares[:, draws].mean(axis=-1))
        assert row["value"] == pytest.approx(np.diff(np.sqrt(squares.mean(axis=1))[::-1])[0])
        assert row["error"] == pytest.approx((roots[0] - roots[1]).std(), rel=0.08)

    def test_gaps_are_compared_and_the_model_equals_itself(self) -> None:
        first, second = self.pair(PERSON)
        found = compare_measurements(first, second).to_dict()
        gap = found["disparities"]["sex"]["rmse_gap"]
        wanted = [
            np.ptp([np.sqrt(((one.measured.predictions - Y)[s] ** 2).mean()) for s in masks])
            for one in (first, second)
            for masks in [[SEX == "f", SEX == "m"]]
        ]
        assert gap["value"] == pytest.approx(wanted[0] - wanted[1])
        assert gap["verdict"] == "worse"
        same = compare_measurements(first, first, margin=0.5).to_dict()
        assert {row["verdict"] for row in same["overall"].values()} == {"equivalent"}

    def test_other_labels_are_refused(self) -> None:
        first, _ = self.pair()
        table = score_table(Y + 1, {"sex": group_column(SEX)})
        other = with_measurements(table, [Y + 1, P], [], predicted=True)
        with pytest.raises(InputError, match="second, row '0': another label"):
            compare_measurements(first, other).to_dict()


def test_every_view_holds_the_same_numbers(tmp_path: Any) -> None:
    result = fairlora.audit_numeric(Y, P, {"sex": SEX, "race": RACE}, quantiles=QUANTILES)
    read = NumericContent.model_validate_json(result.to_json())
    assert read.to_dict() == result.to_dict()
    assert json.loads(result.to_json()) == result.to_dict()
    mae = result.content.by_group["sex"]["f"].mae
    assert mae is not None
    assert result.by_group["sex"].loc["f", "mae"] == mae.value
    assert f"{mae.value:.3f}" in result.to_markdown()
    assert f"{mae.value:.3f}" in result.to_latex()
    assert "coverage_gap 0.1-0.9" in set(result.disparities["metric"])
    assert set(result.pairwise["race"]["metric"]) == {"bias", "mae", "rmse", "rank_correlation"}
    assert "By sex, the mean absolute error is largest for f" in repr(result)
    result.plot(tmp_path / "errors.png", "race")
    assert (tmp_path / "errors.png").stat().st_size > 1000
    assert [one["title"] for one in result.page("")["dots"]] == [
        "Errors by sex", "Errors by race", "Coverage by sex", "Coverage by race",
    ]  # fmt: skip


class TestWeights:
    """Survey weights: rows of weight 3 count as three."""

    NAMES = ("label", "prediction", "bias", "mae", "rmse")

    def test_whole_weights_are_rows_repeated(self) -> None:
        rng = np.random.default_rng(5)
        y, p = rng.normal(50, 9, 80), rng.normal(50, 9, 80)
        low, group, weights = (
            y - rng.random(80) * 20,
            rng.choice(["a", "b"], 80),
            rng.integers(1, 5, 80),
        )
        again = np.repeat(np.arange(80), weights)
        options: dict[str, Any] = {"bootstrap": 0, "min_group": 1}
        found = fairlora.audit_numeric(
            y, p, {"g": group}, quantiles={0.1: low}, weight=weights, **options
        ).content
        plain = fairlora.audit_numeric(
            y[again], p[again], {"g": group[again]}, quantiles={0.1: low[again]}, **options
        ).content
        assert found.settings.weight == "weight"
        assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
        for one, other in (
            (found.overall, plain.overall),
            *((found.by_group["g"][g], plain.by_group["g"][g]) for g in ("a", "b")),
            (found.disparities["g"], plain.disparities["g"]),
        ):
            weighted, repeated = one.numbers(), other.numbers()
            names = [name for name in repeated if "rank" not in name]
            assert [weighted[n].value for n in names] == pytest.approx(
                [repeated[n].value for n in names]
            )
            # Fewer rows than the repeated ones: wider intervals.
            wide = weighted["mae"] if "mae" in weighted else weighted["mae_gap"]
            narrow = repeated["mae"] if "mae" in repeated else repeated["mae_gap"]
            assert wide.high - wide.low > narrow.high - narrow.low
        assert found.overall.rank_correlation is None
        assert any("rank correlation" in text for text in found.warnings)

    def test_weights_of_one_size_change_no_value_and_no_interval_but_by_rounding(self) -> None:
        rng = np.random.default_rng(6)
        y, p, group = rng.normal(size=300), rng.normal(size=300), rng.choice(["a", "b"], 300)
        options: dict[str, Any] = {"bootstrap": 0}
        found = fairlora.audit_numeric(y, p, {"g": group}, weight=np.full(300, 7.0), **options)
        plain = fairlora.audit_numeric(y, p, {"g": group}, **options)
        for name in self.NAMES:
            one = getattr(found.content.overall, name)
            other = getattr(plain.content.overall, name)
            assert one.value == pytest.approx(other.value)
            assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=0.02)
