"""What a run will take of memory, told from a few steps of a few rows before it is run.

A formula would have to know every model, attention and adapter, and what an allocator keeps between
steps, which on a CPU is as much again as the tensors. So the run's own trainer takes two steps of
one row, of an eighth and of half a batch, of the longest rows there are; what a step needs grows
with the rows, so their peaks make a line. On a GPU peaks are those of torch's allocator
(`torch.cuda.max_memory_allocated`): that way has not been tried on a machine with one.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.runs.cost import readable_size
from fairlora.study.runs.environment import forget_peak_memory, peak_memory_mb
from fairlora.study.runs.memory import cell_bytes, free_bytes
from fairlora.study.runs.prepare import Prepared
from fairlora.study.spec.run import RunSpec

MB = 1 << 20


@dataclass
class MemoryPlan:
    """The peak of a run's memory in bytes, and what it is made of.

    Attributes
    ----------
    device : "cpu", where peaks are resident memory of the process, or "cuda", where they are what
        torch has allocated.
    batch, evaluation_batch : rows at a time.
    rows : how many rows the trial steps had.
    before : interpreter, libraries and data; on a GPU nothing.
    parameters, gradients, optimizer : of the model with its adapter.
    pictures : resized ones that are kept in memory.
    activations : what a batch's forward pass leaves for the way back.
    working : results in between, and what the allocator keeps for the next ones.
    training, evaluation, proving : the peaks of the phases; of the last, which loads the model
        once more to prove what was saved, the weights alone.
    free : what this process can have in all; None where the system does not say.
    fitting : the largest batch whose training fits into that; None where it is not known.
    """

    device: str
    batch: int
    evaluation_batch: int
    rows: tuple[int, ...]
    before: int
    parameters: int
    gradients: int
    optimizer: int
    pictures: int
    activations: int
    working: int
    training: int
    evaluation: int
    proving: int
    free: int | None
    fitting: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The largest of the phases."""
        return max(self.training, self.evaluation, self.proving)

    @property
    def fits(self) -> bool:
        """Whether this machine has as much."""
        return self.free is None or self.total <= self.free

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {**asdict(self), "total": self.total, "fits": self.fits}

    def lines(self) -> list[str]:
        """The plan for people."""
        where = "memory of the process" if self.device == "cpu" else "memory of the GPU"
        parts = [
            ("interpreter, libraries, data", self.before),
            ("pictures kept", self.pictures),
            ("parameters", self.parameters),
            ("gradients", self.gradients),
            ("optimizer state", self.optimizer),
            (f"activations of {self.batch} rows", self.activations),
            ("working memory, and what the allocator keeps", self.working),
        ]
        text = [f"Peak {where}: about {readable_size(self.total)}"]
        text += [f"  {name:46}{readable_size(n):>9}" for name, n in parts if n]
        text.append(f"  {'training':46}{readable_size(self.training):>9}")
        name = f"evaluation, {self.evaluation_batch} rows at a time"
        text.append(f"  {name:46}{readable_size(self.evaluation):>9}")
        text.append(f"  {'proving what was saved':46}{readable_size(self.proving):>9}")
        if self.free is not None:
            does = "fits" if self.fits else "does not fit"
            text.append(f"It {does} here: {readable_size(self.free)} can be had.")
        if not self.fits and self.training > (self.free or 0):
            text.append(self._way_out())
        return [*text, *(f"Note: {note}" for note in self.notes)]

    def _way_out(self) -> str:
        if self.fitting:
            return (
                f"training.batch_size {self.fitting} would fit, with gradient_accumulation "
                f"{math.ceil(self.batch / self.fitting)}, and exact_accumulation for an unchanged "
                "objective"
            )
        return "not even one row at a time fits: model.quantize, or a smaller model"


