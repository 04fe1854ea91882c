"""One cell as it travels to a process or a machine, and what comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

State = Literal["finished", "kept", "failed", "busy", "preempted", "lost"]


class _Travels:
    """What goes from machine to machine as JSON."""

    def to_json(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Job(_Travels):
    """A cell to run. Plain strings, so that any engine can carry it.

    Attributes
    ----------
    folder : where the cell lies; every machine that may get the job must see it.
    spec : the run's spec as YAML (`RunSpec.to_yaml`).
    identity : what the plan computed; a worker that finds another one refuses the cell, since its
        data or weights are not those of the plan.
    source : folder of the trained run, of a cell that ships one.
    """

    folder: str
    spec: str
    identity: str
    source: str = ""

    @property
    def name(self) -> str:
        return Path(self.folder).name


@dataclass(frozen=True)
class Report(_Travels):
    """What became of a job.

    `state`: "finished" (it ran), "kept" (it was finished before), "failed" (with its `reason`),
    "busy" (another process runs this cell), "preempted" (stopped by SIGTERM after saving what it
    could), "lost" (its process or machine died and no retry was left).
    """

    folder: str
    state: State
    reason: str | None = None
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the cell is finished."""
        return self.state in ("finished", "kept")
