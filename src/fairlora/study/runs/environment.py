"""Environment of a run: versions, device, commit and memory, for ``environment.json``."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import fairlora
from fairlora.study.runs.content import CELL_VERSION
from fairlora.study.runs.prepare import Prepared

PACKAGES = ("numpy", "torch", "transformers", "peft", "accelerate", "pyarrow", "pillow")


def environment_of(prepared: Prepared) -> dict[str, Any]:
    """What ``environment.json`` holds of the machine and the libraries."""
    import torch

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    device = "cpu"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    return {
        "identity": prepared.identity,
        "format": CELL_VERSION,
        "data_fingerprint": prepared.data_fingerprint,
        "model_fingerprint": prepared.model_fingerprint,
        "fairlora": fairlora.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "device": device,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_commit() -> str | None:
    """The commit of fairlora's own checkout, with a mark if it was changed; None elsewhere."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        # Installed below somebody else's repository, the commit would be theirs.
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here,
            capture_output=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() if tracked.returncode == 0 else None


def forget_peak_memory() -> None:
    """Count the largest resident size anew, for a process that runs cell after cell (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Largest resident size of this process, in MB: since `forget_peak_memory` on Linux."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return round(next(int(x.split()[1]) for x in lines if x.startswith("VmHWM:")) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)
