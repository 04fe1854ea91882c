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
# Pictures of each: without a tone, and in each of the five.
RENDERERS = {"fluent": (162, 152), "noto": (174, 164), "twemoji": (174, 164)}
TONES = ("none", "light", "medium-light", "medium", "medium-dark", "dark")
# Two groups of tones, for the column `shade`; none and medium are of neither.
SHADES = {
    "light": "lighter",
    "medium-light": "lighter",
    "medium-dark": "darker",
    "dark": "darker",
}
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
    tones: tuple[Literal["none", "light", "medium-light", "medium", "medium-dark", "dark"], ...] | (
        None
    ) = Field(default=None, description="use these skin tones alone")


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
        names = ["skin_tone", "renderer", "gender"]
        column = {name: np.array(table[name].to_pylist()) for name in columns[:-1]}
        images: list[bytes] = table["image"].to_pylist()
        if options.groups is not None and "shade" in options.groups:
            # Asked for alone: what strata are made of decides which rows are drawn.
            names.append("shade")
            column["shade"] = np.array([SHADES.get(tone, "") for tone in column["skin_tone"]])
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
            groups={name: group_column(column[name]) for name in names},
            family=np.array([role_family(role) for role in column["role"]]),
            fingerprint=hashlib.blake2b(data, digest_size=16).hexdigest(),
        )
        renderers: tuple[str, ...] = options.renderers or tuple(RENDERERS)
        tones: tuple[str, ...] = options.tones or TONES
        wanted = np.isin(column["renderer"], renderers) & np.isin(column["skin_tone"], tones)
        examples = examples.take(wanted)
        check_labels(examples.labels, classes, where=f"{path} ({options.target})")
        total = sum(
            RENDERERS[name][tone != "none"] for name in set(renderers) for tone in set(tones)
        )
        counts = [Count("examples", len(examples), total)]
        return Reading(chosen_groups(examples, options), counts)
