"""Decision thresholds, one for everyone or one a group: a small JSON, applied to rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlora.errors import InputError
from fairlora.io import write_text
from fairlora.predictions.columns import GroupColumn
from fairlora.predictions.spellings import class_named, shown
from fairlora.predictions.table import Predictions

Rule = Literal["fixed", "parity", "equal-opportunity", "equalized-odds"]
# Just above 1: nobody is selected.
Threshold = Annotated[float, Field(ge=0, le=1.001)]


class Thresholds(BaseModel):
    """Thresholds on the probability of the positive class: from this on a row is selected.

    Attributes
    ----------
    positive : the positive class.
    default : for rows of no group that is named, or of none at all.
    attribute : whose groups have thresholds of their own; None has none.
    groups : group -> its threshold.
    rule : what they were chosen for.
    chosen_on : the rows that they were chosen on: their number, split and the target.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    positive: str
    default: Threshold
    attribute: str | None = None
    groups: dict[str, Threshold] = {}
    rule: Rule = "fixed"
    chosen_on: dict[str, Any] = {}

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        write_text(path, json.dumps(self.model_dump(), ensure_ascii=False, indent=1) + "\n")

    @staticmethod
    def read(path: Path) -> Thresholds:
        """Read what `write` wrote; `InputError` for anything else."""
        try:
            return Thresholds.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError("cannot read this", where=path, found=error.strerror) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise InputError(
                "not thresholds that fairlora wrote", where=f"{path}, {place}", found=first["msg"]
            ) from error

    def of_rows(self, groups: Mapping[str, GroupColumn], n: int) -> NDArray[np.float64]:
        """(n,) the threshold of each row.

        Raises `InputError` where the attribute is not there or its groups overlap.
        """
        if self.attribute is None:
            return np.full(n, self.default)
        column = groups.get(self.attribute)
        if column is None:
            raise InputError(
                "the thresholds are by another attribute",
                where="thresholds",
                found=repr(self.attribute),
                expected="one of " + (", ".join(groups) or "none: name it as a group"),
            )
        if column.lists is not None:
            raise InputError(
                "a row of several groups has no threshold of its own",
                where=f"group column {self.attribute!r}",
                expected="one group a row",
            )
        each = np.array([self.groups.get(name, self.default) for name in column.names])
        return np.asarray(each[column.codes], dtype=np.float64)


def positive_scores(
    predictions: Predictions, positive: str | None
) -> tuple[NDArray[np.float64], int]:
    """(n,) probabilities of the positive class, and its index.

    Raises `InputError` where there are no probabilities, not two classes, or no such class.
    """
    names = predictions.classes
    if predictions.probs is None:
        raise InputError("a threshold needs probabilities", where="--probs", expected="a column")
    if len(names) != 2:
        raise InputError(
            "a threshold needs two classes", where="thresholds", found=f"{len(names)} classes"
        )
    index = 1
    if positive is not None:
        meant = class_named(positive, names)
        if meant is None:
            raise InputError(
                "no such class",
                where="positive",
                found=repr(positive),
                expected="one of " + ", ".join(map(shown, names)),
            )
        index = list(names).index(meant)
    return predictions.probs[:, index].astype(np.float64), index


def apply_thresholds(predictions: Predictions, thresholds: Thresholds) -> Predictions:
    """The rows with the predictions that the thresholds give, and a note that says so.

    Parameters
    ----------
    predictions : of two classes, with probabilities.
    thresholds : to apply.

    Raises
    ------
    InputError : there are no probabilities, not two classes, not the positive class, or no such
        attribute.
    """
    scores, index = positive_scores(predictions, thresholds.positive)
    limits = thresholds.of_rows(predictions.groups, len(scores))
    # float32 probabilities against a limit as near to it as they can be.
    selected = scores >= limits.astype(np.float32)
    notes = [_note(thresholds, predictions.classes[index])]
    if thresholds.attribute is not None:
        column = predictions.groups[thresholds.attribute]
        unknown = [name for name in column.names if name not in thresholds.groups]
        rows = int(np.isin(column.codes, [column.names.index(name) for name in unknown]).sum())
        if rows:
            named = ", ".join(unknown[:5])
            notes.append(
                f"{rows:,} rows of {named} have no threshold of their own: {thresholds.default:g}"
            )
    return replace(
        predictions,
        predictions=np.where(selected, index, 1 - index),
        notes=(*predictions.notes, *notes),
    )


def _note(thresholds: Thresholds, positive: str) -> str:
    if thresholds.attribute is None:
        return f"{positive!r} is predicted from a probability of {thresholds.default:.4g} on"
    each = ", ".join(f"{group} {limit:.4g}" for group, limit in list(thresholds.groups.items())[:8])
    more = f" and {len(thresholds.groups) - 8} more" if len(thresholds.groups) > 8 else ""
    return (
        f"{positive!r} is predicted from a threshold by {thresholds.attribute} on "
        f"({thresholds.rule}): {each}{more}"
    )
