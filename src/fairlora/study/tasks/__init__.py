"""What a run does with its model, by task: classification and causal language modelling.

A task is a class in a file of its own and a line in `make_task`; `base` says what it has to give.
`datasets` is what a trainer is fed with, the other files probe finished models.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlora.data import Examples
    from fairlora.study.spec.run import RunSpec
    from fairlora.study.tasks.base import Task
    from fairlora.study.tasks.frozen import Shelf


def make_task(
    spec: RunSpec, examples: Examples, checkpoints: Path, shelf: Shelf | None = None
) -> Task:
    """The task of these examples, ready to run: texts to continue, or rows to classify.

    Parameters
    ----------
    spec : the run.
    examples : its data, split.
    checkpoints : folder for what training leaves on its way.
    shelf : where the answers of frozen weights are kept; None keeps none.

    Raises `InputError` for a model, adapter or arguments that do not fit.
    """
    if examples.language:
        from fairlora.study.tasks.causal_lm import CausalLM

        return CausalLM(spec, examples, checkpoints, shelf)
    from fairlora.study.tasks.classification import Classification

    return Classification(spec, examples, checkpoints, shelf)
