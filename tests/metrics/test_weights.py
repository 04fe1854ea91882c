"""Weighted audits: rows repeated, scikit-learn, fairlearn, statsmodels, clusters of one row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import audit
from fairlora.metrics.clinical import calibration_line
from fairlora.metrics.counts.tally import tally
from fairlora.metrics.inference.intervals import t_of, wilson, z_of
from fairlora.metrics.inference.power import rows_needed
from fairlora.metrics.inference.weighted import WeightedRows
from fairlora.metrics.targets import audit_targets
from fairlora.predictions import group_column, read_table
from fairlora.predictions.weights import Scale

SETTINGS = settings(derandomize=True, deadline=None, max_examples=15)
Numbers = dict[tuple[str, ...], dict[str, Any]]
NumbersOf = Callable[[Any], Numbers]
# What noise adds to the groups' means is no property of the weights' totals alone.
NOISE = {"loss_variance_unbiased"}


def rows(n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Labels, predictions, groups, probabilities and uneven weights."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    p = 1 / (1 + np.exp(-(random.normal(size=n) + 1.4 * y - 0.7)))
    return {
        "y": y,
        "h": (p > 0.5).astype(int),
        "g": random.choice(list("abc"), n, p=[0.5, 0.3, 0.2]),
        "p": p.astype(np.float32),
        "w": random.exponential(size=n),
    }


def audited(d: dict[str, Any], weight: Any = None, **options: Any) -> dict[str, Any]:
    given = {"positive": 1, "min_group": 1, "bootstrap": 0, **options}
    return audit(d["y"], d["h"], {"g": d["g"]}, d["p"], weight=weight, **given).to_dict()


def same(
    one: Numbers, other: Numbers, keys: tuple[str, ...] = ("value",), rel: float = 1e-7
) -> None:
    """The numbers of both are the same, but for rounding, and undefined in the same places."""
    assert one.keys() == other.keys()
    for path, number in one.items():
        if path[-1] in NOISE:
            continue
        for key in keys:
            a, b = number[key], other[path][key]
            assert (a is None) == (b is None), (path, key, number, other[path])
            if a is not None:
                assert a == pytest.approx(b, rel=rel, abs=1e-9), (path, key)


@st.composite
def weighted_table(draw: st.DrawFn, make_table: Any) -> tuple[Any, Any]:
    table = draw(make_table(classes=(2, 4), groups=(1, 2, 5), rows=(3, 30, 120)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return table, random.integers(0, 5, len(table.labels))


def of_table(table: Any, place: Any = None, **options: Any) -> dict[str, Any]:
    place = np.arange(len(table.labels)) if place is None else place
    options = {"bootstrap": 0, "min_group": 1, **options}
    if table.classes == 2:
        options["positive"] = "1"
    return audit(
        table.labels[place],
        table.predictions[place],
        {"g": [table.groups[k] for k in place]},
        table.probs[place],
        classes=[str(c) for c in range(table.classes)],
        **options,
    ).to_dict()


@SETTINGS
@given(data=st.data(), c=st.sampled_from([1.0, 3.7, 1e-6, 2.0**40]))
def test_equal_weights_give_the_values_of_none(
    make_table: Any, numbers_of: NumbersOf, data: Any, c: float
) -> None:
    table, _ = data.draw(weighted_table(make_table))
    plain = of_table(table)
    weighed = of_table(table, weight=np.full(len(table.labels), c))
    same(numbers_of(plain), numbers_of(weighed))
    for group, numbers in weighed["by_group"]["g"].items():
        assert numbers["effective"] == pytest.approx(numbers["n"])
        assert numbers["n"] == plain["by_group"]["g"][group]["n"]


@SETTINGS
@given(data=st.data())
def test_whole_weights_give_the_values_of_rows_repeated(
    make_table: Any, numbers_of: NumbersOf, data: Any
) -> None:
    table, w = data.draw(weighted_table(make_table))
    if not w.any():
        return
    repeated = of_table(table, np.repeat(np.arange(len(w)), w))
    weighed = of_table(table, weight=w)
    same(numbers_of(repeated), numbers_of(weighed))
    assert weighed["left_out"].get("weight 0", 0) == (w == 0).sum()


@SETTINGS
@given(data=st.data(), classes=st.sampled_from([2, 3]))
def test_whole_weights_of_groups_that_overlap(
    make_rows: Any, numbers_of: NumbersOf, data: Any, classes: int
) -> None:
    table = data.draw(make_rows(classes, overlapping=True))
    n = len(table.labels)
    w = np.random.default_rng(data.draw(st.integers(0, 999))).integers(1, 4, n)

    def of(place: Any, **options: Any) -> dict[str, Any]:
        groups = {"g": [table.groups[k] for k in place]}
        y, h = table.labels[place], table.predictions[place]
        names = list(range(classes))
        options |= {"positive": 1} if classes == 2 else {}
        return audit(y, h, groups, classes=names, bootstrap=0, min_group=1, **options).to_dict()

    same(numbers_of(of(np.repeat(np.arange(n), w))), numbers_of(of(np.arange(n), weight=w)))


@pytest.mark.parametrize("c", [3.7e-9, 2.0**60])
def test_the_weights_unit_changes_no_interval(numbers_of: NumbersOf, c: float) -> None:
    d = rows()
    one, other = (audited(d, w, bootstrap=300) for w in (d["w"], c * d["w"]))
    first, second = numbers_of(one), numbers_of(other)
    same(first, second, ("value", "low", "high"))
    chance = {path for path, number in first.items() if number.get("expected_by_chance")}
    assert len(chance) > 5
    for path in chance:
        expected = first[path]["expected_by_chance"]
        assert second[path]["expected_by_chance"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_clusters_of_one_row_each(numbers_of: NumbersOf, classes: int) -> None:
    d = rows()
    if classes == 3:
        random = np.random.default_rng(1)
        d["y"] = np.where(random.random(400) < 0.3, 2, d["y"])
        d["p"], d["h"] = None, np.where(random.random(400) < 0.8, d["y"], 1)
    options = {"positive": None if classes == 3 else 1}
    alone = numbers_of(audited(d, d["w"], **options))
    own = numbers_of(audited(d, d["w"], clusters=np.arange(400), **options))
    for path, number in alone.items():
        # Bonferroni over pairs where groups may share clusters, noise that is drawn, and AUC's own
        # way with clusters.
        if path[0] == "disparities" or path[-1] in ("ece", "auc") or path[0] == "pairwise":
            continue
        for key in ("value", "low", "high"):
            if number[key] is not None:
                assert number[key] == pytest.approx(own[path][key], abs=2e-3), path


def test_the_values_are_scikit_learns(numbers_of: NumbersOf) -> None:
    d = rows()
    found = audited(d, d["w"])["by_group"]["g"]
    for group in "abc":
        m = d["g"] == group
        y, h, p, w = d["y"][m], d["h"][m], d["p"][m].astype(float), d["w"][m]
        expected = {
            "accuracy": sk.accuracy_score(y, h, sample_weight=w),
            "tpr": sk.recall_score(y, h, sample_weight=w),
            "precision": sk.precision_score(y, h, sample_weight=w),
            "f1": sk.f1_score(y, h, sample_weight=w),
            "auc": sk.roc_auc_score(y, p, sample_weight=w),
            "brier": 2 * sk.brier_score_loss(y, p, sample_weight=w),
            "nll": sk.log_loss(y, p, sample_weight=w),
        }
        for name, value in expected.items():
            assert found[group][name]["value"] == pytest.approx(value, abs=2e-6), name


def test_the_means_over_classes_are_scikit_learns() -> None:
    random = np.random.default_rng(2)
    y, g, w = random.integers(0, 4, 300), random.choice(list("ab"), 300), random.random(300)
    h = np.where(random.random(300) < 0.6, y, random.integers(0, 4, 300))
    found = audit(y, h, {"g": g}, weight=w, bootstrap=0).to_dict()["by_group"]["g"]
    for group in "ab":
        m = g == group
        scores = sk.precision_recall_fscore_support(y[m], h[m], sample_weight=w[m], average="macro")
        for name, value in zip(("precision", "tpr", "f1"), scores, strict=False):
            number = found[group][name]
            assert number["value"] == pytest.approx(value)
            assert number["low"] < value < number["high"]


def test_the_gaps_are_fairlearns() -> None:
    d = rows()
    frame = MetricFrame(
        metrics={"accuracy": sk.accuracy_score, "tpr": sk.recall_score},
        y_true=d["y"],
        y_pred=d["h"],
        sensitive_features=d["g"],
        sample_params={name: {"sample_weight": d["w"]} for name in ("accuracy", "tpr")},
    )
    found = audited(d, d["w"])["disparities"]["g"]
    gaps = frame.difference()
    assert found["accuracy_gap"]["value"] == pytest.approx(gaps["accuracy"])
    assert found["tpr_gap"]["value"] == pytest.approx(gaps["tpr"])


def test_the_effective_size_gives_statsmodels_standard_error() -> None:
    d = rows()
    one = tally(d["y"], d["h"], 2, group_column(d["g"]), weights=d["w"])
    design = WeightedRows(one, 0, np.random.default_rng(0), 0.95)
    sizes = design.extras("accuracy", 1).effective
    assert sizes is not None
    for g, group in enumerate(one.names):
        m = d["g"] == group
        right = (d["y"] == d["h"])[m].astype(float)
        fit = sm.WLS(right, np.ones(m.sum()), weights=d["w"][m]).fit(cov_type="HC0")
        k = one.effective[g]
        shrink = (z_of(0.95) / t_of(0.95, k - 1)) ** 2
        p = fit.params[0]
        # The sandwich has no k / (k - 1).
        expected = p * (1 - p) / (fit.bse[0] ** 2 * k / (k - 1)) * shrink
        assert sizes[g] == pytest.approx(expected, rel=1e-9)


def test_the_means_standard_error_is_statsmodels() -> None:
    d = rows()
    one = tally(d["y"], d["h"], 2, group_column(["x"] * 400), loss=d["p"], weights=d["w"])
    means = one.means["loss"]
    x = d["p"].astype(float)
    fit = sm.WLS(x, np.ones(400), weights=d["w"]).fit(cov_type="HC0")
    assert means.mean[0] == pytest.approx(fit.params[0])
    assert np.sqrt(means.squares[0]) / means.n[0] == pytest.approx(fit.bse[0])


def test_the_calibration_line_is_statsmodels() -> None:
    d = rows()
    p = d["p"].astype(float)
    logit = np.log(p / (1 - p))
    _, slope = calibration_line(p, d["y"] == 1, 0.95, weights=d["w"])
    model = sm.GLM(d["y"], sm.add_constant(logit), sm.families.Binomial(), var_weights=d["w"])
    fit = model.fit(cov_type="HC0")
    k = d["w"].sum() ** 2 / (d["w"] ** 2).sum()
    half = 1.959964 * fit.bse[1] * np.sqrt(k / (k - 1))
    assert slope.value == pytest.approx(fit.params[1])
    assert slope.high == pytest.approx(fit.params[1] + half, abs=1e-4)


def test_a_rate_of_1_has_wilsons_interval_at_the_effective_size() -> None:
    w = np.array([5.0, 1, 1, 1, 1, 1, 1, 1])
    k = w.sum() ** 2 / (w**2).sum()
    content = audit([1] * 8, [1] * 8, {"g": ["a"] * 8}, classes=[0, 1], positive=1, weight=w)
    found = content.to_dict()["by_group"]["g"]["a"]
    size = k * (z_of(0.95) / t_of(0.95, k - 1)) ** 2
    low, _ = wilson(size, size, z_of(0.95))
    assert found["effective"] == pytest.approx(k) == pytest.approx(144 / 32)
    for name in ("accuracy", "tpr", "selection_rate", "precision"):
        assert (found[name]["value"], found[name]["high"]) == (1.0, 1.0), name
        assert found[name]["low"] == pytest.approx(low), name


@pytest.mark.parametrize("clusters", [False, True])
def test_a_mean_over_classes_without_variance_has_an_interval(clusters: bool) -> None:
    # One class always right, one always wrong: both recalls are 1 or 0, their mean is 1/2.
    y = np.repeat([0, 1, 2], 20)
    h = np.where(y == 1, 0, y)
    options = {"clusters": np.arange(60)} if clusters else {"weight": np.full(60, 2.0)}
    found = audit(y, h, {"g": ["a"] * 60}, **options).to_dict()["by_group"]["g"]["a"]["tpr"]
    assert found["value"] == pytest.approx(2 / 3)
    assert found["low"] < 0.66 < 0.68 < found["high"]


def test_weights_of_a_tenth_leave_no_rest_of_rounding() -> None:
    n = 30
    y = np.tile([0, 1, 2], n // 3)
    g = np.tile(list("ab"), n // 2)
    content = audit(y, y, {"g": g}, weight=np.full(n, 0.1), min_group=5).to_dict()
    for group in "ab":
        numbers = content["by_group"]["g"][group]
        assert (numbers["accuracy"]["value"], numbers["effective"]) == (1.0, 15.0)
        assert numbers["fpr"]["value"] == 0.0
        assert numbers["eopp"]["value"] == 0.0
    assert content["disparities"]["g"]["fpr_gap"]["value"] == 0.0
    assert content["overall"]["accuracy"]["value"] == 1.0


def test_small_groups_are_told_by_their_effective_size() -> None:
    d = rows()
    w = np.where(d["g"] == "c", np.where(np.arange(400) % 20 == 0, 1000.0, 0.001), 1.0)
    content = audited(d, w, min_group=10)
    found = content["by_group"]["g"]["c"]
    assert found["n"] > 50
    assert found["effective"] < 10
    assert found["small"]
    assert any("an effective size below 10" in text for text in content["warnings"])
    assert content["disparities"]["g"]["accuracy_gap"]["worst"] in ("a", "b")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([1, -2, 1, 1], "negative weights (found 1 of 4 rows, -2 for one"),
        ([1, None, None, 1], "row 2: missing weights (found 2 of 4 rows"),
        ([0, 0, 0, 0], "all weights are 0"),
        (["1", "2", "heavy", "1"], "row 3: a weight is no number (found 'heavy'"),
        ([1, np.inf, 1, 1], "infinite weights"),
        ([1, 1, 1], "another length (found 3; expected 4)"),
        ([1e-200, 1, 1, 1], "weights too far apart"),
        ("w", "not one weight a row"),
    ],
)
def test_weights_that_are_none_are_refused_in_one_line(bad: Any, words: str) -> None:
    for call in (
        lambda: audit([0, 1, 0, 1], [0, 1, 1, 1], {"g": list("aabb")}, weight=bad),
        lambda: fairlora.audit_scores([0, 1, 0.5, 1], {"g": list("aabb")}, weight=bad),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert words in str(error.value)
        assert "\n" not in str(error.value)


def test_the_weights_of_rows_that_are_left_out_are_not_looked_at() -> None:
    y = [0, 1, None, 1, 0]
    found = audit(
        y, [0, 1, 1, 1, 1], {"g": list("aabba")}, weight=[1, 2, -1, 0, 1], missing_label="drop"
    ).to_dict()
    assert found["left_out"] == {"missing label": 1, "weight 0": 1}
    assert found["overall"]["accuracy"]["value"] == 0.75


def test_a_scale_is_a_power_of_two() -> None:
    scale, w = Scale(), np.array([0.1, 7.3, 1e-9])
    scale.see(w, "w")
    out = scale.scaled(w)
    assert 1 <= out.max() < 2
    assert set(np.frexp(out)[0]) == set(np.frexp(w)[0])


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_rows_that_stream_are_the_rows_in_memory(
    tmp_path: Path, numbers_of: NumbersOf, classes: int, overlap: bool
) -> None:
    random = np.random.default_rng(3)
    n = 300
    p = random.dirichlet(np.ones(classes), n).astype(np.float32)
    frame = pd.DataFrame({f"p_{c}": p[:, c] for c in range(classes)})
    frame["y"], frame["h"] = random.integers(0, classes, n), p.argmax(axis=1)
    frame["w"] = random.integers(0, 9, n) * 1e5
    one = random.choice(list("abc"), n)
    frame["g"] = [[a, "d"] if k % 3 else [a] for k, a in enumerate(one)] if overlap else one
    table = pa.Table.from_pandas(frame, preserve_index=False)
    (tmp_path / "parts").mkdir()
    pq.write_table(table.slice(0, 120), tmp_path / "parts" / "0.parquet")
    pq.write_table(table.slice(120), tmp_path / "parts" / "1.parquet")
    pq.write_table(table, tmp_path / "whole.parquet")
    options: Any = {"label": "y", "pred": "h", "probs": "p_", "groups": ["g"], "weight": "w"}
    options |= {"bootstrap": 50, "positive": 1 if classes == 2 else None}
    streamed, whole = (
        audit(str(tmp_path / name), **options).to_dict() for name in ("parts", "whole.parquet")
    )
    assert streamed["left_out"] == whole["left_out"] == {"weight 0": int((frame["w"] == 0).sum())}
    assert streamed["settings"]["weight"] == "w"
    first, second = numbers_of(streamed), numbers_of(whole)
    for path, number in first.items():
        # Of score histograms the AUC is nearly that of the ranks.
        near = 2e-3 if path[-1].startswith("auc") else 1e-7
        for key in ("value", "low", "high"):
            if number[key] is not None:
                assert number[key] == pytest.approx(second[path][key], abs=near), path


@pytest.mark.parametrize("binary", [True, False])
def test_scores_by_weight_are_scores_repeated(numbers_of: NumbersOf, binary: bool) -> None:
    random = np.random.default_rng(4)
    s = random.integers(0, 2, 200) if binary else random.normal(size=200)
    g, w = random.choice(list("abc"), 200), random.integers(0, 4, 200)
    r = np.repeat(np.arange(200), w)
    options: Any = {"bootstrap": 100, "min_group": 1}
    repeated = fairlora.audit_scores(s[r], {"g": g[r]}, **options).to_dict()
    weighed = fairlora.audit_scores(s, {"g": g}, weight=w, **options).to_dict()
    same(numbers_of(repeated), numbers_of(weighed))
    gap, other = (c["disparities"]["g"]["score_gap"] for c in (repeated, weighed))
    # Copies look surer than they are.
    assert other["expected_by_chance"] > gap["expected_by_chance"]
    one, two = (c["overall"]["score"] for c in (repeated, weighed))
    assert two["high"] - two["low"] > one["high"] - one["low"]


def test_decisions_by_weight_are_decisions_repeated(numbers_of: NumbersOf) -> None:
    random = np.random.default_rng(5)
    h, w = random.choice(["no", "yes"], 200), random.integers(0, 4, 200)
    g = np.where(random.random(200) < 0.2, "", random.choice(list("ab"), 200))
    r = np.repeat(np.arange(200), w)
    options: Any = {"positive": "yes", "min_group": 1}
    repeated = fairlora.audit_decisions(h[r], {"g": g[r]}, **options).to_dict()
    weighed = fairlora.audit_decisions(h, {"g": g}, weight=w, **options).to_dict()
    same(numbers_of(repeated), numbers_of(weighed))
    for group, numbers in repeated["by_group"]["g"].items():
        other = weighed["by_group"]["g"][group]
        assert other["share"] == pytest.approx(numbers["share"])
        bounds = other["impact_ratio"].get("if_unknown_were_known")
        if bounds is not None:
            assert bounds == pytest.approx(numbers["impact_ratio"]["if_unknown_were_known"])


def test_targets_by_weight_are_targets_repeated(numbers_of: NumbersOf) -> None:
    random = np.random.default_rng(6)
    y, p = random.integers(0, 2, 240), random.random(240)
    g, w = random.choice(list("ab"), 240), random.integers(0, 4, 240)
    r = np.repeat(np.arange(240), w)
    options: Any = {"bootstrap": 0, "min_group": 1}
    repeated = audit_targets({"t": y[r]}, {"t": p[r]}, {"g": g[r]}, **options).to_dict()
    weighed = audit_targets({"t": y}, {"t": p}, {"g": g}, weight=w, **options).to_dict()
    same(numbers_of(repeated["targets"]), numbers_of(weighed["targets"]), rel=1e-6)
    assert weighed["targets"]["t"]["clinical"]["by_group"]["g"]["a"]["effective"] > 10


def test_what_takes_all_rows_alike_refuses_weights() -> None:
    d = rows(60)
    with pytest.raises(InputError, match="a search for subgroups"):
        audited(d, d["w"], subgroups=1)
    for options in ({"standard": "nyc-ll144"}, {"scores": d["p"]}):
        with pytest.raises(InputError, match="takes all rows alike"):
            fairlora.audit_decisions(
                None if "scores" in options else d["h"],
                {"sex": d["g"], "race": d["g"]},
                weight=d["w"],
                **options,
            )


def test_the_page_and_the_json_say_so(tmp_path: Path) -> None:
    d = rows(120)
    frame = pd.DataFrame({"y": d["y"], "h": d["h"], "g": d["g"], "exposure": d["w"]})
    frame.loc[:3, "exposure"] = 0.0
    result = audit(frame, label="y", pred="h", groups="g", weight="exposure", positive=1)
    content = result.to_dict()
    w = frame["exposure"]
    k = w.sum() ** 2 / (w**2).sum()
    assert content["settings"]["weight"] == "exposure"
    assert content["effective"] == pytest.approx(k)
    text = result.to_markdown()
    assert f"column exposure, effective size {k:.1f}" in text
    assert "4 rows (4 weight 0)" in text
    assert "Effective n" in text
    assert "not given where rows have weights" in text
    plain = audit(frame, label="y", pred="h", groups="g", positive=1)
    assert "effective" not in plain.to_json()
    assert "Effective n" not in plain.to_markdown()


@pytest.mark.parametrize("name", ["weight", "clusters"])
def test_a_table_takes_the_name_of_its_column(name: str) -> None:
    frame = pd.DataFrame({"y": [0, 1], "h": [0, 1], "g": ["a", "b"]})
    with pytest.raises(InputError, match=f"{name}: no column of the table"):
        audit(frame, label="y", pred="h", groups="g", **{name: np.array([1, 2])})


def test_a_table_is_read_with_its_weights_whatever_they_are_written_as(tmp_path: Path) -> None:
    file = tmp_path / "de.csv"
    file.write_text("y;h;g;w\n1;1;a;2,5\n0;1;b;0\n1;0;a;1,0\n0;0;b;3,5\n", encoding="utf-8")
    table = read_table(file, label="y", pred="h", groups=("g",), weight="w")
    assert table.weights is not None
    assert (table.weights / table.weights[1]).tolist() == [2.5, 1.0, 3.5]
    assert table.left_out == {"weight 0": 1}


def test_what_else_an_audit_may_hold_is_that_of_rows_repeated(numbers_of: NumbersOf) -> None:
    d = rows(240)
    w = np.random.default_rng(8).integers(0, 4, 240)
    sex = np.where(np.arange(240) % 7 == 0, None, np.where(np.arange(240) % 2, "f", "m"))
    r = np.repeat(np.arange(240), w)

    def of(place: Any, **options: Any) -> dict[str, Any]:
        return audit(
            d["y"][place],
            d["h"][place],
            {"g": d["g"][place], "sex": sex[place]},
            d["p"][place],
            positive=1,
            bootstrap=0,
            min_group=1,
            four_fifths=True,
            intersect=[("g", "sex")],
            suggests={"sex": {"f": "1", "m": "0"}},
            confidence="positive",
            **options,
        ).to_dict()

    repeated, weighed = of(r), of(np.arange(240), weight=w)
    same(numbers_of(repeated), numbers_of(weighed))
    assert len(repeated["by_group"]) == 3
    for one, other in zip(
        repeated["reliability"]["overall"], weighed["reliability"]["overall"], strict=True
    ):
        assert one["accuracy"] == pytest.approx(other["accuracy"])
        assert one["rows"] >= other["rows"]


def test_power_takes_further_rows_to_be_as_uneven() -> None:
    d = rows()
    alike, none = (audited(d, w, power=0.1)["power"]["g"] for w in (np.full(400, 2.0), None))
    assert alike == none
    uneven = audited(d, d["w"], power=0.1)
    for row in uneven["power"]["g"]:
        group = uneven["by_group"]["g"][row["group"]]
        assert row["n"] == group["n"]
        p = (group["accuracy"]["value"] * group["effective"] + 1) / (group["effective"] + 2)
        each = rows_needed(p, 0.1) * group["n"] / group["effective"]
        assert row["needed_each"] == int(np.ceil(each))
