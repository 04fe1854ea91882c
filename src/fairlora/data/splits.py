"""Split rows into training, validation and test, and make groups scarce in training.

The outer test split is fixed for a data set: its order comes from a constant, not from the run's
seed. The seed moves the border between training and validation alone, so that runs of one study are
judged on the same rows (`mode="fixed"`). `mode="papers"` draws the test split with the seed too.

Splits that a data set's own files give are kept. Where they give a test split and no validation
split, the training rows are `REST` until `assign_splits` draws validation from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fairlora.data.examples import REST, SPLITS, Examples
from fairlora.errors import InputError
from fairlora.settings import SettingsModel

OUTER_SEED = 0


class SplitPlan(SettingsModel):
    """How rows are divided that the data set does not divide itself."""

    section: ClassVar[str] = "data.split"

    validation: float = Field(default=0.08, gt=0, lt=1, description="share of all rows")
    test: float = Field(default=0.20, gt=0, lt=1, description="share of all rows")
    mode: Literal["fixed", "papers"] = Field(
        default="fixed",
        description='"fixed" keeps the test rows the same for every seed, "papers" draws them too',
    )

    @model_validator(mode="after")
    def _rows_to_train_on(self) -> SplitPlan:
        if self.validation + self.test >= 1:
            raise ValueError("nothing is left to train on: validation + test must be under 1")
        return self


def complete_split(
    split: NDArray[np.str_], *, where: str
) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """A data set's own splits, with the rows to draw an absent one from; and a note on that.

    Either validation or test may be absent: then the training rows become `REST`. Raises
    `InputError` if both are, or if there are no training rows.
    """
    missing = [name for name in SPLITS if name not in split]
    if not missing:
        return split, ()
    if missing not in (["validation"], ["test"]):
        raise InputError(f"no row of split {missing[0]!r}", where=where, expected=", ".join(SPLITS))
    drawn = np.where(split == "train", REST, split).astype("<U10")
    return drawn, (f"no {missing[0]} split: it is drawn from the training rows",)


def assign_splits(examples: Examples, seed: int, plan: SplitPlan | None = None) -> Examples:
    """Give every row its split, stratified by label and groups, families kept whole.

    Rows that the data set's own files assign already keep their split. The others (all of them, or
    those whose split is `REST`) are divided: a test split is drawn unless there is one, with the
    plan's share; then a validation split unless there is one, with the share of what is left that
    it has in the plan, validation / (1 - test); what remains trains.

    Parameters
    ----------
    examples : as read.
    seed : of the draw of validation rows, and in mode "papers" of test rows.
    plan : shares and mode; None is the default of `SplitPlan`.

    Raises
    ------
    InputError : too few families to split.
    """
    plan = plan or SplitPlan()
    if examples.split is None:
        split = np.full(len(examples), REST, dtype="<U10")
    elif REST in examples.split:
        split = examples.split.astype("<U10")
    else:
        return examples
    strata = strata_of(examples)

    def draw(name: str, share: float, generator: np.random.Generator) -> None:
        if name not in split:
            rest = np.flatnonzero(split == REST)
            family = None if examples.family is None else examples.family[rest]
            split[rest[choose_rows(strata[rest], family, share, generator)]] = name

    outer_seed = OUTER_SEED if plan.mode == "fixed" else seed
    draw("test", plan.test, np.random.default_rng([outer_seed, 1]))
    draw("validation", plan.validation / (1 - plan.test), np.random.default_rng([seed, 2]))
    split[split == REST] = "train"
    return replace(examples, split=split)


def keep_trainable(examples: Examples) -> Examples:
    """Leave out of training and validation what a data set keeps for judging alone.

    After `assign_splits`: so every set of one data set (balanced, pro-stereotype) is split alike,
    and judged on the same rows.
    """
    if examples.split is None:
        raise ValueError("split the examples before choosing what is trained on")
    if examples.trainable is None:
        return examples
    return examples.take(examples.trainable | (examples.split == "test"))


def make_scarce(
    examples: Examples, scarcity: Mapping[str, Mapping[str, float]], seed: int
) -> Examples:
    """Keep the given share of chosen groups' training rows: ``{"skin_tone": {"dark": 0.1}}``.

    Validation and test keep all their rows, so the thinned group's twins are still judged. A row in
    several thinned groups is kept with the product of their shares. Stratified by label.

    Parameters
    ----------
    examples : split.
    scarcity : attribute -> group -> share of its training rows to keep, 0 to 1.
    seed : of the draw.

    Raises
    ------
    ValueError : the examples are not split yet.
    InputError : an attribute or a group that the data do not have, or a share that is none.
    """
    if examples.split is None:
        raise ValueError("split the examples before thinning them")
    share = np.ones(len(examples))
    for attribute, groups in scarcity.items():
        if attribute not in examples.groups:
            raise InputError(
                "no such group column",
                where=f"data.scarcity.{attribute}",
                expected="one of " + ", ".join(examples.groups),
            )
        values = examples.groups[attribute]
        for group, kept in groups.items():
            if not 0 <= kept <= 1:
                raise InputError(
                    "not a share",
                    where=f"data.scarcity.{attribute}.{group}",
                    found=kept,
                    expected="0 to 1",
                )
            if group not in values.names:
                raise InputError(
                    f"no row of {attribute} has this value",
                    where=f"data.scarcity.{attribute}.{group}",
                    expected="one of " + ", ".join(values.names),
                )
            share[values.contains(group)] *= kept
    keep = np.ones(len(examples), dtype=np.bool_)
    thinned = (examples.split == "train") & (share < 1)
    for kept in np.unique(share[thinned]):
        rows = np.flatnonzero(thinned & (share == kept))
        drop = choose_rows(
            strata_of(examples.take(rows)), None, 1 - float(kept), np.random.default_rng([seed, 3])
        )
        keep[rows[drop]] = False
    return examples.take(keep)


def limit_training(examples: Examples, rows: int, seed: int) -> Examples:
    """Keep `rows` training rows, drawn with the strata's shares; the other splits stay whole.

    Parameters
    ----------
    examples : split.
    rows : how many, 1 or more; all are kept where there are no more.
    seed : of the draw.

    Raises
    ------
    ValueError : the examples are not split yet.
    InputError : `rows` is less than 1.
    """
    if examples.split is None:
        raise ValueError("split the examples before limiting them")
    train = np.flatnonzero(examples.split == "train")
    if rows < 1:
        raise InputError("no training rows", where="data.train_rows", found=rows, expected=">= 1")
    if rows >= len(train):
        return examples
    chosen = choose_rows(
        strata_of(examples.take(train)), None, rows / len(train), np.random.default_rng([seed, 4])
    )
    keep = examples.split != "train"
    keep[train[chosen]] = True
    return examples.take(keep)


def strata_of(examples: Examples) -> NDArray[np.int64]:
    """One number a row for its label and groups together."""
    code = examples.labels.astype(np.int64)
    for values in examples.groups.values():
        # Of overlapping groups every list of them is a stratum.
        several = int(values.codes.max(initial=0)) + 1
        code = np.unique(code * several + values.codes, return_inverse=True)[1]
    return code.astype(np.int64)


def choose_rows(
    strata: NDArray[np.int64],
    family: NDArray[np.str_] | None,
    share: float,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """A mask of about ``share`` of the rows, each stratum in proportion.

    Parameters
    ----------
    strata : (n,) a number for each row's stratum, from 0.
    family : (n,) rows of one family are chosen together; None where each row is by itself.
    share : 0 to 1.
    generator : what the draw comes from.

    Raises
    ------
    InputError : all of the families, or none, would be chosen.
    """
    if family is None:
        return _systematic(strata, share, generator)
    return _whole_families(strata, family, share, generator)


def _systematic(
    strata: NDArray[np.int64], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Every k-th row of the rows sorted by stratum, shuffled within.

    Each stratum is then within one row of its share, and so is the whole: rounding every stratum by
    itself would leave the many small ones (a label in a rare group) out altogether.
    """
    n = len(strata)
    order = generator.permutation(n)
    order = order[np.argsort(strata[order], kind="stable")]
    start = generator.random()
    ticks = np.floor(np.arange(n + 1) * share + start)
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[order] = np.diff(ticks) > 0
    return chosen


