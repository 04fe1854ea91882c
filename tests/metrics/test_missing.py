"""Rows without a group value, groups without a class, and ties: null or right, never 0 or 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.errors import InputError
from fairlora.metrics import TrainerMetrics, audit
from fairlora.metrics.auditing import predictions_of
from fairlora.metrics.comparison.compare import compare
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.groups.subgroups import search
from fairlora.metrics.settings import Settings
from fairlora.metrics.stream import audit_stream
from fairlora.predictions import group_column

PARTS = ("disparities", "pairwise", "power")
QUICK = settings(derandomize=True, deadline=None, max_examples=60)


def agreeing(probs: Any, predicted: Any) -> Any:
    """The probabilities with the largest of each row at the class that is predicted."""
    out, rows, top = probs.copy(), np.arange(len(probs)), probs.argmax(axis=1)
    out[rows, top], out[rows, predicted] = probs[rows, predicted], probs[rows, top]
    return out


class Rows:
    """Rows of which a third has no group value, and two models' predictions."""

    def __init__(self, n: int = 400, classes: int = 2, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, classes, n)
        self.h, self.other = (
            np.where(rng.random(n) < 0.7, self.y, rng.integers(0, classes, n)) for _ in range(2)
        )
        self.g = rng.choice(np.array(["a", "b", "c", None], dtype=object), n)
        self.s = rng.choice(np.array(["x", "y", None], dtype=object), n, p=[0.45, 0.45, 0.1])
        self.p = agreeing(rng.dirichlet(np.ones(classes), n), self.h)
        self.clusters = rng.integers(0, 60, n)
        self.known = np.array([v is not None for v in self.g])


