"""A watch's content from its store."""

from __future__ import annotations

import numpy as np

from fairlora.metrics.content import Number
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.metrics.inference.intervals import Float, Limits
from fairlora.metrics.inference.sequences import running_limits
from fairlora.metrics.watch.alarms import alarms_of, test_count
from fairlora.metrics.watch.content import (
    Course,
    WatchContent,
    Watched,
    WatchedGap,
    WatchedGroup,
    WatchedRates,
    WatchSettings,
)
from fairlora.metrics.watch.series import METRICS, Counted, Int, Rates, rates_of
from fairlora.metrics.watch.store import Store
from fairlora.predictions.arrow import MISSING

# More looks than this are not drawn or written out: some of them are, evenly, and the last.
MOST_LOOKS = 60
NO_ROWS = "no rows yet"


def assemble_watch(store: Store, level: float = 0.95, margin: float = 0.0) -> WatchContent:
    """Everything that a report says.

    Parameters
    ----------
    store : as it was read.
    level : of the bounds together, and 1 - level of the alarms together.
    margin : a change below this raises no alarm.
    """
    header, rates = store.header, rates_of(store)
    alpha = 1 - level
    there = [
        k for k, (_, name) in enumerate(rates.groups) if name != MISSING and rates.rows[0, k] > 0
    ]
    later = [
        k for k, (_, name) in enumerate(rates.groups) if name != MISSING and k not in set(there)
    ]
    # In the order in which they came, so that a share of alpha once given stays.
    later.sort(key=lambda k: (int((rates.rows[:, k] > 0).argmax()), k))
    shares = _shares(rates, there, later)
    periods = len(header.periods)
    looks = _looks(periods)
    watched = _watched(rates, shares * alpha, looks)
    by_group: dict[str, dict[str, WatchedGroup]] = {name: {} for name in header.attributes}
    for k in [*there[1:], *later]:
        attribute, name = rates.groups[k]
        assert attribute is not None
        assert name is not None
        by_group.setdefault(attribute, {})[name] = WatchedGroup(
            n=int(rates.rows[:, k].sum()), new=k in later, **watched[k]
        )
    by_group = {a: dict(sorted(groups.items())) for a, groups in by_group.items()}
    binary = "selection_rate" in rates.counted
    open_rows = rates.rows[:, 0] - rates.labelled
    return WatchContent(
        n=int(rates.rows[:, 0].sum()),
        periods=list(header.periods),
        baseline=header.periods[0],
        looks=[header.periods[k] for k in looks],
        unlabelled={header.periods[k]: int(open_rows[k]) for k in np.flatnonzero(open_rows > 0)},
        positive=header.positive,
        settings=WatchSettings(
            level=level,
            margin=margin,
            tests=test_count(len(there) - 1, binary),
            bounds=round(1 / float(shares[0])),
        ),
        overall=WatchedRates(n=int(rates.rows[:, 0].sum()), **watched[0]),
        by_group=by_group,
        gaps=_gaps(by_group),
        alarms=alarms_of(rates, np.array(there), header.periods, alpha, margin),
        warnings=_warnings(rates, header.attributes),
    )


def _shares(rates: Rates, there: list[int], later: list[int]) -> Float:
    """(G,) each group's share of alpha: all rows one part, each group and its rest two.

    New groups share one part more: the j-th has 1 / (j (j + 1)) of it, so that all that may ever
    come have no more than it.
    """
    metrics = len(METRICS) if "selection_rate" in rates.counted else 1
    parts = metrics * (2 * (len(there) - 1) + 2)
    shares = np.zeros(len(rates.groups))
    shares[there] = 1 / parts
    for j, k in enumerate(later, start=1):
        shares[k] = 1 / (2 * parts * j * (j + 1))
    return shares


def _looks(periods: int) -> list[int]:
    if periods <= MOST_LOOKS:
        return list(range(periods))
    return np.unique(np.linspace(0, periods - 1, MOST_LOOKS).round().astype(int)).tolist()  # type: ignore[no-any-return]


