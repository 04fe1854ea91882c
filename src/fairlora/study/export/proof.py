"""Compare an export with what it was made from, on the same rows and by group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairlora.data import Examples
from fairlora.errors import InputError, WorkError
from fairlora.models import Classifier
from fairlora.predictions import Predictions
from fairlora.study.export.manifest import Calibration, Moved, Proof, TableCheck
from fairlora.study.runs.verification import PROBABILITIES, PROBABILITIES_HALF
from fairlora.study.tasks.datasets import cells_of
from fairlora.training.datasets import inputs_of_rows, logits_of

LEAST = 64
# Rows that are compared, and that static int8 is calibrated on.
PROVED, CALIBRATED = 256, 128
# Rows at a time; the first stands alone, for a batch of one is a shape of its own.
BATCH = 32
LIMIT = 1e-3  # of the logits of a float export


def drawn_evenly(examples: Examples, rows: int, seed: int = 0) -> NDArray[np.int64]:
    """(at most rows,) row numbers, a row of each group in turn, of the groups' combinations.

    Parameters
    ----------
    examples : with groups; without, rows are drawn at random.
    rows : how many.
    seed : of the order within a group.
    """
    generator = np.random.default_rng(seed)
    cells = cells_of(examples, list(examples.groups)) if examples.groups else None
    order = generator.permutation(len(examples))
    if cells is None:
        return np.sort(order[:rows])
    turn = np.zeros(len(order), dtype=np.int64)
    seen: dict[int, int] = {}
    for place, cell in enumerate(cells[order].tolist()):
        turn[place] = seen[cell] = seen.get(cell, -1) + 1
    return np.sort(order[np.argsort(turn, kind="stable")][:rows])


def proof_rows(examples: Examples, without: NDArray[np.int64]) -> Examples:
    """Rows to prove an export on: of the test split, and of others where it has too few.

    Parameters
    ----------
    examples : all rows, split.
    without : row numbers that were calibrated on, which are taken only if there are too few others.

    Raises
    ------
    InputError : the data have less than 64 rows.
    """
    if len(examples) < LEAST:
        raise InputError(
            "too few rows to prove an export on",
            where="--rows",
            found=len(examples),
            expected=f"at least {LEAST}",
        )
    assert examples.split is not None
    fresh = ~np.isin(np.arange(len(examples)), without)
    for mask in ((examples.split == "test") & fresh, fresh, np.ones(len(fresh), dtype=bool)):
        if mask.sum() >= LEAST:
            break
    some = examples.take(mask)
    return some.take(drawn_evenly(some, PROVED))


def batches_of(classifier: Classifier, examples: Examples) -> Iterator[dict[str, Tensor]]:
    """The model's input of a few rows at a time: one alone, then 32 each."""
    places = np.arange(len(examples))
    for some in np.split(places, range(1, len(places), BATCH)):
        yield inputs_of_rows(classifier, examples.take(some))


def answers(classifier: Classifier, examples: Examples) -> Tensor:
    """The logits (N, classes) of a few rows."""
    return torch.cat([logits_of(classifier, batch) for batch in batches_of(classifier, examples)])


def compare(before: Tensor, after: Tensor, examples: Examples, limit: float | None) -> Proof:
    """How far logits moved, over all rows and by group.

    Parameters
    ----------
    before, after : (N, classes) logits of the source and of the export.
    examples : the rows.
    limit : the largest difference that is let pass; None lets any finite one pass.

    Raises
    ------
    WorkError : logits moved by more than `limit`, or are not numbers.
    """
    proof = Proof(
        data_fingerprint=examples.fingerprint,
        splits=_counts(np.asarray(examples.split)),
        overall=_moved(before, after),
        by_group={
            attribute: {
                name: _moved(before[mask], after[mask])
                for name in column.names
                if (mask := torch.from_numpy(column.contains(name))).any()
            }
            for attribute, column in examples.groups.items()
        },
        limit=limit,
    )
    if limit is not None and proof.overall.largest > limit:
        worst = ""
        if proof.by_group:
            by = (
                (g.largest, f"{a} {n}") for a, gs in proof.by_group.items() for n, g in gs.items()
            )
            worst = f", most of {max(by)[1]}"
        raise WorkError(
            f"the export answers otherwise than what it was made from: logits are off by "
            f"{proof.overall.largest:.3g}{worst} (at most {limit:g}); nothing is kept"
        )
    return proof


def _moved(before: Tensor, after: Tensor) -> Moved:
    if before.shape != after.shape or not torch.isfinite(after).all():
        raise WorkError("the export gives other classes, or logits that are not numbers")
    off = (after - before).abs()
    flips = before.argmax(1) != after.argmax(1)
    return Moved(
        rows=len(before),
        mean=float(off.mean()),
        largest=float(off.max()),
        flips=int(flips.sum()),
    )


def against_table(
    logits: Tensor, examples: Examples, table: Predictions, *, bf16: bool, exact: bool
) -> TableCheck | None:
    """Compare an export with the predictions that the run was audited by; None if it has no row.

    Parameters
    ----------
    logits : (N, classes) of the export.
    examples : the rows.
    table : the run's.
    bf16 : the run computed in bfloat16.
    exact : whether the export must give the table's probabilities.

    Raises
    ------
    WorkError : it must, and does not.
    """
    places = {row: k for k, row in enumerate(table.ids.tolist())}
    mine = [k for k, row in enumerate(examples.ids.tolist()) if row in places]
    if not mine or table.probs is None:
        return None
    index = np.array([places[examples.ids[k]] for k in mine])
    probs = torch.softmax(logits[mine].double(), 1).numpy()
    off = float(np.abs(probs - table.probs[index]).max())
    limit = PROBABILITIES_HALF if bf16 else PROBABILITIES
    if exact and off > limit:
        raise WorkError(
            "the export answers otherwise than the run's own predictions: probabilities are off "
            f"by {off:.3g} (at most {limit:g}); nothing is kept"
        )
    flips = int((probs.argmax(1) != table.predictions[index]).sum())
    return TableCheck(rows=len(mine), largest=off, flips=flips)


def calibration_of(examples: Examples, split: str) -> Calibration:
    """What to say of the rows that were calibrated on."""
    return Calibration(rows=len(examples), split=split, by_group=group_counts(examples))


def group_counts(examples: Examples) -> dict[str, dict[str, int]]:
    """Rows of every group."""
    return {
        attribute: {name: int(column.contains(name).sum()) for name in column.names}
        for attribute, column in examples.groups.items()
    }


def _counts(values: NDArray[np.str_]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return dict(zip(map(str, names), counts.tolist(), strict=True))