def check_weights(spec: RunSpec) -> None:
    """Raise `InputError` where not even the model's weights fit into the memory there is."""
    free = _free(_device())
    # Of a base in 4 or 8 bits, what is loaded is smaller than what is stored.
    needed = 0 if spec.model.quantize else cell_bytes([spec])
    if free is not None and needed > free:
        raise InputError(
            "the model does not fit into this machine's memory",
            where="model.id",
            found=f"about {readable_size(needed)} for weights and what trains them",
            expected=f"at most {readable_size(free)}",
        )


def plan_memory(prepared: Prepared) -> MemoryPlan:
    """Load a run's model, take a few small steps with it, and say what the run will take.

    Nothing is written. Raises `InputError` where the weights alone do not fit, nothing is trained,
    or the system does not tell a process its peaks; and as loading does.
    """
    from fairlora.study.tasks import make_task

    spec = prepared.spec
    check_weights(spec)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two steps of two rows teach an adapter little
        task = make_task(spec, prepared.examples, Path(folder))
        if not task.trains:
            raise InputError("nothing is trained", where="adapter.kind", found=spec.adapter.kind)
        return _Trial(task).plan()


class _Trial:
    """Steps of a task's own trainer on a few rows."""

    def __init__(self, task: Any) -> None:
        self.task, self.trainer = task, task.trainer
        self.args = task.trainer.args
        self.device = str(self.args.device.type)
        if task.matched is not None:  # it would go over training rows at each evaluation
            self.trainer.remove_callback(task.matched)
        self.batch = int(self.args.per_device_train_batch_size)
        self.evaluation_batch = int(self.args.per_device_eval_batch_size)
        changed = {
            "max_steps": 2,
            "eval_strategy": "no",
            "save_strategy": "no",
            "load_best_model_at_end": False,
            "logging_strategy": "no",
            "gradient_accumulation_steps": 1,
            "train_sampling_strategy": "sequential",
        }
        for name, value in changed.items():
            setattr(self.args, name, value)
        self.training, self.validation = self.trainer.train_dataset, self.trainer.eval_dataset

    def plan(self) -> MemoryPlan:
        """Take the steps, and tell from them what a run takes."""
        trainer = self.trainer
        # What is imported and made by a first step, whatever its size, is there ever after.
        self._train(1)
        trainer.model.zero_grad()
        _settle()
        held = _held(self.device)
        free = _free(self.device)
        peaks = _peaks(self._train, self.batch, free)
        evaluated = _peaks(self._evaluate, self.evaluation_batch, free)
        model: Any = trainer.model
        tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}.values()
        parameters = sum(_bytes(t) for t in tensors)
        trained = [p for p in model.parameters() if p.requires_grad]
        gradients = sum(_bytes(p) for p in trained)
        states = trainer.optimizer.state.values() if trainer.optimizer is not None else ()
        optimizer = sum(
            _bytes(value)
            for state in states
            for value in state.values()
            if hasattr(value, "numel") and value.device.type == self.device
        )
        before = max(0, held - parameters - optimizer)
        activations = self._activations()
        pictures = sum(_kept_pictures(part) for part in self.task.parts.values())
        pictures = pictures if self.device == "cpu" else 0
        training = _at(peaks, self.batch) + pictures
        known = before + pictures + parameters + gradients + optimizer + activations
        lean = _at(peaks, self.batch + 1) - _at(peaks, self.batch)
        fitting = None
        if free is not None and lean > 0:
            fitting = max(0, min(self.batch, self.batch - math.ceil((training - free) / lean)))
        return MemoryPlan(
            device=self.device,
            batch=self.batch,
            evaluation_batch=self.evaluation_batch,
            rows=tuple(peaks),
            before=before,
            parameters=parameters,
            gradients=gradients,
            optimizer=optimizer,
            pictures=pictures,
            activations=activations,
            working=max(0, training - known),
            training=training,
            evaluation=_at(evaluated, self.evaluation_batch) + pictures,
            proving=before + pictures + 2 * parameters + optimizer,
            free=free,
            fitting=fitting,
        )

    def _train(self, rows: int) -> None:
        """Two steps of so many rows."""
        self.args.per_device_train_batch_size = self.trainer._train_batch_size = rows
        self.trainer.train_dataset = _Longest(self.training, 2 * rows)
        self.trainer.train()

    def _evaluate(self, rows: int) -> None:
        self.args.per_device_eval_batch_size = rows
        self.trainer.evaluate(_Longest(self.validation, rows))

    def _activations(self) -> int:
        """Bytes that the forward pass of a batch leaves, from those of one row and of two."""
        from fairlora.training.live_memory import LiveMemory

        left: list[int] = []
        for rows in (1, 2):
            self.args.per_device_train_batch_size = self.trainer._train_batch_size = rows
            self.trainer.train_dataset = _Longest(self.training, rows)
            batch = self.trainer._prepare_inputs(next(iter(self.trainer.get_train_dataloader())))
            self.trainer.model.train()
            with LiveMemory() as live:
                loss = self.trainer.compute_loss(self.trainer.model_wrapped, batch)
                left.append(live.bytes)
            del loss, batch
        return max(0, left[0] + (self.batch - 1) * (left[1] - left[0]))


