"""What an audit takes: labels, probabilities and groups of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from fairlora.errors import InputError
from fairlora.metrics import AuditResult, audit, audit_predictions
from fairlora.predictions import Predictions

LABELS = [1, 1, 0, 0, 1, 0, 1, 0]
PREDICTED = [1, 0, 0, 1, 1, 0, 1, 0]
SEX = ["f", "f", "f", "f", "m", "m", "m", "m"]
POSITIVE = [0.9, 0.3, 0.05, 0.6, 0.8, 0.1, 0.7, 0.4]


def small(**options: Any) -> AuditResult:
    """The audit of the eight rows above."""
    options = {"positive": 1, "min_group": 1, **options}
    return audit(LABELS, PREDICTED, {"sex": SEX}, POSITIVE, **options)


def as_words(values: list[int]) -> list[str]:
    return [str(v) for v in values]


@pytest.mark.parametrize(
    "kind",
    [
        tuple,
        np.array,
        torch.tensor,
        pd.Series,
        as_words,
        lambda v: np.array(v, dtype=bool),
        lambda v: np.array(v, dtype=float),
        lambda v: [float(x) for x in v],
        lambda v: list(np.array(v, dtype=float)),
        lambda v: [float(x) if k % 3 else x for k, x in enumerate(v)],
        lambda v: np.array([float(x) for x in v], dtype=object),
        lambda v: pd.Series(v, dtype="Float64"),
        lambda v: torch.tensor(v, dtype=torch.float16),
        lambda v: pa.array([float(x) for x in v]),
        pa.array,
        lambda v: pa.chunked_array([v[:3], v[3:]]),
        lambda v: np.array(v, dtype=object),
        lambda v: pd.Series(v, dtype="Int64"),
        lambda v: pd.Series(as_words(v), dtype="category"),
        lambda v: torch.tensor(v, dtype=torch.int8),
    ],
    ids=[
        "tuple",
        "numpy",
        "torch",
        "pandas",
        "words",
        "bool",
        "float",
        "list of floats",
        "list of NumPy floats",
        "list of integers and floats",
        "object of floats",
        "nullable float",
        "half",
        "arrow float",
        "arrow",
        "chunked",
        "object",
        "nullable",
        "category",
        "int8",
    ],
)
def test_labels_of_every_kind_give_the_same_audit(kind: Callable[[list[int]], Any]) -> None:
    result = audit(
        kind(LABELS), kind(PREDICTED), {"sex": pd.Series(SEX)}, POSITIVE, positive=1, min_group=1
    )
    assert result.to_dict() == small().to_dict()


@pytest.mark.parametrize("kind", [list, np.array, np.float64, pd.Series, torch.tensor, pa.array])
def test_labels_and_predictions_may_be_of_two_kinds(kind: Callable[[list[int]], Any]) -> None:
    result = audit(kind(LABELS), PREDICTED, {"sex": SEX}, POSITIVE, positive=1, min_group=1)
    assert result.to_dict() == small().to_dict()


@pytest.mark.parametrize(
    "probs",
    [
        [[1 - p, p] for p in POSITIVE],
        np.array(POSITIVE, dtype=np.float32),
        torch.tensor([[1 - p, p] for p in POSITIVE], requires_grad=True),
        pd.DataFrame({"no": [1 - p for p in POSITIVE], "yes": POSITIVE}).to_numpy(),
        pd.DataFrame({1: POSITIVE, 0: [1 - p for p in POSITIVE]}),
    ],
    ids=["lists", "of the positive", "torch", "pandas", "by name"],
)
def test_probabilities_of_every_kind_give_the_same_audit(probs: Any) -> None:
    result = audit(LABELS, PREDICTED, {"sex": SEX}, probs, positive=1, min_group=1)
    got, expected = result.to_dict(), small().to_dict()
    for name in ("ece", "brier", "nll", "confidence_gap"):
        assert got["overall"][name]["value"] == pytest.approx(expected["overall"][name]["value"])


def test_one_column_of_probabilities_is_of_the_positive_class() -> None:
    words = ["yes" if y else "no" for y in LABELS]
    groups = {"sex": SEX}
    of_yes = audit(words, words, groups, POSITIVE, positive="yes").to_dict()
    of_no = audit(words, words, groups, [1 - p for p in POSITIVE], positive="no").to_dict()
    assert of_yes["classes"] == ["no", "yes"]
    assert of_no["overall"]["brier"]["value"] == pytest.approx(of_yes["overall"]["brier"]["value"])


def test_integer_groups_and_missing_values() -> None:
    def names(values: Any) -> set[str]:
        found = audit(LABELS[:3], PREDICTED[:3], {"g": values}).to_dict()
        return set(found["by_group"]["g"])

    assert names(torch.tensor([3, 4, 3])) == {"3", "4"}
    assert names(["a", None, float("nan")]) == {"a", "(missing)"}
    assert names(np.array([1, np.nan, 2], dtype=np.float32)) == {"1", "2", "(missing)"}
    assert names(pd.Series(["a", None, "b"], dtype="string")) == {"a", "b", "(missing)"}
    assert names(pd.Series([1, None, 2], dtype="Int64")) == {"1", "2", "(missing)"}
    assert names([["a", "bc"], None, ["bc", None]]) == {"a", "bc", "(missing)"}
    assert names([["a", "bc"], "bc", ("a",)]) == {"a", "bc"}


def test_classes_that_no_row_has_may_be_named() -> None:
    names = ["cat", "dog", "owl"]
    found = audit(
        ["cat", "dog", "dog"], ["cat", "dog", "cat"], {"g": ["a", "a", "b"]}, classes=names
    ).to_dict()
    assert found["classes"] == names
    tpr = found["by_group"]["g"]["a"]["tpr"]["by_class"]
    assert tpr["dog"]["value"] == 1
    assert tpr["owl"]["value"] is None


def test_numbers_are_ordered_by_size_and_words_by_letter() -> None:
    assert audit([10, 9], [9, 9], {"g": ["a", "b"]}).to_dict()["classes"] == ["9", "10"]
    assert audit(["10", "9"], ["9", "9"], {"g": ["a", "b"]}).to_dict()["classes"] == ["9", "10"]
    assert audit(["b10", "b9"], ["b9"] * 2, {"g": ["a", "b"]}).to_dict()["classes"] == ["b10", "b9"]


def test_a_predictions_table_gives_the_same_audit_and_its_own_losses() -> None:
    p = np.array(POSITIVE)
    table = Predictions(
        ids=np.arange(8),
        split=np.full(8, "test"),
        labels=np.array(LABELS),
        predictions=np.array(PREDICTED),
        classes=("0", "1"),
        groups={"sex": np.array(SEX)},
        probs=np.stack([1 - p, p], axis=1).astype(np.float32),
    )
    assert audit_predictions(table, positive="1", min_group=1).to_dict() == small().to_dict()
    losses = np.arange(8, dtype=np.float32)
    content = small(loss=losses).to_dict()
    assert content["overall"]["mean_loss"]["value"] == 3.5
    assert content["disparities"]["sex"]["loss_variance"]["value"] == 4


GROUPS = {"sex": SEX}


def refusal(*arguments: Any, **options: Any) -> str:
    """The one line that an audit is refused with."""
    with pytest.raises(InputError) as caught:
        audit(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0.0, 1.0]),
        torch.tensor([0, 1]),
        pd.Index([0, 1]),
        pl.Series([0, 1]),
        pa.array([0, 1]),
        range(2),
        pd.Categorical([0, 1]),
        [False, True],
    ],
)
def test_stated_classes_of_every_kind(classes: Any) -> None:
    assert small(classes=classes).to_dict() == small().to_dict()


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (2, "not a list of labels"),
        ({0, 1}, "states no order"),
        ({0: "no", 1: "yes"}, "states no order"),
        ([[0, 1]], "not a list of labels"),
        (np.array([[0, 1]]), "not a list of labels"),
        ([0, None], "a missing value"),
        ([0, 1, ""], "an empty name"),
        ("01", "one word"),
    ],
)
def test_what_states_no_classes_is_refused(classes: Any, expected: str) -> None:
    assert expected in refusal(LABELS, PREDICTED, GROUPS, POSITIVE, classes=classes)


@pytest.mark.parametrize("ignore", [-100, [-100, 7], np.array(-100), torch.tensor([-100])])
def test_ignored_labels_of_every_kind(ignore: Any) -> None:
    found = audit([*LABELS, -100], [*PREDICTED, 0], {"sex": [*SEX, "f"]}, ignore_label=ignore)
    assert found.to_dict()["left_out"] == {"label -100": 1}
    assert found.to_dict()["n"] == len(LABELS)


@pytest.mark.parametrize("positive", [torch.tensor(0), np.array(0), np.int8(0), "False"])
def test_a_positive_class_of_every_kind(positive: Any) -> None:
    assert audit(LABELS, PREDICTED, GROUPS, positive=positive).to_dict()["positive"] == "0"


def test_one_column_of_the_other_class_is_refused_with_what_to_do() -> None:
    line = refusal(LABELS, PREDICTED, GROUPS, POSITIVE, positive=0)
    assert "taken as probabilities of '0'" in line
    assert "they fit those of '1': name the column (or Series) after its class, as in p_1" in line
    named = pd.Series(POSITIVE, name="p_1")
    content = audit(LABELS, PREDICTED, GROUPS, named, positive=0, min_group=1).to_dict()
    assert content["overall"]["brier"] == small().to_dict()["overall"]["brier"]


def test_rows_left_out_need_no_probabilities_nor_losses() -> None:
    nan = float("nan")
    found = audit(
        [*LABELS, None],
        [*PREDICTED, 1],
        {"sex": [*SEX, "f"]},
        [*POSITIVE, nan],
        loss=[*range(8), nan],
        missing_label="drop",
        positive=1,
        min_group=1,
    ).to_dict()
    wanted = small(loss=range(8)).to_dict()
    for name in ("overall", "by_group", "disparities"):
        assert found[name] == wanted[name]
    line = refusal([None, 0, 1], [0, 0, 1], ["a"] * 3, [nan, 0.1, nan], missing_label="drop")
    assert "row 3: a probability outside 0 to 1" in line


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (pd.DataFrame(index=range(8)), "no groups"),
        ({1: SEX, "1": SEX}, "two attributes have one name"),
        (pl.DataFrame({"sex": SEX}).lazy(), "a lazy frame"),
    ],
)
def test_groups_that_are_none(groups: Any, expected: str) -> None:
    assert expected in refusal(LABELS, PREDICTED, groups)


def test_groups_of_rarer_kinds() -> None:
    def names(values: Any) -> list[str]:
        return list(audit(LABELS, PREDICTED, {"g": values}).to_dict()["by_group"]["g"])

    ages = pd.Series([20, 40] * 4)
    assert names(pd.cut(ages, [0, 30, 60])) == ["(0, 30]", "(30, 60]"]
    words = pd.Series(SEX, dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string())))
    assert names(words) == ["f", "m"]
    assert names([frozenset({"a", "b"}), frozenset({"b"})] * 4) == ["a", "b"]
    assert names(list(torch.tensor([3, 4] * 4))) == ["3", "4"]
    assert names([np.array(3), np.array(4)] * 4) == ["3", "4"]


def test_rows_of_pandas_are_paired_by_place_and_another_order_of_the_index_is_said() -> None:
    order = list(range(7, -1, -1))
    frame = pd.DataFrame({"sex": SEX}, index=order)
    found = audit(pd.Series(LABELS), PREDICTED, frame, POSITIVE, positive=1, min_group=1)
    content = found.to_dict()
    said = [text for text in content["warnings"] if "index" in text]
    assert said == [
        "the index of groups is that of labels in another order: rows are paired by place, not "
        "by index"
    ]
    assert content["by_group"] == small().to_dict()["by_group"]
    same = audit(pd.Series(LABELS, index=order), PREDICTED, frame).to_dict()
    assert not any("index" in text for text in same["warnings"])


def test_probabilities_rounded_in_other_ways() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(40, 0.2), 300)
    labels, predicted = rng.integers(0, 40, 300), probs.argmax(axis=1)
    labels[:40] = range(40)
    digits = np.array([[float(f"{p:.3g}") for p in row] for row in probs])
    bits = torch.tensor(probs).bfloat16()
    for rounded in (probs.round(4), probs.round(3), digits, bits):
        values = np.asarray(rounded.float() if rounded is bits else rounded, dtype=np.float64)
        off = np.abs(values.sum(axis=1) - 1) > 1e-3
        scaled = np.where(off[:, None], values / values.sum(axis=1, keepdims=True), values)
        top = values.argmax(axis=1)
        found = audit(labels, top, {"g": labels % 2}, rounded, bootstrap=0).to_dict()
        brier = ((scaled - np.eye(40)[labels]) ** 2).sum(axis=1).mean()
        assert found["overall"]["brier"]["value"] == pytest.approx(brier, abs=1e-6)
        said = any(f"probabilities of {off.sum()} rows are rounded" in t for t in found["warnings"])
        assert said == bool(off.any())
    line = refusal(labels, predicted, {"g": labels % 2}, probs * 1.004)
    assert "do not sum to 1" in line


def test_what_arithmetic_leaves_beside_0_and_1_is_taken_for_them() -> None:
    noisy = np.where(np.array(PREDICTED)[:, None] == 1, [-1e-9, 1 + 1e-9], [1 + 1e-9, -1e-9])
    found = audit(LABELS, PREDICTED, GROUPS, noisy, min_group=1, positive=1).to_dict()
    assert found["overall"]["brier"]["value"] == 2 * 2 / 8  # two rows are wrong
    one = audit(LABELS, PREDICTED, GROUPS, noisy[:, 1], min_group=1, positive=1).to_dict()
    assert one["overall"]["brier"]["value"] == 2 * 2 / 8


@pytest.mark.parametrize("kind", [pl.List(pl.Float64), pl.Array(pl.Float64, 2)])
def test_lists_of_polars_have_no_names(kind: Any) -> None:
    rows = pl.Series([[1 - p, p] for p in POSITIVE], dtype=kind)
    found = audit(LABELS, PREDICTED, GROUPS, rows, positive=1, min_group=1).to_dict()
    assert found["overall"]["auc"] == small().to_dict()["overall"]["auc"]


def test_clusters_are_one_a_row() -> None:
    assert "one cluster" in refusal(LABELS, PREDICTED, GROUPS, clusters=[["a", "b"]] * 8)
    assert "clusters, row 3" in refusal(LABELS, PREDICTED, GROUPS, clusters=[1, 1, None, *"abcde"])


def test_attributes_named_by_numbers_are_put_into_ranges() -> None:
    found = audit(LABELS, PREDICTED, {1: range(8)}, bin_groups={1: [4]}).to_dict()
    assert list(found["by_group"]["1"]) == ["under 4", "4 and over"]
