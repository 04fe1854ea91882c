"""What the JSON files of cells and studies hold, as pydantic models: `read_content` reads them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlora.metrics.content import AuditContent

# Raised when what a cell writes, how it is computed, or a default changes its meaning.
CELL_VERSION = 3


class _File(BaseModel):
    """A file, or a part of one; keys that nobody reads are let be."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class SealedFile(_File):
    """A file as the run wrote it."""

    bytes: int
    sha256: str


class Accepted(_File):
    """A change of a finished run that somebody made on purpose, by `fairlora study seal`."""

    when: str
    files: list[str]


class Status(_File):
    """``status.json``: how a run ended; of a finished one its seal.

    Attributes
    ----------
    format : `CELL_VERSION` of the fairlora that wrote it; None of what is too old to say.
    files : the files that are read later, as the run wrote them.
    accepted : changes since then.
    """

    state: Literal["finished", "failed", "preempted"]
    format: int | None = None
    identity: str | None = None
    reason: str = ""
    seconds: float = Field(default=0.0, ge=0)
    finished: str = ""
    files: dict[str, SealedFile] = {}
    accepted: list[Accepted] = []

    @property
    def made_from(self) -> dict[str, str]:
        """Content of the run, for what is derived from it: file -> its hash."""
        return {name: file.sha256 for name, file in self.files.items()}

    @property
    def changes(self) -> str:
        """The changes that were accepted, in words; "" where there were none."""
        return "; ".join(
            f"{', '.join(change.files)} changed on purpose, accepted {change.when}"
            for change in self.accepted
        )


class Environment(_File):
    """``environment.json``: whose folder it is, and where and from what the run was made."""

    identity: str | None = None
    format: int = 1
    data_fingerprint: str | None = None
    model_fingerprint: str | None = None
    fairlora: str | None = None


class Parameters(_File):
    """How many parameters a model has, and how many are trained."""

    trainable: float
    total: float
    total_as_stored: float
    percent: float


class ProbeSummary(_File):
    """What a probe of a language model found, as far as reports read it there."""

    estimates: dict[str, dict[str, Any]] = {}
    sets: dict[str, dict[str, Any]] = {}


class GroupCost(_File):
    """What differential privacy took of a group's training rows (`fairlora.training.dp_cost`)."""

    rows: int
    rows_a_step: float
    drawn: int
    clipped_share: float | None
    kept: float | None


class Promise(_File):
    """What a run promised of each training row, and what that took."""

    epsilon: float = Field(gt=0)
    delta: float
    epsilon_spent: float
    clip: float
    noise_multiplier: float
    sample_rate: float
    steps: int
    accountant: str
    draws: Literal["seed", "secret"]
    expected_rows: int
    empty_batches: int
    by_group: dict[str, dict[str, GroupCost]]


class Metrics(_File):
    """``metrics.json``: the audit of the test rows, or losses and probes of a language model."""

    task: Literal["language"] | None = None
    rows: dict[str, int]
    predicted: dict[str, int] = {}  # of splits of which not every row is in the table
    audit: AuditContent | None = None
    mean_loss: dict[str, float | None]
    split_accuracy: dict[str, float | None]
    parameters: Parameters
    perplexity: dict[str, float | None] = {}
    probes: dict[str, ProbeSummary] = {}
    dp: Promise | None = None
    notes: list[str]

    @model_validator(mode="after")
    def _audited(self) -> Self:
        if self.task is None and self.audit is None:
            raise ValueError("a classifier's run without its audit")
        for split in ("train", "test"):
            if split not in self.rows or split not in self.mean_loss:
                raise ValueError(f"no rows or no loss of the {split} split")
        return self


class Told(_File):
    """``progress.json``: how far a running cell is, and which process runs it."""

    pid: int
    host: str
    time: float
    started: float | None = None
    phase: str = ""
    message: str = ""
    done: float = 0.0
    total: float = 0.0


class SearchFound(_File):
    """What a search of settings found."""

    model_config = ConfigDict(extra="allow")

    objectives: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    front: list[int]
    best: list[int]
    chosen: list[dict[str, Any]]

    @model_validator(mode="after")
    def _there(self) -> Self:
        if not all(0 <= number < len(self.trials) for number in (*self.front, *self.best)):
            raise ValueError("a chosen trial is not among the trials")
        for trial in self.trials:
            if not {"number", "params", "values"} <= set(trial):
                raise ValueError("a trial without number, params and values")
        return self


class RecordedArm(_File):
    """An arm of a study, and the folders of its cells."""

    name: str
    place: dict[str, str]
    cells: list[str]


class StudyRecord(_File):
    """``study.json``: the study as it was run, what its searches chose, and which cells it is."""

    study: dict[str, Any]
    runs: dict[str, Any]
    inputs: str
    searched: bool
    searches: dict[str, SearchFound]
    arms: list[RecordedArm]


class Made(_File):
    """What one thing of a cache was made from, and the hashes of its files."""

    key: str
    files: dict[str, str]


class Index(_File):
    """``.made.json``: what the named things of a cache were made from."""

    made: dict[str, Made] = {}
