"""The same values give one audit, whatever holds them: containers, types, spellings, orders.

Set FAIRLORA_EXAMPLES=2000 for the long form of the drawn test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import Settings, audit_predictions
from fairlora.metrics.stream import audit_stream
from fairlora.predictions import read_table
from fairlora.predictions.classes import class_rules

EXAMPLES = int(os.environ.get("FAIRLORA_EXAMPLES", "100"))
Make = Callable[[list[Any]], Any]


def objects(values: list[Any]) -> Any:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


# Containers of whole numbers, by what a person would call them.
NUMBERS: dict[str, Make] = {
    "list": list,
    "tuple": tuple,
    "list of floats": lambda v: [float(x) for x in v],
    "list of words": lambda v: [str(x) for x in v],
    "list of float words": lambda v: [f"{x}.0" for x in v],
    "list of decimals": lambda v: [Decimal(x) for x in v],
    "mixed list": lambda v: [float(x) if k % 2 else x for k, x in enumerate(v)],
    "numpy int64": np.array,
    "numpy int8": lambda v: np.array(v, dtype=np.int8),
    "numpy uint16": lambda v: np.array(v, dtype=np.uint16),
    "numpy float64": lambda v: np.array(v, dtype=float),
    "numpy float16": lambda v: np.array(v, dtype=np.float16),
    "numpy words": lambda v: np.array([str(x) for x in v]),
    "numpy bytes": lambda v: np.array([str(x).encode() for x in v]),
    "numpy objects": objects,
    "numpy masked": lambda v: np.ma.array(v, mask=np.zeros(len(v), dtype=bool)),
    "pandas int": pd.Series,
    "pandas odd index": lambda v: pd.Series(v, index=range(len(v), 0, -1)),
    "pandas float": lambda v: pd.Series(v, dtype=float),
    "pandas object": lambda v: pd.Series(v, dtype=object),
    "pandas string": lambda v: pd.Series([str(x) for x in v], dtype="string"),
    "pandas Int64": lambda v: pd.Series(v, dtype="Int64"),
    "pandas Float64": lambda v: pd.Series(v, dtype="Float64"),
    "pandas arrow int": lambda v: pd.Series(v, dtype="int64[pyarrow]"),
    "pandas arrow float": lambda v: pd.Series(v, dtype="double[pyarrow]"),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "pandas category of floats": lambda v: pd.Series([float(x) for x in v], dtype="category"),
    "pandas category of words": lambda v: pd.Series([str(x) for x in v], dtype="category"),
    "pandas sparse": lambda v: pd.Series(v, dtype=pd.SparseDtype(int)),
    "pandas index": pd.Index,
    "pandas frame": lambda v: pd.DataFrame({"one": v}),
    "polars int": pl.Series,
    "polars float": lambda v: pl.Series(v).cast(pl.Float64),
    "polars string": lambda v: pl.Series([str(x) for x in v]),
    "polars categorical": lambda v: pl.Series([str(x) for x in v]).cast(pl.Categorical),
    "polars decimal": lambda v: pl.Series(v).cast(pl.Decimal(10, 2)),
    "polars frame": lambda v: pl.DataFrame({"one": v}),
    "arrow int": pa.array,
    "arrow float": lambda v: pa.array([float(x) for x in v]),
    "arrow half": lambda v: pa.array(np.array(v, dtype=np.float16)),
    "arrow decimal": lambda v: pa.array([Decimal(x) for x in v]),
    "arrow string": lambda v: pa.array([str(x) for x in v]),
    "arrow string_view": lambda v: pa.array([str(x) for x in v], pa.string_view()),
    "arrow large_string": lambda v: pa.array([str(x) for x in v], pa.large_string()),
    "arrow binary": lambda v: pa.array([str(x).encode() for x in v], pa.binary()),
    "arrow dictionary": lambda v: pa.array([str(x) for x in v]).dictionary_encode(),
    "arrow dictionary of floats": lambda v: pa.array([float(x) for x in v]).dictionary_encode(),
    "arrow chunks": lambda v: pa.chunked_array([v[:3], v[3:]]),
    "arrow table": lambda v: pa.table({"one": v}),
    "torch int": torch.tensor,
    "torch uint8": lambda v: torch.tensor(v, dtype=torch.uint8),
    "torch half": lambda v: torch.tensor(v, dtype=torch.float16),
    "torch bfloat16": lambda v: torch.tensor(v, dtype=torch.bfloat16),
    "torch with gradient": lambda v: torch.tensor(v, dtype=torch.float32, requires_grad=True),
}
# Containers of truth values, for 0 and 1 alone.
TRUTHS: dict[str, Make] = {
    "bools": lambda v: [bool(x) for x in v],
    "numpy bool": lambda v: np.array(v, dtype=bool),
    "pandas bool": lambda v: pd.Series(v, dtype=bool),
    "pandas boolean": lambda v: pd.Series(v, dtype="boolean"),
    "pandas category of bools": lambda v: pd.Series([bool(x) for x in v], dtype="category"),
    "polars bool": lambda v: pl.Series(v).cast(pl.Boolean),
    "arrow bool": lambda v: pa.array([bool(x) for x in v]),
    "torch bool": lambda v: torch.tensor(v, dtype=torch.bool),
    "words": lambda v: ["True" if x else "False" for x in v],
    "small words": lambda v: ["true" if x else "false" for x in v],
}
WORDS: dict[str, Make] = {
    "list": list,
    "numpy words": np.array,
    "numpy bytes": lambda v: np.array([x.encode() for x in v]),
    "numpy objects": objects,
    "numpy masked": lambda v: np.ma.array(v, mask=np.zeros(len(v), dtype=bool)),
    "pandas": pd.Series,
    "pandas object": lambda v: pd.Series(v, dtype=object),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "polars": pl.Series,
    "polars enum": lambda v: pl.Series(v, dtype=pl.Enum(sorted(set(v)))),
    "arrow": pa.array,
    "arrow string_view": lambda v: pa.array(v, pa.string_view()),
    "arrow dictionary": lambda v: pa.array(v).dictionary_encode(),
}
LABELS = [1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1]
PREDICTED = [1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1]
SEX = ["f", "m"] * 6
POSITIVE = [0.9, 0.3, 0.05, 0.6, 0.8, 0.1, 0.7, 0.4, 0.75, 0.25, 0.55, 0.65]


def content(labels: Any, predictions: Any, groups: Any, *more: Any, **options: Any) -> Any:
    options = {"bootstrap": 0, "min_group": 1, "positive": 1, **options}
    return fairlora.audit(labels, predictions, groups, *more, **options).to_dict()


@pytest.fixture(scope="module")
def expected() -> Any:
    return content(LABELS, PREDICTED, {"sex": SEX}, POSITIVE)


@pytest.mark.parametrize("kind", NUMBERS | TRUTHS)
def test_labels_of_every_kind(kind: str, expected: Any) -> None:
    make = (NUMBERS | TRUTHS)[kind]
    assert content(make(LABELS), make(PREDICTED), {"sex": SEX}, POSITIVE) == expected
    assert content(make(LABELS), PREDICTED, {"sex": SEX}, POSITIVE) == expected
    assert content(LABELS, make(PREDICTED), {"sex": SEX}, POSITIVE) == expected


@pytest.mark.parametrize("kind", WORDS)
def test_words_of_every_kind(kind: str) -> None:
    words = np.array(["no", "yes"])
    y, h = words[LABELS].tolist(), words[PREDICTED].tolist()
    usual = content(y, h, {"sex": SEX}, POSITIVE, positive="yes")
    make = WORDS[kind]
    assert content(make(y), make(h), {"sex": make(SEX)}, POSITIVE, positive="yes") == usual
    assert usual["overall"]["accuracy"]["value"] == 9 / 12


@pytest.mark.parametrize("positive", [1, 1.0, True, "1", "1.0", "True", np.True_, np.int8(1)])
def test_the_positive_class_by_any_spelling(positive: Any, expected: Any) -> None:
    found = content(LABELS, PREDICTED, {"sex": SEX}, POSITIVE, positive=positive)
    assert found == expected


GROUPS: dict[str, Any] = {
    "mapping": {"sex": SEX},
    "pandas frame": pd.DataFrame({"sex": SEX}),
    "pandas series": pd.Series(SEX, name="sex"),
    "polars frame": pl.DataFrame({"sex": SEX}),
    "polars series": pl.Series("sex", SEX),
    "arrow table": pa.table({"sex": SEX}),
    "mapping of masked": {"sex": np.ma.array(SEX, mask=[False] * 12)},
}


@pytest.mark.parametrize("kind", GROUPS)
def test_groups_of_every_kind(kind: str, expected: Any) -> None:
    assert content(LABELS, PREDICTED, GROUPS[kind], POSITIVE) == expected


@pytest.mark.parametrize("groups", [SEX, np.array(SEX), pa.array(SEX), tuple(SEX)])
def test_groups_without_a_name_are_called_group(groups: Any, expected: Any) -> None:
    found = content(LABELS, PREDICTED, groups, POSITIVE)
    assert found["by_group"] == {"group": expected["by_group"]["sex"]}


BOTH = np.stack([1 - np.array(POSITIVE), POSITIVE], axis=1)
PROBS: dict[str, Any] = {
    "array": BOTH,
    "float32": BOTH.astype(np.float32),
    "lists": BOTH.tolist(),
    "list of arrays": list(BOTH),
    "masked": np.ma.array(BOTH),
    "torch": torch.tensor(BOTH, requires_grad=True),
    "frame by name": pd.DataFrame({1: POSITIVE, 0: BOTH[:, 0]}),
    "frame by words": pd.DataFrame({"1": POSITIVE, "0": BOTH[:, 0]}),
    "frame by prefix": pd.DataFrame({"proba_1": POSITIVE, "proba_0": BOTH[:, 0]}),
    "frame by place": pd.DataFrame(BOTH),
    "polars": pl.DataFrame({"p1": POSITIVE, "p0": BOTH[:, 0]}),
    "arrow": pa.table({"1.0": POSITIVE, "0.0": BOTH[:, 0]}),
    "dict": {True: POSITIVE, False: BOTH[:, 0].tolist()},
    "arrow lists": pa.array(BOTH.tolist()),
    "arrow fixed lists": pa.array(BOTH.tolist(), pa.list_(pa.float64(), 2)),
    "pandas lists": pd.Series(list(BOTH)),
    "positive series": pd.Series(POSITIVE),
    "positive polars": pl.Series(POSITIVE),
    "positive arrow": pa.array(POSITIVE),
    "positive decimals": [Decimal(str(p)) for p in POSITIVE],
    "negative by its name": pd.Series(BOTH[:, 0], name="p_0"),
}


@pytest.mark.parametrize("kind", PROBS)
def test_probabilities_of_every_kind(kind: str, expected: Any) -> None:
    found = content(LABELS, PREDICTED, {"sex": SEX}, PROBS[kind])
    for name in ("auc", "ece", "brier", "nll"):
        assert found["overall"][name]["value"] == pytest.approx(
            expected["overall"][name]["value"], abs=1e-6
        )


# Drawn: classes, containers, spellings of missing labels, orders of probabilities, ways in.

CLASSES: dict[str, list[Any]] = {
    "0 and 1": [0, 1],
    "1 to 3": [1, 2, 3],
    "8 to 11": [8, 9, 10, 11],
    "words": ["negative", "neutral", "positive"],
    "numbered words": ["class_1", "class_10", "class_9"],
    "two words": ["approved", "denied"],
}
MISSING = ["NULL", "None", "N/A", "<NA>", "?", "", "nan", None, float("nan"), pd.NA]


def numbers_of(thing: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    out: dict[tuple[str, ...], Any] = {}
    if isinstance(thing, dict):
        for key, part in thing.items():
            if key not in ("warnings", "left_out"):
                out |= numbers_of(part, (*path, str(key)))
    elif isinstance(thing, list):
        for place, part in enumerate(thing):
            out |= numbers_of(part, (*path, str(place)))
    else:
        out[path] = thing
    return out


def of_lowest_auc(path: tuple[str, ...]) -> bool:
    ends = {"worst", "best", "also_worst", "also_best"}
    return any("auc" in part for part in path) and not ends.isdisjoint(path)


def same(found: Any, wanted: Any, near_auc: float) -> None:
    """All numbers of two audits are equal, but for the digits of float32 and of histograms."""
    one, two = numbers_of(found), numbers_of(wanted)
    if near_auc > 1e-5:  # who is lowest may be another, where AUCs are nearly equal
        one, two = (
            {path: value for path, value in numbers.items() if not of_lowest_auc(path)}
            for numbers in (one, two)
        )
    assert list(one) == list(two)
    for path, value in two.items():
        if isinstance(value, float) and not isinstance(value, bool):
            near = near_auc if any("auc" in part for part in path) else 1e-5
            assert one[path] == pytest.approx(value, abs=near), path
        else:
            assert one[path] == value, path


@pytest.mark.timeout(3 * EXAMPLES)
@settings(
    derandomize=EXAMPLES == 100,
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_one_audit_whatever_holds_the_values(
    data: st.DataObject, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    classes = CLASSES[data.draw(st.sampled_from(sorted(CLASSES)))]
    c, n = len(classes), int(rng.integers(40, 80))
    y = rng.integers(0, c, n)
    y[:c] = range(c)
    probs = rng.dirichlet(np.full(c, 0.4), n) + 0.6 * np.eye(c)[y] * (rng.random(n) < 0.7)[:, None]
    probs /= probs.sum(axis=1, keepdims=True)
    h = probs.argmax(axis=1)
    groups = rng.choice(["1", "01", "NA", "b "], n)
    labels, predicted = [classes[k] for k in y], [classes[k] for k in h]
    positive = str(classes[1]) if c == 2 else None
    options: dict[str, Any] = {"bootstrap": 0, "min_group": 1}
    wanted = fairlora.audit(
        labels, predicted, {"g": groups}, probs, classes=classes, positive=positive, **options
    ).to_dict()

    lost = np.zeros(n, dtype=bool)
    spelled = data.draw(st.sampled_from(MISSING))
    if data.draw(st.booleans()):
        lost = rng.random(n) < 0.2
        lost[:c] = False
        rows = np.flatnonzero(~lost)
        wanted = fairlora.audit(
            [labels[k] for k in rows],
            [predicted[k] for k in rows],
            {"g": groups[rows]},
            probs[rows],
            classes=classes,
            positive=positive,
            **options,
        ).to_dict()
    rules = {"missing_label": "drop" if lost.any() else "refuse"}
    held = [spelled if gone else one for one, gone in zip(labels, lost, strict=True)]
    order = rng.permutation(c).tolist()
    way = data.draw(st.sampled_from(["python", "csv", "parquet", "stream"]))
    form = data.draw(st.sampled_from(["names", "stated", "one"] if c == 2 else ["names", "stated"]))
    if way == "python":
        kinds = (
            (NUMBERS | TRUTHS if classes == [0, 1] else NUMBERS)
            if isinstance(classes[0], int)
            else WORDS
        )
        make = kinds[data.draw(st.sampled_from(sorted(kinds)))]
        given_probs: Any = pd.DataFrame({classes[k]: probs[:, k] for k in order})
        if form == "stated":
            given_probs = probs[:, order].tolist()
            rules["classes"] = np.array([classes[k] for k in order])  # type: ignore[assignment]
        elif form == "one":
            given_probs = pd.Series(probs[:, order[0]], name=f"p_{classes[order[0]]}")
        truth = objects(held) if lost.any() else make(labels)
        found = fairlora.audit(
            truth,
            make(predicted),
            {"g": groups},
            given_probs,
            positive=positive,
            **options,
            **rules,
        ).to_dict()
    else:
        columns: dict[str, Any] = {
            "y": [None if pd.isna(one) else str(one) for one in held],
            "h": predicted,
            "g": groups,
        }
        if form == "stated" and way != "csv":
            columns["p"] = list(probs[:, order])
            rules["classes"] = [classes[k] for k in order]  # type: ignore[assignment]
        else:
            form = "one" if form == "one" else "names"
            columns |= {f"p_{classes[k]}": probs[:, k] for k in order}
        name = "p" if "p" in columns else "p_"
        if form == "one":
            name = f"p_{classes[order[0]]}"
        folder = tmp_path_factory.mktemp("files")
        frame = pd.DataFrame(columns)
        roles: dict[str, Any] = {
            "label": "y",
            "pred": "h",
            "probs": name,
            "groups": ["g"],
            "positive": positive,
            "rules": class_rules(rules.get("classes"), rules["missing_label"]),
        }
        chosen = Settings(positive=positive, **options)
        if way == "csv":
            frame.to_csv(folder / "t.csv", index=False)
            table = read_table(folder / "t.csv", **roles)
            found = audit_predictions(table, chosen).to_dict()
        elif way == "parquet":
            frame.to_parquet(folder / "t.parquet", index=False)
            found = audit_predictions(read_table(folder / "t.parquet", **roles), chosen).to_dict()
        else:
            whole = pa.Table.from_pandas(frame, preserve_index=False)
            for k, (start, end) in enumerate([(0, n // 3), (n // 3, n)]):
                pq.write_table(whole.slice(start, end - start), folder / f"{k}.parquet")
            found = audit_stream(folder, settings=chosen, **roles).to_dict()
    # A stream ranks scores by histograms: near ones are ties, and a group here has a dozen rows.
    near_auc = 0.05 if way == "stream" else 1e-5
    if form == "stated":  # the order of the classes is another, and no number but a class's place
        assert found["classes"] == [str(classes[k]) for k in order]
        assert found["overall"]["accuracy"] == wanted["overall"]["accuracy"]
        for part in ("auc", "brier", "ece"):
            assert found["overall"][part]["value"] == pytest.approx(
                wanted["overall"][part]["value"], abs=near_auc if part == "auc" else 1e-5
            )
    else:
        same(found, wanted, near_auc)
    assert found["left_out"] == ({"missing label": int(lost.sum())} if lost.any() else {})
    if lost.any():
        assert any(
            text.startswith(f"left out: {lost.sum()} of {n} rows") for text in found["warnings"]
        )
        with pytest.raises(InputError, match="missing value") as caught:
            fairlora.audit(objects(held), predicted, {"g": groups}, probs, classes=classes)
        assert "\n" not in str(caught.value)


def test_a_folder_and_its_rows_in_memory_say_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, 300).astype(float)
    frame = pd.DataFrame({"y": rng.integers(0, 2, 300), "h": rng.integers(0, 2, 300), "age": age})
    frame.loc[:20, "age"] = np.nan
    frame.loc[100:110, "y"] = -100
    frame.iloc[:150].to_parquet(tmp_path / "a.parquet")
    frame.iloc[150:].to_parquet(tmp_path / "b.parquet")
    rules = class_rules(ignore=-100)
    options = {"positive": 1, "bootstrap": 0}
    for bins in ("30,60", "quantiles:3"):
        streamed = audit_stream(
            tmp_path,
            label="y",
            pred="h",
            groups=["age"],
            rules=rules,
            bins={"age": bins},
            settings=Settings(positive="1", bootstrap=0),
        )
        edges: Any = [30, 60] if bins == "30,60" else bins
        whole = fairlora.audit(
            frame["y"],
            frame["h"],
            frame[["age"]],
            ignore_label=-100,
            bin_groups={"age": edges},
            **options,
        )
        assert streamed.to_dict() == whole.to_dict()
        assert whole.to_dict()["left_out"] == {"label -100": 11}
        assert list(whole.to_dict()["by_group"]["age"])[-1] == "(missing)"
