"""The training libraries as a command wants them: loaded quietly, and without waiting for them.

Importing torch, Transformers and PEFT makes a million objects. Python's collector looks through
them again and again while they come (a quarter of the time that the import takes), and once more
when the process ends (a second).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import warnings

from fairlora.errors import optional_module

# glibc's names and numbers for mallopt(3), and the largest size that it takes for the second.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = {_TRIM_THRESHOLD: 1 << 30, _MMAP_THRESHOLD: 32 << 20, _TOP_PAD: 64 << 20}


def load_libraries() -> None:
    """Make this process ready for models: called by commands and workers before the first.

    Warnings of the training libraries that nobody who runs a cell can act on are silenced.

    Raises
    ------
    InputError : Transformers is not installed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    collects = gc.isenabled()
    gc.disable()
    try:
        transformers_logging = optional_module("transformers.utils.logging")
        for name in ("transformers.trainer", "peft"):
            # Whoever needs what is missing says so; predicting with an export needs neither.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next step.

    By default every larger tensor is new memory from the system, which has to be filled with zeros
    first: of training on a processor that was 5 to 12 percent. Elsewhere, and where the
    environment says what malloc should do, nothing is changed.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another system's C library
        return
    for option, value in _KEPT.items():
        mallopt(ctypes.c_int(option), ctypes.c_int(value))
