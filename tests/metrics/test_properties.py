"""What holds of every audit: numbers within their intervals, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.metrics import audit

SETTINGS = settings(derandomize=True, deadline=None, max_examples=20)
Numbers = Callable[[Any], dict[tuple[str, ...], dict[str, Any]]]
# The range of what is not a rate, by the path's last metric.
RANGES = {
    "confidence_gap": (-1.0, 1.0),
    "accuracy_difference": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "nll": (0.0, np.inf),
    "mean_loss": (-np.inf, np.inf),  # a loss may be anything
    "loss_variance": (0.0, np.inf),
    # The estimate itself may be negative; see `means.loss_variance`.
    "loss_variance_unbiased": (-np.inf, np.inf),
    "pairwise": (-1.0, 1.0),
}
SLACK = 1e-9


def content(rows: Any, order: Any = None, **options: Any) -> dict[str, Any]:
    """The audit of a table, its rows in another order at will."""
    place = np.arange(len(rows.labels)) if order is None else order
    options = {"bootstrap": 100, "min_group": 3, **options}
    if options.pop("scores", True):
        options["probs"] = rows.probs[place]
    names = [str(c) for c in range(rows.classes)]
    if rows.classes == 2:
        options.setdefault("positive", "1")
    return audit(
        rows.labels[place],
        rows.predictions[place],
        {"g": [rows.groups[k] for k in place]},
        classes=names,
        **options,
    ).to_dict()


def drawn(classes: int, n: int, seed: int = 0) -> Any:
    """A plain table of three groups, and scores that lean to the label."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, n)
    logits = random.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    groups = random.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    return y, p.argmax(axis=1), groups, p.astype(np.float32)


@pytest.mark.parametrize("classes", [2, 4])
@settings(SETTINGS, max_examples=30)
@given(data=st.data())
def test_every_number_lies_in_its_interval_and_that_in_the_numbers_range(
    data: st.DataObject, make_table: Callable[..., Any], numbers_of: Numbers, classes: int
) -> None:
    rows = data.draw(make_table(classes=(classes,), groups=(1, 2, 5), rows=(3, 30, 120)))
    found = numbers_of(content(rows, bootstrap=data.draw(st.sampled_from([0, 100]))))
    assert len(found) > 20
    for path, number in found.items():
        metric = "pairwise" if path[0] == "pairwise" else path[-1]
        least, most = RANGES.get(metric, (0.0, 1.0))
        value, low, high = (number[key] for key in ("value", "low", "high"))
        if value is not None:
            assert least - SLACK <= value <= most + SLACK, path
        if low is not None:
            if metric != "loss_variance_unbiased":
                assert low <= value + SLACK, path
                assert value <= high + SLACK, path
            assert least - SLACK <= low <= high <= most + SLACK, path


@settings(SETTINGS, max_examples=30)
@given(data=st.data())
def test_every_number_without_a_value_or_an_interval_says_why(
    data: st.DataObject, make_table: Callable[..., Any], numbers_of: Numbers
) -> None:
    rows = data.draw(make_table(classes=(2, 3), groups=(1, 2, 5), rows=(3, 30)))
    scores = data.draw(st.booleans())
    for path, number in numbers_of(content(rows, scores=scores)).items():
        assert (number["low"] is None) == (number["high"] is None), path
        if number["value"] is None:
            assert number["low"] is None, path
        if number["low"] is None:
            assert number.get("reason"), path
        else:
            assert "reason" not in number, path


@pytest.mark.parametrize("classes", [2, 3])
def test_ten_times_the_rows_at_the_same_rates_give_narrower_intervals(
    classes: int, numbers_of: Numbers
) -> None:
    y, h, groups, p = drawn(classes, 240)
    names = [str(c) for c in range(classes)]

    def widths(times: int) -> dict[tuple[str, ...], float]:
        found = audit(
            np.tile(y, times),
            np.tile(h, times),
            {"g": np.tile(groups, times)},
            np.tile(p, (times, 1)),
            classes=names,
            positive="1" if classes == 2 else None,
        ).to_dict()
        return {
            path: number["high"] - number["low"]
            for path, number in numbers_of(found).items()
            if number["low"] is not None
        }

    once, tenfold = widths(1), widths(10)
    assert once.keys() == tenfold.keys()
    assert len(once) > 50
    for path, width in once.items():
        if path[-1].startswith("loss_variance"):
            continue  # its width goes with its value, which goes down to the truth
        # By the root of ten, and less where an end is held by 0 or 1.
        assert 0 < tenfold[path] < 0.8 * width, path


@SETTINGS
@given(data=st.data())
def test_rows_in_another_order_give_exactly_the_same_audit(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(2, 3), groups=(1, 5), rows=(3, 60)))
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(rows.labels))
    assert content(rows, order, scores=False) == content(rows, scores=False)


