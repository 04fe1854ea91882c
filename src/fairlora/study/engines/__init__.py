"""Run cells of a study: in this process, in processes of this machine, on Ray or on Slurm.

`make_engine` makes the one that a study file names. Neither torch nor Ray nor submitit is imported
before an engine runs.
"""

from __future__ import annotations

from pathlib import Path

from fairlora.study.engines.base import Engine
from fairlora.study.spec.engine import EngineSpec

__all__ = ["Engine", "EngineSpec", "make_engine"]


def make_engine(
    settings: EngineSpec,
    logs: Path | None = None,
    *,
    cell_bytes: int = 0,
    cells: int | None = None,
) -> Engine:
    """The engine that the section ``engine`` of a study file describes. Nothing is started yet.

    Parameters
    ----------
    logs : folder for what its processes print (default: ``logs`` beside the first job's folder).
    cell_bytes : about what a cell takes of memory, where processes of this machine share it.
    cells : how many there are to run at most; None is not known.
    """
    match settings.kind:
        case "inline":
            from fairlora.study.engines.inline import InlineEngine

            return InlineEngine(settings.stack)
        case "local":
            from fairlora.study.engines.local import LocalEngine

            processes = None if settings.processes == "auto" else settings.processes
            return LocalEngine(
                processes,
                settings.threads,
                settings.gpus,
                stack=settings.stack,
                cell_bytes=cell_bytes,
                cells=cells,
                logs=logs,
            )
        case "ray":
            from fairlora.study.engines.ray import RayEngine

            return RayEngine(**dict(settings.ray), logs=logs)
        case "slurm":
            from fairlora.study.engines.slurm import SlurmEngine

            slurm = dict(settings.slurm)
            folder = slurm.pop("folder")
            return SlurmEngine(None if folder is None else Path(folder), **slurm)