def known_lists(lists: list[list[str | None] | None]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([v is not None and None not in v for v in lists])


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_an_audit_compares_as_if_rows_without_a_value_were_not_there(
    classes: int, clustered: bool
) -> None:
    r = Rows(classes=classes)

    def found(here: Any) -> dict[str, Any]:
        clusters = r.clusters[here] if clustered else None
        options = {"positive": 1, "bootstrap": 200, "power": 0.05}
        result = audit(
            r.y[here], r.h[here], {"g": r.g[here]}, r.p[here], clusters=clusters, **options
        )
        return result.to_dict()

    whole, part = found(np.arange(len(r.y))), found(r.known)
    for name in PARTS:
        assert whole[name] == part[name]
    for group in "abc":
        assert whole["by_group"]["g"][group] == part["by_group"]["g"][group]
    row = whole["by_group"]["g"]["(missing)"]
    assert (row["n"], row["missing"]) == ((~r.known).sum(), True)
    assert row["accuracy"]["value"] == pytest.approx((r.y == r.h)[~r.known].mean())
    for name in ("dpd", "eod", "eopp", "accuracy_difference"):
        assert (row[name]["value"], bool(row[name]["reason"])) == (None, True)
    (said,) = [text for text in whole["warnings"] if "no group value" in text]
    assert f"g: {(~r.known).sum()} of 400 rows" in said
    assert not [text for text in part["warnings"] if "no group value" in text]


def test_missing_rows_are_a_group_where_they_are_to_be() -> None:
    r = Rows()
    named = np.array(["(missing)" if v is None else v for v in r.g])
    kept = audit(r.y, r.h, {"g": r.g}, positive=1, bootstrap=0, missing_group="keep").to_dict()
    words = np.where(named == "(missing)", "0", named)
    other = audit(r.y, r.h, {"g": words}, positive=1, bootstrap=0).to_dict()
    for name, number in other["disparities"]["g"].items():
        assert kept["disparities"]["g"][name]["value"] == number["value"], name
    with pytest.raises(
        InputError, match=r"missing_group: .*found 'drop'; expected 'show' or 'keep'"
    ):
        audit(r.y, r.h, {"g": r.g}, missing_group="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("bootstrap", [0, 200])
def test_an_attribute_without_any_value_or_with_one_group_says_so(bootstrap: int) -> None:
    r = Rows()
    for clusters in (None, r.clusters):
        none = audit(
            r.y, r.h, {"g": [None] * 400}, r.p, positive=1, bootstrap=bootstrap, clusters=clusters
        )
        assert "g: no row has a group value: nothing to compare" in none.to_dict()["warnings"]
        assert list(none.to_dict()["by_group"]["g"]) == ["(missing)"]
        values = {one["value"] for one in none.to_dict()["disparities"]["g"].values()}
        assert values == {None}
        assert none.to_markdown()
        one = audit(r.y, r.h, {"g": np.where(r.known, "a", None)}, r.p, bootstrap=bootstrap)
        assert "g has one group alone: nothing to compare" in one.to_dict()["warnings"]
        assert one.to_dict()["disparities"]["g"]["accuracy_gap"]["value"] is None


def test_of_overlapping_groups_no_list_is_missing_and_an_empty_one_is_none_of_them() -> None:
    rng = np.random.default_rng(0)
    kinds = [["a"], ["b"], ["a", "b"], [], None, ["a", None]]
    lists = [kinds[k] for k in rng.integers(0, 6, 300)]
    y, h = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    here = known_lists(lists)
    some = [v for v, known in zip(lists, here, strict=True) if known]
    whole = audit(y, h, {"g": lists}, positive=1, bootstrap=200).to_dict()
    part = audit(y[here], h[here], {"g": some}, positive=1, bootstrap=200).to_dict()
    assert whole["disparities"] == part["disparities"]
    assert whole["by_group"]["g"]["(missing)"]["n"] == (~here).sum()
    inside = np.array(["a" in v for v in some])
    right = (y == h)[here]
    assert whole["by_group"]["g"]["a"]["accuracy_difference"]["value"] == pytest.approx(
        right[inside].mean() - right[~inside].mean()  # rows of [] are outside
    )
    column = settled(group_column(lists))
    assert column.contains("(missing)").tolist() == (~here).tolist()


def test_a_combination_of_which_a_part_is_missing_is_missing() -> None:
    r = Rows()
    groups = {"g": r.g, "s": r.s}
    both = r.known & np.array([v is not None for v in r.s])
    options: dict[str, Any] = {"positive": 1, "bootstrap": 0, "intersect": [("g", "s")]}
    whole = audit(r.y, r.h, groups, **options).to_dict()
    part = audit(r.y[both], r.h[both], {a: v[both] for a, v in groups.items()}, **options)
    assert whole["disparities"]["g&s"] == part.to_dict()["disparities"]["g&s"]
    assert whole["by_group"]["g&s"]["(missing)"]["n"] == (~both).sum()


@pytest.mark.parametrize("lists", [False, True])
def test_a_streamed_audit_and_that_of_a_trainer_are_those_in_memory(
    tmp_path: Any, lists: bool
) -> None:
    r = Rows()
    g = [None if v is None else [v] for v in r.g] if lists else r.g.tolist()
    if lists:
        g[0], g[1] = ["a", "b", None], []
    table = pa.table({"y": r.y, "h": r.h, "g": g, "s": r.s.tolist()})
    path = tmp_path / "p.parquet"
    pq.write_table(table, path)
    how = Settings(positive="1", bootstrap=0, intersect=(("g", "s"),))
    streamed = audit_stream(path, label="y", pred="h", groups=["g", "s"], settings=how).to_dict()
    options: dict[str, Any] = {"positive": 1, "bootstrap": 0, "intersect": [("g", "s")]}
    memory = audit(r.y, r.h, {"g": g, "s": r.s}, **options).to_dict()
    assert streamed["disparities"] == memory["disparities"]
    assert {k: v["n"] for k, v in streamed["by_group"]["g&s"].items()} == {
        k: v["n"] for k, v in memory["by_group"]["g&s"].items()
    }
    metrics = TrainerMetrics({"g": g}, positive=1)

    class Evaluation:
        predictions = np.eye(2)[r.h] * 4
        label_ids = r.y

    logged = metrics(Evaluation())
    for name in ("accuracy_gap", "dpd", "eod", "f1_min"):
        assert logged[f"g/{name}"] == pytest.approx(memory["disparities"]["g"][name]["value"])


def test_two_models_and_two_ways_over_seeds_leave_them_out_too() -> None:
    r = Rows()
    here = r.known
    whole = compare(r.y, r.h, r.other, {"g": r.g}, positive=1, bootstrap=200).to_dict()
    part = compare(
        r.y[here], r.h[here], r.other[here], {"g": r.g[here]}, positive=1, bootstrap=200
    ).to_dict()
    assert whole["disparities"] == part["disparities"]
    assert whole["by_group"] == part["by_group"]
    assert [text for text in whole["warnings"] if "no group value" in text]

    def over_seeds(keep: Any) -> dict[str, Any]:
        ways = []
        for shift in (0, 10):
            tables = {}
            for seed in range(3):
                rng = np.random.default_rng(seed + shift)
                h = np.where(rng.random(400) < 0.8, r.y, 1 - r.y)
                p = agreeing(r.p, h)
                tables[seed] = predictions_of(r.y[keep], h[keep], {"g": r.g[keep]}, p[keep])
            ways.append(tables)
        return compare_over_seeds(*ways, Settings(positive="1", bootstrap=200)).to_dict()

    whole, part = over_seeds(np.arange(400)), over_seeds(here)
    assert whole["disparities"] == part["disparities"]
    assert whole["by_group"] == part["by_group"]
    assert [text for text in whole["warnings"] if "no group value" in text]
    nobody = compare(r.y, r.h, r.other, {"g": [None] * 400}, positive=1, bootstrap=200).to_dict()
    assert nobody["disparities"] == {"g": {}}


def test_a_search_neither_names_missing_values_nor_takes_them_for_outside() -> None:
    r = Rows(800)
    columns = {"g": group_column(r.g), "s": group_column(r.s)}
    found = search(columns, r.y == r.h, 2, 20, draws=99)
    assert found.ranked
    for row in found.ranked:
        values = [(columns[a].tolist(), v) for a, v in row.conditions.items()]
        inside = np.array([all(c[k] == v for c, v in values) for k in range(800)])
        known = np.array([all(c[k] != "(missing)" for c, _ in values) for k in range(800)])
        assert "(missing)" not in row.conditions.values()
        assert row.n == inside.sum()
        right = r.y == r.h
        assert row.rate_outside == pytest.approx(right[known & ~inside].mean())
        # Pearson's z of inside against outside, with all of them fixed.
        n, m, k = known.sum(), inside.sum(), right[known].sum()
        error = np.sqrt(m * (n - m) * k * (n - k) / n**2 / (n - 1))
        assert row.z == pytest.approx((right[inside].sum() - m * k / n) / error)
    # Of one attribute: what a search of the other rows finds, its p-value included.
    alone = search({"g": columns["g"]}, r.y == r.h, 1, 20, draws=999)
    part = search({"g": group_column(r.g[r.known])}, (r.y == r.h)[r.known], 1, 20, draws=999)
    assert alone.ranked == part.ranked
    assert alone.worst is not None
    assert part.worst is not None
    assert alone.worst.p == pytest.approx(part.worst.p, abs=0.06)
    assert search({"g": group_column([None] * 40)}, np.arange(40) % 2 == 0, 1, 5).ranked == []


def test_equalized_odds_needs_both_rates_and_names_who_lacks_one() -> None:
    # Group c has no positives, group d no negatives: their other rates are far off.
    y = np.array([0, 1] * 40 + [0] * 20 + [1] * 20)
    h = np.array([0, 1] * 20 + [0, 0, 1, 1] * 10 + [1] * 20 + [0] * 20)
    g = ["a"] * 40 + ["b"] * 40 + ["c"] * 20 + ["d"] * 20
    found = audit(y, h, {"g": g}, positive=1, bootstrap=100).to_dict()
    summary, groups = found["disparities"]["g"], found["by_group"]["g"]
    # Of a and b: TPR 1 and 1/2, FPR 0 and 1/2.
    assert summary["eod"]["value"] == 0.5
    assert (summary["tpr_gap"]["value"], summary["fpr_gap"]["value"]) == (1.0, 1.0)
    assert summary["eod"]["left_out"] == {"c": ["TPR of 1 (0 rows)"], "d": ["FPR of 1 (0 rows)"]}
    for name in ("eod", "tpr_gap", "fpr_gap"):
        assert summary[name]["expected_by_chance"] > 0
    for group, rate in (("c", "TPR"), ("d", "FPR")):
        assert groups[group]["eod"]["value"] is None
        reason = f"needs TPR and FPR: no rows for the {rate} of 1 in the group"
        assert groups[group]["eod"]["reason"] == reason
    assert [t for t in found["warnings"] if "equalized odds needs both TPR and FPR" in t]
    # c has no F1 as it has no recall: it could be nothing but 0.
    assert groups["c"]["f1"]["value"] is None
    assert summary["f1_min"]["value"] == 0  # d's, of which all positives are missed
    assert summary["f1_min"]["group"] == summary["recall_min"]["group"] == "d"
    two = np.isin(g, ["a", "c"])
    alone = audit(y[two], h[two], {"g": np.array(g)[two]}, positive=1).to_dict()
    odds = alone["disparities"]["g"]
    for name in ("eod", "eo_ratio"):
        assert odds[name]["value"] is None
        assert odds[name]["reason"] == (
            "fewer than two groups have both TPR and FPR: too few rows of c: TPR of 1 (0 rows)"
        )
    assert odds["fpr_gap"]["value"] == 1
    assert odds["tpr_gap"]["value"] is None
    logged = TrainerMetrics({"g": np.array(g)[two]}, positive=1)

    class Evaluation:
        predictions = np.eye(2)[h[two]]
        label_ids = y[two]

    assert "g/eod" not in logged(Evaluation())
    paired = compare(y[two], h[two], h[two], {"g": np.array(g)[two]}, positive=1).to_dict()
    assert paired["disparities"]["g"]["eod"]["value"] is None
    assert paired["disparities"]["g"]["f1_gap"]["value"] is None


def test_a_tie_has_no_single_worst_group() -> None:
    y = np.tile([0, 1], 60)
    h = np.where(np.arange(120) % 40 < 4, 1 - y, y)
    three = np.repeat(["a", "b", "c"], 40)
    worst, gap = (
        audit(y, h, {"g": three}, positive=1).to_dict()["disparities"]["g"][name]
        for name in ("accuracy_worst", "accuracy_gap")
    )
    assert (worst["group"], worst["groups"], worst["all_alike"]) == (None, ["a", "b", "c"], True)
    assert (gap["value"], gap["best"], gap["worst"]) == (0, None, None)
    page = audit(y, h, {"g": three}, positive=1).to_markdown()
    assert "tied, all alike: a, b, c" in page
    h[80:] = y[80:]
    worst, gap = (
        audit(y, h, {"g": three}, positive=1).to_dict()["disparities"]["g"][name]
        for name in ("accuracy_worst", "accuracy_gap")
    )
    assert (worst["group"], worst["groups"], worst["all_alike"]) == (None, ["a", "b"], False)
    assert (gap["best"], gap["worst"], gap["also_worst"]) == ("c", "a", ["b"])


def rate_of(hits: Any, among: Any) -> float:
    return float((hits & among).sum() / among.sum()) if among.any() else float("nan")


@QUICK
@given(data=st.data(), least=st.sampled_from([1, 3]))
def test_numbers_are_those_of_plain_loops_or_null_with_a_reason(
    data: st.DataObject, least: int
) -> None:
    cell = st.tuples(
        st.sampled_from([0, 0, 1]), st.integers(0, 1), st.sampled_from(["a", "b", "c", None])
    )
    rows = data.draw(st.lists(cell, min_size=3, max_size=30))
    y, h = (np.array([row[k] for row in rows]) == 1 for k in (0, 1))
    g = np.array([row[2] for row in rows], dtype=object)
    found = audit(
        y.astype(int),
        h.astype(int),
        {"g": g},
        classes=["0", "1"],
        positive="1",
        min_group=least,
        bootstrap=0,
    ).to_dict()
    summary, groups = found["disparities"]["g"], found["by_group"]["g"]
    masks = {name: g == name for name in sorted({v for v in g if v is not None})}
    known = np.array([v is not None for v in g])
    large = {k: m for k, m in masks.items() if m.sum() >= least}
    positives = {k: m for k, m in masks.items() if (m & y).sum() >= least}
    negatives = {k: m for k, m in masks.items() if (m & ~y).sum() >= least}
    both = [k for k in positives if k in negatives]

    def spread(rates: dict[str, float]) -> float:
        return max(rates.values()) - min(rates.values()) if len(rates) > 1 else float("nan")

    def share(rates: dict[str, float]) -> float:
        most = max(rates.values(), default=0)
        return min(rates.values()) / most if len(rates) > 1 and most > 0 else float("nan")

    tpr = {k: rate_of(h, m & y) for k, m in positives.items()}
    fpr = {k: rate_of(h, m & ~y) for k, m in negatives.items()}
    chosen = {k: rate_of(h, m) for k, m in large.items()}
    right = {k: rate_of(y == h, m) for k, m in large.items()}
    f1 = {k: 2 * (h & y & m).sum() / ((y & m).sum() + (h & m).sum()) for k, m in positives.items()}
    odds = [{k: rates[k] for k in both} for rates in (tpr, fpr)]
    expected = {
        "accuracy_gap": spread(right),
        "accuracy_worst": min(right.values(), default=float("nan")),
        "dpd": spread(chosen),
        "dp_ratio": share(chosen),
        "tpr_gap": spread(tpr),
        "fpr_gap": spread(fpr),
        "eod": float(np.fmax(*(spread(one) for one in odds))),
        "eo_ratio": float(np.fmin(*(share(one) for one in odds))),
        "recall_min": min(tpr.values(), default=float("nan")),
        "f1_min": min(f1.values(), default=float("nan")),
        "f1_gap": spread(f1),
    }
    for name, value in expected.items():
        number = summary[name]
        if np.isnan(value):
            assert (number["value"], bool(number["reason"])) == (None, True), name
            assert (number["low"], number["high"]) == (None, None), name
        else:
            assert number["value"] == pytest.approx(value), name
    for name, mask in masks.items():
        off = [abs(rate_of(h, mask & side) - rate_of(h, known & ~mask & side)) for side in (y, ~y)]
        number = groups[name]["eod"]
        value = np.maximum(*off)  # NaN where either is
        assert (number["value"] is None) == np.isnan(value)
        if not np.isnan(value):
            assert number["value"] == pytest.approx(value)
        assert (groups[name]["f1"]["value"] is None) == (not (mask & y).any())
