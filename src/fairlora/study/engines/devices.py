"""Processor cores and GPUs of this machine, found without importing torch."""

from __future__ import annotations

import os
import subprocess


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(processes: int) -> int:
    """CPU threads for each of several processes, so that together they use every core once.

    OMP_NUM_THREADS, where it is set, is the most that a process takes.
    """
    share = max(1, available_cores() // processes)
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else share


def available_gpus() -> tuple[str, ...]:
    """GPUs as CUDA_VISIBLE_DEVICES names them: those it lists, else those nvidia-smi lists."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        names = tuple(part.strip() for part in listed.split(",") if part.strip())
        return () if names == ("-1",) else names
    # Not by number: the driver and CUDA may count the same GPUs in different orders.
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.startswith("GPU-"))