def _watched(rates: Rates, alpha: Float, looks: list[int]) -> list[dict[str, Watched]]:
    """For each group its metrics."""
    out: list[dict[str, Watched]] = [{} for _ in rates.groups]
    periods = len(rates.rows)
    everyone = np.arange(len(rates.groups))
    for metric, counted in rates.counted.items():
        hits, n = _by_period(counted, periods)
        so_far = hits[1:].cumsum(axis=0), n[1:].cumsum(axis=0)
        sums, sizes = (_at(values, looks) for values in so_far)
        bounds = running_limits(sums, sizes, alpha.clip(1e-300))
        outside = rates.outside(counted, everyone)
        rest_hits, rest_n = (v[outside.periods > 0].sum(axis=0) for v in outside[:2])
        rest = running_limits(rest_hits, rest_n, alpha.clip(1e-300))
        own = Limits(bounds.low[-1], bounds.high[-1])
        total, rows = hits[1:].sum(axis=0), n[1:].sum(axis=0)
        first, nothing = counted.first, np.zeros_like(total)
        base, base_n = (nothing if first is None else values[first] for values in counted[:2])
        base_limits = clopper_pearson(base, base_n)
        for k in np.flatnonzero(alpha > 0).tolist():
            found = _number(total[k], rows[k], own, k).to_dict()
            if k and rows[k] and rest_n[k]:
                found["difference"] = Number(
                    value=float(total[k] / rows[k] - rest_hits[k] / rest_n[k]),
                    low=float(own.low[k] - rest.high[k]),
                    high=float(own.high[k] - rest.low[k]),
                )
            out[k][metric] = Watched(
                n=int(rows[k]),
                baseline=_number(base[k], base_n[k], base_limits, k),
                course=Course(
                    n=n[looks, k].tolist(),
                    value=_shares_of(hits[looks, k], n[looks, k]),
                    mean=_shares_of(sums[:, k], sizes[:, k]),
                    low=bounds.low[:, k].tolist(),
                    high=bounds.high[:, k].tolist(),
                ),
                **found,
            )
    return out


def _by_period(counted: Counted, periods: int) -> tuple[Int, Int]:
    out = []
    for values in (counted.hits, counted.n):
        total = np.zeros((periods, values.shape[1]), np.int64)
        np.add.at(total, counted.periods, values)
        out.append(total)
    return out[0], out[1]


def _at(values: Int, looks: list[int]) -> Int:
    """Sums so far at some looks; at the baseline's there is nothing."""
    padded = np.concatenate([np.zeros((1, values.shape[1]), values.dtype), values])
    return np.asarray(padded[looks])


def _shares_of(hits: Int, n: Int) -> list[float | None]:
    return [h / m if m else None for h, m in zip(hits.tolist(), n.tolist(), strict=True)]


def _number(hits: int, n: int, limits: Limits, k: int) -> Number:
    if not n:
        return Number.undefined(NO_ROWS)
    return Number(value=float(hits / n), low=float(limits.low[k]), high=float(limits.high[k]))


def _gaps(by_group: dict[str, dict[str, WatchedGroup]]) -> dict[str, dict[str, WatchedGap]]:
    """Largest minus smallest rate, by bounds that hold for all groups at once."""
    out: dict[str, dict[str, WatchedGap]] = {}
    for attribute, groups in by_group.items():
        out[attribute] = {}
        for metric in METRICS:
            found = {
                name: rate
                for name, group in groups.items()
                if (rate := getattr(group, metric)) is not None and rate.value is not None
            }
            if len(found) < 2:
                continue
            smallest = min(found, key=lambda name: found[name].value)
            largest = max(found, key=lambda name: found[name].value)
            top = min(one.high for one in found.values())
            base = [one.baseline.value for one in found.values() if one.baseline.value is not None]
            out[attribute][metric] = WatchedGap(
                value=found[largest].value - found[smallest].value,
                low=max(0.0, max(one.low for one in found.values()) - top),
                high=max(one.high for one in found.values())
                - min(one.low for one in found.values()),
                smallest=smallest,
                largest=largest,
                baseline=max(base) - min(base) if len(base) > 1 else None,
                lowest=[name for name, one in found.items() if one.low <= top],
            )
    return out


def _warnings(rates: Rates, attributes: tuple[str, ...]) -> list[str]:
    out = []
    total = int(rates.rows[:, 0].sum())
    for attribute in attributes:
        missing = [k for k, pair in enumerate(rates.groups) if pair == (attribute, MISSING)]
        rows = int(rates.rows[:, missing].sum())
        if rows:
            out.append(
                f"{attribute}: {rows:,} of {total:,} rows have no group value: they count for all "
                "rows, and for no group and not as outside of any"
            )
    return out
