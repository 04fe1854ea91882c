"""Precision by measurement: whether a model's products are quicker in bfloat16 than in float32.

Processors with AVX512-BF16 or AMX, and GPUs since 2020, multiply in bfloat16 two times or more as
fast; others only emulate it, and are many times slower. What ``training.precision: auto`` stands
for is measured where training will run, once for all cells of a study: runs that are compared
compute alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fairlora.errors import FairloraError
from fairlora.io import read_content, write_text
from fairlora.study.runs.folder import dump_json
from fairlora.study.spec.run import RunSpec

FILE = "precision.json"
# bfloat16 changes digits: it has to be worth it, and a near tie must not be settled by noise.
GAIN = 1.2
# An explicit choice is spoken of from here on.
SLOW = 3.0
# Seconds; what takes longer needs no second look.
ENOUGH = 0.2
# Multiply-adds x 2 of a timed product: a tenth of a second where a processor emulates.
_WORK = {"cpu": 3e8, "gpu": 2e11}
# Where nothing is known of a model: ViT-B's first product of a block's second half.
_WIDTHS = (768, 3072)
_HIDDEN = ("hidden_size", "d_model", "n_embd", "dim", "embed_dim")
_WIDE = ("intermediate_size", "encoder_ffn_dim", "ffn_dim", "d_ff", "n_inner", "hidden_dim")

Shape = tuple[int, int, int]


class Precision(BaseModel):
    """What was measured, and what follows from it; ``precision.json`` in a study's folder.

    Attributes
    ----------
    used : what ``auto`` stands for.
    float32, bfloat16 : floating point operations a second of the products.
    shapes : (rows, inner, columns) of each product.
    device, threads : where they were timed.
    """

    model_config = ConfigDict(frozen=True)

    used: Literal["float32", "bfloat16"]
    float32: float
    bfloat16: float
    shapes: tuple[Shape, ...] = ()
    device: str = ""
    threads: int | None = None

    def resolve(self, spec: RunSpec) -> RunSpec:
        """The run with its precision: what it says, or what ``auto`` stands for."""
        if spec.training.precision != "auto":
            return spec
        # Norms of rounded gradients would be above what differential privacy cuts them to.
        used = "float32" if spec.dp is not None else self.used
        training = spec.training.model_copy(update={"precision": used})
        return spec.model_copy(update={"training": training})

    def advice(self, specs: Iterable[RunSpec]) -> str | None:
        """One line where a run's own choice is slower than a third of the other; else None."""
        for chosen in sorted({spec.training.precision for spec in specs} - {"auto"}):
            other = "float32" if chosen == "bfloat16" else "bfloat16"
            ratio = getattr(self, other) / getattr(self, chosen)
            if ratio > SLOW:
                return (
                    f"training.precision {chosen}: this model's products are {ratio:.1f} times as "
                    f"fast in {other} here ({self.device}); 'auto' would take that"
                )
        return None

    def line(self) -> str:
        """One line for people."""
        ratio = self.bfloat16 / self.float32
        return (
            f"precision: {self.used} (measured on {self.device}: bfloat16 runs at "
            f"{ratio:.2g} times float32's rate)"
        )