def _whole_families(
    strata: NDArray[np.int64],
    family: NDArray[np.str_],
    share: float,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """Families one by one, the largest first, each to the side that leaves the strata nearest."""
    names, member = np.unique(family, return_inverse=True)
    counts = np.zeros((len(names), int(strata.max()) + 1))
    np.add.at(counts, (member, strata), 1)
    total = np.maximum(counts.sum(0), 1)
    inside, outside = np.zeros_like(total), np.zeros_like(total)
    order = generator.permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    chosen = np.zeros(len(names), dtype=np.bool_)
    for k in order:
        excess_in = _excess(inside + counts[k], total * share) + _excess(
            outside, total * (1 - share)
        )
        excess_out = _excess(inside, total * share) + _excess(
            outside + counts[k], total * (1 - share)
        )
        # Both sides have room at first: then chance decides, in proportion.
        take = generator.random() < share if excess_in == excess_out else excess_in < excess_out
        chosen[k] = take
        if take:
            inside += counts[k]
        else:
            outside += counts[k]
    if not chosen.any() or chosen.all():
        raise InputError(
            "too few families to split",
            where="data.family",
            found=f"{len(names)} families",
            expected=f"enough to set {share:.0%} of the rows aside",
        )
    return np.asarray(chosen[member], dtype=np.bool_)


def _excess(counts: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """How far the counts go beyond their targets."""
    return float(np.maximum(counts - target, 0).sum())
