"""The ``engine`` section of a study file: where cells run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from fairlora.settings import SettingsModel


def _names(value: Any) -> Any:
    """GPUs as people write them: 0, [0, 1], "0,1"."""
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(str(part) if isinstance(part, int) else part for part in value)
    return value


def _processes(value: Any) -> Any:
    # Here and not by the types: pydantic would name the alternative that it tried, not the key.
    if value != "auto" and not (isinstance(value, int) and value >= 1):
        raise ValueError("not a number of processes: 1 or more, or 'auto'")
    return value


class RaySpec(SettingsModel):
    """Cells as tasks of a Ray cluster.

    `address` is "auto" (the cluster that this machine belongs to), "ray://host:10001", or left out:
    then RAY_ADDRESS, else a cluster of this machine alone, which ends with the study. `cpus`,
    `gpus` (half of one is 0.5) and `memory_gb` are what one cell takes. `retries` is how often a
    cell whose machine or process died is started again.
    """

    address: str | None = None
    cpus: float = Field(default=1, gt=0, allow_inf_nan=False)
    gpus: float = Field(default=0, ge=0, allow_inf_nan=False)
    memory_gb: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    retries: int = Field(default=3, ge=0)


class SlurmSpec(SettingsModel):
    """Cells as a job array of Slurm.

    `folder` holds the jobs' logs (default: ``logs/slurm`` in the study's folder); all machines must
    see it. `array_parallelism` is how many cells run at a time; `minutes`, `cpus`, `gpus` and
    `memory_gb` are of one cell; `requeues` is how often a cell that runs out of its minutes is
    queued again. `parameters` go to submitit's ``update_parameters`` as they are
    (``slurm_account``, ``slurm_constraint``, ``slurm_setup``, ...). `cluster` "local" runs the jobs
    on this machine, for trying out.
    """

    cluster: Literal["slurm", "local"] = "slurm"
    folder: str | None = None
    partition: str | None = None
    array_parallelism: int = Field(default=32, ge=1)
    minutes: int = Field(default=240, ge=1)
    cpus: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0)
    memory_gb: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    requeues: int = Field(default=3, ge=0)
    parameters: dict[str, Any] = Field(default_factory=dict)


class EngineSpec(SettingsModel):
    """Where a study's cells run.

    Attributes
    ----------
    kind : "local" (processes of this machine), "inline" (the study's own process, one cell after
        another), "ray" or "slurm".
    processes : of "local"; "auto" is one a GPU, and where there is none one a core, as many as fit
        in memory and have a cell to run.
    threads : CPU threads of each process; the machine's cores shared out if left out.
    stack : of "local" and "inline": how many LoRA runs of one base are trained in one pass where
        they can be (`fairlora.training.stacked`). 1 trains each alone.
    gpus : which GPUs to use, as CUDA_VISIBLE_DEVICES names them; all if left out, [] for none.
    """

    kind: Literal["local", "inline", "ray", "slurm"] = "local"
    processes: Annotated[int | Literal["auto"], BeforeValidator(_processes)] = "auto"
    threads: int | None = Field(default=None, ge=1)
    gpus: Annotated[tuple[str, ...], BeforeValidator(_names)] | None = None
    stack: int = Field(default=1, ge=1, le=64)
    ray: RaySpec = RaySpec()
    slurm: SlurmSpec = SlurmSpec()

    @model_validator(mode="after")
    def _stacks_here(self) -> EngineSpec:
        if self.stack > 1 and self.kind not in ("local", "inline"):
            raise ValueError(f"stack is of the engines local and inline, and not of {self.kind}")
        return self
