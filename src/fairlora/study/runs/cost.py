"""Estimate a study's time and disk, a cell at a time, before it runs.

From finished cells of the same kind where there are any, scaled by the number of examples; else
from arithmetic: the model's products an example and what this machine multiplies a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec

# Of the rate of one large product, what a whole run reaches; see `benchmarks/speed/estimate.py`.
EFFICIENCY = 0.75
# Loading, checking, auditing and writing, whatever the size.
FIXED_SECONDS = 4.0


@dataclass(frozen=True)
class Work:
    """How many examples a cell passes forwards and backwards, and forwards alone."""

    trained: float
    predicted: float

    def passes(self, kind: str) -> float:
        """In forward passes: backwards costs two, about one where the weights are frozen, and none
        where the head alone is trained."""
        return self.trained * {"full": 3.0, "linear": 1.0}.get(kind, 2.2) + self.predicted


def work_of(spec: RunSpec, rows: Mapping[str, int]) -> Work:
    """The work of a run on splits of these sizes."""
    if spec.deploy is not None:
        return Work(0.0, sum(n for split, n in rows.items() if split != "train"))
    training = spec.training
    epochs = training.epochs
    if training.max_steps is not None:
        a_step = training.batch_size * training.gradient_accumulation
        epochs = training.max_steps * a_step / max(1, rows["train"])
    evaluations = max(1.0, epochs) * rows["validation"]
    predicted = spec.told_rows(rows["train"]) + sum(
        n for split, n in rows.items() if split != "train"
    )
    return Work(epochs * rows["train"], evaluations + predicted)


def flops_per_second(*, bf16: bool = False, threads: int | None = None) -> float:
    """Multiply-adds a second x 2 of one large product where training would run here, now.

    Parameters
    ----------
    threads : of a CPU, as many as a cell would have; None is torch's own number.
    """
    import torch

    from fairlora.models.device import best_device

    device = best_device()
    on_cpu, size = device.type == "cpu", 1024 if device.type == "cpu" else 8192
    a = torch.rand(size, size, dtype=torch.bfloat16 if bf16 else torch.float32, device=device)
    before = torch.get_num_threads()
    if on_cpu and threads is not None:
        torch.set_num_threads(threads)
    try:
        best = 0.0
        for _ in range(5):
            start = time.perf_counter()
            # To the host, so that an accelerator has to be done.
            float((a @ a)[0, 0])
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
    return best


@dataclass
class Estimator:
    """Seconds and bytes of cells; learns from those that are finished.

    `threads` is how many a cell has for itself, None all of the machine's; `flops` tells the rate
    of one large product, from the precision and the threads.
    """

    threads: int | None = None
    flops: Callable[[bool, int | None], float] | None = None
    _flops: dict[bool, float] = field(default_factory=dict)
    _seen: dict[tuple[Any, ...], list[float]] = field(default_factory=dict)

    def learn(self, spec: RunSpec, folder: RunFolder) -> None:
        """Take note of a finished cell."""
        try:
            status, rows = folder.status(), folder.metrics()["rows"]
        except InputError:
            return  # it is broken, and named where cells are
        if status is None or not status.seconds:
            return
        passes = work_of(spec, rows).passes(spec.adapter.kind)
        rate = max(0.0, status.seconds - FIXED_SECONDS) / max(1.0, passes)
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
        passes = work_of(spec, rows).passes(spec.adapter.kind)
        seen = self._seen.get(_kind(spec))
        if seen:
            return FIXED_SECONDS + median(seen) * passes, True
        if encoder is None:
            return None, False
        bf16 = spec.training.bf16
        if bf16 not in self._flops:
            self._flops[bf16] = (
                flops_per_second(bf16=bf16, threads=self.threads)
                if self.flops is None
                else self.flops(bf16, self.threads)
            )
        length = tokens if tokens is not None else (spec.model.max_length or 256) / 2
        rate = self._flops[bf16] * EFFICIENCY
        return FIXED_SECONDS + 2 * encoder * length * passes / rate, False


def _kind(spec: RunSpec) -> tuple[Any, ...]:
    """Cells of one kind take the same time an example."""
    return (
        spec.model.id,
        spec.model.image_size,
        spec.model.max_length,
        spec.adapter.kind,
        spec.training.batch_size,
        spec.training.bf16,
        spec.training.exact_accumulation,
        spec.deploy,
    )


def disk_bytes(rows: Mapping[str, int], classes: int, trainable: int | None) -> int:
    """Bytes that a finished cell takes: predictions, weights that were trained, and the rest.

    Probabilities hardly compress; ids, labels and groups take a few bytes a row.

    Parameters
    ----------
    rows : split -> its number of rows.
    classes : how many there are.
    trainable : how many parameters are trained; None leaves the weights out.
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
