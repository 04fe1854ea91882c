"""Search for subgroups: conjunctions of attribute values, ranked, and the worst of them.

Groups that each look fine may hide a combination that does not (fairness gerrymandering: Kearns et
al. 2018, ICML; Hebert-Johnson et al. 2018, ICML). All conjunctions of up to `depth` attributes are
tested, with Benjamini-Hochberg over them. The worst of them is judged by permutation of the whole
search: outcomes are permuted over all rows, the search runs again, and its worst is compared. So
searching is paid for: of many subgroups one always looks bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.content import Subgroup, WorstSubgroup
from fairlora.metrics.counts.sums import Int
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.inference.intervals import Float, difference_limits, wilson_limits, z_of
from fairlora.metrics.inference.multiplicity import benjamini_hochberg
from fairlora.metrics.settings import MissingGroup
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING

MOST = 200_000
_MOST_LISTED = 1000
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Cells:
    """Rows by their distinct combination of attribute values.

    Attributes
    ----------
    of_row : (n,) the cell of each row.
    holds : attribute -> (m, V) whether a cell's rows are in each of the attribute's groups.
    names : attribute -> its groups.
    unknown : attribute -> (m,) whether a cell's rows have no group value, where some have none and
        these are no group.
    """

    of_row: NDArray[np.intp]
    holds: dict[str, NDArray[np.bool_]]
    names: dict[str, tuple[str, ...]]
    unknown: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes
    ----------
    ranked : the subgroups, most different first (a thousand at most).
    worst : the one furthest from everyone outside on the bad side, or None.
    tested, too_small : how many conjunctions were tested, and how many had too few rows.
    """

    ranked: list[Subgroup]
    worst: WorstSubgroup | None
    tested: int
    too_small: int


def cells_of(columns: Mapping[str, GroupColumn], missing_group: MissingGroup = "show") -> Cells:
    """Collapse rows to the distinct combinations of their groups."""
    if missing_group == "show":
        columns = {attribute: settled(column) for attribute, column in columns.items()}
    first = next(iter(columns.values()))
    codes = np.zeros(len(first), dtype=np.int64)
    for column in columns.values():
        size = len(column.names) if column.lists is None else len(column.lists)
        codes = np.unique(codes * size + column.codes, return_inverse=True)[1].astype(np.int64)
    row = np.unique(codes, return_index=True)[1]
    holds, names, unknown = {}, {}, {}
    for attribute, column in columns.items():
        patterns = column.patterns()
        if patterns is None:
            patterns = np.eye(len(column.names), dtype=bool)
        here = patterns[column.codes[row]]
        apart = np.array(
            [missing_group == "show" and n == MISSING for n in column.names], dtype=bool
        )
        if apart.any():
            unknown[attribute] = np.asarray(here[:, apart].any(axis=1))
        holds[attribute] = here[:, ~apart]
        names[attribute] = tuple(n for n, out in zip(column.names, apart, strict=True) if not out)
    return Cells(codes.astype(np.intp), holds, names, unknown)


