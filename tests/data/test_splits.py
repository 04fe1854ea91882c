"""Splits, scarcity and limits: properties over made-up data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.data import (
    Examples,
    SplitPlan,
    assign_splits,
    cross_groups,
    limit_training,
    load_examples,
    make_scarce,
)
from fairlora.data.splits import complete_split
from fairlora.errors import InputError

FAST = settings(derandomize=True, deadline=None, max_examples=60)
PAPERS = SplitPlan(mode="papers")


def made(n: int, seed: int = 0, *, families: int = 0) -> Examples:
    generator = np.random.default_rng(seed)
    family = None
    if families:
        family = np.array([f"f{k}" for k in generator.integers(0, families, n)])
    return Examples(
        name="made",
        ids=np.array([f"{k}" for k in range(n)]),
        images=[b""] * n,
        labels=generator.integers(0, 3, n),
        classes=("a", "b", "c"),
        groups={
            "tone": generator.choice(["dark", "light"], n, p=[0.2, 0.8]),
            "place": generator.choice(["x", "y", "z"], n),
        },
        fingerprint="",
        family=family,
    )


def rows_of(examples: Examples, split: str) -> set[str]:
    return set(examples.part(split).ids.tolist())


@FAST
@given(st.integers(60, 400), st.integers(0, 50), st.integers(0, 50))
def test_each_row_has_one_split_and_the_shares_are_right(n: int, data: int, seed: int) -> None:
    examples = assign_splits(made(n, data), seed)
    parts = [rows_of(examples, part) for part in ("train", "validation", "test")]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == n
    assert abs(len(parts[2]) - 0.2 * n) <= 1
    assert abs(len(parts[1]) - 0.08 * n) <= 1.2


@FAST
@given(st.integers(60, 400), st.integers(0, 50))
def test_every_stratum_is_within_a_row_of_its_share(n: int, seed: int) -> None:
    examples = assign_splits(made(n, seed), seed)
    assert examples.split is not None
    keys = np.array(
        [f"{y}/{g}/{p}" for y, g, p in zip(
            examples.labels, examples.groups["tone"], examples.groups["place"], strict=True
        )]
    )  # fmt: skip
    for key in np.unique(keys):
        test = examples.split[keys == key] == "test"
        assert abs(test.sum() - 0.2 * len(test)) <= 1
        rest = examples.split[keys == key][~test]
        assert abs((rest == "validation").sum() - 0.1 * len(rest)) <= 1


@FAST
@given(st.integers(60, 300), st.integers(0, 20), st.booleans())
def test_the_test_split_is_the_same_for_every_seed(n: int, seed: int, families: bool) -> None:
    data = made(n, families=25 if families else 0)
    one, other = assign_splits(data, seed), assign_splits(data, seed + 1)
    assert rows_of(one, "test") == rows_of(other, "test")
    again = assign_splits(data, seed)
    assert again.split is not None
    assert one.split is not None
    assert (again.split == one.split).all()


def test_the_seed_moves_the_border_between_training_and_validation() -> None:
    data = made(300)
    validation = [frozenset(rows_of(assign_splits(data, s), "validation")) for s in range(5)]
    assert len(set(validation)) == 5


def test_as_the_papers_did_the_test_split_moves_with_the_seed() -> None:
    data = made(300)
    tests = [frozenset(rows_of(assign_splits(data, s, PAPERS), "test")) for s in range(5)]
    assert len(set(tests)) == 5
    assert {len(rows) for rows in tests} == {60}


@FAST
@given(st.integers(150, 400), st.integers(20, 60), st.integers(0, 50))
def test_families_are_never_torn_apart(n: int, families: int, seed: int) -> None:
    data = made(n, seed, families=families)
    examples = assign_splits(data, seed)
    assert examples.family is not None
    assert examples.split is not None
    for family in np.unique(examples.family):
        assert len(np.unique(examples.split[examples.family == family])) == 1
    largest = max(np.unique(examples.family, return_counts=True)[1])
    assert abs(len(rows_of(examples, "test")) - 0.2 * n) <= 2 * largest


def test_shares_of_real_families_are_near_the_plan() -> None:
    examples = assign_splits(load_examples("people-emoji"), 0)
    assert len(examples.part("test")) / len(examples) == pytest.approx(0.2, abs=0.02)
    assert len(examples.part("validation")) / len(examples) == pytest.approx(0.08, abs=0.02)


def test_two_families_cannot_make_three_splits() -> None:
    with pytest.raises(InputError, match=r"data\.family: too few families"):
        assign_splits(made(100, families=1), 0)


def official(examples: Examples, names: list[str], seed: int = 0) -> Examples:
    """The examples with some splits of their own; "rest" is to be divided."""
    split = np.random.default_rng(seed).choice(names, len(examples))
    if examples.family is not None:
        of = dict(zip(examples.family.tolist(), split.tolist(), strict=True))
        split = np.array([of[family] for family in examples.family.tolist()])
    return replace(examples, split=split)


@FAST
@given(st.integers(80, 400), st.integers(0, 50), st.booleans(), st.booleans())
def test_official_test_rows_stay_and_validation_is_drawn_from_the_rest(
    n: int, seed: int, families: bool, papers: bool
) -> None:
    data = official(made(n, seed, families=40 if families else 0), ["rest", "test"], seed)
    assert data.split is not None
    plan = SplitPlan(validation=0.2, mode="papers" if papers else "fixed")
    divided = assign_splits(data, seed, plan)
    assert divided.split is not None
    np.testing.assert_array_equal(divided.split == "test", data.split == "test")
    assert set(divided.split.tolist()) == {"train", "validation", "test"}
    rest = (data.split == "rest").sum()
    if families:
        assert divided.family is not None
        assert data.family is not None
        for family in np.unique(divided.family):
            assert len(np.unique(divided.split[divided.family == family])) == 1
    else:
        assert abs((divided.split == "validation").sum() - 0.25 * rest) <= 1
    again = assign_splits(data, seed, plan).split
    np.testing.assert_array_equal(again, divided.split)


def test_the_seed_moves_validation_within_the_rest_alone() -> None:
    data = official(made(300), ["rest", "rest", "rest", "test"])
    drawn = [frozenset(rows_of(assign_splits(data, s), "validation")) for s in range(5)]
    assert len(set(drawn)) == 5
    assert len({frozenset(rows_of(assign_splits(data, s, PAPERS), "test")) for s in range(5)}) == 1


def test_an_official_validation_split_stays_and_a_fixed_test_split_is_drawn() -> None:
    data = official(made(400), ["rest", "rest", "validation"])
    one, other = assign_splits(data, 0), assign_splits(data, 1)
    assert rows_of(one, "validation") == rows_of(other, "validation") == rows_of(data, "validation")
    assert rows_of(one, "test") == rows_of(other, "test")
    assert len(one.part("test")) == pytest.approx(0.2 * len(data.part("rest")), abs=1)


def test_what_remains_of_the_rest_trains() -> None:
    data = official(made(200), ["rest", "validation", "test", "train"])
    divided = assign_splits(data, 0)
    assert rows_of(divided, "train") == rows_of(data, "train") | rows_of(data, "rest")
    assert rows_of(divided, "test") == rows_of(data, "test")


def test_all_the_rest_is_divided_as_rows_without_any_split() -> None:
    data = made(300)
    whole = replace(data, split=np.full(300, "rest"))
    for seed in range(3):
        np.testing.assert_array_equal(
            assign_splits(whole, seed).split, assign_splits(data, seed).split
        )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "validation", "test"], ["train", "validation", "test"]),
        (["train", "test"], ["rest", "test"]),
        (["train", "validation"], ["rest", "validation"]),
    ],
)
def test_an_absent_split_turns_training_rows_into_the_rest(
    names: list[str], expected: list[str]
) -> None:
    split, notes = complete_split(np.array(names), where="t")
    assert split.tolist() == expected
    assert len(notes) == (len(names) < 3)


@pytest.mark.parametrize("names", [["train"], ["test"], ["validation", "test"]])
def test_splits_to_which_no_others_can_be_drawn_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="t: no row of split"):
        complete_split(np.array(names), where="t")


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"test": 0.0}, r"data\.split\.test"),
        ({"validation": 1.0}, r"data\.split\.validation"),
        ({"validation": 0.5, "test": 0.5}, "nothing is left"),
        ({"mode": "random"}, r"data\.split\.mode.*'random'"),
    ],
)
def test_plans_that_cannot_be_are_refused(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SplitPlan(**plan)


@FAST
@given(st.integers(100, 400), st.integers(0, 20), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_scarcity_thins_the_group_in_training_alone(n: int, seed: int, kept: float) -> None:
    before = assign_splits(made(n, seed), seed)
    after = make_scarce(before, {"tone": {"dark": kept}}, seed)
    for part in ("validation", "test"):
        assert rows_of(after, part) == rows_of(before, part)

    def count(examples: Examples, tone: str) -> int:
        return int(examples.part("train").groups["tone"].contains(tone).sum())

    assert count(after, "light") == count(before, "light")
    assert abs(count(after, "dark") - kept * count(before, "dark")) <= 1


def test_a_row_in_two_scarce_groups_is_kept_with_the_product_of_their_shares() -> None:
    before = assign_splits(made(3000), 0)
    after = make_scarce(before, {"tone": {"dark": 0.5}, "place": {"x": 0.4}}, 0)

    def count(examples: Examples) -> int:
        train = examples.part("train")
        return int(
            (train.groups["tone"].contains("dark") & train.groups["place"].contains("x")).sum()
        )

    assert count(after) == pytest.approx(0.2 * count(before), abs=1)


def test_scarcity_keeps_the_labels_shares_and_hangs_on_the_seed() -> None:
    before = assign_splits(made(3000), 0)
    after = make_scarce(before, {"tone": {"dark": 0.2}}, 0)
    was = before.part("train").labels[before.part("train").groups["tone"].contains("dark")]
    left = after.part("train").labels[after.part("train").groups["tone"].contains("dark")]
    np.testing.assert_allclose(
        np.bincount(left) / len(left), np.bincount(was) / len(was), atol=0.03
    )
    again = make_scarce(before, {"tone": {"dark": 0.2}}, 0)
    other = make_scarce(before, {"tone": {"dark": 0.2}}, 1)
    assert rows_of(again, "train") == rows_of(after, "train")
    assert rows_of(other, "train") != rows_of(after, "train")


@pytest.mark.parametrize(
    ("scarcity", "message"),
    [
        ({"race": {"dark": 0.1}}, r"data\.scarcity\.race.*tone, place"),
        ({"tone": {"purple": 0.1}}, r"data\.scarcity\.tone\.purple.*dark, light"),
        ({"tone": {"dark": 1.5}}, r"data\.scarcity\.tone\.dark.*found 1\.5"),
    ],
)
def test_scarcity_of_what_is_not_there_is_refused(
    scarcity: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_scarce(assign_splits(made(60), 0), scarcity, 0)


@FAST
@given(st.integers(60, 400), st.integers(1, 60), st.integers(0, 20))
def test_training_is_limited_to_the_asked_number(n: int, rows: int, seed: int) -> None:
    before = assign_splits(made(n, seed), seed)
    after = limit_training(before, rows, seed)
    assert len(after.part("train")) == min(rows, len(before.part("train")))
    assert rows_of(after, "train") <= rows_of(before, "train")
    for part in ("validation", "test"):
        assert rows_of(after, part) == rows_of(before, part)


def test_no_training_rows_are_refused() -> None:
    with pytest.raises(InputError, match=r"data\.train_rows"):
        limit_training(assign_splits(made(60), 0), 0, 0)


def test_groups_are_crossed_with_each_other_and_with_the_label() -> None:
    examples = made(60)
    crossed = cross_groups(examples, [("tone", "label"), ("tone", "place")])
    words = np.array(examples.classes)[examples.labels]
    expected = [f"{t} & {w}" for t, w in zip(examples.groups["tone"].tolist(), words, strict=True)]
    assert crossed.groups["tone&label"].tolist() == expected
    assert list(crossed.groups)[-2:] == ["tone&label", "tone&place"]
    cell = expected[0]
    thin = make_scarce(assign_splits(crossed, 0), {"tone&label": {cell: 0.0}}, 0)
    assert cell not in thin.part("train").groups["tone&label"].tolist()
    for wrong, message in (
        (("tone", "colour"), r"data\.intersect.*tone,colour.*tone, place"),
        (("tone", "tone"), r"data\.intersect"),
    ):
        with pytest.raises(InputError, match=message):
            cross_groups(examples, [wrong])
    with pytest.raises(InputError, match=r"data\.intersect.*name is there"):
        cross_groups(crossed, [("tone", "label")])
