"""Distribution shift: the Frechet distance of two picture sets, and what chance alone would give.

A Frechet distance of few pictures is too large: its bias goes with one over their number and grows
with the features' number (Chong and Forsyth 2020, CVPR). So beside each distance stands what two
random halves of all the pictures give, and the interval is about the distance less its bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.inference.intervals import z_of
from fairlora.probes.frechet import frechet_of_rows

Tell = Callable[[int, int], None]
FEWEST = 10
# Below so many rows a feature the bias is no matter of one over their number alone, and what the
# bootstrap takes off is too little: simulated intervals hold the truth in 98 of 100 cases at 5, and
# in 78 at 2 (`proof_shift` of the benchmarks).
ROWS_A_FEATURE = 5


def shift(
    first: NDArray[Any],
    second: NDArray[Any],
    units: tuple[Any, Any] = (None, None),
    *,
    bootstrap: int = 100,
    permutations: int = 100,
    seed: int = 0,
    level: float = 0.95,
    tell: Tell = lambda done, total: None,
) -> dict[str, Any]:
    """The squared Frechet distance between two sets of features, with its uncertainty.

    Parameters
    ----------
    first, second : (n, d) and (m, d) features of one model.
    units : of each, (n,) what is drawn together (a family of pictures); None is each row by itself.
    bootstrap : draws of the rows of each set, 0 for none.
    permutations : times that all rows are parted at random into two sets as large, 0 for none.

    Returns
    -------
    `value`; `means` and `covariances`, which it is the sum of; `corrected`, the value less its bias
    as the bootstrap has it (its draws are too large as the value itself is), with `low` and `high`
    from the draws' standard error, about the distance of the two populations, or null with a
    `reason` where there are fewer than five rows a feature; `expected_by_chance` and `p` of the
    permutations, which hold for any number; `warnings`.

    Raises `InputError` for fewer than ten rows of a set, or features of different widths.
    """
    sets = [np.asarray(rows, dtype=np.float64) for rows in (first, second)]
    for rows in sets:
        require_enough(len(rows))
    if sets[0].shape[1] != sets[1].shape[1]:
        raise InputError(
            "features of different widths",
            where="shift",
            found=f"{sets[0].shape[1]} and {sets[1].shape[1]}",
            expected="features of one model",
        )
    codes = [_codes(own, len(rows)) for own, rows in zip(units, sets, strict=True)]
    distance = frechet_of_rows(sets[0], sets[1])
    width = sets[0].shape[1]
    out: dict[str, Any] = {
        "n": [len(rows) for rows in sets],
        "units": [int(own.max()) + 1 for own in codes],
        "width": width,
        **distance._asdict(),
    }
    few = min(out["units"])
    reason = None
    if bootstrap and few < ROWS_A_FEATURE * width:
        reason = (
            f"{few:,} pictures or families for {width:,} features: an interval takes "
            f"{ROWS_A_FEATURE * width:,}"
        )
        bootstrap = 0
    total = bootstrap + permutations
    out |= interval_of(
        sets,
        distance.value,
        codes,
        draws=bootstrap,
        seed=seed,
        level=level,
        tell=lambda k: tell(k, total),
    )
    if reason is not None:
        out["reason"] = reason
    out |= _chance(
        sets, codes, distance.value, permutations, seed, lambda k: tell(bootstrap + k, total)
    )
    out["warnings"] = warnings_of(few, width)
    return out


def require_enough(pictures: int) -> None:
    """Raise `InputError` for fewer than ten pictures."""
    if pictures < FEWEST:
        raise InputError(
            "too few pictures", where="shift", found=pictures, expected=f"{FEWEST} or more"
        )


def warnings_of(units: int, width: int) -> list[str]:
    """Warnings about a distance of so few pictures, or families of them."""
    if units > width:
        return []
    return [
        f"{units:,} pictures or families are no more than the {width:,} features: the covariance "
        "has no inverse, and most of the distance may be bias"
    ]


def _codes(units: Any, n: int) -> NDArray[np.intp]:
    if units is None:
        return np.arange(n)
    return np.asarray(np.unique(np.asarray(units), return_inverse=True)[1])


def interval_of(
    sets: list[NDArray[Any]],
    value: float,
    codes: list[NDArray[np.intp]] | None = None,
    *,
    draws: int,
    seed: int = 0,
    level: float = 0.95,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """`corrected`, `low` and `high` of `shift`, however few rows there are.

    Parameters
    ----------
    value : the distance of the two sets; codes : of their units, 0 to their number.
    """
    codes = codes or [np.arange(len(rows)) for rows in sets]
    if draws == 0:
        return {"corrected": None, "low": None, "high": None, "bootstrap": 0}
    rng = np.random.default_rng([seed, 37])
    drawn = np.empty(draws)
    for k in range(draws):
        tell(k)
        weights = []
        for own in codes:
            count = int(own.max()) + 1
            weights.append(np.bincount(rng.integers(0, count, count), minlength=count)[own])
        drawn[k] = frechet_of_rows(sets[0], sets[1], (weights[0], weights[1])).value
    corrected = max(2 * value - float(drawn.mean()), 0.0)
    half = z_of(level) * float(drawn.std(ddof=1)) if draws > 1 else float("inf")
    return {
        "corrected": corrected,
        "low": max(corrected - half, 0.0),
        "high": corrected + half,
        "bootstrap": draws,
    }


def _chance(
    sets: list[NDArray[Any]],
    codes: list[NDArray[np.intp]],
    value: float,
    draws: int,
    seed: int,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    if draws == 0:
        return {"expected_by_chance": None, "p": None, "permutations": 0}
    rng = np.random.default_rng([seed, 39])
    rows = np.concatenate(sets)
    first = int(codes[0].max()) + 1
    unit = np.concatenate([codes[0], codes[1] + first])
    count = int(unit.max()) + 1
    drawn = np.empty(draws)
    for k in range(draws):
        tell(k)
        chosen = np.zeros(count, dtype=np.bool_)
        chosen[rng.permutation(count)[:first]] = True
        inside = chosen[unit]
        drawn[k] = frechet_of_rows(rows[inside], rows[~inside]).value
    beyond = int((drawn >= value * (1 - 1e-12)).sum())
    return {
        "expected_by_chance": float(drawn.mean()),
        "p": (1 + beyond) / (draws + 1),
        "permutations": draws,
    }