def search(
    columns: Mapping[str, GroupColumn],
    hits: NDArray[np.bool_],
    depth: int,
    min_size: int,
    *,
    rows: NDArray[np.bool_] | None = None,
    low_is_worst: bool = True,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    missing_group: MissingGroup = "show",
) -> Search:
    """Rank all conjunctions, and judge the worst.

    Parameters
    ----------
    columns : the attributes to combine, over the same n rows.
    hits : (n,) whether each row came out well (was right; was found).
    depth : attributes in a conjunction at most.
    min_size : rows that a subgroup needs, inside and outside.
    rows : (n,) the rows that count (those of the positive class, for a true positive rate).
    low_is_worst : the worst is the lowest rate, or else the highest (a false positive rate).
    draws, seed : permutations of the whole search.
    missing_group : as of `fairlora.audit`. A row without a value of an attribute that a subgroup
        names is neither inside nor outside of it.

    Raises `InputError` for more than 200,000 conjunctions, and where there is nothing to combine.
    """
    if not columns or not len(hits):
        raise InputError(
            "nothing to search",
            where="subgroups",
            found="no attributes" if not columns else "no rows",
        )
    cells = cells_of(columns, missing_group)
    counted = np.ones(len(hits), dtype=bool) if rows is None else rows
    m = int(cells.of_row.max()) + 1
    trials = np.bincount(cells.of_row[counted], minlength=m)
    good = np.bincount(cells.of_row[counted & hits], minlength=m)
    named, matrix = _conjunctions(cells, depth)
    size = np.asarray(matrix @ trials)
    known, of = _known(cells, named)
    total, right = np.asarray(known @ trials)[of], np.asarray(known @ good)[of]
    large = (size >= min_size) & (total - size >= min_size)
    # Conjunctions that no row has are nobody's subgroup.
    too_small = int(((size > 0) & ~large).sum())
    large &= _first_of_each(matrix, trials)
    # Where all outcomes are alike there is nothing to compare.
    large &= (right > 0) & (right < total)
    keep = np.flatnonzero(large)
    if not len(keep):
        return Search([], None, 0, too_small)
    matrix, named, size = matrix[keep], [named[k] for k in keep], size[keep]
    total, right, of = total[keep], right[keep], of[keep]
    got = np.asarray(matrix @ good)
    expected = size * (right / total)
    # The variance for outcomes of which a share of 1/2 is good is a quarter of this.
    weight = np.sqrt(size * (total - size) / total**2 / (total - 1))
    spread = weight * np.sqrt(right * (total - right))
    z = (got - expected) / spread
    p = np.array([2 * NormalDist().cdf(-abs(v)) for v in z])
    q = benjamini_hochberg(p)
    found = _rows_of(named, size, got, total, right, z, p, q, level)
    order = np.argsort(-np.abs(z), kind="stable")
    towards = -1.0 if low_is_worst else 1.0
    worst = int((towards * z).argmax())
    if towards * z[worst] <= 0:  # nobody is on the bad side
        return Search([found[k] for k in order[:_MOST_LISTED]], None, len(keep), too_small)
    extremes = _permuted(
        matrix,
        trials,
        good,
        _Universe(known, of, size / total, weight, total),
        towards,
        draws,
        seed,
    )
    own = (1 + int((extremes >= towards * z[worst] - 1e-12).sum())) / (draws + 1)
    judged = WorstSubgroup(
        **{**found[worst].to_dict(), "p": own},
        expected_z=float(extremes.mean()),
        chance_95=float(np.quantile(extremes, 0.95)),
    )
    return Search([found[k] for k in order[:_MOST_LISTED]], judged, len(keep), too_small)


