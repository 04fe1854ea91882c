"""Rows that come in clusters: as rows of their own, as copies, and as a bootstrap of clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlora.metrics import audit

Numbers = Callable[[Any], dict[tuple[str, ...], dict[str, Any]]]
N = 500


class Rows(NamedTuple):
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    groups: NDArray[np.str_]
    probs: NDArray[np.float32]
    ids: NDArray[np.int64]

    def times(self, k: int) -> Rows:
        """Every row k times."""
        return Rows(*(np.repeat(values, k, axis=0) for values in self))


def drawn(classes: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, N)
    logits = random.normal(size=(N, classes)) + 1.2 * np.eye(classes)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    groups = random.choice(list("abc"), N, p=[0.4, 0.35, 0.25])
    return Rows(y, p.argmax(axis=1), groups, p.astype(np.float32), np.arange(N))


def audited(rows: Rows, clusters: Any = None, **options: Any) -> dict[str, Any]:
    if rows.probs.shape[1] == 2:
        options.setdefault("positive", 1)
    return audit(
        rows.labels,
        rows.predictions,
        {"g": rows.groups},
        rows.probs,
        clusters=clusters,
        **options,
    ).to_dict()


def widths_apart(
    one: dict[str, Any], other: dict[str, Any], numbers_of: Numbers
) -> dict[tuple[str, ...], float]:
    """By path, the second width over the first, where both have an interval."""
    first, second = numbers_of(one), numbers_of(other)
    return {
        path: (second[path]["high"] - second[path]["low"]) / (number["high"] - number["low"])
        for path, number in first.items()
        if number["low"] is not None and second[path]["low"] is not None
    }


def singles(ratios: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Those of one group or of all rows, which are no maximum over anything."""
    return {
        path: ratio
        for path, ratio in ratios.items()
        if path[0] in ("overall", "by_group") and path[-1] not in ("f1_min", "recall_min", "f1_gap")
    }


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_that_are_clusters_of_their_own_have_nearly_the_interval_of_rows(
    classes: int, numbers_of: Numbers
) -> None:
    rows = drawn(classes)
    plain, clustered = audited(rows), audited(rows, rows.ids)
    for path, ratio in singles(widths_apart(plain, clustered, numbers_of)).items():
        # A bin may have two rows, and then two clusters: Student's quantile is far from normal.
        assert 0.92 < ratio < (2 if path[-1] == "mce" else 1.08), path


@pytest.mark.parametrize("classes", [2, 3])
def test_a_gap_over_clusters_of_one_row_is_at_most_a_little_wider(
    classes: int, numbers_of: Numbers
) -> None:
    rows = drawn(classes)
    plain, clustered = audited(rows), audited(rows, rows.ids)
    ratios = widths_apart(plain["disparities"], clustered["disparities"], numbers_of)
    assert len(ratios) > 8
    for path, ratio in ratios.items():
        # Bonferroni over pairs in place of the studentised range.
        assert 0.9 < ratio < 1.2, path


@pytest.mark.parametrize("classes", [2, 3])
def test_ten_copies_of_each_row_tell_no_more_than_the_row(
    classes: int, numbers_of: Numbers
) -> None:
    rows = drawn(classes)
    copies = rows.times(10)
    once, ten = audited(rows, rows.ids), audited(copies, copies.ids)
    for path, ratio in singles(widths_apart(once, ten, numbers_of)).items():
        if path[-1] in ("auc", "mce"):
            continue  # below
        # What is drawn is drawn anew: the noise of the bins.
        assert ratio == pytest.approx(1, abs=0.06), path
    alone = audited(copies)
    accuracy = widths_apart(ten["overall"], alone["overall"], numbers_of)[("accuracy",)]
    assert accuracy == pytest.approx(1 / np.sqrt(10), rel=0.03)


@pytest.mark.parametrize("metric", ["auc", "mce", "auc_worst", "auc_gap"])
@pytest.mark.parametrize("classes", [2, 3])
def test_ten_copies_of_each_row_tell_no_more_of_auc_and_mce(
    classes: int, metric: str, numbers_of: Numbers
) -> None:
    rows = drawn(classes)
    copies = rows.times(10)
    once, ten = audited(rows, rows.ids), audited(copies, copies.ids)
    found = widths_apart(once, ten, numbers_of)
    ratios = {path: ratio for path, ratio in found.items() if path[-1] == metric}
    # Without an interval, and with the reason why, it would be right too.
    for path, ratio in ratios.items():
        assert ratio == pytest.approx(1, abs=0.15), path


def test_ten_copies_of_each_row_make_the_bins_of_a_diagram_no_surer() -> None:
    rows = drawn(2)
    copies = rows.times(10)
    once, ten = (audited(r, r.ids)["reliability"]["overall"] for r in (rows, copies))
    for one, other in zip(once, ten, strict=True):
        if one["rows"] >= 10 and other["accuracy_low"] is not None:
            width = one["accuracy_high"] - one["accuracy_low"]
            assert other["accuracy_high"] - other["accuracy_low"] > 0.7 * width


