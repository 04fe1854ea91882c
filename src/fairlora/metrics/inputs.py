"""Columns of any kind (NumPy, pandas, polars, Arrow, torch, lists) as tables to audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError, require_known
from fairlora.metrics.groups.intersections import rows_column
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.agreement import check_agreement
from fairlora.predictions.arrow import numbered
from fairlora.predictions.attributes import name_of, named_columns, said
from fairlora.predictions.binning import Ranges, binned
from fairlora.predictions.classes import (
    Classes,
    ClassRules,
    MissingLabel,
    Named,
    check_values,
    class_rules,
)
from fairlora.predictions.columns import Coded, code_values, of_kept
from fairlora.predictions.containers import float_array
from fairlora.predictions.missing_labels import kept_rows, left_out_note, unused_notes
from fairlora.predictions.named_columns import cluster_codes
from fairlora.predictions.probabilities import probability_matrix
from fairlora.predictions.spellings import spelled
from fairlora.predictions.weights import settled_weights


def predictions_of(
    labels: Any,
    predictions: Any,
    groups: Any,
    probs: Any = None,
    *,
    classes: Any = None,
    missing_label: MissingLabel = "refuse",
    ignore_label: Any = None,
    **options: Any,
) -> Predictions:
    """One model's table; see `fairlora.audit`, and `prediction_tables` for the `options`.

    Parameters
    ----------
    labels, predictions : (n,) true and predicted classes.
    groups : attribute -> (n,) group names; or a frame, a column, or (n,) names.
    probs : (n, c) probabilities, or (n,) of the positive class; None for none.
    classes : all classes in order; None takes those that occur.
    missing_label : what becomes of missing labels and predictions: "refuse", "drop" or "keep".
    ignore_label : a label, or several, whose rows are left out; None for none.

    Raises
    ------
    InputError : everything that `fairlora.audit` refuses.
    """
    given = {} if probs is None else {"predictions": probs}
    options["rules"] = class_rules(classes, missing_label, ignore_label)
    (table,) = prediction_tables(labels, {"predictions": predictions}, groups, given, **options)
    return table


def prediction_tables(
    labels: Any,
    predictions: Mapping[str, Any],
    groups: Any,
    probs: Mapping[str, Any],
    *,
    loss: Any = None,
    rules: ClassRules | None = None,
    clusters: Any = None,
    positive: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    weight: Any = None,
) -> list[Predictions]:
    """One table for each model, over the same rows and classes.

    Parameters
    ----------
    labels : (n,) true classes.
    predictions : name of a column, for messages -> (n,) predicted classes.
    groups : attribute -> (n,) group names; or a frame, a column, or (n,) names.
    probs : name of a column -> probabilities, one for each of `predictions` or none at all.
    loss, clusters, positive : as of `fairlora.audit`.
    rules : of labels and predictions.
    bin_groups : attribute -> edges, or "quantiles:K".
    weight : (n,) how much each row counts; None for all alike.

    Raises `InputError` for columns of other lengths and everything that `fairlora.audit` refuses.
    """
    rules = ClassRules() if rules is None else rules
    columns = [_classes(labels, "labels")]
    columns += [_classes(values, where) for where, values in predictions.items()]
    places = ["labels", *predictions]
    n = len(columns[0].codes)
    if n == 0:
        raise InputError("no rows", where="labels")
    for where, column in zip(places, columns, strict=True):
        if len(column.codes) != n:
            raise InputError("another length", where=where, found=len(column.codes), expected=n)
    found = kept_rows(columns, places, rules)
    weights = None
    # Of no rows at all it is said below why there are none.
    if weight is not None and found.mask(n).any():
        weights, found = settled_weights(weight, n, found, "weight")
    kept, left_out = found
    met = [set(column.names) for column in columns]
    columns = [of_kept(column, kept) for column in columns]
    if not len(columns[0].codes):
        raise InputError("no rows are left", where="labels", found=left_out_note(left_out, 0))
    for where, column in zip(places, columns, strict=True):
        check_values(column, where, numbered(0, kept))
    plan = Classes(
        [Named(p, c.names, k == 0) for k, (p, c) in enumerate(zip(places, columns, strict=True))],
        rules,
    )
    named = None if positive is None else positive_name(positive)
    matrices = _matrices(probs, n, plan, named, kept)
    codes = plan.place(columns)
    attributes = attributes_of(groups, n, bin_groups or {}, kept)
    lengths = None if loss is None else loss_column(loss, n, kept)
    people = None if clusters is None else rows_column(clusters, "clusters", n)
    ids: NDArray[Any] = np.arange(n)
    if kept is not None:
        rows = np.flatnonzero(kept)
        people = None if people is None else people.take(rows)
        ids = ids[rows]
    members = None if people is None else cluster_codes(people, "clusters", numbered(0, kept))
    codes_of = {name: column.codes for name, column in attributes.items()}
    of_all = unused_notes(rules, met[0], set().union(*met))
    held = _held(labels, predictions, groups, probs)
    of_all += index_notes(held if weight is None else {**held, "weight": weight})
    out = []
    for k, where in enumerate(predictions):
        notes = [*dict.fromkeys(plan.notes), *of_all]
        matrix = matrices.get(where)
        if matrix is not None:
            what = "probs" if len(predictions) == 1 else f"probs of {where}"
            notes += check_agreement(codes[k + 1], matrix, plan.names, what, codes_of, plan.single)
        out.append(
            Predictions(
                ids=ids,
                split=np.broadcast_to(np.array("test"), len(ids)),
                labels=codes[0],
                predictions=codes[k + 1],
                classes=plan.names,
                groups=attributes,
                probs=matrix,
                loss=lengths,
                clusters=members,
                notes=tuple(notes),
                left_out=left_out,
                weights=weights,
                weighted_by=None if weights is None else name_of(weight),
            )
        )
    return out


def _classes(values: Any, where: str) -> Coded:
    try:
        return code_values(values)
    except (ValueError, TypeError) as error:
        raise InputError("not one class a row", where=where, found=str(error)[:120]) from error


def _matrices(
    probs: Mapping[str, Any],
    n: int,
    plan: Classes,
    positive: str | None,
    kept: NDArray[np.bool_] | None,
) -> dict[str, NDArray[np.float32]]:
    """Probabilities of each model; one may name classes that another does not."""
    while True:
        names = plan.names
        out = {
            where: probability_matrix(
                given, n, plan, positive, "probs" if len(probs) == 1 else f"probs of {where}", kept
            )
            for where, given in probs.items()
        }
        if plan.names == names:
            return out


def attributes_of(
    groups: Any, n: int, bin_groups: Mapping[str, Any], kept: NDArray[np.bool_] | None
) -> dict[str, GroupColumn]:
    """Attribute -> its column of the rows kept, from a mapping, a frame, a column or names alone.

    Parameters
    ----------
    groups : as of `fairlora.audit`.
    n : rows of every column.
    bin_groups : attribute -> edges, or "quantiles:K".
    kept : (n,) which rows are kept; None for all.

    Raises
    ------
    InputError : a column of another length, or no attribute at all.
    """
    found = named_columns(groups, n)
    bin_groups = {str(name): ranges for name, ranges in bin_groups.items()}
    require_known(bin_groups, found, "attribute", "bin_groups")
    if not found and not isinstance(groups, Mapping):  # {} asks for none
        raise InputError(
            "no groups", where="groups", found=said(groups), expected="one attribute at least"
        )
    out = {}
    for name, values in found.items():
        where = f"groups[{name!r}]"
        if name not in bin_groups:
            column = rows_column(values, where, n)
            out[name] = column if kept is None else column.take(np.flatnonzero(kept))
            continue
        try:
            ranges = Ranges(bin_groups[name], f"bin_groups[{name!r}]")
            out[name], length = binned(values, ranges, kept)
        except InputError:
            raise
        except (ValueError, TypeError) as error:
            raise InputError("not numbers", where=where, found=str(error)[:80]) from error
        if length != n:
            raise InputError("another length", where=where, found=length, expected=n)
    return out


def positive_name(positive: Any) -> str:
    """The name of a class: a word, a number, a truth value, or an array or tensor of one."""
    try:
        return spelled(positive, truth_words=True)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            "not a class", where="positive", found=said(positive), expected="one class"
        ) from error


def _held(
    labels: Any, predictions: Mapping[str, Any], groups: Any, probs: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that has one value a row, by what it is called in a message."""
    one = len(probs) == 1
    named = isinstance(groups, Mapping)
    return {
        "labels": labels,
        **predictions,
        **{"probs" if one else f"probs of {name}": given for name, given in probs.items()},
        **({f"groups[{k!r}]": v for k, v in groups.items()} if named else {"groups": groups}),
    }