def shape_of(spec: RunSpec) -> Shape:
    """The largest product of a block of the run's model: (tokens of a batch, width, inner width).

    Read from the model's ``config.json``; where it does not lie on this machine yet, or says
    nothing of widths, those of ViT-B stand for it.
    """
    config = _config(spec.model.id)
    # Of two towers, the one that classifies pictures comes first.
    tower: Any = next((config[key] for key in ("vision_config", "text_config") if key in config), 0)
    config = {**config, **(tower if isinstance(tower, dict) else {})}
    width = _first(config, _HIDDEN) or _WIDTHS[0]
    wide = _first(config, _WIDE) or (_WIDTHS[1] if width == _WIDTHS[0] else 4 * width)
    patch, size = config.get("patch_size"), spec.model.image_size or config.get("image_size")
    if isinstance(patch, int) and isinstance(size, int) and patch > 0:
        tokens = (size // patch) ** 2
    else:
        tokens = (spec.model.max_length or 256) // 2
    return max(1, tokens) * spec.training.batch_size, width, wide


def _first(config: dict[str, Any], names: Sequence[str]) -> int | None:
    for name in names:
        value = config.get(name)
        value = value[-1] if isinstance(value, list) and value else value
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _config(model_id: str) -> dict[str, Any]:
    """A model's configuration as plain values; nothing where it is not on this machine."""
    from fairlora.models.source import base_of, resolve_source, weights_source

    try:
        source = weights_source(resolve_source(model_id))
        for _ in range(4):  # adapters upon adapters
            if source.folder is None:
                return {}
            path = source.folder / "config.json"
            if path.is_file():
                found = json.loads(path.read_text(encoding="utf-8"))
                return found if isinstance(found, dict) else {}
            base = base_of(source.folder)
            if base is None:
                return {}
            source = weights_source(resolve_source(base))
    except (FairloraError, OSError, ValueError, RecursionError):
        pass  # what is wrong with a model is for its loading to say
    return {}


def measure(shapes: Sequence[Shape], threads: int | None = None) -> Precision:
    """Time products of these shapes in both precisions on this machine's device.

    Parameters
    ----------
    shapes : of the models; fewer rows are timed where a product would take long.
    threads : of a processor, as many as a cell will have; None is torch's own number.
    """
    import torch

    from fairlora.models.device import best_device

    device = best_device()
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        most = _WORK["cpu" if device.type == "cpu" else "gpu"]
        cut = [
            (max(16, min(rows, int(most / (2 * inner * columns)))), inner, columns)
            # Another process asks with lists.
            for rows, inner, columns in dict.fromkeys(map(tuple, shapes))
        ]
        work = sum(2.0 * m * k * n for m, k, n in cut)
        rates = {
            name: work / sum(_seconds(shape, dtype, device) for shape in cut)
            for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
        }
    finally:
        torch.set_num_threads(before)
    # Elsewhere autocast to bfloat16 is young.
    known = device.type in ("cpu", "cuda", "xpu")
    gains = known and rates["bfloat16"] >= GAIN * rates["float32"]
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else device.type
    return Precision(
        used="bfloat16" if gains else "float32",
        shapes=tuple(cut),
        device=name,
        threads=threads if device.type == "cpu" else None,
        **rates,
    )


def _seconds(shape: Shape, dtype: Any, device: Any) -> float:
    """The best of three products, after one that warms up; of a slow one, the first must do."""
    import torch

    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(0)
    # Numbers as weights have them: some processors are slow with the tiniest.
    a = torch.randn(rows, inner, generator=generator).to(device, dtype)
    b = torch.randn(inner, columns, generator=generator).to(device, dtype)
    best = float("inf")
    for turn in range(4):
        start = time.perf_counter()
        # To the host, so that an accelerator has to be done.
        float((a @ b)[0, 0])
        if turn:
            best = min(best, time.perf_counter() - start)
        elif time.perf_counter() - start > ENOUGH:
            return time.perf_counter() - start
    return best


def measure_aside(shapes: Sequence[Shape], threads: int | None = None) -> Precision | None:
    """As `measure`; in a process of its own where torch is not loaded here. None where it fails."""
    if "torch" in sys.modules:
        return measure(shapes, threads)
    command = [sys.executable, "-m", __name__, json.dumps({"shapes": shapes, "threads": threads})]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return Precision.model_validate_json(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def settled(root: Path) -> Precision | None:
    """What was measured for the study in this folder. Raises `InputError` for a broken file."""
    return read_content(root / FILE, Precision)


def needs_measuring(root: Path) -> bool:
    """Whether nothing was measured or run for this study yet."""
    return not (root / FILE).exists() and not (root / "study.json").exists()


def settle(
    root: Path,
    specs: Sequence[RunSpec],
    measure: Callable[[Sequence[Shape]], Precision | None],
) -> Precision | None:
    """Measure for a new study, and keep the answer in its folder; later runs read it there.

    Parameters
    ----------
    root : the study's folder. One whose runs were made without a measurement stays in float32.
    specs : its runs.
    measure : times products of these shapes where a cell would do them.

    Returns None where nothing is known.
    """
    if not needs_measuring(root):
        return settled(root)
    found = measure([shape_of(spec) for spec in specs])
    if found is not None:
        root.mkdir(parents=True, exist_ok=True)
        write_text(root / FILE, dump_json(found.model_dump(mode="json")))
    return found


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(measure([tuple(shape) for shape in asked["shapes"]], asked["threads"]).model_dump_json())
