"""First screens of scores, measurements, decisions, targets and attacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fairlora
from fairlora.metrics.opening import Told, opening
from fairlora.privacy.audit import attack_audit

N = 1000
RNG = np.random.default_rng(0)
GROUPS: dict[str, Any] = {"alike": RNG.choice(["x", "y"], N), "apart": RNG.choice(["a", "b"], N)}
LOW = GROUPS["apart"] == "b"


def scores() -> Any:
    return fairlora.audit_scores(RNG.normal(np.where(LOW, 0.2, 0.8), 0.3), GROUPS)


def measurements() -> Any:
    labels = RNG.normal(50, 10, N)
    errors = RNG.normal(0, np.where(LOW, 9, 3))
    return fairlora.audit_numeric(labels, labels + errors, GROUPS)


def decisions() -> Any:
    chosen = np.where(RNG.random(N) < np.where(LOW, 0.2, 0.6), "yes", "no")
    return fairlora.audit_decisions(chosen, GROUPS, positive="yes")


def targets() -> Any:
    labels = RNG.integers(0, 2, N)
    right = RNG.random(N) < np.where(LOW, 0.6, 0.9)
    probs = np.where(right, labels, 1 - labels) * 0.6 + 0.2 + RNG.uniform(-0.1, 0.1, N)
    noise = RNG.random(N)
    return fairlora.audit_targets(
        {"Edema": labels, "Noise": labels}, {"Edema": probs, "Noise": noise}, GROUPS
    )


def attacks() -> Any:
    members = RNG.integers(0, 2, N).astype(bool)
    scores = RNG.normal(members * np.where(LOW, 2.0, 0.1), 1.0)
    return attack_audit({"loss": scores}, members, GROUPS)


@pytest.mark.parametrize("make", [scores, measurements, decisions, targets, attacks])
def test_what_is_shown_comes_first_and_is_drawn(make: Any) -> None:
    page = make().page("title")
    first, verdicts = page["findings"][0], [one["verdict"] for one in page["findings"]]
    assert first["topic"] == "By apart"
    assert " b" in first["text"]
    assert first["verdict"] == "shown"
    assert sorted(verdicts, reverse=True) == verdicts
    assert page["picture"]["panels"]
    assert page["question"].endswith("?")
    assert {table.get("topic") for table in page["tables"]} >= {"By apart", "By alike"}
    printed = [table.get("topic") for table in page["tables"] if table.get("asked")]
    assert printed[-1] == "By apart"


def test_gaps_without_a_verdict_and_without_a_gap_say_so() -> None:
    told = [
        Told("none", "", None, (0.0, 0.0), "By a"),
        Told("unknown", "0.1", False, (0.0, 0.1), "By b", "one row a group"),
        Told("sure", "0.2 [0.1, 0.3]", True, (0.1, 0.2), "By b"),
    ]
    found = opening("Who?", told, [], "Picture", ["limit"])
    assert [one["verdict"] for one in found["findings"]] == [
        "shown",
        "not known: one row a group",
        "no gap",
    ]
    assert "picture" not in found
    assert found["limits"] == ["limit"]
