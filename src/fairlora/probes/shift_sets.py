"""The distances between several sets of pictures, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fairlora.data import Examples
from fairlora.probes.frechet import RunningMoments, frechet_distance
from fairlora.probes.picture_features import Features
from fairlora.probes.shift import require_enough, shift, warnings_of

Tell = Callable[[str, int, int], None]


def distances(
    pictures: Mapping[str, Examples],
    features: Features,
    pairs: Sequence[tuple[str, str]] | None = None,
    *,
    bootstrap: int = 100,
    permutations: int = 100,
    seed: int = 0,
    level: float = 0.95,
    tell: Tell = lambda what, done, total: None,
) -> dict[str, Any]:
    """Distances between sets of pictures by name; see `fairlora.probes.shift.shift`.

    Features are kept in memory only where something is drawn from them: means and covariances are
    summed up batch by batch.

    Parameters
    ----------
    pairs : of names; None is all of them.

    Returns
    -------
    `width` of the features, `sets` (name -> pictures), and `pairs`, a dict each.

    Raises `InputError` for a set of fewer than ten pictures.
    """
    for examples in pictures.values():
        require_enough(len(examples))
    moments: dict[str, RunningMoments] = {}
    kept: dict[str, Any] = {}
    drawn = bootstrap > 0 or permutations > 0
    for k, (name, examples) in enumerate(pictures.items()):
        tell("reading pictures", k, len(pictures))
        moments[name] = RunningMoments()
        batches = []
        for batch in features(examples):
            moments[name].add(batch)
            if drawn:
                batches.append(batch)
        kept[name] = np.concatenate(batches) if drawn else None
    tell("reading pictures", len(pictures), len(pictures))
    rows = []
    for first, second in itertools.combinations(pictures, 2) if pairs is None else pairs:
        if drawn:
            row = shift(
                kept[first],
                kept[second],
                (pictures[first].family, pictures[second].family),
                bootstrap=bootstrap,
                permutations=permutations,
                seed=seed,
                level=level,
                tell=partial(tell, f"{first}, {second}"),
            )
        else:
            a, b = moments[first], moments[second]
            distance = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
            nothing = dict.fromkeys(("corrected", "low", "high", "expected_by_chance", "p"))
            units = [_units(pictures[name]) for name in (first, second)]
            row = {
                "n": [a.count, b.count],
                "units": units,
                **distance._asdict(),
                **nothing,
                "warnings": warnings_of(min(units), len(a.mean)),
            }
        rows.append({"first": first, "second": second, **row})
    return {
        "width": len(next(iter(moments.values())).mean),
        "sets": {name: len(examples) for name, examples in pictures.items()},
        "pairs": rows,
    }


def _units(examples: Examples) -> int:
    """How many pictures, or families of them, there are."""
    return len(examples) if examples.family is None else len(np.unique(examples.family))