def index_notes(columns: Mapping[str, Any]) -> list[str]:
    """What to say of pandas columns whose indices are the same in another order.

    Rows are taken by place, as scikit-learn takes them; pandas itself would pair them by index.
    """
    held = {
        where: values.index
        for where, values in columns.items()
        if hasattr(values, "iloc") and hasattr(values, "index")
    }
    first, *others = held or [""]
    return [
        f"the index of {other} is that of {first} in another order: rows are paired by place, not "
        "by index"
        for other in others
        if len(held[other]) == len(held[first])
        and not held[other].equals(held[first])
        and _sorted(held[other]).equals(_sorted(held[first]))
    ]


def _sorted(index: Any) -> Any:
    try:
        return index.sort_values()
    except TypeError:  # names of several types have no order
        return index


def loss_column(loss: Any, n: int, kept: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Finite losses of n rows: of all, or of those that are kept.

    Parameters
    ----------
    loss : (n,) numbers of any container.
    n : how many rows there are.
    kept : (n,) which rows to keep; None keeps all.

    Raises
    ------
    InputError : not numbers, not n of them, or one that is not finite.
    """
    losses = floats(loss, "loss")
    if losses.shape != (n,):
        raise InputError(
            "losses of another shape", where="loss", found=losses.shape, expected=f"({n},)"
        )
    if kept is not None:
        losses = losses[kept]
    bad = ~np.isfinite(losses)
    if bad.any():
        where = f"loss, row {numbered(0, kept)(bad)}"
        raise InputError("not a finite number", where=where, found=losses[bad][0])
    return losses.astype(np.float32)


def floats(values: Any, name: str) -> NDArray[np.floating[Any]]:
    """Numbers of any container; a missing one is NaN. `InputError` for words."""
    try:
        return float_array(values)
    except (ValueError, TypeError) as error:
        raise InputError("not numbers", where=name, expected="numbers, as many each row") from error
