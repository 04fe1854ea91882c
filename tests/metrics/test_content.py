"""The JSON of results: its schema, held by an outside validator, and results recorded long ago."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import fairlora
from fairlora.metrics import AuditResult, PairedResult, SelectionResult, Settings, TargetsResult
from fairlora.metrics.comparison.paired import compare_over_seeds, compare_predictions
from fairlora.metrics.content import AuditContent, Number, ScoreContent
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.numeric.content import NumericContent
from fairlora.predictions import Predictions
from fairlora.privacy import PrivacyResult, compare_attacks, roc
from fairlora.privacy.content import PrivacyContent
from fairlora.privacy.paired import PairedPrivacyResult
from fairlora.report.result import Record, Result

# Written by the code that had plain dicts.
RECORDED = Path(__file__).parent / "recorded"


def small_audit(seed: int, classes: list[str], **options: Any) -> AuditResult:
    rng = np.random.default_rng(seed)
    n, c = options.pop("n", 90), len(classes)
    labels = rng.integers(0, c, n)
    raw = rng.random((n, c)) + 1.2 * np.eye(c)[labels]
    probs = raw / raw.sum(axis=1, keepdims=True) if options.pop("probs", True) else None
    race = rng.choice(["x", "y", "z"], n).tolist()
    race[::10] = [None] * len(race[::10])
    groups: dict[str, Any] = {"race": race, "sex": rng.choice(["f", "m"], n).tolist()}
    if options.pop("lists", False):
        groups["tags"] = [[t for t in "ab" if rng.random() < 0.5] for _ in range(n)]
    if options.pop("clustered", False):
        options["clusters"] = rng.integers(0, n // 3, n)
    named = [[classes[k] for k in codes] for codes in (labels.tolist(), raw.argmax(1).tolist())]
    given = {"bootstrap": 60, "bins": 3, "classes": classes, **options}
    return fairlora.audit(*named, groups, probs, **given)


def small_attack(seed: int, **options: Any) -> PrivacyResult:
    rng = np.random.default_rng(seed)
    n = options.pop("n", 240)
    member = rng.random(n) < 0.5
    scores = {"one": rng.normal(size=n) + member, "two": np.round(rng.normal(size=n))}
    groups = {"g": rng.choice(np.array([*"abc", None]), n, p=[0.5, 0.3, 0.1, 0.1])}
    if options.pop("clustered", False):
        options["clusters"] = np.arange(n) // 4
    return roc(scores, member, groups, **{"permutations": 15, "min_group": 5, **options})


def two_tables(seed: int, n: int = 120) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(seed)
    rows = np.random.default_rng(9)  # the same labels and groups whatever the seed
    labels = rows.integers(0, 2, n)
    groups = {"sex": rows.choice(["f", "m"], n).tolist(), "race": rows.choice([*"xyz"], n).tolist()}
    raw = [np.clip(0.25 + 0.4 * labels + rng.normal(0, s, n), 0.01, 0.99) for s in (0.3, 0.35)]
    return tuple(  # type: ignore[return-value]
        predictions_of(labels, p > 0.5, groups, np.stack([1 - p, p], axis=1)) for p in raw
    )


def two_attacks(seed: int) -> PairedPrivacyResult:
    rng = np.random.default_rng(seed)
    member = rng.random(300) < 0.5
    first = rng.normal(size=300) + member
    groups = {"g": rng.choice(np.array([*"ab", None]), 300, p=[0.7, 0.27, 0.03])}
    second = first + rng.normal(size=300)
    return compare_attacks(first, second, member, groups, fprs=(0.1, 0.01), bootstrap=200)


def small_decisions(**options: Any) -> SelectionResult:
    rng = np.random.default_rng(3)
    race = rng.choice(["x", "y", "z", "Unknown"], 150, p=[0.6, 0.3, 0.05, 0.05]).tolist()
    groups = {"race": race, "sex": rng.choice(["f", "m"], 150).tolist()}
    return fairlora.audit_decisions(rng.choice(["no", "yes"], 150), groups, bootstrap=60, **options)


def small_targets(**options: Any) -> TargetsResult:
    rng = np.random.default_rng(4)
    probs = {name: rng.random(100) for name in ("Edema", "Fracture")}
    labels = {k: (rng.random(100) < 0.2 + 0.6 * p).astype(float) for k, p in probs.items()}
    labels["Edema"][:4] = [-1, -1, np.nan, np.nan]
    groups = {"sex": rng.choice(["f", "m"], 100).tolist()}
    given = {"uncertain": "positive", "blank": "drop", "bootstrap": 60, **options}
    return fairlora.audit_targets(labels, probs, groups, **given)


TWO, THREE = ["no", "yes"], ["no", "maybe", "yes"]
CASES: dict[str, Callable[[], Result[Any]]] = {
    "audit_two_classes": lambda: small_audit(
        0, TWO, positive="yes", subgroups=2, subgroup_size=5, power=0.1, lists=True
    ),
    "audit_three_classes": lambda: small_audit(
        1, THREE, suggests={"sex": {"f": "yes"}}, clustered=True, n=60
    ),
    "audit_without_probabilities": lambda: small_audit(
        2, TWO, probs=False, intersect=[("race", "sex")], missing_group="keep", n=24
    ),
    "audit_all_alike": lambda: fairlora.audit(
        [0, 1] * 20, [0, 1] * 20, {"g": list("aabb") * 10}, positive=1, bootstrap=60
    ),
    "attack": lambda: small_attack(0),
    "comparison": lambda: PairedResult(
        compare_predictions(*two_tables(1), Settings(bootstrap=200, bins=3))
    ),
    "comparison_over_seeds": lambda: PairedResult(
        compare_over_seeds(
            *({seed: two_tables(seed)[k] for seed in (1, 2, 3)} for k in (0, 1)),
            Settings(bootstrap=200, min_group=50),
            margins={"brier": 0.05},
        )
    ),
    "comparison_attacks": lambda: two_attacks(2),
    "decisions": lambda: small_decisions(standard="nyc-ll144", positive="yes"),
    "decisions_clustered": lambda: small_decisions(clusters=np.arange(150) // 3),
    "targets": small_targets,
    "attack_clustered": lambda: small_attack(1, clustered=True, fprs=(0.1, 0.01), n=120),
}


def same(found: Any, expected: Any, where: str = "") -> None:
    """The same keys in the same order; numbers may differ by rounding."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key, value in expected.items():
            same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for k, value in enumerate(expected):
            same(found[k], value, f"{where}[{k}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), where
    else:
        assert (type(found), found) == (type(expected), expected), where


@pytest.mark.parametrize("name", CASES)
def test_a_result_is_what_it_was(name: str) -> None:
    text = (RECORDED / f"{name}.json").read_text(encoding="utf-8")
    result = CASES[name]()
    content = type(result.content).model_validate_json(text)
    assert type(result)(content).to_json() == text  # type: ignore[call-arg]
    same(json.loads(result.to_json()), json.loads(text))
    held(result, validator_of(type(result.content)))


def held(result: Result[Any], validator: jsonschema.Draft202012Validator) -> None:
    text = result.to_json()
    validator.validate(json.loads(text))
    again = type(result.content).model_validate_json(text)
    assert type(result)(again).to_json() == text  # type: ignore[call-arg]
    assert again.to_dict() == result.to_dict()


@cache
def validator_of(model: type[Record]) -> Any:
    schema = model.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.data())
