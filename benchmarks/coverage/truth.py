"""What `coverage.py` counts, and the true values that it counts against.

True values come from the population by formula, written apart from the library: of rates from cell
probabilities, of scores from integrals over the confidence (65,536 points), never from a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Rounding is no miss.
_EPS = 1e-9
RATES = ("accuracy", "selection_rate", "tpr", "fpr", "precision", "f1")
BINS = 15


@dataclass
class Count:
    """Intervals of one kind in one scenario, and how many of them held the truth."""

    tried: int = 0
    null: int = 0
    covered: int = 0
    too_low: int = 0
    too_high: int = 0
    width: float = 0.0
    truth: float = 0.0

    def row(self) -> dict[str, float | int | None]:
        """As in the results: shares and means."""
        known = self.tried - self.null
        share = self.covered / known if known else None
        return {
            "intervals": known,
            "coverage": share,
            "error": None if share is None else float(np.sqrt(share * (1 - share) / known)),
            "too_low": self.too_low / known if known else None,
            "too_high": self.too_high / known if known else None,
            "width": self.width / known if known else None,
            "null": self.null / self.tried if self.tried else None,
            "truth": self.truth / self.tried if self.tried else None,
        }


@dataclass
class Record:
    """All counts of a scenario; `chance` sums gaps and expectations, and counts them."""

    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    chance: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 3))

    def add(self, kind: str, low: Any, high: Any, truth: Any) -> None:
        """Count intervals: numbers or arrays of one shape; NaN or None ends are null."""
        low, high = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (low, high))
        true = np.broadcast_to(np.asarray(truth, dtype=np.float64), low.shape)
        known = np.isfinite(low) & np.isfinite(high)
        one = self.counts[kind]
        below, above = (high < true - _EPS) & known, (low > true + _EPS) & known
        one.tried += low.size
        one.null += int((~known).sum())
        one.too_low += int(below.sum())
        one.too_high += int(above.sum())
        one.covered += int((known & ~below & ~above).sum())
        one.width += float((high - low)[known].sum())
        one.truth += float(true.sum())

    def number(self, kind: str, number: Any, truth: float) -> None:
        """Count one of the library's numbers: a `Number`, or the dict that it becomes."""
        get = number.get if isinstance(number, dict) else lambda key: getattr(number, key)
        self.add(kind, get("low"), get("high"), truth)

    def at_once(self, kind: str, numbers: list[Any], truths: list[float]) -> None:
        """Count intervals that are to hold together as one: covered if all of them cover."""
        if any(one.low is None for one in numbers):
            return self.add(kind, None, None, 0.0)
        far = max(max(one.low - t, t - one.high) for one, t in zip(numbers, truths, strict=True))
        width = float(np.mean([one.high - one.low for one in numbers]))
        return self.add(kind, max(far, 0.0), max(far, 0.0) + width, 0.0)

    def by_chance(self, kind: str, number: Any) -> None:
        """Count a gap under no disparity against the expectation that stands beside it."""
        detail = number if isinstance(number, dict) else number.to_dict()
        if detail["value"] is not None and detail.get("expected_by_chance") is not None:
            sums = self.chance[kind]
            sums[0] += detail["value"]
            sums[1] += detail["expected_by_chance"]
            sums[2] += 1


