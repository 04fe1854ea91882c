"""`roc`: its numbers against scikit-learn and by hand, what it can resolve, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score, roc_curve

from fairlora.errors import InputError
from fairlora.privacy import PrivacyResult, roc
from fairlora.privacy.operating_points import resolution

NAN = float("nan")
RNG = np.random.default_rng(0)
N = 3000
MEMBER = RNG.random(N) < 0.5
GROUP = RNG.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1])
SCORES = RNG.normal(size=N) + MEMBER * np.where(GROUP == "a", 0.5, 1.5)


@pytest.fixture(scope="module")
def result() -> PrivacyResult:
    return roc(SCORES, MEMBER, {"skin": GROUP}, permutations=99)


def test_every_number_is_scikit_learns(result: PrivacyResult) -> None:
    groups = {"all": (np.ones(N, dtype=bool), result.overall())}
    groups |= {g: (g == GROUP, one) for g, one in result.attack()["by_group"]["skin"].items()}
    for inside, one in groups.values():
        scores, member = SCORES[inside], MEMBER[inside]
        assert one["auc"]["value"] == pytest.approx(roc_auc_score(member, scores))
        assert (one["members"], one["non_members"]) == (member.sum(), (~member).sum())
        fpr, tpr, _ = roc_curve(member, scores, drop_intermediate=False)
        for key, point in one["tpr_at_fpr"].items():
            if point["value"] is not None:
                assert point["value"] == pytest.approx(tpr[fpr <= float(key) + 1e-12].max())
                assert point["fpr"]["value"] <= float(key)
                assert point["low"] <= point["value"] <= point["high"]
                assert point["at_fpr"]["low"] <= point["value"] <= point["at_fpr"]["high"]
        best = ((1 + tpr - fpr) / 2).max()
        assert one["balanced_accuracy_best"]["value"] == pytest.approx(best)
        for point in one["curve"]:
            assert point["tpr"] == pytest.approx(tpr[fpr <= point["fpr"] + 1e-12].max())
            assert 0 <= point["low"] <= point["tpr"] <= point["high"] <= 1


@pytest.mark.parametrize("tied", [False, True])
def test_the_p_value_is_mann_and_whitneys(tied: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        member = rng.permutation(60) < 25
        scores = rng.integers(0, 9, 60).astype(float) if tied else rng.normal(size=60)
        expected = mannwhitneyu(
            scores[member], scores[~member], alternative="greater", method="asymptotic"
        ).pvalue
        found = roc(scores, member, permutations=0).overall()["auc"]["p"]
        assert found == pytest.approx(expected)


def test_global_thresholds_are_those_of_all_rows(result: PrivacyResult) -> None:
    for key, whole in result.overall()["tpr_at_fpr"].items():
        for group, one in result.attack()["by_group"]["skin"].items():
            point = one["tpr_at_global_threshold"][key]
            if whole["value"] is None:
                assert point["value"] is None
                assert point["reason"]
                continue
            assert point["threshold"] == whole["threshold"]
            mine = group == GROUP
            above = whole["threshold"] < SCORES
            assert point["value"] == pytest.approx(above[mine & MEMBER].mean())
            assert point["fpr"]["value"] == pytest.approx(above[mine & ~MEMBER].mean())


def test_balanced_accuracy_is_crossed_and_the_best_is_not(result: PrivacyResult) -> None:
    one = result.overall()
    assert one["balanced_accuracy"]["value"] <= one["balanced_accuracy_best"]["value"]
    assert one["balanced_accuracy_best"]["low"] is None
    assert "too large" in one["balanced_accuracy_best"]["reason"]


def test_the_best_balanced_accuracy_of_noise_is_as_expected_by_chance() -> None:
    rng = np.random.default_rng(1)
    member = np.arange(400) < 150
    found = [
        roc(rng.normal(size=400), member, permutations=0, seed=k).overall() for k in range(200)
    ]
    best = np.mean([one["balanced_accuracy_best"]["value"] for one in found])
    assert best == pytest.approx(found[0]["balanced_accuracy_best"]["expected_by_chance"], abs=6e-3)
    crossed = np.mean([one["balanced_accuracy"]["value"] for one in found])
    assert crossed == pytest.approx(0.5, abs=6e-3)
    covered = [
        one["balanced_accuracy"]["low"] <= 0.5 <= one["balanced_accuracy"]["high"] for one in found
    ]
    assert np.mean(covered) > 0.9


@pytest.mark.parametrize(
    ("non_members", "word", "needed"),
    [(99, "unresolvable", 100), (100, "coarse", 1000), (999, "coarse", 1000), (1000, "fine", None)],
)
def test_what_an_fpr_of_1_percent_takes(non_members: int, word: str, needed: int | None) -> None:
    found = resolution(0.01, non_members)
    assert found["resolution"] == word
    assert found.get("non_members_needed") == needed


def test_an_unresolvable_point_has_no_number_and_says_what_it_takes() -> None:
    """The papers' TPR at 0.1 % with some 96 members is not measurable."""
    member = np.arange(192) < 96
    point = roc(np.arange(192.0)[::-1], member).overall()["tpr_at_fpr"]["0.001"]
    assert point["value"] is None
    assert point["low"] is None
    assert point["resolution"] == "unresolvable"
    assert point["non_members_needed"] == 1000
    assert point["reason"] == ("0.1 % of 96 non-members is less than one of them: it takes 1,000")


