"""What an audit refuses: one line that says where, what was found and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fairlora.errors import InputError
from fairlora.metrics import audit, audit_predictions
from fairlora.predictions import Predictions, read_table

OK: dict[str, Any] = {"labels": [0, 1, 1], "predictions": [0, 1, 0], "groups": {"g": list("aba")}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [], "predictions": [], "groups": {}}, "labels: no rows"),
        ({"predictions": [0, 1]}, "predictions: another length (found 2; expected 3)"),
        ({"groups": {"g": ["a"]}}, "groups['g']: another length (found 1; expected 3)"),
        ({"labels": [0, None, 1]}, "labels, row 2: missing value"),
        ({"labels": ["x", "y", float("nan")]}, "labels, row 3: missing value"),
        (
            {"labels": [0.0, 0.5, 1.0]},
            "labels, row 2: a label must be a class, not a measurement (found 0.5",
        ),
        ({"predictions": [0, float("nan"), 1]}, "predictions, row 2"),
        ({"labels": [[0], [1], [1]]}, "labels: not one class a row (found a list where one name"),
        ({"labels": pd.Series([0, None, 1], dtype="Int64")}, "labels, row 2"),
        ({"positive": "x"}, "positive: no such class (found 'x'; expected one of 0, 1)"),
        ({"positive": "x", "probs": [0.1, 0.2, 0.3]}, "positive: no such class (found 'x'"),
        ({"classes": ["a", "b"], "labels": list("aca")}, "labels: a label is none of the classes"),
        ({"classes": ["a", "b"], "labels": [0, 2, 0]}, "labels: a label is none of the classes"),
        ({"probs": [[0.5, 0.5]]}, "probs: probabilities of another shape (found (1, 2)"),
        ({"probs": [[0.2, 0.3, 0.5]] * 3}, "probs: predictions and probabilities disagree"),
        (
            {"probs": [[0.2] * 5] * 3, "labels": list("aba"), "predictions": list("abb")},
            "probs: another number of probabilities than of classes (found 5; expected 2 (a, b)",
        ),
        ({"probs": [[[0.5]]] * 3}, "probs: probabilities of another shape (found (3, 1, 1)"),
        ({"probs": [0.1, -0.2, 0.3]}, "probs, row 2: a probability outside 0 to 1"),
        ({"probs": [[0.5, 0.5], [0.5], [1, 0]]}, "probs: not numbers"),
        ({"probs": [0.1, 0.2, 1.3]}, "probs, row 3: a probability outside 0 to 1"),
        (
            {"probs": [[0.5, 0.5], [0.7, 0.7], [1, 0]]},
            "probs, row 2: probabilities do not sum to 1",
        ),
        ({"probs": [0.1, float("nan"), 0.3]}, "probs, row 2: a probability outside 0 to 1"),
        ({"probs": ["high", "low", "low"]}, "probs: not numbers"),
        ({"loss": [1.0, 2.0]}, "loss: losses of another shape (found (2,); expected (3,))"),
        ({"loss": [1.0, float("inf"), 2.0]}, "loss, row 2: not a finite number"),
        ({"loss": ["much", "less", "none"]}, "loss: not numbers"),
        ({"bins": 0}, "bins: out of range (found 0; expected >= 1)"),
        (
            {"bins": 2.5},
            "bins: not a whole number (found 2.5",
        ),
        ({"level": 1 - 1e-16}, "level: out of range"),
        ({"level": 2}, "level: out of range (found 2; expected >= 0.5 and <= 0.999999)"),
        ({"level": float("nan")}, "level: out of range (found nan"),
        ({"bootstrap": -1}, "bootstrap: out of range (found -1; expected >= 0)"),
        ({"seed": -1}, "seed: out of range (found -1"),
        ({"power": 0}, "power: out of range (found 0; expected > 0 and < 1"),
        ({"max_groups": 1}, "group column 'g': too many groups (found 2 distinct values in 3 rows"),
        ({"intersect": [("g", "h")]}, "intersect: cannot combine these attributes (found g,h"),
        ({"intersect": [("g",)]}, "intersect: cannot combine these attributes (found g;"),
        ({"intersect": [()]}, "intersect: cannot combine these attributes (found nothing"),
        ({"suggests": {"g": {"z": "1"}}}, "suggests['g']: no such group (found 'z'"),
        ({"suggests": {"g": {"a": "7"}}}, "suggests['g']: no such class (found '7'"),
        ({"clusters": ["p", "q"]}, "clusters: another length (found 2; expected 3)"),
        ({"groups": {"g": np.zeros((3, 2))}}, "groups['g']: not one value a row"),
        ({"groups": {"g": 7}}, "groups['g']: not one value a row"),
        ({"labels": 7}, "labels: not one class a row (found a int, not a column)"),
        ({"labels": [0, 1]}, "predictions: another length (found 3; expected 2)"),
        ({"predictions": ["0", None, "1"]}, "predictions, row 2: missing value"),
        ({"predictions": np.array([0.0, 1.0, 1.5])}, "predictions, row 3: a label must be a class"),
        (
            {"labels": [0, 1.5, 1]},
            "labels, row 2: a label must be a class, not a measurement (found 1.5",
        ),
        ({"labels": pa.array([0.0, 0.5, 1.0])}, "labels, row 2: a label must be a class"),
        ({"labels": pd.Series([0, 0.5, 1], dtype="Float64")}, "labels, row 2: a label must be a"),
        ({"labels": np.array([0.0, 0.5, 1.0], dtype=object)}, "labels, row 2: a label must be a"),
        ({"labels": [0.0, None, 1.0]}, "labels, row 2"),
        ({"labels": [1, float("inf"), 0]}, "labels, row 2"),
        ({"labels": pd.Series(["x", None, "y"])}, "labels, row 2: missing value"),
        ({"labels": pa.array([0, None, 1])}, "labels, row 2: missing value"),
        (
            {"confidence": "high"},
            "confidence: unknown value (found 'high'; expected 'top' or",
        ),
        (
            {"confidence": "positive", "labels": [0, 1, 2]},
            "confidence: confidence='positive' needs two classes (found 3)",
        ),
    ],
)
def test_bad_input_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    assert audit(**OK).to_dict()["n"] == 3
    with pytest.raises(InputError) as caught:
        audit(**(OK | change))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_predicted_and_never_true_is_a_warning_and_no_error() -> None:
    found = audit(["cat", "dog", "cat"], ["cat", "owl", "cat"], {"g": list("aab")}).to_dict()
    assert found["classes"] == ["cat", "dog", "owl"]
    assert [text for text in found["warnings"] if "never a true label: 'owl'" in text]


def test_missing_group_values_are_a_group() -> None:
    for values in (["a", None, "b"], pd.Series(["a", None, "b"]), pa.array(["a", None, "b"])):
        found = audit([0, 1, 1], [0, 1, 1], {"g": values}).to_dict()["by_group"]["g"]
        assert list(found) == ["a", "b", "(missing)"]


def test_a_column_of_lists_may_hold_words_numbers_and_nothing() -> None:
    lists = [["a", 7], "a", None, [], [None, True], (1.5,)]

    def sizes(missing_group: Any) -> dict[str, int]:
        found = audit([0, 1] * 3, [0, 1] * 3, {"g": lists}, missing_group=missing_group)
        return {name: one["n"] for name, one in found.to_dict()["by_group"]["g"].items()}

    assert sizes("keep") == {"(missing)": 2, "1.5": 1, "7": 1, "True": 1, "a": 2}
    # A list of which a name is missing is missing; an empty one is known to be in no group.
    assert sizes("show") == {"1.5": 1, "7": 1, "a": 2, "(missing)": 2}


def test_ten_thousand_groups_are_taken_for_ids_and_refused() -> None:
    n = 10_000
    labels = np.arange(n) % 2
    words = [f"row {k}" for k in range(n)]
    for ids, kind in (
        (np.arange(n), "numbers"),
        (words, "values"),
        ([[w] for w in words], "values"),
    ):
        with pytest.raises(InputError) as caught:
            audit(labels, labels, {"id": ids})
        message = str(caught.value)
        assert message.startswith(
            f"group column 'id': too many groups (found 10,000 distinct {kind}"
        )
        assert "--max-groups" in message
        assert "\n" not in message


def test_as_many_groups_as_are_allowed_are_audited() -> None:
    labels = np.arange(40) % 2
    found = audit(labels, labels, {"g": np.arange(40)}, max_groups=40, bootstrap=0).to_dict()
    assert len(found["by_group"]["g"]) == 40


def test_a_combination_of_too_many_groups_names_the_combination() -> None:
    labels = np.arange(400) % 2
    groups = {"a": np.arange(400) // 20, "b": np.arange(400) % 20}
    with pytest.raises(InputError, match="group column 'a&b': too many groups .found 400 distinct"):
        audit(labels, labels, groups, intersect=[("a", "b")], max_groups=100)


def test_options_of_another_kind_are_refused_by_their_name() -> None:
    for name in ("bins", "bootstrap", "seed", "subgroups", "subgroup_size", "max_groups"):
        options: dict[str, Any] = {name: "many"}
        with pytest.raises(InputError, match=f"^{name}: "):
            audit(**OK, **options)


# The same through a file.

FILE = "y,h,p,p_0,p_1,g\n0,0,0.2,0.8,0.2,a\n1,1,0.7,0.3,0.7,b\n1,0,0.4,0.6,0.4,a\n"


@pytest.mark.parametrize(
    ("old", "new", "options", "message"),
    [
        ("1,1,0.7", ",1,0.7", {}, "column y, row 2: missing value"),
        ("1,1,0.7", "nan,1,0.7", {}, "column y, row 2: missing value"),
        ("1,1,0.7", "1,,0.7", {}, "column h, row 2: missing value"),
        ("1,1,0.7", "0.5,1,0.7", {}, "row 2: a label must be a class"),
        ("0.7,0.3", "1.7,0.3", {"probs": "p"}, "row 2: a probability outside 0 to 1"),
        ("0.3,0.7", "-0.3,1.3", {"probs": "p_"}, "row 2: a probability outside 0 to 1"),
        ("0.3,0.7", "0.5,0.7", {"probs": "p_"}, "row 2: probabilities do not sum to 1"),
        ("p_1", "q_1", {"probs": "p_"}, "no column 'p_', and no column 'p_1' of that prefix"),
        ("0,0,0.2", "2,0,0.2", {"probs": "p"}, "one column of probabilities serves two classes"),
        ("0,0,0.2", "2,0,0.2", {"probs": "p_"}, "no column 'p_2' of that prefix"),
        ("", "", {"groups": ["race"]}, "no column 'race' (expected one of y, h, p, p_0, p_1, g)"),
        ("", "", {"label": "truth"}, "no column 'truth'"),
        ("", "", {"cluster": "person"}, "(--cluster): no column 'person'"),
        (FILE[FILE.index("\n") + 1 :], "", {}, "the table has no rows"),
        (FILE, "", {}, "not a readable table"),
        ("p_0", "g", {}, "a column name stands twice (found 'g')"),
        ("0.3,0.7,b", "0.3,0.7,b,b", {}, "not a readable table"),
    ],
)
def test_a_file_is_refused_with_its_place(
    old: str, new: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_table(path, **{"label": "y", "pred": "h", "groups": ["g"], **options})
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text


def test_a_file_of_ids_for_groups_is_refused_by_the_audit(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = "".join(f"{k % 2},{k % 2},person {k}\n" for k in range(10_000))
    path.write_text("y,h,id\n" + rows, encoding="utf-8")
    table = read_table(path, label="y", pred="h", groups=["id"])
    with pytest.raises(InputError, match="group column 'id': too many groups .found 10,000"):
        audit_predictions(table)


def test_an_unknown_positive_class_of_a_file_is_refused_by_the_audit(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(FILE, encoding="utf-8")
    table = read_table(path, label="y", pred="h", groups=["g"])
    with pytest.raises(InputError, match="positive: no such class .found 'yes'; expected one of 0"):
        audit_predictions(table, positive="yes")


def test_a_file_with_a_class_never_true_is_read_and_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(FILE.replace("1,1,0.7", "1,9,0.7"), encoding="utf-8")
    table = read_table(path, label="y", pred="h", groups=["g"])
    assert table.classes == ("0", "1", "9")
    warnings = audit_predictions(table).to_dict()["warnings"]
    assert [text for text in warnings if "never a true label: '9'" in text]


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_loss_that_is_not_finite_is_refused_and_not_written_as_json(bad: float) -> None:
    table = Predictions(
        ids=np.array(["p", "q"]),
        split=np.full(2, "test"),
        labels=np.array([0, 1]),
        predictions=np.array([0, 1]),
        classes=("no", "yes"),
        groups={"g": np.array(["a", "b"])},
        loss=np.array([0.5, bad], dtype=np.float32),
    )
    with pytest.raises(InputError, match="loss of row q.*not a finite number"):
        audit_predictions(table)
