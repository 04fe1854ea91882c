"""Scores computed elsewhere: columns of any kind, and words for membership."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from fairlora.errors import InputError
from fairlora.privacy import attack_audit, roc
from fairlora.privacy.audit import membership_column

RNG = np.random.default_rng(0)
N = 400
MEMBER = np.arange(N) % 2 == 0
SCORES = RNG.normal(size=N) + MEMBER
GROUP = RNG.choice(["a", "b"], N)
OPTIONS: dict[str, Any] = {"permutations": 19, "seed": 1}
EXPECTED = roc(SCORES, MEMBER, {"g": GROUP}, **OPTIONS).to_dict()


@pytest.mark.parametrize(
    "member",
    [
        MEMBER,
        MEMBER.astype(int),
        MEMBER.astype(float),
        ["member" if m else "non-member" for m in MEMBER],
        ["Train" if m else "test" for m in MEMBER],
        pd.Series(MEMBER),
        pd.Series(["in" if m else "out" for m in MEMBER], dtype="category"),
        pa.array(MEMBER.tolist()),
        torch.tensor(MEMBER),
        [str(bool(m)) for m in MEMBER],
    ],
    ids=lambda one: type(one).__name__,
)
def test_membership_comes_in_many_ways(member: Any) -> None:
    assert attack_audit(SCORES, member, {"g": GROUP}, **OPTIONS).to_dict() == EXPECTED


@pytest.mark.parametrize(
    "scores",
    [SCORES.tolist(), pd.Series(SCORES), pa.array(SCORES), torch.tensor(SCORES)],
    ids=lambda one: type(one).__name__,
)
def test_scores_come_in_many_ways(scores: Any) -> None:
    assert attack_audit(scores, MEMBER, {"g": GROUP}, **OPTIONS).to_dict() == EXPECTED


def test_losses_are_turned_round() -> None:
    found = attack_audit({"loss": -SCORES}, MEMBER, larger_is_member=False, **OPTIONS)
    assert found.overall("loss")["auc"]["value"] == pytest.approx(
        EXPECTED["attacks"]["attack"]["overall"]["auc"]["value"]
    )


def test_an_id_among_both_is_refused() -> None:
    ids = [f"row {k % (N // 2)}" for k in range(N)]
    member = np.arange(N) < N // 2
    with pytest.raises(InputError, match="a member among the non-members .found 'row 0' is both"):
        attack_audit(SCORES, member, ids=ids)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (["in", "perhaps"], "member, row 2: neither member nor non-member .found 'perhaps'"),
        ([1, 2], "member, row 2: neither member nor non-member .found '2'"),
        ([True, None], "member, row 2: neither member nor non-member .found '.missing.'"),
        ([[1], [0]], "member"),
    ],
)
def test_other_words_are_named(member: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        attack_audit([1.0, 2.0], member)


def test_membership_column_reads_words_of_either_case() -> None:
    assert membership_column(["IN", " out "]).tolist() == [True, False]
