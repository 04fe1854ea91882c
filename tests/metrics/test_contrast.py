"""Whether a change falls on one group more than on the others, against draws and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics.comparison.contrast import uneven_change
from fairlora.metrics.comparison.verdicts import judge
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions, group_column


def table(hits: np.ndarray, groups: np.ndarray, clusters: np.ndarray | None = None) -> Predictions:
    """Rows of class 0 that are right where `hits` says so."""
    n = len(hits)
    return Predictions(
        ids=np.arange(n).astype(str),
        split=np.full(n, "test"),
        labels=np.zeros(n, dtype=np.int64),
        predictions=(~hits).astype(np.int64),
        classes=("a", "b"),
        groups={"g": group_column(groups)},
        clusters=clusters,
    )


def drawn(
    seed: int, n: int = 400, lost: tuple[float, float] = (0.1, 0.1)
) -> tuple[np.ndarray, ...]:
    """Groups, hits before, and hits after: right rows are lost at the rate of their group."""
    generator = np.random.default_rng(seed)
    groups = np.where(generator.random(n) < 0.2, "rare", "usual")
    before = generator.random(n) < 0.8
    rate = np.where(groups == "rare", *lost)
    gained = generator.random(n) < 0.05
    return groups, before, (before & (generator.random(n) >= rate)) | (~before & gained)


def test_the_difference_is_that_of_the_changes_of_every_seed() -> None:
    groups = np.array(["rare"] * 4 + ["usual"] * 6)
    before = np.array([1, 1, 1, 0, 1, 1, 1, 1, 0, 0], dtype=bool)
    first = np.array([0, 1, 1, 0, 1, 1, 1, 1, 0, 1], dtype=bool)
    second = np.array([0, 0, 1, 0, 1, 1, 1, 1, 0, 0], dtype=bool)
    found = uneven_change(
        {0: table(first, groups), 1: table(second, groups)},
        {0: table(before, groups), 1: table(before, groups)},
        "g",
        "rare",
    )
    np.testing.assert_allclose(found.each, [[-1 / 4, 1 / 6], [-2 / 4, 0]])
    assert found.value == pytest.approx((-1 / 4 - 1 / 6 - 2 / 4) / 2)
    assert found.place == ("g", "rare")


@pytest.mark.parametrize("clustered", [False, True])
def test_its_error_is_that_of_resampled_rows(clustered: bool) -> None:
    groups, before, after = drawn(0)
    clusters = np.arange(len(groups)) // 4 if clustered else None
    found = uneven_change(
        {0: table(after, groups, clusters)}, {0: table(before, groups, clusters)}, "g", "rare"
    )
    assert found.variance is not None
    moved = after.astype(float) - before
    generator, draws = np.random.default_rng(1), []
    size = 4 if clustered else 1
    for _ in range(4000):
        units = generator.integers(len(groups) // size, size=len(groups) // size)
        rows = (units[:, None] * size + np.arange(size)).ravel()
        inside = groups[rows] == "rare"
        draws.append(moved[rows][inside].mean() - moved[rows][~inside].mean())
    floor = np.hypot(*(1 / (n + 2) for n in np.unique(groups, return_counts=True)[1]))
    assert found.variance.error == pytest.approx(np.hypot(np.std(draws), floor), rel=0.05)


def test_equal_losses_are_called_uneven_no_more_often_than_said_and_large_ones_are_found() -> None:
    def shown(lost: tuple[float, float]) -> float:
        words = []
        for seed in range(150):
            groups, before, after = drawn(seed, lost=lost)
            found = uneven_change(
                {0: table(after, groups)}, {0: table(before, groups)}, "g", "rare"
            )
            words += [verdict.verdict for verdict in judge([found])]
        return words.count("worse") / len(words)

    assert shown((0.1, 0.1)) <= 0.05
    assert shown((0.5, 0.1)) >= 0.9


def test_rows_in_several_groups_and_rows_without_one() -> None:
    groups = [["rare", "usual"], ["usual"], ["usual"], None]
    n = len(groups)
    before, after = np.ones(n, dtype=bool), np.array([False, True, False, False])
    tables = []
    for hits in (after, before):
        tables.append(replace(table(hits, np.full(n, "x")), groups={"g": group_column(groups)}))
    found = uneven_change({0: tables[0]}, {0: tables[1]}, "g", "rare")
    np.testing.assert_allclose(found.each, [[-1.0, -0.5]])


def test_a_group_that_all_rows_are_in_has_no_others() -> None:
    hits = np.ones(20, dtype=bool)
    one = table(hits, np.full(20, "all"))
    (verdict,) = judge([uneven_change({0: one}, {0: one}, "g", "all")])
    assert (verdict.verdict, verdict.reason) == ("undefined", "no row of the group, or of no other")
    with pytest.raises(InputError, match="group"):
        uneven_change({0: one}, {0: one}, "g", "none")
    with pytest.raises(InputError, match="group column"):
        uneven_change({0: one}, {0: one}, "h", "all", Settings())