def test_perfect_and_reversed_scores() -> None:
    member = np.arange(400) < 200
    perfect = roc(member.astype(float) + 0.001 * RNG.random(400), member).overall()
    assert perfect["auc"]["value"] == 1
    assert perfect["auc"]["low"] > 0.95
    assert perfect["tpr_at_fpr"]["0.01"]["value"] == 1
    assert perfect["balanced_accuracy_best"]["value"] == 1
    reversed_ = roc(-member.astype(float) + 0.001 * RNG.random(400), member)
    assert reversed_.overall()["auc"]["value"] == 0
    assert "is the sign right" in reversed_.to_dict()["warnings"][0]


def test_equal_scores_say_nothing_and_say_so() -> None:
    found = roc(np.full(500, 2.0), np.arange(500) < 250, {"g": np.arange(500) % 2})
    one = found.overall()
    assert one["auc"]["value"] is None
    assert one["auc"]["reason"] == "all scores are equal: the attack says nothing"
    assert all(point["value"] is None for point in one["tpr_at_fpr"].values())
    assert one["curve"] == []
    for gap in found.attack()["gaps"]["g"].values():
        assert gap["value"] is None
        assert gap["p"] is None
    json.loads(found.to_json())
    assert "says nothing" in found.to_markdown() or "No attack says anything" in found.to_markdown()


def test_scores_that_are_equal_in_one_group_leave_the_others() -> None:
    scores = np.where(GROUP == "c", 1.0, SCORES)
    found = roc(scores, MEMBER, {"skin": GROUP}, permutations=99)
    groups = found.attack()["by_group"]["skin"]
    assert groups["c"]["auc"]["value"] is None
    assert groups["a"]["auc"]["value"] is not None
    gap = found.attack()["gaps"]["skin"]["auc_gap"]
    assert {gap["largest"], gap["smallest"]} == {"a", "b"}


def test_ties_at_the_top_are_unresolvable() -> None:
    """Scores with a ceiling, like RMIA's: no threshold parts those at it."""
    scores = np.minimum(SCORES, 1.0)
    point = roc(scores, MEMBER, permutations=0).overall()["tpr_at_fpr"]["0.01"]
    assert point["value"] is None
    assert point["resolution"] == "unresolvable"
    share = 100 * (scores[~MEMBER] == 1).mean()
    assert point["reason"] == (f"the highest score is shared by {share:.3g} % of the non-members")


def test_a_tied_threshold_takes_none_of_the_tied() -> None:
    scores = np.array([3, 3, 2, 2, 2, 1, 3, 2, 1, 1], dtype=float)
    member = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    point = roc(scores, member, fprs=(0.4, 0.2), permutations=0).overall()["tpr_at_fpr"]
    # Two false positives allowed: above 1 lie all members and two non-members.
    assert point["0.4"]["threshold"] == 1
    assert point["0.4"]["value"] == 1
    assert point["0.4"]["fpr"]["value"] == pytest.approx(0.4)
    # One allowed: above 2 lie the two members, and the one non-member, that have 3.
    assert point["0.2"]["value"] == pytest.approx(0.4)


