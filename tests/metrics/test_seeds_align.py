"""Tables brought to common seeds, rows and classes, and the line that says where they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics.comparison.align import Runs, runs_of
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions

LABELS = [0, 1] * 20
GROUPS = {"g": ["a"] * 20 + ["b"] * 20}


def table(labels: Any = None, predicted: Any = None, **options: Any) -> Predictions:
    labels = LABELS if labels is None else labels
    groups = options.pop("groups", {"g": GROUPS["g"][: len(labels)]})
    made = predictions_of(labels, labels if predicted is None else predicted, groups, **options)
    return replace(made, ids=np.array([f"row{k:02}" for k in range(len(made))]))


def align(
    first: dict[int, Predictions], second: dict[int, Predictions], *, same_rows: bool = True
) -> Runs:
    return runs_of(first, second, ("LoRA", "full"), Settings(), [], same_rows=same_rows)


def test_rows_are_brought_to_one_order_by_id() -> None:
    rng = np.random.default_rng(0)
    plain = table(predicted=rng.integers(0, 2, 40))
    mixed = {k: plain.take(rng.permutation(40)) for k in range(3)}
    block = align(mixed, mixed).blocks[0]
    for one in block.flat:
        assert one.ids.tolist() == mixed[0].ids.tolist()
        assert one.predictions.tolist() == mixed[0].predictions.tolist()
        assert one.labels.tolist() == block.labels.tolist()


def test_classes_are_those_of_all_tables() -> None:
    lazy = predictions_of(["cat"] * 4, ["cat"] * 4, {})
    other = predictions_of(["cat"] * 4, ["cat", "cow", "cat", "owl"], {})
    found = align({0: lazy}, {0: other})
    assert found.classes == ("cat", "cow", "owl")
    assert found.blocks[0].flat[1].predictions.tolist() == [0, 1, 0, 2]
    probs = np.full((4, 2), 0.5)
    two = predictions_of([2, 10] * 2, [2, 10] * 2, {}, probs, classes=["2", "10"])
    three = predictions_of([2, 10] * 2, [2, 5] * 2, {}, classes=["2", "5", "10"])
    found = align({0: two}, {0: three})
    assert found.classes == ("2", "5", "10")
    moved = found.blocks[0].flat[0]
    assert moved.probs is not None
    assert moved.probs[0].tolist() == [0.5, 0, 0.5]


def without(made: Predictions, row: int) -> Predictions:
    return made.take(np.delete(np.arange(len(made)), row))


def relabelled(made: Predictions, row: int) -> Predictions:
    labels = np.array(made.labels)
    labels[row] = 1 - labels[row]
    return replace(made, labels=labels)


def regrouped(made: Predictions, row: int, group: str) -> Predictions:
    names = made.groups["g"].tolist()
    names[row] = group
    return replace(made, groups={"g": names})


def test_rows_that_differ_are_named_by_seed_and_id() -> None:
    good = table()
    for changed, message in (
        (
            without(good, 7),
            "seed 4 of full: not the same rows .found no row 'row07' .1 rows differ.; "
            "expected the ids of seed 2 of LoRA",
        ),
        (
            replace(good, ids=np.array([*good.ids[:-1], "extra"])),
            "seed 4 of full: not the same rows .found no row 'row39' .2 rows differ.",
        ),
        (
            replace(good, ids=np.array([*good.ids[:-1], "row00"])),
            "seed 4 of full: an id stands twice .found 'row00'",
        ),
        (
            relabelled(good, 5),
            "seed 4 of full, row 'row05': another label .found 0; expected 1, as in seed 2 of LoRA",
        ),
        (
            regrouped(good, 3, "b"),
            "seed 4 of full, row 'row03': another group of 'g' "
            ".found b .1 rows differ.; expected a, as in seed 2 of LoRA",
        ),
        (
            replace(good, loss=np.array([np.nan, *np.ones(39)], dtype=np.float32)),
            "seed 4 of full, loss of row 'row00': not a finite number",
        ),
    ):
        with pytest.raises(InputError, match=message):
            align({2: good, 4: good}, {2: good, 4: changed})
    extra = table([*LABELS, 0], groups={"g": [*GROUPS["g"], "a"]})
    with pytest.raises(InputError, match="seed 2 of full: .* a row 'row40'"):
        align({2: good}, {2: extra})
    with pytest.raises(InputError, match="seed 2 of LoRA: an id stands twice"):
        align({2: replace(good, ids=np.zeros(40))}, {2: good})


def test_where_rows_vary_with_the_seed_only_the_two_of_a_seed_are_compared() -> None:
    small, large = table(), table(LABELS[:30])
    found = align({0: small, 1: large}, {0: small, 1: large}, same_rows=False)
    assert [len(block) for block in found.blocks] == [40, 30]
    with pytest.raises(InputError, match="seed 1 of full: not the same rows"):
        align({0: small, 1: large}, {0: small, 1: small}, same_rows=False)


def test_blocks_have_the_groups_of_all_and_the_same_attributes() -> None:
    one = table(groups={"g": ["b"] * 20 + ["c"] * 20})
    two = table(groups={"g": ["a"] * 20 + ["b"] * 20})
    found = align({0: one, 1: two}, {0: one, 1: two}, same_rows=False)
    names = [block.columns["g"].names for block in found.blocks]
    assert names == [("b", "c", "a")] * 2
    assert found.blocks[1].columns["g"].tolist() == ["a"] * 20 + ["b"] * 20
    bare = table(groups={})
    with pytest.raises(InputError, match="seed 1 of LoRA: not the same attributes .found none"):
        align({0: one, 1: bare}, {0: one, 1: bare}, same_rows=False)


def test_groups_in_another_order_of_lists_are_the_same() -> None:
    lists = [["x", "y"], ["y"]] * 20
    one = table(groups={"g": lists})
    two = table(groups={"g": [list(reversed(names)) for names in lists]})
    assert align({0: one}, {0: two}).attributes == ["g"]
    three = table(groups={"g": [["x"], ["y"]] * 20})
    with pytest.raises(InputError, match="another group of 'g'"):
        align({0: one}, {0: three})


def test_a_table_without_the_groups_takes_the_firsts() -> None:
    assert align({0: table()}, {0: table(groups={})}).attributes == ["g"]
