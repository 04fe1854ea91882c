"""Draw the training rows of shadow models: the two designs of membership inference.

A shadow model is trained like the model under attack, on other rows, so that one can see what the
margin of an example is without it in the training set (or with it). Which rows is a function of the
design, the seed and the model's number alone. Rows of one family are in together or out together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.examples import Examples
from fairlora.data.splits import choose_rows, strata_of
from fairlora.errors import InputError
from fairlora.settings import SettingsModel

# The split of rows that an attack is judged on and no shadow model trains on.
TARGET = "target"
Design = Literal["papers", "crossed"]


class MembershipDesign(SettingsModel):
    """How rows are shared out among a target and its shadow models.

    "papers" (Ding et al. 2024): the target is an ordinary run of the same seed. A share `members`
    of its training rows and a share `non_members` of its test rows are the targets; each shadow
    model trains on a random half of all other rows. "crossed" (Carlini et al. 2022): each of an
    even number of models trains on half of the rows, each row is in exactly half of the models, and
    every model can be the target while the others are its shadows. Models come in pairs, the second
    one having the rows that the first has not: what a model trains on does not hang on how many
    there are, so more can be added later.
    """

    section: ClassVar[str] = "data.membership"

    design: Design
    members: float = Field(
        default=0.125, gt=0, lt=1, description='of "papers": share of training rows attacked'
    )
    non_members: float = Field(
        default=0.5, gt=0, lt=1, description='of "papers": share of test rows attacked'
    )
    rows: int | None = Field(
        default=None,
        ge=4,
        description='of "crossed": how many training and test rows take part; default: all',
    )


class MembershipPlan(MembershipDesign):
    """Which rows a shadow model trains on: its place in a design."""

    model: int = Field(ge=0, description="which of the design's models this is, from 0")


def assign_membership(examples: Examples, plan: MembershipPlan, seed: int) -> Examples:
    """Give a shadow model's rows their splits.

    Parameters
    ----------
    examples : split as for an ordinary run of this seed: the target's rows.

    Returns
    -------
    "papers": the targets are of split `TARGET`; of the others a random half are "train", and of
    what is left as many are "validation" as the ordinary run has, the others "test". "crossed":
    "train" are the model's half of the ordinary training and test rows, "test" the other half;
    the ordinary validation rows stay what they are: no model trains on them.

    Both are stratified by label and groups. Raises `InputError` for data too few to divide.
    """
    if examples.split is None:
        raise ValueError("split the examples before assigning them to shadow models")
    if plan.design == "papers":
        return replace(examples, split=_papers(examples, plan, seed))
    if plan.rows is not None:
        examples = _limited(examples, plan.rows, seed)
    return replace(examples, split=_crossed(examples, plan, seed))


def _papers(examples: Examples, plan: MembershipPlan, seed: int) -> NDArray[np.str_]:
    ordinary = examples.split
    assert ordinary is not None
    split = np.full(len(examples), "test", dtype="<U10")
    for part, share, stream in (("train", plan.members, 5), ("test", plan.non_members, 6)):
        # The same for all shadow models of the seed: no stream has the model's number.
        rows = np.flatnonzero(ordinary == part)
        chosen = rows[_chosen(examples, rows, share, np.random.default_rng([seed, stream]))]
        if not len(chosen):
            raise InputError(
                f"no targets among the {part} rows",
                where="data.membership",
                found=f"{share:g} of {len(rows):,} rows",
                expected="a larger share, or more rows",
            )
        split[chosen] = TARGET
    rest = np.flatnonzero(split != TARGET)
    generator = np.random.default_rng([seed, 7, plan.model])
    inside = _chosen(examples, rest, 0.5, generator)
    split[rest[inside]] = "train"
    out = rest[~inside]
    wanted = int((ordinary == "validation").sum())
    if not inside.any() or wanted >= len(out):
        raise InputError(
            "too few rows are left for a shadow model",
            where="data.membership",
            found=f"{len(rest):,} rows beside the targets, {wanted:,} validation rows",
            expected="more rows, or a smaller data.split.validation",
        )
    split[out[_chosen(examples, out, wanted / len(out), generator)]] = "validation"
    return split


def _limited(examples: Examples, rows: int, seed: int) -> Examples:
    """Keep so many of the rows that take part, and all validation rows."""
    assert examples.split is not None
    pool = np.flatnonzero(examples.split != "validation")
    if rows >= len(pool):
        return examples
    keep = examples.split == "validation"
    kept = _chosen(examples, pool, rows / len(pool), np.random.default_rng([seed, 9]))
    keep[pool[kept]] = True
    return examples.take(keep)


def _crossed(examples: Examples, plan: MembershipPlan, seed: int) -> NDArray[np.str_]:
    ordinary = examples.split
    assert ordinary is not None
    pool = np.flatnonzero(ordinary != "validation")
    generator = np.random.default_rng([seed, 8])
    stratum = strata_of(examples)[pool]
    if examples.family is None:
        unit, first, size = np.arange(len(pool)), np.arange(len(pool)), np.ones(len(pool))
    else:
        names, first, unit, counts = np.unique(
            examples.family[pool], return_index=True, return_inverse=True, return_counts=True
        )
        size = counts.astype(np.float64)
        del names
    if len(first) < 4:
        raise InputError(
            "too few rows for a crossed design",
            where="data.membership",
            found=f"{len(first)} rows or families",
            expected="4 or more",
        )
    # Neighbours are alike in stratum and size: one of each two is in, so every model has half of
    # each stratum.
    order = np.lexsort((generator.random(len(first)), size, stratum[first]))
    # And of each two models one has the row: the number of models changes nothing for any of them.
    pair, second = divmod(plan.model, 2)
    coins = np.random.default_rng([seed, 8, pair]).random((len(order) + 1) // 2) < 0.5
    inside = coins ^ bool(second)
    of_unit = np.empty(len(order), dtype=np.bool_)
    of_unit[order[0::2]] = inside
    of_unit[order[1::2]] = ~inside[: len(order) // 2]
    split = ordinary.astype("<U10")
    split[pool] = np.where(of_unit[unit], "train", "test")
    return split


def _chosen(
    examples: Examples, rows: NDArray[np.intp], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A mask over `rows`: about a share of them, by stratum, families kept whole."""
    family = None if examples.family is None else examples.family[rows]
    return choose_rows(strata_of(examples)[rows], family, share, generator)