def _conjunctions(cells: Cells, depth: int) -> tuple[list[tuple[tuple[str, str], ...]], Any]:
    """Conditions of each conjunction that some row meets, and a (k, m) matrix of its cells."""
    from scipy.sparse import csr_array

    attributes = list(cells.holds)
    subsets = [
        subset
        for size in range(1, min(depth, len(attributes)) + 1)
        for subset in combinations(attributes, size)
    ]
    many = sum(prod(len(cells.names[a]) for a in subset) for subset in subsets)
    if many > MOST:
        raise InputError(
            "too many subgroups to search",
            where="subgroups",
            found=f"{many:,} conjunctions of up to {depth} of {len(attributes)} attributes",
            expected=f"at most {MOST:,}: a lower depth, or fewer attributes",
        )
    named: list[tuple[tuple[str, str], ...]] = []
    row_parts, column_parts = [], []
    for subset in subsets:
        # Pairs of a cell and a conjunction so far; where groups overlap a cell meets several.
        m = len(cells.holds[subset[0]])
        cell, key = np.arange(m), np.zeros(m, dtype=np.int64)
        for attribute in subset:
            inside, value = np.nonzero(cells.holds[attribute][cell])
            cell, key = cell[inside], key[inside] * len(cells.names[attribute]) + value
        values, place = np.unique(key, return_inverse=True)
        row_parts.append(place + len(named))
        column_parts.append(cell)
        for one in values.tolist():
            conditions = []
            for attribute in reversed(subset):
                one, value_code = divmod(one, len(cells.names[attribute]))
                conditions.append((attribute, cells.names[attribute][value_code]))
            named.append(tuple(reversed(conditions)))
    row, column = np.concatenate(row_parts), np.concatenate(column_parts)
    shape = (len(named), int(cells.of_row.max()) + 1)
    return named, csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _known(
    cells: Cells, named: list[tuple[tuple[str, str], ...]]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(U, m) sets of cells that have a value of given attributes, and each conjunction's set."""
    places: dict[tuple[str, ...], int] = {}
    of = [
        places.setdefault(tuple(a for a, _ in one if a in cells.unknown), len(places))
        for one in named
    ]
    out = np.ones((max(len(places), 1), int(cells.of_row.max()) + 1))
    for attributes, place in places.items():
        for attribute in attributes:
            out[place, cells.unknown[attribute]] = 0
    return out, np.array(of, dtype=np.intp)


@dataclass(frozen=True)
class _Universe:
    """What each of k conjunctions is set against: the rows of which it is known who is inside.

    Attributes
    ----------
    known : (U, m) sets of cells.
    of : (k,) each conjunction's set.
    share : (k,) of the set's rows that are inside.
    weight : (k,) what makes a standard error of sqrt(good * bad) outcomes.
    total : (k,) rows of the set.
    """

    known: NDArray[np.float64]
    of: NDArray[np.intp]
    share: Float
    weight: Float
    total: Float

    def scores(self, got: Float, whole: Float) -> Float:
        """(k, B) standardised differences of good outcomes inside (k, B), of cells' (B, m)."""
        # Of all rows the good outcomes are as many in every draw: no (k, B) table of them.
        if self.known.all():
            right = self.known[:1] @ whole[:1].T
        else:
            right = (self.known @ whole.T)[self.of]
        off = got - self.share[:, None] * right
        root = np.sqrt(right * (self.total[:, None] - right))
        spread = self.weight[:, None] * root
        return np.divide(off, spread, out=np.zeros_like(off), where=spread > 0)


def _first_of_each(matrix: Any, trials: Int) -> NDArray[np.bool_]:
    """Whether no conjunction before selects the same rows: the shorter name stays."""
    # Two sums of random marks are the same for the same cells, and for no others that one will
    # meet. Of whole numbers below 2^53 the sums are exact.
    marks = (
        np.random.default_rng(0).integers(0, 1 << 36, (matrix.shape[1], 2)) * (trials > 0)[:, None]
    )
    signature = np.asarray(matrix @ marks.astype(np.float64))
    first = np.zeros(matrix.shape[0], dtype=bool)
    first[np.unique(signature, axis=0, return_index=True)[1]] = True
    return first


def _permuted(
    matrix: Any,
    trials: Int,
    good: Int,
    universe: _Universe,
    towards: float,
    draws: int,
    seed: int,
) -> Float:
    """(B,) the worst z of each search of permuted outcomes, larger the worse."""
    rng = np.random.default_rng([seed, 17])
    extremes = []
    m = len(trials)
    chunk = max(1, min(draws, _CHUNK // max(m, matrix.shape[0])))
    single = trials.max() <= 1
    for start in range(0, draws, chunk):
        b = min(chunk, draws - start)
        if single:
            # A row a cell: shuffling them is quicker than drawing from each.
            drawn = rng.permuted(np.tile(good[trials > 0], (b, 1)), axis=1)
            whole = np.zeros((b, m))
            whole[:, trials > 0] = drawn
        else:
            # By counting where there are few rows a cell, else cell by cell.
            few = int(trials.sum()) < 30 * m
            whole = rng.multivariate_hypergeometric(
                trials, int(good.sum()), size=b, method="count" if few else "marginals"
            ).astype(np.float64)
        extremes.append((towards * universe.scores(matrix @ whole.T, whole)).max(axis=0))
    return np.concatenate(extremes)


def _rows_of(
    named: list[tuple[tuple[str, str], ...]],
    size: Float,
    got: Float,
    total: Float,
    right: Float,
    z: Float,
    p: Float,
    q: Float,
    level: float,
) -> list[Subgroup]:
    rate, outside = got / size, (right - got) / (total - size)
    c = z_of(level)
    limits = difference_limits(
        rate, wilson_limits(rate, size, c), outside, wilson_limits(outside, total - size, c)
    )
    return [
        Subgroup(
            name=" & ".join(f"{attribute}: {value}" for attribute, value in conditions),
            conditions=dict(conditions),
            n=int(size[k]),
            rate=float(rate[k]),
            rate_outside=float(outside[k]),
            difference=float(rate[k] - outside[k]),
            low=float(limits.low[k]),
            high=float(limits.high[k]),
            z=float(z[k]),
            p=float(p[k]),
            q=float(q[k]),
        )
        for k, conditions in enumerate(named)
    ]
