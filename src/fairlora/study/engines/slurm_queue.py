"""What Slurm says of its jobs: its queue, and accounting for those that have left the queue."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

# Neither in the queue, which forgets ended jobs after MinJobAge, nor in accounting.
_GONE = "Slurm no longer knows it"
# States that a job does not leave by itself; all others are on the way to one of them.
_OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "LAUNCH_FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "RECONFIG_FAIL",
    "TIMEOUT",
    _GONE,
}
# Why a job waits in a queue that moves. Every other reason (a drained node, a hold, a limit that it
# exceeds) may be there for ever.
_QUEUED = {
    "BeginTime",
    "Cleaning",
    "Dependency",
    "JobArrayTaskLimit",
    "None",
    "Priority",
    "Prolog",
    "Resources",
}
# Of a node that is down or drained Slurm says now one and now the other.
_NODES = ("Nodes required for job are ", "ReqNodeNotAvail")
_SET_ASIDE = {"REQUEUE_HOLD", "SPECIAL_EXIT", "STOPPED", "SUSPENDED"}
# Slurm's own commands give up earlier on a controller that does not answer.
_COMMAND_SECONDS = 120.0


@dataclass(frozen=True)
class Said:
    """What Slurm says of a job: its state ("RUNNING"), and why it waits or how it ended."""

    state: str
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.state in _OVER

    @property
    def stuck(self) -> str:
        """What keeps the job from running and need not pass by itself; "" where nothing does."""
        if self.state in _SET_ASIDE:
            return str(self)
        return self.reason if self.state == "PENDING" and self.reason not in _QUEUED else ""

    def __str__(self) -> str:
        return self.state if self.reason in ("", "None") else f"{self.state} ({self.reason})"


class NoAnswer(Exception):
    """Slurm cannot be asked now: nothing is known of any job."""


class Queue:
    """Asks Slurm about jobs, and tells people what keeps them waiting, each thing once.

    Parameters
    ----------
    notify : takes a line for people.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._told: set[tuple[str, str]] = set()

    def ask(self, jobs: Collection[str]) -> Mapping[str, Said]:
        """What Slurm says of jobs, by id ("17_0"); those that it said nothing of are left out."""
        try:
            said = ask_slurm(jobs)
        except NoAnswer as error:
            self._tell("", "silent", f"Slurm does not answer, and is asked again: {error}")
            return {}
        stuck = Counter((_array(job), word.stuck) for job, word in said.items() if word.stuck)
        for (array, why), number in sorted(stuck.items()):
            cause = "nodes" if why.startswith(_NODES) else why
            self._tell(array, cause, f"cells of Slurm job {array} that wait: {number} ({why})")
        return said

    def _tell(self, array: str, cause: str, line: str) -> None:
        if (array, cause) not in self._told:
            self._told.add((array, cause))
            self._notify(line)


def ask_slurm(jobs: Collection[str]) -> dict[str, Said]:
    """What Slurm says of jobs, by id, in one question about all of them.

    The controller knows every job that has not ended and, for MinJobAge, those that have:
    ``squeue`` has of all what ``scontrol show job`` has of one. ``sacct`` is asked about jobs that
    it does not know; where there is no accounting, Slurm no longer knows them.

    Raises `NoAnswer` where neither command has an answer.
    """
    arrays = ",".join(sorted({_array(job) for job in jobs}))
    try:
        queued = _queued(arrays)
    except NoAnswer as silent:
        try:
            accounted = _accounted(arrays)
        except NoAnswer:
            raise silent from None
        return {job: accounted[job] for job in jobs if job in accounted}
    said = {job: queued[job] for job in jobs if job in queued}
    left = [job for job in jobs if job not in queued]
    try:
        accounted = _accounted(arrays) if left else {}
    except NoAnswer:
        accounted = {}
    for job in left:
        # A job that the controller does not know has ended, whatever accounting takes it for.
        word = accounted.get(job)
        said[job] = word if word is not None and word.over else Said(_GONE)
    return said


def longest_array(most: int) -> int:
    """How many jobs an array may have, up to `most`, which is taken where Slurm does not say."""
    try:
        settings = _run(["scontrol", "show", "config"])
    except NoAnswer:
        return most
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", settings, re.MULTILINE)
    return most if found is None else max(1, min(most, int(found[1])))


def _array(job: str) -> str:
    return job.partition("_")[0]


def _queued(arrays: str) -> dict[str, Said]:
    command = ["squeue", "--jobs", arrays, "--states", "all", "--array", "--noheader"]
    try:
        answer = _run([*command, "--format", "%i|%T|%r"])
    except NoAnswer as error:
        if "invalid job id" in str(error).lower():  # asked about one array, which it has forgotten
            return {}
        raise
    rows = (line.strip().split("|", 2) for line in answer.splitlines())
    return {row[0]: Said(row[1], row[2].strip()) for row in rows if len(row) == 3}


def _accounted(arrays: str) -> dict[str, Said]:
    from submitit.slurm.slurm import SlurmInfoWatcher

    answer = _run(["sacct", "--jobs", arrays, "--parsable2", "--format", "JobID,State"])
    rows = SlurmInfoWatcher().read_info(answer)
    # "CANCELLED by 1000"
    states = {job: row.get("State", "").partition(" ") for job, row in rows.items()}
    return {job: Said(state, more) for job, (state, _, more) in states.items()}


def _run(command: list[str]) -> str:
    """What a command prints. Raises `NoAnswer`, with a line of why."""
    # Variables, too, tell these commands what to leave out.
    own = ("SQUEUE_", "SACCT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_COMMAND_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().split("\n")[0][:200]
        raise NoAnswer(said or f"{command[0]} ended with code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{command[0]} took more than {_COMMAND_SECONDS:.0f} seconds") from error
    except OSError as error:
        raise NoAnswer(f"{command[0]}: {error.strerror}") from error
    return done.stdout
