"""`attack_audit`: the scores of attacks that were run elsewhere, judged like one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.predictions.columns import code_values
from fairlora.privacy.attack_inputs import Bool, floats
from fairlora.privacy.curves import roc
from fairlora.privacy.result import PrivacyResult

_MEMBER = ("1", "true", "yes", "member", "in", "train")
_OTHER = ("0", "false", "no", "non-member", "nonmember", "non_member", "out", "test")


def attack_audit(
    scores: Any,
    member: Any,
    groups: Any = None,
    *,
    larger_is_member: bool = True,
    ids: Any = None,
    **options: Any,
) -> PrivacyResult:
    """Judge scores computed elsewhere, from columns of any kind.

    Parameters
    ----------
    scores : (n,) of one attack, or attack -> (n,).
    member : (n,) whether the target model trained on the example: booleans, 0 and 1, or words
        ("member" and "non-member", "in" and "out", "train" and "test", "yes" and "no").
    groups : as of `roc`.
    larger_is_member : false for losses, or any score that is smaller for a likelier member.
    ids : (n,) names of the examples, each once.
    options : those of `roc`.

    Raises
    ------
    InputError : as `roc`, and a word for membership that is none of these.

    >>> found = attack_audit([0.1, 0.2, 2.0, 3.0], ["in", "in", "out", "out"],
    ...                      larger_is_member=False, min_group=1)
    >>> found.overall()["auc"]["value"]
    1.0
    """
    inside = membership_column(member)
    named = dict(scores) if isinstance(scores, Mapping) else {"attack": scores}
    if not larger_is_member:
        named = {name: -floats(one, f"scores[{name!r}]") for name, one in named.items()}
    return roc(named, inside, groups, ids=ids, **options)


def membership_column(values: Any) -> Bool:
    """(n,) booleans of a column that says member or not in one of the usual ways.

    Raises `InputError` that names the row of a missing or unknown word.

    >>> membership_column(["train", "test"]).tolist()
    [True, False]
    """
    try:
        coded = code_values(values)
    except (ValueError, TypeError) as error:
        raise InputError("not one value a row", where="member", found=str(error)[:80]) from error
    words = [name.strip().lower() for name in coded.names]
    # 1.0 and 0.0 are how a column of 0 and 1 is read beside a missing value.
    words = [word.removesuffix(".0") for word in words]
    for code, word in enumerate(words):
        if word not in _MEMBER + _OTHER:
            row = int(np.flatnonzero(coded.codes == code)[0])
            raise InputError(
                "neither member nor non-member",
                where=f"member, row {row + 1}",
                found=repr(coded.names[code]),
                expected="true or false, 1 or 0, member or non-member, in or out, train or test",
            )
    table = np.array([word in _MEMBER for word in words], dtype=bool)
    return np.asarray(table[coded.codes])
