"""What a study will cost: seconds and bytes a cell, before it runs.

From finished cells of the same kind where there are any, scaled by the number of examples; else
from arithmetic: the model's products an example and what this machine multiplies a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fairlora.data import Examples
from fairlora.study.spec import RunSpec
from fairlora.study.store import RunFolder

# Of the rate of one large product, what a whole training step reaches: read off cells of the
# embedded model, MiniLM and the CLIP tower on a CPU.
EFFICIENCY = 0.35
# Loading, checking, auditing and writing, whatever the size.
FIXED_SECONDS = 4.0


@dataclass(frozen=True)
class Work:
    """How many examples a cell passes forwards and backwards, and forwards alone."""

    trained: float
    predicted: float

    def passes(self, *, whole: bool) -> float:
        """In forward passes: backwards costs two, or one where the weights are frozen."""
        return self.trained * (3.0 if whole else 2.2) + self.predicted


def work_of(spec: RunSpec, rows: Mapping[str, int]) -> Work:
    """The work of a run on splits of these sizes."""
    training = spec.training
    epochs = training.epochs
    if training.max_steps is not None:
        a_step = training.batch_size * training.gradient_accumulation
        epochs = training.max_steps * a_step / max(1, rows["train"])
    evaluations = max(1.0, epochs) * rows["validation"]
    return Work(epochs * rows["train"], evaluations + sum(rows.values()))


def flops_per_second() -> float:
    """Multiply-adds a second x 2 of one large float32 product on this machine, now."""
    import numpy as np

    a = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    a @ a
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        best = max(best, 2 * 1024**3 / (time.perf_counter() - start))
    return best


@dataclass
class Estimator:
    """Seconds and bytes of cells; learns from those that are finished."""

    flops: float | None = None
    _seen: dict[tuple[Any, ...], list[float]] = field(default_factory=dict)

    def learn(self, spec: RunSpec, folder: RunFolder) -> None:
        """Take note of a finished cell."""
        status, metrics = folder.status() or {}, folder.metrics()
        seconds, rows = status.get("seconds"), metrics.get("rows")
        if not seconds or not rows:
            return
        passes = work_of(spec, rows).passes(whole=spec.adapter.kind == "full")
        rate = max(0.0, float(seconds) - FIXED_SECONDS) / max(1.0, passes)
        self._seen.setdefault(_kind(spec), []).append(rate)

    def seconds(
        self, spec: RunSpec, rows: Mapping[str, int], encoder: int | None, tokens: int | None
    ) -> tuple[float | None, bool]:
        """Seconds that the cell may take, and whether that was measured.

        Parameters
        ----------
        encoder : parameters that multiply every token; tokens : of one example. None where they
            are not known: then there is no estimate from arithmetic.
        """
        passes = work_of(spec, rows).passes(whole=spec.adapter.kind == "full")
        seen = self._seen.get(_kind(spec))
        if seen:
            return FIXED_SECONDS + median(seen) * passes, True
        if encoder is None:
            return None, False
        if self.flops is None:
            self.flops = flops_per_second()
        length = tokens if tokens is not None else (spec.model.max_length or 256) / 2
        return FIXED_SECONDS + 2 * encoder * length * passes / (self.flops * EFFICIENCY), False


def _kind(spec: RunSpec) -> tuple[Any, ...]:
    """Cells of one kind take the same time an example."""
    return (
        spec.model.id,
        spec.model.image_size,
        spec.model.max_length,
        spec.adapter.kind,
        spec.training.batch_size,
        spec.training.exact_accumulation,
    )


def disk_bytes(spec: RunSpec, rows: Mapping[str, int], classes: int, trainable: int | None) -> int:
    """Bytes that a finished cell takes: predictions, weights that were trained, and the rest.

    Probabilities hardly compress; ids, labels and groups take a few bytes a row.
    """
    predictions = sum(rows.values()) * (4 * classes + 24)
    weights = 4 * trainable if trainable is not None else 0
    return predictions + weights + 150_000


def row_counts(examples: Examples) -> dict[str, int]:
    """How many rows each split has."""
    assert examples.split is not None
    return {s: int((examples.split == s).sum()) for s in ("train", "validation", "test")}


def readable_time(seconds: float | None) -> str:
    """ "3 h 20 min", "4 min", "12 s"; "unknown" for None.

    >>> readable_time(12000), readable_time(250), readable_time(12.3), readable_time(None)
    ('3 h 20 min', '4 min', '12 s', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


def readable_size(size: float) -> str:
    """ "1.2 GB", "35 MB".

    >>> readable_size(1.2e9), readable_size(35e6), readable_size(900)
    ('1.2 GB', '35 MB', '1 kB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return (
                f"{size / scale:.1f} {unit}" if size < 10 * scale else f"{size / scale:.0f} {unit}"
            )
    return f"{max(1, round(size / 1e3))} kB"


def total(values: Sequence[float | None]) -> float | None:
    """The sum; None where any is unknown."""
    known = [v for v in values if v is not None]
    return sum(known) if len(known) == len(values) else None