def test_every_audit_is_as_its_schema_says(data: st.DataObject) -> None:
    draw = data.draw
    classes = draw(st.sampled_from([TWO, THREE]))
    options: dict[str, Any] = {
        "n": draw(st.integers(3, 70)),
        "min_group": draw(st.integers(0, 20)),
        "bootstrap": draw(st.sampled_from([0, 40])),
        "missing_group": draw(st.sampled_from(["show", "keep"])),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "probs": st.just(False),
                    "lists": st.just(True),
                    "clustered": st.just(True),
                    "power": st.just(0.1),
                    "four_fifths": st.just(True),
                    "suggests": st.just({"sex": {"f": "yes"}}),
                    "intersect": st.just([("race", "sex")]),
                },
            )
        ),
    }
    if not options.get("clustered"):
        options |= {"subgroups": draw(st.integers(0, 2)), "subgroup_size": 2}
    try:
        result = small_audit(draw(st.integers(0, 99)), classes, **options)
    except fairlora.errors.InputError:
        return  # such as three rows all of one sex
    held(result, validator_of(AuditContent))


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.integers(0, 99), st.integers(12, 300), st.booleans(), st.sampled_from([0, 9]))
def test_every_attack_is_as_its_schema_says(
    seed: int, n: int, clustered: bool, permutations: int
) -> None:
    result = small_attack(seed, n=n, clustered=clustered, permutations=permutations)
    held(result, validator_of(PrivacyContent))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("clustered", [True, False])
def test_every_audit_of_scores_is_as_its_schema_says(binary: bool, clustered: bool) -> None:
    rng = np.random.default_rng(0)
    groups = np.where(rng.random(60) < 0.1, None, rng.choice(["a", "b", "c"], 60))
    scores = rng.integers(0, 2, 60) if binary else rng.normal(size=60)
    result = fairlora.audit_scores(
        scores, {"g": groups}, clusters=rng.integers(0, 20, 60) if clustered else None, bootstrap=40
    )
    held(result, validator_of(ScoreContent))


@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    st.integers(0, 99),
    st.integers(1, 60),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (0.5,), (0.1, 0.9)]),
)
def test_every_audit_of_measurements_is_as_its_schema_says(
    seed: int, n: int, clustered: bool, predicted: bool, levels: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random(n) < 0.1, None, rng.choice(["a", "b", "c"], n))
    y, p = rng.integers(0, 5, size=(2, n))
    if not (predicted or levels):
        return
    result = fairlora.audit_numeric(
        y, p if predicted else None, {"g": groups},
        quantiles={level: p + 3 * level for level in levels},
        clusters=rng.integers(0, 20, n) if clustered else None, bootstrap=40, min_group=3,
    )  # fmt: skip
    held(result, validator_of(NumericContent))
    result.to_markdown()


def test_the_schema_refuses_what_is_no_audit() -> None:
    validator, plain = validator_of(AuditContent), CASES["audit_all_alike"]().to_dict()
    for spoil in (
        lambda d: d.pop("overall"),
        lambda d: d.update(more=1),
        lambda d: d["overall"]["accuracy"].pop("low"),
        lambda d: d["overall"]["accuracy"].update(value="0.5"),
        lambda d: d["settings"].update(confidence="bottom"),
    ):
        spoiled = json.loads(json.dumps(plain))
        spoil(spoiled)
        assert not validator.is_valid(spoiled)
        with pytest.raises(ValidationError):
            AuditContent.model_validate(spoiled, strict=True)


def test_every_key_of_a_model_has_its_words_in_the_schema() -> None:
    """A description, or a name that the model's own words explain."""
    for model in (*(type(make().content) for make in CASES.values()), ScoreContent):
        schema = model.model_json_schema()
        for name, part in {"whole": schema, **schema["$defs"]}.items():
            assert part.get("description"), name


def test_an_undefined_number_is_null_and_says_why() -> None:
    undefined = Number.undefined("no rows")
    assert json.dumps(undefined.to_dict()) == (
        '{"value": null, "low": null, "high": null, "reason": "no rows"}'
    )
