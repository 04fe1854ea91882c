"""Scenarios of measurements: bias, MAE, RMSE, rank correlation, interval coverage and their gaps.

Labels are normal; true values are formulas of the errors' distribution, which is normal (some in
clusters) or lognormal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scenarios import Rng, Scenario, names
from scipy.special import ndtr, ndtri
from truth import Float, Record

from fairlora.metrics.numeric.assemble import numeric_content
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn
from fairlora.predictions.measurements import with_measurements
from fairlora.predictions.scores import score_table

# Standard deviations of labels and, where groups are alike, of errors; the quantiles' levels.
_LABELS, _ERRORS, _LEVELS = 10.0, 5.0, (0.1, 0.9)
_GROUPS, _CLUSTER, _SHARED = 3, 5, 0.3
KINDS = ("normal", "lognormal", "clusters of 5")
_SAID = {
    "bias": "bias",
    "mae": "MAE",
    "rmse": "RMSE",
    "rank_correlation": "rank correlation",
    "coverage": "interval coverage",
}


def truths_of(kind: str, scale: Float, bias: Float) -> dict[str, Float]:
    """(G,) true values of each group, of errors of this scale around this bias."""
    if kind == "lognormal":
        # scale x exp(z - 1/2), whose mean is the scale, and mean square e times its square.
        return {"bias": scale, "mae": scale, "rmse": scale * np.sqrt(np.e)}
    folded = scale * np.sqrt(2 / np.pi) * np.exp(-(bias**2) / (2 * scale**2))
    half = -_ERRORS * ndtri(_LEVELS[0])
    return {
        "bias": bias,
        "mae": folded + bias * (1 - 2 * ndtr(-bias / scale)),
        "rmse": np.hypot(scale, bias),
        # Pearson's correlation as Spearman's, of two normal variables.
        "rank_correlation": 6 / np.pi * np.arcsin(_LABELS / np.hypot(_LABELS, scale) / 2),
        "coverage": ndtr((half - bias) / scale) - ndtr((-half - bias) / scale),
    }


def _errors(rng: Rng, kind: str, scale: Float, bias: Float, n: int) -> Float:
    rows = len(scale) * n
    if kind == "lognormal":
        return np.asarray(np.repeat(scale, n) * np.exp(rng.standard_normal(rows) - 0.5))
    z = rng.standard_normal(rows)
    if kind != "normal":
        shared = np.repeat(rng.standard_normal(rows // _CLUSTER), _CLUSTER)
        z = np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * z
    return np.asarray(np.repeat(bias, n) + np.repeat(scale, n) * z)


def measurement_scenarios() -> Iterator[Scenario]:
    """Groups that are alike, and groups whose errors grow from the first to the last."""
    for kind, n, alike in itertools.product(KINDS, (30, 100, 300), (True, False)):
        scale, bias = np.full(_GROUPS, _ERRORS), np.zeros(_GROUPS)
        if not alike:
            scale, bias = np.linspace(_ERRORS, 2 * _ERRORS, _GROUPS), np.linspace(0, 2, _GROUPS)

        def simulate(
            record: Record,
            rng: Rng,
            sims: int,
            kind: str = kind,
            n: int = n,
            scale: Float = scale,
            bias: Float = bias,
            alike: bool = alike,
        ) -> None:
            groups = len(scale)
            true = truths_of(kind, scale, bias)
            column = GroupColumn(names(groups), np.repeat(np.arange(groups, dtype=np.int32), n))
            people = None if kind in ("normal", "lognormal") else np.arange(groups * n) // _CLUSTER
            # What chance gives takes most of the time, and few simulations say it.
            for k in range(sims):
                settings = Settings(bootstrap=2000 if alike and k < sims // 4 else 0, seed=k)
                y = _LABELS * rng.standard_normal(groups * n)
                p = y + _errors(rng, kind, scale, bias, n)
                half = -_ERRORS * ndtri(_LEVELS[0])
                table = score_table(y, {"g": column}, clusters=people)
                some = [y, p, p - half, p + half]
                content = numeric_content(
                    with_measurements(table, some, _LEVELS, predicted=True), settings
                )
                _count(record, content.by_group["g"], content.disparities["g"], true, alike)

        what = "alike" if alike else "different"
        name = f"measurements: {_GROUPS} groups, n={n}, {kind}, {what}"
        yield Scenario(name, n, 1000, 40.0 + _GROUPS * n / 100, simulate)


def _count(record: Record, by_group, disparities, true: dict[str, Float], alike: bool) -> None:  # type: ignore[no-untyped-def]
    gaps = disparities.numbers()
    each = [numbers.numbers() for numbers in by_group.values()]
    for key, values in true.items():
        whole = key if key != "coverage" else "coverage 0.1-0.9"
        gap = f"{key}_gap" if key != "coverage" else "coverage_gap 0.1-0.9"
        worst = gap.replace("_gap", "_worst")
        said = _SAID[key]
        for found, value in zip(each, values, strict=True):
            record.number(f"{said} of a group", found[whole], float(value))
        record.number(f"{said} gap", gaps[gap], float(np.ptp(values)))
        far = {
            "bias": np.abs(values).max(),
            "coverage": np.abs(values - (_LEVELS[1] - _LEVELS[0])).max(),
            "rank_correlation": values.min(),
        }.get(key, values.max())
        record.number(f"{said} of the worst group", gaps[worst], float(far))
        if alike:
            record.by_chance(f"{said} gap", gaps[gap])
