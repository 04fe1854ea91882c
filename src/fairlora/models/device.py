"""The device that models run on where nobody names one."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """The machine's accelerator, or its processor.

    torch names an accelerator that it was built for, and there may be none: a CUDA build on a
    machine without a GPU or a driver.
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")
