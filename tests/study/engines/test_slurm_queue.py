"""What Slurm's commands print, and what is understood of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("submitit")
from fairlora.study.engines.slurm_queue import NoAnswer, Queue, Said, ask_slurm, longest_array

StandIn = Callable[[str, str], Path]
GONE = Said("Slurm no longer knows it")
DRAINED = (
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
)
# As Slurm 22.05 prints it, with a line of several clusters, and a reason with a bar.
QUEUE = f"""CLUSTER: one
17_0|COMPLETED|None
17_1|FAILED|NonZeroExitCode
17_2|PENDING|{DRAINED}
17_3|PENDING|held | by hand
18_0|PENDING|JobArrayTaskLimit
18_1|OUT_OF_MEMORY|OutOfMemory
18_2|SPECIAL_EXIT|None"""


def test_the_queue_is_read(stand_in: StandIn) -> None:
    asked = stand_in("squeue", f"cat <<'END'\n{QUEUE}\nEND")
    jobs = [*(f"17_{k}" for k in range(4)), *(f"18_{k}" for k in range(3))]
    said = ask_slurm(jobs)
    assert len(asked.read_text().splitlines()) == 1
    assert {job: str(word) for job, word in said.items() if word.over} == {
        "17_0": "COMPLETED",
        "17_1": "FAILED (NonZeroExitCode)",
        "18_1": "OUT_OF_MEMORY (OutOfMemory)",
    }
    assert {job: word.stuck for job, word in said.items() if word.stuck} == {
        "17_2": DRAINED,
        "17_3": "held | by hand",
        "18_2": "SPECIAL_EXIT",
    }


@pytest.mark.parametrize(
    ("states", "over"),
    [
        ("CANCELLED FAILED NODE_FAIL TIMEOUT PREEMPTED OUT_OF_MEMORY", True),
        ("RUNNING COMPLETING CONFIGURING REQUEUED SUSPENDED", False),
    ],
)
def test_which_jobs_have_ended(states: str, over: bool) -> None:
    assert {Said(state, "None").over for state in states.split()} == {over}


def test_accounting_is_asked_about_jobs_that_have_left_the_queue(stand_in: StandIn) -> None:
    stand_in("squeue", "echo '17_0|RUNNING|None'")
    rows = (
        "JobID|State\\n17_1|CANCELLED by 1000\\n17_1.batch|FAILED\\n17_2|RUNNING\\n17_0|FAILED\\n"
    )
    stand_in("sacct", f"printf '{rows}'")
    assert ask_slurm(["17_0", "17_1", "17_2", "17_3"]) == {
        "17_0": Said("RUNNING", "None"),
        "17_1": Said("CANCELLED", "by 1000"),
        "17_2": GONE,  # whatever accounting takes it for: the controller does not know it
        "17_3": GONE,
    }


def test_where_the_controller_is_silent_accounting_is_all_that_is_known(stand_in: StandIn) -> None:
    stand_in("squeue", "echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    stand_in("sacct", "printf 'JobID|State\\n17_0|TIMEOUT\\n17_[2-3%%1]|PENDING\\n'")
    assert ask_slurm(["17_0", "17_1", "17_2"]) == {"17_0": Said("TIMEOUT"), "17_2": Said("PENDING")}
    stand_in("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    with pytest.raises(NoAnswer, match="Socket timed out"):
        ask_slurm(["17_0"])


def test_what_people_hide_from_their_own_squeue_is_seen(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "gpu")
    stand_in("squeue", '[[ -z $SQUEUE_PARTITION ]] && echo "17_0|RUNNING|None"')
    assert ask_slurm(["17_0"]) == {"17_0": Said("RUNNING", "None")}


def test_what_keeps_jobs_waiting_is_told_once(stand_in: StandIn) -> None:
    told: list[str] = []
    queue = Queue(told.append)
    for reason in (DRAINED, "ReqNodeNotAvail, UnavailableNodes:a", "Priority", "JobHeldAdmin"):
        stand_in("squeue", f"echo '17_0|PENDING|{reason}'; echo '17_1|RUNNING|None'")
        queue.ask(["17_0", "17_1"])
    assert told == [
        f"cells of Slurm job 17 that wait: 1 ({DRAINED})",
        "cells of Slurm job 17 that wait: 1 (JobHeldAdmin)",
    ]


@pytest.mark.parametrize(
    ("settings", "longest"), [("101", 101), ("4000001", 1000), ("0", 1), ("n/a", 1000)]
)
def test_how_long_an_array_may_be(stand_in: StandIn, settings: str, longest: int) -> None:
    stand_in("scontrol", f"echo 'MaxArraySize            = {settings}'")
    assert longest_array(1000) == longest