def rates_of(cells: Float, binary: bool) -> dict[str, Float]:
    """(G, C) rates of every class, (G, 1) of the positive one, from (G, C, C) expected counts."""
    total, rows, chosen = cells.sum((1, 2))[:, None], cells.sum(2), cells.sum(1)
    hits = np.einsum("gcc->gc", cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = {
            "selection_rate": chosen / total,
            "tpr": hits / rows,
            "fpr": (chosen - hits) / (total - rows),
            "precision": hits / chosen,
            "f1": 2 * hits / (rows + chosen),
        }
    out = {kind: rate[:, 1:] if binary else rate for kind, rate in out.items()}
    return {"accuracy": hits.sum(1, keepdims=True) / total, **out}


@dataclass
class Population:
    """True rates of an attribute's groups, from expected counts (G, C, C) in and outside each."""

    cells: Float
    outside: Float

    def __post_init__(self) -> None:
        self.binary = self.cells.shape[1] == 2
        self.rates = rates_of(self.cells, self.binary)
        self.rest = rates_of(self.outside, self.binary)
        every = np.ones_like(self.rates["tpr"], dtype=bool)
        self.all = {kind: every[:, : rate.shape[1]] for kind, rate in self.rates.items()}
        self.all |= {"rest": every, "f1_of_group": every[:, 0]}

    def summary(self, counted: Mapping[str, Mask] | None = None) -> dict[str, float]:
        """The disparities, over the groups and classes that an audit counted: (G, C) by rate."""
        counted = self.all if counted is None else counted
        rates = self.rates

        def spread(kind: str) -> float:
            low, high = _ends(rates[kind], counted[kind])
            return float((high - low).max(initial=-np.inf))

        def ratio(kind: str) -> float:
            low, high = _ends(rates[kind], counted[kind])
            return float((low / high).min(initial=np.inf))

        accuracy = rates["accuracy"][counted["accuracy"]]
        f1 = rates["f1"].mean(axis=1)[counted["f1_of_group"]]
        recall = rates["tpr"].mean(axis=1)[
            counted["tpr"][:, 0] if self.binary else counted["f1_of_group"]
        ]
        far = np.abs(rates["tpr"] - self.rest["tpr"])[counted["tpr"] & counted["rest"]]
        return {
            "accuracy_worst": float(accuracy.min()),
            "accuracy_gap": float(np.ptp(accuracy)),
            "dpd": spread("selection_rate"),
            "eod": max(spread("tpr"), spread("fpr")),
            "eopp_max": float(far.max(initial=-np.inf)),
            "dp_ratio": ratio("selection_rate"),
            "eo_ratio": min(ratio("tpr"), ratio("fpr")),
            "f1_min": float(f1.min()),
            "f1_gap": float(np.ptp(f1)),
            "recall_min": float(recall.min(initial=np.inf)),
        }

    def of_group(self, g: int, seen: Mapping[str, Mask] | None = None) -> dict[str, float]:
        """The group against everyone outside it; `seen` (C,) by rate says what the draw shows."""

        def far(kind: str) -> float:
            d = np.abs(self.rates[kind][g] - self.rest[kind][g])
            return float((d if seen is None else d[seen[kind]]).max(initial=-np.inf))

        return {
            "dpd": far("selection_rate"),
            "eod": max(far("tpr"), far("fpr")),
            "eopp": far("tpr"),
            "accuracy_difference": float(
                self.rates["accuracy"][g, 0] - self.rest["accuracy"][g, 0]
            ),
        }


def _ends(rates: Float, counted: Mask) -> tuple[Float, Float]:
    """(C',) smallest and largest counted group, of the classes in which two or more are."""
    here = counted.sum(axis=0) > 1
    low = np.where(counted, rates, np.inf).min(axis=0)[here]
    return low, np.where(counted, rates, -np.inf).max(axis=0)[here]


@dataclass(frozen=True)
class ScoreTruth:
    """True values of what a confidence c and the hit rate f(c) of rows with it come to."""

    accuracy: float
    ece: float
    confidence_gap: float
    brier: float
    nll: float
    auc: float
    bin_gaps: Float


def score_truth(confidence: Float, hit_rate: Float) -> ScoreTruth:
    """Integrals over equally likely `confidence` points of binary rows.

    A row says `confidence` for the class that it predicts, which is right with probability
    `hit_rate`. The AUC takes both classes as equally frequent.
    """
    c, f = confidence, hit_rate
    place = np.clip(np.ceil(c * BINS).astype(int) - 1, 0, BINS - 1)
    sums = np.bincount(place, weights=c - f, minlength=BINS)
    rows = np.bincount(place, minlength=BINS)
    scores, ones = np.concatenate([c, 1 - c]), np.concatenate([f, 1 - f])
    order = np.argsort(scores)
    ones, zeros = ones[order] / len(c), (1 - ones[order]) / len(c)
    return ScoreTruth(
        float(f.mean()),
        float(np.abs(sums).sum() / len(c)),
        float((c - f).mean()),
        float((2 * f * (1 - c) ** 2 + 2 * (1 - f) * c**2).mean()),
        float(-(f * np.log(c) + (1 - f) * np.log1p(-c)).mean()),
        float((ones * (np.cumsum(zeros) - zeros / 2)).sum()),
        np.abs(sums) / np.maximum(rows, 1),
    )
