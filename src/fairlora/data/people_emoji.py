"""people-emoji: emoji of one person with an explicit gender, in three openly licensed sets.

Embedded in the package (2,910 pictures of 64 x 64; notices in ``assets/NOTICE.md``). The five skin
tones of a role are counterfactual copies of each other, so a role's pictures stay in one split, and
so do roles that are copies in another way: direction variants (a role and the role with ``-27a1``)
are twins under a flip; the plain person and the hair roles differ in hair alone; princess and
prince, and the two dancers, are one role with a gender each.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from fairlora.data.checking import Count, Reading
from fairlora.data.examples import Examples, check_labels
from fairlora.data.registry import DataOptions, DataSet, chosen_groups
from fairlora.errors import InputError
from fairlora.predictions import group_column

EMBEDDED = Path(__file__).resolve().parent.parent / "assets" / "people.parquet"
GENDERS = ("female", "male")
RENDERERS = {"fluent": 922, "noto": 994, "twemoji": 994}  # pictures of each
TONES = ("none", "light", "medium-light", "medium", "medium-dark", "dark")
_SAME_FAMILY = {
    "1f9b0": "plain",
    "1f9b1": "plain",
    "1f9b2": "plain",
    "1f9b3": "plain",
    "1f478": "1f478+1f934",
    "1f934": "1f478+1f934",
    "1f483": "1f483+1f57a",
    "1f57a": "1f483+1f57a",
}


def role_family(role: str) -> str:
    """The family of roles that must not be torn apart by a split.

    >>> role_family("1f3c3-27a1"), role_family("1f9b2"), role_family("1f934")
    ('1f3c3', 'plain', '1f478+1f934')
    """
    role = role.removesuffix("-27a1")
    return _SAME_FAMILY.get(role, role)


class PeopleEmojiOptions(DataOptions):
    target: Literal["gender", "skin_tone"] = Field(default="gender", description="what to predict")
    renderers: tuple[Literal["fluent", "noto", "twemoji"], ...] | None = Field(
        default=None, description="use these emoji sets alone"
    )


class PeopleEmoji(DataSet):
    name = "people-emoji"
    summary = "emoji of people by gender and skin tone, three renderers (embedded, the default)"
    options = PeopleEmojiOptions

    def read(self, options: PeopleEmojiOptions) -> Reading:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = options.path.expanduser() if options.path else EMBEDDED
        columns = ["id", "renderer", "gender", "skin_tone", "role", "image"]
        try:
            data = path.read_bytes()
            table = pq.read_table(pa.BufferReader(data), columns=columns)
        except OSError as error:
            raise InputError(
                "cannot read people-emoji", where=path, found=type(error).__name__
            ) from error
        except (pa.ArrowInvalid, KeyError) as error:
            raise InputError(
                "not a people-emoji file", where=path, expected="columns " + ", ".join(columns)
            ) from error
        column = {name: np.array(table[name].to_pylist()) for name in columns[:-1]}
        images: list[bytes] = table["image"].to_pylist()
        classes = GENDERS if options.target == "gender" else TONES
        target = column[options.target]
        strange = sorted(set(target.tolist()) - set(classes))
        if strange:
            raise InputError(
                f"unknown {options.target}", where=path, found=strange[0], expected=classes
            )
        examples = Examples(
            name="people-emoji",
            ids=column["id"],
            images=images,
            labels=np.array([classes.index(value) for value in target], dtype=np.int64),
            classes=classes,
            groups={
                name: group_column(column[name]) for name in ("skin_tone", "renderer", "gender")
            },
            family=np.array([role_family(role) for role in column["role"]]),
            fingerprint=hashlib.blake2b(data, digest_size=16).hexdigest(),
        )
        if options.renderers is not None:
            examples = examples.take(np.isin(column["renderer"], options.renderers))
        check_labels(examples.labels, classes, where=f"{path} ({options.target})")
        chosen: set[str] = set(options.renderers or RENDERERS)
        total = sum(RENDERERS[name] for name in chosen)
        counts = [Count("examples", len(examples), total)]
        return Reading(chosen_groups(examples, options), counts)
