"""The lower bound of epsilon against mechanisms whose epsilon is known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from fairlora.errors import InputError
from fairlora.privacy import epsilon_lower_bound, privacy_page, roc
from fairlora.privacy.epsilon import epsilon_of_noise

DELTA = 1e-5


def gaussian(noise: float, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the Gaussian mechanism says of rows that are in and out: scores, membership."""
    member = np.repeat([True, False], rows // 2)
    return np.random.default_rng(seed).normal(size=rows) * noise + member, member


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
def test_epsilon_of_noise_is_where_the_mechanisms_delta_is(noise: float) -> None:
    epsilon = epsilon_of_noise(noise, DELTA)
    # By integration: the largest of P(A) - e^epsilon Q(A), with A where the ratio is large.
    grid = np.linspace(-20 * noise, 20 * noise + 1, 2_000_001)
    inside, outside = norm.pdf(grid, 1, noise), norm.pdf(grid, 0, noise)
    delta = np.trapezoid(np.maximum(inside - np.exp(epsilon) * outside, 0), grid)
    assert delta == pytest.approx(DELTA, rel=1e-3)
    assert epsilon_of_noise(1e7, DELTA) == 0.0


@pytest.mark.parametrize("noise", [0.7, 2.0])
def test_the_bound_is_below_the_gaussian_mechanisms_epsilon(noise: float) -> None:
    epsilon = epsilon_of_noise(noise, DELTA)
    found = [
        epsilon_lower_bound(*gaussian(noise, 1000, seed), delta=DELTA, seed=seed).value
        for seed in range(100)
    ]
    values = np.array(found, dtype=float)
    assert (values <= epsilon).mean() >= 0.95
    # It says something where there is something to say, and little where there is little.
    assert values.mean() > (1.0 if noise < 1 else 0.05)


def test_randomised_response_is_bounded_nearly_as_it_is_and_not_above() -> None:
    """Its epsilon is reached by its one threshold: the bound has nothing to spare but chance."""
    generator = np.random.default_rng(0)
    member = np.repeat([True, False], 300)
    epsilon = math.log(0.8 / 0.2)
    found = []
    for seed in range(300):
        told = np.where(generator.random(600) < 0.8, member, ~member).astype(float)
        found.append(epsilon_lower_bound(told, member, delta=0.0, seed=seed).value)
    values = np.array(found, dtype=float)
    assert (values <= epsilon).mean() >= 0.95
    assert values.mean() > 0.6 * epsilon
    large = epsilon_lower_bound(
        np.where(generator.random(60_000) < 0.8, np.repeat(member, 100), ~np.repeat(member, 100)),
        np.repeat(member, 100),
        delta=0.0,
    ).value
    assert large is not None
    assert 0.95 * epsilon < large <= epsilon


def test_members_that_are_never_missed_count_by_the_other_direction() -> None:
    """Half of the non-members score lowest of all: FPRs of low thresholds tell nothing, TNRs do."""
    member = np.repeat([True, False], 2000)
    scores = np.zeros(4000)
    scores[2000:3000] = -1.0
    bound = epsilon_lower_bound(scores, member)
    assert bound.value is not None
    assert bound.value > 4.0


def test_no_bound_without_rows_on_both_sides_and_no_columns_of_two_lengths() -> None:
    bound = epsilon_lower_bound([1.0, 2.0, 3.0], [True, True, False])
    assert bound.value is None
    assert "in a half of the rows" in str(bound.reason)
    with pytest.raises(InputError, match="one score and one membership"):
        epsilon_lower_bound([1.0, 2.0], [True])


def test_clusters_stay_in_one_half_and_count_for_less() -> None:
    scores, member = gaussian(0.5, 400, 0)
    alone = epsilon_lower_bound(scores, member).value
    copies = np.repeat(np.arange(400), 20)
    doubled = epsilon_lower_bound(scores[copies], member[copies], clusters=copies).value
    naive = epsilon_lower_bound(scores[copies], member[copies]).value
    assert alone is not None
    assert doubled is not None
    assert naive is not None
    assert naive > doubled + 0.5  # copies are no evidence
    assert doubled == pytest.approx(alone, abs=0.8)


def test_the_page_has_the_bound_beside_the_promise_and_says_where_it_is_broken() -> None:
    scores, member = gaussian(0.3, 4000, 0)
    scores[::2] = np.random.default_rng(1).normal(size=2000)
    group = np.tile(["quiet", "loud"], 2000)
    result = roc(scores, member, {"group": group}, permutations=10, epsilon=1.5, delta=1e-4)
    table = next(t for t in privacy_page(result.content, "x")["tables"] if "epsilon" in t["title"])
    cells = [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
    assert [row[1:3] for row in cells] == [
        ["all rows", ""],
        ["group", "quiet"],
        ["group", "loud"],
    ] or [row[1:3] for row in cells] == [["all rows", ""], ["group", "loud"], ["group", "quiet"]]
    bounds = {row[2]: float(row[3]) for row in cells}
    assert bounds["quiet"] < 0.5 < 1.5 < bounds["loud"]
    assert {row[4] for row in cells} == {"1.5"}
    assert "at delta 0.0001" in table["caption"]
    broken = [text for text in result.content.warnings if "above the promised 1.5" in text]
    assert any("group, loud" in text for text in broken)
    assert not any("quiet" in text for text in broken)
    content = result.content.to_dict()
    assert content["attacks"]["attack"]["by_group"]["group"]["loud"]["epsilon"]["delta"] == 1e-4
    plain = roc(scores, member, permutations=10)
    assert plain.content.settings.epsilon is None
    assert plain.content.attacks["attack"].overall.epsilon is not None
    assert plain.content.warnings == []