class _Longest:
    """A view of a data set's longest rows, as many as asked for."""

    def __init__(self, dataset: Any, rows: int) -> None:
        self.dataset, self.rows = dataset, rows
        lengths = getattr(dataset, "lengths", None)
        order = range(len(dataset))
        if lengths is not None:
            order = sorted(order, key=lambda row: -lengths[row])  # type: ignore[assignment]
        self.order = list(order[:rows])

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Any:
        return self.dataset[self.order[row % len(self.order)]]


def _peaks(step: Callable[[int], None], rows: int, free: int | None) -> dict[int, int]:
    """The peak of steps of 1, an eighth and half of `rows`, by rows; none that would not fit."""
    found: dict[int, int] = {}
    for several in sorted({1, math.ceil(rows / 8), math.ceil(rows / 2)}):
        if len(found) > 1 and free is not None and _at(found, several) > free:
            break
        with _peak() as measured:
            step(several)
        found[several] = measured[0]
    return found


def _at(peaks: dict[int, int], rows: int) -> int:
    """The line through the last two of the peaks, at so many rows."""
    (*_, last) = peaks
    if len(peaks) < 2:
        return peaks[last]
    one = list(peaks)[-2]
    lean = max(0.0, (peaks[last] - peaks[one]) / (last - one))
    return int(peaks[last] + lean * (rows - last))


@contextlib.contextmanager
def _peak() -> Iterator[list[int]]:
    """Give the peak of what happens inside, once it is over."""
    measured: list[int] = []
    _settle()
    device = _device()
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        yield measured
        measured.append(int(torch.cuda.max_memory_allocated()))
        return
    forget_peak_memory()
    if peak_memory_mb() * MB > 1.05 * _held(device) + 8 * MB:
        raise InputError(
            "this system does not let a process measure its memory anew",
            where="--plan",
            expected="Linux with /proc/self/clear_refs, or an NVIDIA GPU",
        )
    yield measured
    measured.append(int(peak_memory_mb() * MB))


def _settle() -> None:
    """Give back what is not used any more: garbage, and what the C library kept of it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _held(device: str) -> int:
    """Bytes that this process has now, on the device that trains."""
    if device == "cuda":
        import torch

        return int(torch.cuda.memory_allocated())
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024
    return 0


def _free(device: str) -> int | None:
    """Bytes that this process can have in all on the device that trains."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())
    free = free_bytes()
    return None if free is None else free + _held(device)


def _device() -> str:
    from fairlora.models.device import best_device

    return str(best_device().type)


def _bytes(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())


def _kept_pictures(part: Any) -> int:
    """Bytes of the pictures that a data set keeps once it has read them."""
    if hasattr(part, "bytes_to_keep"):  # of sizes of their own
        return int(part.bytes_to_keep())
    if getattr(part, "_cache", None) is None:
        return 0
    return int((len(part) - len(part._cache)) * 3 * part.size**2)