def test_groups_of_one_and_of_one_side_are_undefined_with_a_reason() -> None:
    group = np.array(["big"] * 96 + ["in", "in", "one", "pair"])
    member = np.array([True, False] * 48 + [True, True, True, False])
    group[-1] = "one"
    found = roc(np.arange(100.0), member, {"g": group}).attack()
    groups = found["by_group"]["g"]
    assert groups["in"]["auc"]["reason"] == "no non-members"
    assert groups["one"]["auc"]["reason"] == "one member alone"
    assert groups["in"]["small"]
    assert groups["one"]["small"]
    assert found["gaps"]["g"]["auc_gap"]["value"] is None
    assert found["gaps"]["g"]["auc_gap"]["reason"] == "fewer than two groups are large enough"


def test_overlapping_groups_count_a_row_in_each() -> None:
    lists = [["x"] if k % 3 == 0 else ["x", "y"] if k % 3 == 1 else [] for k in range(N)]
    found = roc(SCORES, MEMBER, {"t": lists}, permutations=99)
    groups = found.attack()["by_group"]["t"]
    place = np.arange(N) % 3
    for name, inside in (("x", place < 2), ("y", place == 1)):
        assert groups[name]["auc"]["value"] == pytest.approx(
            roc_auc_score(MEMBER[inside], SCORES[inside])
        )
    assert found.attack()["gaps"]["t"]["auc_gap"]["p"] is not None


def test_several_attacks_are_judged_alike() -> None:
    both = roc({"one": SCORES, "two": -SCORES}, MEMBER, {"skin": GROUP}, permutations=99)
    alone = roc(SCORES, MEMBER, {"skin": GROUP}, permutations=99)
    assert both.attacks == ("one", "two")
    one, other = both.attack("one"), alone.attack()
    # Looking at two attacks for the better one is paid for, and nothing else differs.
    corrected = [found["overall"]["auc"].pop("p_corrected") for found in (one, other)]
    assert corrected[0] == 2 * corrected[1]
    assert one == other
    assert both.attack("two")["overall"]["auc"]["value"] < 0.5
    with pytest.raises(InputError, match="no such attack"):
        both.attack("three")


def test_a_column_of_groups_needs_no_name() -> None:
    found = roc(SCORES, MEMBER, GROUP, permutations=0)
    assert list(found.attack()["by_group"]) == ["group"]


def test_the_result_is_plain_and_its_frames_have_a_row_a_group(result: PrivacyResult) -> None:
    content = json.loads(result.to_json())
    assert content == json.loads(json.dumps(result.to_dict()))
    frame = result.by_group("skin")
    assert list(frame.index) == ["a", "b", "c"]
    assert frame.loc["a", "auc"] == result.attack()["by_group"]["skin"]["a"]["auc"]["value"]
    assert set(result.gaps["gap"]) >= {"auc_gap", "tpr_gap@0.1", "fpr_gap_global@0.01"}
    with pytest.raises(InputError, match="no such attribute"):
        result.by_group("race")