@settings(SETTINGS, max_examples=10)
@given(data=st.data())
def test_rows_in_another_order_give_the_same_scores_but_for_rounding(
    data: st.DataObject, make_table: Callable[..., Any], numbers_of: Numbers
) -> None:
    rows = data.draw(make_table(classes=(2, 3), groups=(1, 5), rows=(3, 60)))
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(rows.labels))
    one, other = (numbers_of(content(rows, o)) for o in (None, order))
    assert one.keys() == other.keys()
    for path, number in one.items():
        ends = [(number[key], other[path][key]) for key in ("value", "low", "high")]
        assert all((a is None) == (b is None) for a, b in ends), path
        known = [pair for pair in ends if pair[0] is not None]
        assert [a for a, _ in known] == pytest.approx([b for _, b in known], abs=1e-4), path


def test_rows_of_overlapping_groups_in_another_order_give_exactly_the_same_audit() -> None:
    y, h, _, _ = drawn(2, 120)
    random = np.random.default_rng(3)
    lists = [[name for name in "abc" if random.random() < 0.5] for _ in y]
    order = random.permutation(len(y))
    one = audit(y, h, {"g": lists}, positive=1, min_group=3).to_dict()
    other = audit(y[order], h[order], {"g": [lists[k] for k in order]}, positive=1, min_group=3)
    assert other.to_dict() == one


def test_renaming_groups_only_renames_them() -> None:
    y, h, groups, p = drawn(2, 150)
    names = {"a": "A & co", "b": "b|x", "c": "d"}  # in the same order
    one = audit(y, h, {"g": groups}, p, positive=1)
    other = audit(y, h, {"g": [names[g] for g in groups]}, p, positive=1)

    def renamed(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {names.get(k, k): renamed(v) for k, v in thing.items()}
        if isinstance(thing, list):
            return [renamed(v) for v in thing]
        return names.get(thing, thing) if isinstance(thing, str) else thing

    assert renamed(one.to_dict()) == other.to_dict()


@pytest.mark.parametrize("classes", [2, 3])
def test_an_attribute_more_changes_no_number_of_the_others(
    classes: int, numbers_of: Numbers
) -> None:
    y, h, groups, p = drawn(classes, 150)
    other = np.random.default_rng(1).choice(list("xyz"), 150)
    options: dict[str, Any] = {"positive": 1} if classes == 2 else {}
    alone = audit(y, h, {"g": groups}, p, **options).to_dict()
    both = audit(y, h, {"first": other, "g": groups}, p, intersect=[("first", "g")], **options)
    assert list(both.to_dict()["by_group"]) == ["first", "g", "first&g"]
    for part in ("by_group", "disparities", "pairwise"):
        assert both.to_dict()[part]["g"] == alone[part]["g"]
    for name, number in numbers_of(both.to_dict()["overall"]).items():
        # But for rounding: all rows may be added up group by group.
        assert number["value"] == pytest.approx(alone["overall"][name[0]]["value"], rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_same_seed_gives_the_same_numbers(classes: int) -> None:
    y, h, groups, p = drawn(classes, 150)
    one, other = (audit(y, h, {"g": groups}, p, seed=7).to_dict() for _ in range(2))
    assert one == other


@pytest.mark.parametrize("classes", [2, 3])
def test_another_seed_changes_what_is_drawn_and_only_slightly(
    classes: int, numbers_of: Numbers
) -> None:
    y, h, groups, p = drawn(classes, 240)
    one, other = (numbers_of(audit(y, h, {"g": groups}, p, seed=seed).to_dict()) for seed in (0, 1))
    moved = 0
    for path, number in one.items():
        assert number["value"] == other[path]["value"], path
        if number["low"] is None:
            continue
        width = number["high"] - number["low"]
        for end in ("low", "high"):
            assert abs(number[end] - other[path][end]) <= 0.08 * width, path
            moved += number[end] != other[path][end]
    assert moved > 0


@pytest.mark.parametrize("level", [0.8, 0.99])
def test_a_higher_level_gives_wider_intervals(level: float, numbers_of: Numbers) -> None:
    y, h, groups, p = drawn(2, 150)

    def audited(wanted: float) -> dict[tuple[str, ...], dict[str, Any]]:
        return numbers_of(audit(y, h, {"g": groups}, p, positive=1, level=wanted).to_dict())

    usual, other = audited(0.95), audited(level)
    for path, number in usual.items():
        if number["low"] is None or path[-1].startswith("loss_variance"):
            continue
        narrow, wide = (number, other[path]) if level > 0.95 else (other[path], number)
        assert wide["low"] <= narrow["low"] + SLACK, path
        assert narrow["high"] <= wide["high"] + SLACK, path


def test_undefined_and_missing_groups_are_kept_apart() -> None:
    found = audit([0, 1, 1, 0], [0, 1, 0, 0], {"g": ["a", None, float("nan"), "a"]}).to_dict()
    assert list(found["by_group"]["g"]) == ["a", "(missing)"]
    assert found["by_group"]["g"]["(missing)"]["n"] == 2
    assert found["by_group"]["g"]["a"]["tpr"]["reason"] == "no rows of this class"
