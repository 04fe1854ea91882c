"""Fairness as a test: `assert_fair` in pytest, or in any test runner."""

from __future__ import annotations

import warnings
from typing import Any

from fairlora.metrics.gate.check import GateResult, check


def assert_fair(*rows: Any, policy: Any, **options: Any) -> GateResult:
    """Fail the test that calls this where a policy is not passed; else return what was found.

    Parameters
    ----------
    rows : labels, predictions, groups and probs, or a table, as of `fairlora.check`.
    policy, options : as of `fairlora.check`.

    Raises
    ------
    AssertionError : a rule fails; the message has a line for each rule that is not met.
    InputError : as `fairlora.check`.

    Rules that the policy lets pass with a warning are warned of (`UserWarning`).

    >>> labels, sex = [1, 0] * 50, ["f", "f", "m", "m"] * 25
    >>> rule = {"metric": "accuracy", "of": "every group", "attribute": "sex", "at_least": 0.9}
    >>> assert_fair(labels, labels, {"sex": sex}, policy=[rule]).outcomes
    ['met']
    """
    __tracebackhide__ = True  # pytest shows the line that called this
    result = check(*rows, policy=policy, **options)
    if not result.passed:
        raise AssertionError("\n".join(result.lines()))
    if any(rule.action == "warn" for rule in result.content.rules):
        warnings.warn("\n".join(result.lines()), stacklevel=2)
    return result