def undefined_numbers(thing: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every number without a value, by its path."""
    if isinstance(thing, dict):
        found = [(path, thing)] if "value" in thing and thing["value"] is None else []
        return found + [n for k, v in thing.items() for n in undefined_numbers(v, f"{path}/{k}")]
    if isinstance(thing, list):
        return [n for k, v in enumerate(thing) for n in undefined_numbers(v, f"{path}[{k}]")]
    return []


def test_what_is_undefined_has_a_reason(result: PrivacyResult) -> None:
    small = roc(SCORES[:60], MEMBER[:60], {"skin": GROUP[:60]}, permutations=99)
    for one in (result, small):
        missing = undefined_numbers(one.to_dict())
        assert missing
        for path, number in missing:
            assert number.get("reason"), path


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: roc([1.0, NAN], [1, 0]), "scores, row 2: not a finite number .found nan."),
        (lambda: roc([1.0, np.inf], [1, 0]), "scores, row 2: not a finite number .found inf."),
        (lambda: roc({"x": [1.0, NAN]}, [1, 0]), "scores.'x'., row 2: not a finite number"),
        (lambda: roc([1.0, 2.0], [1, 1]), "member: no non-members"),
        (lambda: roc([1.0, 2.0], [0, 0]), "member: no members"),
        (lambda: roc([1.0, 2.0], [1, 2]), "member: not true or false"),
        (lambda: roc([1.0, 2.0], [1, 0, 1]), "member: another shape"),
        (lambda: roc([], []), "scores: no rows"),
        (lambda: roc([[1.0], [2.0]], [1, 0]), "scores: not one number a row"),
        (lambda: roc({}, [1, 0]), "scores: no attack"),
        (lambda: roc({"a": [1.0, 2.0], "b": [1.0]}, [1, 0]), "scores.'b'.: another length"),
        (lambda: roc([1.0, 2.0], [1, 0], {"g": ["a"]}), "groups.'g'.: another length"),
        (lambda: roc([1.0, 2.0], [1, 0], fprs=()), "fprs: .* at least 1 item"),
        (lambda: roc([1.0, 2.0], [1, 0], fprs=(1.5,)), "fprs.0: out of range"),
        (lambda: roc([1.0, 2.0], [1, 0], level=1.0), "level: out of range"),
        (lambda: roc([1.0, 2.0], [1, 0], permutations=-1), "permutations: out of range"),
        (lambda: roc([1.0, 2.0], [1, 0], min_group=0), "min_group: out of range"),
        (
            lambda: roc([1.0, 2.0, 3.0], [1, 0, 0], ids=["x", "y", "x"]),
            "ids: a member among the non-members .found 'x' is both, 1 such ids",
        ),
        (lambda: roc([1.0, 2.0, 3.0], [1, 0, 0], ids=["x", "y", "y"]), "ids: an id stands twice"),
        (lambda: roc([1.0] * 3, [1, 0, 0], {"g": list("abc")}, max_groups=2), "groups"),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as found:
        call()
    assert "\n" not in str(found.value)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Scores in small whole numbers, so that they are tied, with members and non-members."""
    n = draw(st.integers(4, 60))
    scores = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    member = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    member[:2] = [True, False]
    groups = draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    return np.array(scores, dtype=np.float64), np.array(member), np.array(groups)


def without_thresholds(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {k: without_thresholds(v) for k, v in thing.items() if k != "threshold"}
    return [without_thresholds(v) for v in thing] if isinstance(thing, list) else thing


@given(rows())
@settings(max_examples=40, deadline=None)
def test_nothing_but_the_thresholds_changes_with_a_rising_function_of_the_scores(
    case: tuple[Any, Any, Any],
) -> None:
    scores, member, groups = case
    options: dict[str, Any] = {"permutations": 9, "min_group": 1, "fprs": (0.5, 0.1)}
    plain = roc(scores, member, {"g": groups}, **options).to_dict()
    for function in (np.exp, lambda s: 3 * s - 7, lambda s: s**3):
        turned = roc(function(scores), member, {"g": groups}, **options).to_dict()
        assert without_thresholds(turned) == without_thresholds(plain)


@given(rows(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_and_of_groups_changes_no_value(
    case: tuple[Any, Any, Any], random: Any
) -> None:
    """Halves and permutations are drawn by row, so what rests on them may change."""
    scores, member, groups = case
    order = np.array(random.sample(range(len(scores)), len(scores)))
    names = {"a": "z", "b": "y", "c": "x"}
    options: dict[str, Any] = {"permutations": 0, "min_group": 1, "fprs": (0.5, 0.1)}
    plain = roc(scores, member, {"g": groups}, **options).attack()
    turned = roc(
        scores[order], member[order], {"g": [names[g] for g in groups[order]]}, **options
    ).attack()
    for group, one in plain["by_group"]["g"].items():
        other = turned["by_group"]["g"][names[group]]
        for key in ("auc", "tpr_at_fpr", "tpr_at_global_threshold", "curve"):
            assert close(one[key], other[key]), key
    for name, gap in plain["gaps"]["g"].items():
        assert close(gap["value"], turned["gaps"]["g"][name]["value"])


def close(a: Any, b: Any) -> bool:
    """Equal but for rounding."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-9, atol=1e-12))
    return bool(a == b)


@given(rows())
@settings(max_examples=30, deadline=None)
def test_the_roc_rises_and_swapping_sides_turns_the_auc_round(case: tuple[Any, Any, Any]) -> None:
    scores, member, _ = case
    one = roc(scores, member, permutations=0).overall()
    tprs = [point["tpr"] for point in one["curve"]]
    assert tprs == sorted(tprs)
    other = roc(scores, ~member, permutations=0).overall()
    if one["auc"]["value"] is not None:
        assert one["auc"]["value"] + other["auc"]["value"] == pytest.approx(1)