def test_copies_leave_values_and_expectations_by_chance_as_they_were(numbers_of: Numbers) -> None:
    rows = drawn(2)
    copies = rows.times(10)
    once, ten = audited(rows, rows.ids), audited(copies, copies.ids)
    first, second = numbers_of(once), numbers_of(ten)
    for path, number in first.items():
        assert second[path]["value"] == pytest.approx(number["value"], rel=1e-6), path
        if "expected_by_chance" in number and path[-1] != "loss_variance":
            found = second[path]["expected_by_chance"]
            assert found == pytest.approx(number["expected_by_chance"], rel=0.1), path


@pytest.mark.parametrize("metric", ["accuracy", "tpr", "precision", "f1", "brier"])
def test_the_interval_is_close_to_that_of_resampled_clusters(metric: str) -> None:
    random = np.random.default_rng(5)
    people = 120
    sizes = random.integers(1, 12, people)
    person = np.repeat(np.arange(people), sizes)
    skill = random.beta(6, 2, people)[person]
    y = random.integers(0, 2, len(person))
    h = np.where(random.random(len(person)) < skill, y, 1 - y)
    p = np.clip(random.normal(0.2 + 0.6 * h, 0.1), 0.01, 0.99).astype(np.float32)
    content = audit(y, h, {"g": ["x"] * len(y)}, p, positive=1, clusters=person).to_dict()
    found = content["by_group"]["g"]["x"][metric]

    def statistic(w: Any) -> Any:
        tp, fp, fn = (w @ v for v in ((y & h), ((1 - y) & h), (y & (1 - h))))
        return {
            "accuracy": lambda: w @ (y == h) / w.sum(axis=1),
            "tpr": lambda: tp / (tp + fn),
            "precision": lambda: tp / (tp + fp),
            "f1": lambda: 2 * tp / (2 * tp + fp + fn),
            "brier": lambda: w @ (2 * (p.astype(float) - y) ** 2) / w.sum(axis=1),
        }[metric]()

    weights = random.multinomial(people, np.full(people, 1 / people), size=3000)[:, person]
    low, high = np.quantile(statistic(weights.astype(float)), [0.025, 0.975])
    assert found["low"] == pytest.approx(low, abs=0.12 * (high - low))
    assert found["high"] == pytest.approx(high, abs=0.12 * (high - low))


def test_a_gap_between_groups_within_each_cluster_is_surer_than_one_between_clusters() -> None:
    random = np.random.default_rng(2)
    people, each = 80, 10
    person = np.repeat(np.arange(people), each)
    skill = random.beta(2, 1, people)[person]
    y = np.ones(people * each, dtype=int)
    h = (random.random(len(y)) < skill).astype(int)
    within = np.tile(["a", "b"], people * each // 2)
    between = np.where(person % 2 == 0, "a", "b")

    def width(groups: Any) -> float:
        found = audit(y, h, {"g": groups}, classes=["0", "1"], positive="1", clusters=person)
        pair = found.to_dict()["pairwise"]["g"][0]
        return float(pair["high"] - pair["low"])

    assert width(within) < 0.6 * width(between)


def test_clusters_may_have_any_names() -> None:
    rows = drawn(2)
    words = [f"person {k // 5}" for k in rows.ids]
    numbers = audited(rows, rows.ids // 5)
    assert audited(rows, words)["by_group"]["g"]["a"]["accuracy"] == pytest.approx(
        numbers["by_group"]["g"]["a"]["accuracy"]
    )
    assert numbers["settings"]["clusters"] == 100


def test_one_cluster_alone_has_no_interval_of_a_mean_and_says_so() -> None:
    rows = drawn(2)
    found = audited(rows, np.zeros(N, dtype=int))["overall"]
    assert found["brier"]["reason"] == "one cluster alone has no interval"
    assert found["brier"]["low"] is None
    assert (found["accuracy"]["low"], found["accuracy"]["high"]) == (
        pytest.approx(0, abs=0.01),
        pytest.approx(1, abs=0.01),
    )


def test_a_gap_over_clusters_of_overlapping_groups_has_an_interval() -> None:
    rows = drawn(2)
    random = np.random.default_rng(1)
    lists = [[name for name in "xy" if random.random() < 0.6] for _ in range(N)]
    found = audit(
        rows.labels, rows.predictions, {"g": lists}, positive=1, clusters=rows.ids // 4
    ).to_dict()["disparities"]["g"]
    for metric in ("accuracy_gap", "dpd", "eod", "eopp_max"):
        assert found[metric]["low"] <= found[metric]["value"] <= found[metric]["high"]


@pytest.mark.parametrize("clusters", [True, False])
def test_only_intervals_that_know_of_clusters_cover(clusters: bool) -> None:
    random = np.random.default_rng(9)
    people, each, covered, draws = 60, 10, 0, 200
    for _ in range(draws):
        skill = np.repeat(random.beta(2, 1, people), each)
        h = (random.random(people * each) < skill).astype(int)
        found = audit(
            np.ones_like(h),
            h,
            {},
            classes=["0", "1"],
            positive="1",
            bootstrap=0,
            clusters=np.repeat(np.arange(people), each) if clusters else None,
        ).to_dict()["overall"]["accuracy"]
        covered += found["low"] <= 2 / 3 <= found["high"]
    # 95 % of 200 is 190, with a standard deviation of 3.
    assert (covered >= 180) == clusters
