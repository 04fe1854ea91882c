"""What gaps are to be expected by chance, against permuting the rows one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlora.metrics import audit
from fairlora.metrics.comparison.values import values_of
from fairlora.metrics.counts import macro
from fairlora.metrics.counts.tally import Tally, tally
from fairlora.metrics.groups.chance import expected_by_chance
from fairlora.predictions import group_column

LEAST = 1
METRICS = ("accuracy_gap", "dpd", "eod", "eopp_max", "f1_gap")
PERMUTATIONS = 2000


class Case(NamedTuple):
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    holds: NDArray[np.bool_]  # (n, G)
    classes: list[int]  # taken against the rest

    @property
    def num(self) -> int:
        return int(self.labels.max()) + 1

    def tally(self) -> Tally:
        names = "abcdef"
        rows = [[names[g] for g in np.flatnonzero(row)] for row in self.holds]
        flat = rows if (self.holds.sum(axis=1) != 1).any() else [row[0] for row in rows]
        return tally(self.labels, self.predictions, self.num, group_column(flat))


def case(classes: int, *, overlapping: bool = False, n: int = 150) -> Case:
    random = np.random.default_rng(classes + 10 * overlapping)
    y = random.choice(classes, n, p=[0.6, 0.4] if classes == 2 else [0.5, 0.3, 0.2])
    h = np.where(random.random(n) < 0.7, y, random.integers(0, classes, n))
    codes = random.choice(3, n, p=[0.5, 0.3, 0.2])
    holds = np.eye(3, dtype=bool)[codes]
    if overlapping:
        holds |= random.random((n, 3)) < 0.3
        holds[:10] = False
    return Case(y, h, holds, [1] if classes == 2 else list(range(classes)))


def share(hits: Any, among: Any) -> float:
    return float(hits[among].mean()) if among.any() else float("nan")


def spread(rates: Any) -> float:
    known = [r for r in rates if r == r]
    return max(known) - min(known) if len(known) > 1 else float("nan")


def gaps_of(rows: Case, holds: Any) -> dict[str, float]:
    """The gaps of rows under other groups, from masks."""
    y, h = rows.labels, rows.predictions
    groups = [holds[:, g] for g in range(holds.shape[1])]
    out = {"accuracy_gap": spread([share(y == h, g) for g in groups])}
    out |= {"dpd": 0.0, "eod": 0.0, "eopp_max": 0.0}
    for c in rows.classes:
        own, chosen = y == c, h == c
        out["dpd"] = max(out["dpd"], spread([share(chosen, g) for g in groups]))
        for among in (own, ~own):
            out["eod"] = max(out["eod"], spread([share(chosen, g & among) for g in groups]))
        apart = [abs(share(chosen, g & own) - share(chosen, ~g & own)) for g in groups]
        out["eopp_max"] = max(out["eopp_max"], *(d for d in apart if d == d))
    counts = np.zeros((len(groups), rows.num, rows.num))
    for k, g in enumerate(groups):
        np.add.at(counts[k], (y[g], h[g]), 1)
    f1 = macro.per_class(macro.sums_of(counts), "f1")
    of = f1[:, rows.classes[0]] if len(rows.classes) == 1 else macro.mean_over_classes(f1)
    return {**out, "f1_gap": spread(of)}


def by_permutation(rows: Case) -> dict[str, tuple[float, float]]:
    """Mean of each gap over permutations of the groups among rows, and its standard error."""
    random = np.random.default_rng(0)
    places = [np.flatnonzero(rows.labels == c) for c in range(rows.num)]
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(PERMUTATIONS):
        anywhere = random.permutation(rows.holds)
        within = rows.holds.copy()
        for place in places:
            within[place] = rows.holds[random.permutation(place)]
        free, fixed = gaps_of(rows, anywhere), gaps_of(rows, within)
        for name in METRICS:
            one = free if name in ("accuracy_gap", "dpd") else fixed
            found[name].append(one[name])
    return {
        name: (float(np.nanmean(v)), float(np.nanstd(v) / np.sqrt(PERMUTATIONS)))
        for name, v in found.items()
    }


def known_in(table: Tally) -> Any:
    def known(kind: str, c: int) -> NDArray[np.bool_]:
        own = table.counts[:, c, :].sum(axis=1)
        outside = table.total[c].sum() - own
        rows = {"tpr": own, "fpr": table.sizes - own, "outside": outside}.get(kind, table.sizes)
        return np.asarray(rows >= LEAST)

    return known


@pytest.mark.parametrize("overlapping", [False, True], ids=["apart", "overlapping"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_expected_gaps_are_the_means_over_permuted_rows(
    classes: int, overlapping: bool
) -> None:
    rows = case(classes, overlapping=overlapping)
    table = rows.tally()
    expected = by_permutation(rows)
    runs = [
        expected_by_chance(
            table, rows.classes, known_in(table), 500, np.random.default_rng(seed)
        ).expected
        for seed in range(4)
    ]
    for name in METRICS:
        found = np.mean([run[name] for run in runs])
        mean, error = expected[name]
        # As many draws on both sides.
        assert abs(found - mean) < 4 * np.sqrt(2) * error, (name, found, mean, error)


def test_the_audit_shows_the_same_expectations() -> None:
    rows = case(2)
    names = np.array(list("abc"))[rows.holds.argmax(axis=1)]
    found = audit(rows.labels, rows.predictions, {"g": names}, positive=1, min_group=LEAST)
    expected = by_permutation(rows)
    for name in METRICS:
        mean, error = expected[name]
        shown = found.to_dict()["disparities"]["g"][name]["expected_by_chance"]
        # 500 draws against 2,000.
        assert abs(shown - mean) < 4 * np.sqrt(1 + 4) * error, name


def test_a_group_too_small_to_count_has_no_part_in_the_expectation() -> None:
    y = np.array([0, 1] * 100 + [1, 0])
    h = np.where(np.arange(202) % 7 == 0, 1 - y, y)
    groups = ["a"] * 100 + ["b"] * 100 + ["tiny"] * 2
    found = audit(y, h, {"g": groups}, positive=1).to_dict()["disparities"]["g"]
    everyone = audit(y, h, {"g": groups}, positive=1, min_group=1).to_dict()["disparities"]["g"]
    for name in METRICS:
        assert found[name]["expected_by_chance"] < everyone[name]["expected_by_chance"]


def test_without_draws_nothing_is_expected() -> None:
    rows = case(2)
    found = expected_by_chance(
        rows.tally(), [1], known_in(rows.tally()), 0, np.random.default_rng(0)
    )
    assert (found.expected, found.draws, found.undefined) == ({}, 0, {})


def f1_gap_by_loops(y: list[int], h: list[int], groups: list[str], draws: int) -> list[float]:
    """The F1 gap of each permutation of the groups within the labels, of groups with positives."""
    random = np.random.default_rng(0)
    places = [[i for i, label in enumerate(y) if label == c] for c in (0, 1)]
    gaps = []
    for _ in range(draws):
        of = list(groups)
        for place in places:
            for i, j in zip(place, random.permutation(place), strict=True):
                of[i] = groups[j]
        f1 = []
        for name in sorted(set(groups)):
            rows = [(a, b) for a, b, g in zip(y, h, of, strict=True) if g == name]
            tp = sum(a == b == 1 for a, b in rows)
            if any(a for a, _ in rows):
                f1.append(2 * tp / sum(a + b for a, b in rows))
        gaps.append(max(f1) - min(f1))
    return gaps


def test_the_chance_value_of_the_f1_gap_leaves_out_a_group_without_positives() -> None:
    y = [1] * 20 + [0] * 40
    h = [1] * 16 + [0] * 4 + [1] * 10 + [0] * 30
    groups = (["a"] * 10 + ["b"] * 10) + (["c"] * 2 + ["a"] * 8) + (["c"] * 8 + ["b"] * 22)
    gaps = f1_gap_by_loops(y, h, groups, 2000)
    number = audit(y, h, {"g": groups}, positive=1).to_dict()["disparities"]["g"]["f1_gap"]
    # a: 10 of 10 right, 8 false positives; b: 6 of 10 right, none.
    assert number["value"] == pytest.approx(abs(2 * 10 / 28 - 2 * 6 / 16))
    error = np.std(gaps) / 500**0.5
    assert number["expected_by_chance"] == pytest.approx(np.mean(gaps), abs=5 * error)


def test_too_many_permutations_without_a_ratio_give_no_chance_value_and_a_reason() -> None:
    # One row is selected; where a permutation gives it to the small group, the others have none.
    h = [1] + [0] * 48
    groups = ["a"] * 20 + ["b"] * 20 + ["small"] * 9
    result = audit([0, 1] * 24 + [0], h, {"g": groups}, positive=1)
    number = result.to_dict()["disparities"]["g"]["dp_ratio"]
    assert number["value"] == 0
    assert number["expected_by_chance"] is None
    share = float(number["no_chance_value"].split()[2])
    assert share == pytest.approx(100 * 9 / 49, abs=5 * 100 * 0.4 / 500**0.5)
    assert number["no_chance_value"] in result.to_markdown()


def test_predictions_that_are_all_alike_have_no_gap_by_chance() -> None:
    rows = case(2)._replace(predictions=np.ones(150, dtype=np.int64))
    table = rows.tally()
    found = expected_by_chance(table, [1], known_in(table), 100, np.random.default_rng(0)).expected
    assert (found["dpd"], found["eod"], found["eopp_max"]) == (0, 0, 0)
    assert (found["dp_ratio"], found["eo_ratio"]) == (1, 1)
    assert found["accuracy_gap"] > 0


def test_a_draw_without_a_group_s_positives_has_the_other_groups_equal_opportunity() -> None:
    # Two draws of three groups: in the second, group a has no positive.
    counts = np.array(
        [
            [[[5, 1], [2, 8]], [[4, 2], [5, 5]], [[6, 0], [1, 9]]],
            [[[9, 7], [0, 0]], [[4, 2], [5, 5]], [[6, 0], [1, 9]]],
        ],
        dtype=np.float64,
    )
    found = values_of(
        counts,
        counts.sum(axis=1),
        positive=1,
        least=1,
        reference=counts[0].sum(axis=2),
        everyone=counts[0].sum(axis=(0, 2)),
    )["eopp_max"]
    expected = []
    for draw in counts.tolist():
        far = []
        for g in range(3):
            fn, tp = draw[g][1]
            others = [draw[k][1] for k in range(3) if k != g]
            positives, hits = sum(a + b for a, b in others), sum(b for _, b in others)
            if tp + fn and positives:
                far.append(abs(tp / (tp + fn) - hits / positives))
        expected.append(max(far))
    assert found.tolist() == pytest.approx(expected)
