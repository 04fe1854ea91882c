"""Groups from whatever people hold them in, as attributes by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fairlora
from fairlora.errors import InputError
from fairlora.predictions.attributes import named_columns

RACE, SEX = ["a", "b", "c"] * 4, ["f", "m"] * 6
FRAME = pd.DataFrame({"race": RACE, "sex": SEX})
TABLE = pa.table({"race": RACE, "sex": SEX})


class Stream:
    """What hands over an Arrow stream and has nothing else, as a DuckDB relation."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.held.__arrow_c_stream__(requested_schema)


class Array:
    """What hands over an Arrow array."""

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return pa.array(RACE).__arrow_c_array__(requested_schema)


class Interchanged:
    """What hands over a frame by the dataframe interchange protocol."""

    def __dataframe__(self, *arguments: Any, **options: Any) -> Any:
        return TABLE.__dataframe__(*arguments, **options)


def hugging_face() -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict({"race": RACE, "sex": SEX})


def tensor() -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor([[k % 3, k % 2] for k in range(12)])


TWO: dict[str, Any] = {
    "mapping": {"race": RACE, "sex": np.array(SEX)},
    "mapping of series": {"race": FRAME["race"], "sex": pl.Series(SEX)},
    "pandas": FRAME,
    "index of levels": pd.MultiIndex.from_frame(FRAME),
    "polars": pl.DataFrame({"race": RACE, "sex": SEX}),
    "Arrow table": TABLE,
    "Arrow batch": TABLE.to_batches()[0],
    "Arrow structs": TABLE.to_struct_array(),
    "Arrow stream": Stream(TABLE),
    "interchange": Interchanged(),
    "records of NumPy": FRAME.to_records(index=False),
    "structured array": np.array(list(zip(RACE, SEX, strict=True)), "U2,U2").view(
        [("race", "U2"), ("sex", "U2")]
    ),
    "records": FRAME.to_dict("records"),
    "Hugging Face": hugging_face,
}
ONE: dict[str, tuple[Any, str]] = {
    "list": (RACE, "group"),
    "array": (np.array(RACE), "group"),
    "Series": (FRAME["race"], "race"),
    "Series without a name": (pd.Series(RACE), "group"),
    "index": (pd.Index(RACE, name="race"), "race"),
    "categorical": (pd.Categorical(RACE), "group"),
    "polars": (pl.Series("race", RACE), "race"),
    "Arrow": (TABLE["race"], "group"),
    "Arrow stream of one column": (Stream(TABLE["race"]), "group"),
    "Arrow array": (Array(), "group"),
}
LABELS = [0, 1] * 6


@pytest.mark.parametrize("name", TWO)
def test_several_attributes(name: str) -> None:
    held = TWO[name]
    result = fairlora.audit(LABELS, LABELS, held() if callable(held) else held, bootstrap=0)
    groups = result.content.by_group
    assert {name: list(found) for name, found in groups.items()} == {
        "race": ["a", "b", "c"],
        "sex": ["f", "m"],
    }
    assert groups["race"]["a"].n == 4


@pytest.mark.parametrize("name", ONE)
def test_one_attribute(name: str) -> None:
    held, attribute = ONE[name]
    groups = fairlora.audit(LABELS, LABELS, held, bootstrap=0).content.by_group
    assert {name: list(found) for name, found in groups.items()} == {attribute: ["a", "b", "c"]}


@pytest.mark.parametrize("make", [FRAME.to_numpy, tensor])
def test_a_matrix_has_an_attribute_a_column(make: Any) -> None:
    found = fairlora.audit(LABELS, LABELS, make(), bootstrap=0).content.by_group
    assert {name: len(groups) for name, groups in found.items()} == {"group 1": 3, "group 2": 2}


def test_records_that_lack_a_key_are_missing_there() -> None:
    found = named_columns([{"race": "a", "sex": "f"}, {"race": "b"}])
    assert found == {"race": ["a", "b"], "sex": ["f", None]}


def test_a_table_is_taken_by_the_same_protocols() -> None:
    whole = TABLE.append_column("y", pa.array(LABELS)).append_column("h", pa.array(LABELS))
    result = fairlora.audit(Stream(whole), label="y", pred="h", groups=["race"], bootstrap=0)
    assert result.content.n == 12


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (["race", "sex"], "names of columns without a table"),
        ("race", "no groups"),
        (pl.LazyFrame({"race": RACE}), "collect"),
        (pd.DataFrame(), "no groups"),
        (FRAME[:0], "another length"),
        (FRAME.groupby("race"), "groups"),
        (pd.DataFrame(np.array([RACE, SEX]).T, columns=["g", "g"]), "one name"),
        ({"race": "race"}, "not one value a row"),
        (set(RACE), "a set"),
        (3, "a int"),
        ((FRAME["race"], FRAME["sex"]), "Series where one name should stand"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_holds_no_groups_is_refused_in_one_line(groups: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        fairlora.audit(LABELS, LABELS, groups, bootstrap=0)
    assert "\n" not in str(caught.value)
