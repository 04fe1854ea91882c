"""The rates of a store by entry and group, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.watch.store import Store
from fairlora.predictions.arrow import MISSING, joined, numbers

Int = NDArray[np.int64]
# Metric -> whether it needs a positive class; the order in which they are shown.
METRICS = {"accuracy": False, "selection_rate": True, "tpr": True, "fpr": True}
# Entries times groups times counts: what a report holds.
_MOST_CELLS = 200_000_000


class Counted(NamedTuple):
    """Hits among n rows, (E, G) each, of the entries of one metric; `periods` (E,) by number.

    `first` says which entry is the baseline; None where it has none (yet).
    """

    hits: Int
    n: Int
    periods: Int
    first: int | None

    def since(self) -> Counted:
        """The entries after the baseline's period: those that are watched."""
        later = self.periods > 0
        return Counted(self.hits[later], self.n[later], self.periods[later], None)

    def of(self, groups: NDArray[Any]) -> Counted:
        """Some of the groups."""
        return self._replace(hits=self.hits[:, groups], n=self.n[:, groups])


@dataclass(frozen=True)
class Rates:
    """Everything that a report counts.

    Attributes
    ----------
    groups : (G,) attribute and name; those of all rows, number 0, are None.
    counted : metric -> its hits and rows.
    rows : (P, G) rows of each period.
    labelled : (P,) rows that have a label.
    rest : (G,) for each group the number of its attribute's missing group, or -1; all rows have -2.
    """

    groups: list[tuple[str | None, str | None]]
    counted: dict[str, Counted]
    rows: Int
    labelled: Int
    rest: Int

    def outside(self, counted: Counted, groups: NDArray[Any]) -> Counted:
        """Everyone who has a group value and is outside each of some groups."""

        def others(values: Int) -> Int:
            missing = self.rest[groups]
            unknown = np.where(missing >= 0, values[:, np.maximum(missing, 0)], 0)
            return np.asarray(values[:, :1] - unknown - values[:, groups])

        return counted._replace(hits=others(counted.hits), n=others(counted.n))


def rates_of(store: Store) -> Rates:
    """Count a store's tallies once.

    Raises
    ------
    InputError : more groups and periods than a report holds.
    """
    header = store.header
    table = store.tallies
    entry, rows = (numbers(joined(table[name])) for name in ("entry", "rows"))
    words = {name: _coded(table, name) for name in ("attribute", "group", "label", "pred")}
    (a_names, a), (g_names, g) = words["attribute"], words["group"]
    _bounded(store, len(a_names) * len(g_names))
    pair_of = a * np.int32(len(g_names)) + g
    present = np.bincount(pair_of, minlength=len(a_names) * len(g_names)) > 0
    pairs, group = np.flatnonzero(present), (np.cumsum(present, dtype=np.int32) - 1)[pair_of]
    # The missing attribute has the code 0: all rows come first.
    groups = [
        (a_names[int(pair // len(g_names))], g_names[int(pair % len(g_names))]) for pair in pairs
    ]
    if not groups or groups[0] != (None, None):
        raise InputError("no tallies of all rows", where=store.path)
    entries, size = len(header.entries), len(groups)
    _bounded(store, entries * size)
    place = entry * np.int64(size) + group

    def summed(here: NDArray[np.bool_] | None = None) -> Int:
        some, weights = (place, rows) if here is None else (place[here], rows[here])
        # Exact: sums below 2^53 are whole in float64.
        found = np.bincount(some, weights, minlength=entries * size)
        return np.asarray(np.rint(found).astype(np.int64).reshape(entries, size))

    (l_names, label), (p_names, pred) = words["label"], words["pred"]
    named = {name: k for k, name in enumerate(p_names)}
    in_pred = np.array([named.get(name, -1) for name in l_names])[label]
    period_of = {period: k for k, period in enumerate(header.periods)}
    periods = np.array([period_of[one.period] for one in header.entries])
    of_labels = np.array([one.kind != "decisions" for one in header.entries])
    of_decisions = np.array([one.kind != "labels" for one in header.entries])
    everything = summed()

    def counted(hits: Int, n: Int, kind: NDArray[np.bool_]) -> Counted:
        own = periods[kind]
        base = np.flatnonzero(own == 0)
        return Counted(hits[kind], n[kind], own, int(base[0]) if len(base) else None)

    out = {}
    if of_labels.any():
        out["accuracy"] = counted(summed((label > 0) & (in_pred == pred)), everything, of_labels)
    if header.positive is not None:
        yes = pred == named.get(header.positive, -1)
        was = label == (l_names.index(header.positive) if header.positive in l_names else -1)
        out["selection_rate"] = counted(summed(yes), everything, of_decisions)
        if of_labels.any():
            known = label > 0
            out["tpr"] = counted(summed(was & yes), summed(known & was), of_labels)
            out["fpr"] = counted(summed(known & ~was & yes), summed(known & ~was), of_labels)
    by_period = np.zeros((len(header.periods), size), np.int64)
    np.add.at(by_period, periods[of_decisions], everything[of_decisions])
    labelled = np.zeros(len(header.periods), np.int64)
    np.add.at(labelled, periods[of_labels], everything[of_labels, 0])
    missing = {attribute: k for k, (attribute, name) in enumerate(groups) if name == MISSING}
    rest = [-2 if attribute is None else missing.get(attribute, -1) for attribute, _ in groups]
    in_order = {name: out[name] for name in METRICS if name in out}
    return Rates(groups, in_order, by_period, labelled, np.array(rest))


def _bounded(store: Store, cells: int) -> None:
    if cells > _MOST_CELLS:
        raise InputError(
            "more groups and periods than a report holds",
            where=store.path,
            found=f"{cells:,}",
            expected=f"at most {_MOST_CELLS:,}",
        )


def _coded(table: Any, name: str) -> tuple[list[str | None], Int]:
    """A column's names with None before them, and its codes: 0 is missing."""
    column = joined(table[name])
    # A missing one is NaN; Arrow's own filling would import pandas.
    codes = np.nan_to_num(numbers(column.indices), nan=-1.0).astype(np.int32) + 1
    return [None, *column.dictionary.to_pylist()], codes
