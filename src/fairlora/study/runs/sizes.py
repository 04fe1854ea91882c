"""Measure model sizes and this machine's speed, for a plan.

Importing torch, transformers and PEFT takes longer than all the rest of a plan. Where torch is not
loaded yet and there is a second processor, a process of its own does it meanwhile; its answers are
those that this process would give.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any, Literal

from fairlora.errors import InputError
from fairlora.study.runs.precision import Precision, Shape, measure


@dataclass(frozen=True)
class Question:
    """A model with its adapter, as `count_of` and `count_language` take them.

    Attributes
    ----------
    adapter : the fields of `Adapter` as JSON, so that questions can be keys.
    kind : what the model does; "language" continues texts and has no classes.
    """

    model: str
    adapter: str
    kind: Literal["image", "text", "image-text", "language"]
    classes: int = 0
    image_size: int | None = None


@dataclass(frozen=True)
class Size:
    """A model with its adapter: parameters, and `encoder` and `tokens` as of `ModelCount`."""

    trainable: int
    total: int
    percent: float
    encoder: int
    tokens: int | None


class Sizing:
    """Sizes and speed, here or in a process aside, which `close` ends.

    Parameters
    ----------
    aside : whether to start a process for it; None is wherever that saves time.
    """

    def __init__(self, *, aside: bool | None = None) -> None:
        if aside is None:
            aside = "torch" not in sys.modules and (os.cpu_count() or 1) > 1
        self._known: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None
        if aside:
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                )

    def count(self, question: Question) -> Size:
        """How large the model and its adapter are; raises `InputError` as `count_of` does."""
        return Size(**self._ask({"count": asdict(question)}))

    def flops(self, bf16: bool, threads: int | None) -> float:
        """As `flops_per_second`."""
        return float(self._ask({"flops": {"bf16": bf16, "threads": threads}}))

    def precision(self, shapes: Sequence[Shape], threads: int | None) -> Precision:
        """As `measure`."""
        question = {"shapes": list(shapes), "threads": threads}
        return Precision(**self._ask({"precision": question}))

    def _ask(self, question: dict[str, Any]) -> Any:
        key = json.dumps(question)
        if key not in self._known:
            self._known[key] = self._asked_aside(key) or answer(question)
        found = self._known[key]
        if "error" in found:
            raise InputError(found["error"])
        return found["value"]

    def _asked_aside(self, line: str) -> dict[str, Any] | None:
        """The other process's answer; None where there is none, or it died."""
        process = self._process
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            reply: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, json.JSONDecodeError):
            self.close()
            return None
        return reply

    def close(self) -> None:
        """End the other process. What is asked afterwards is answered here."""
        process, self._process = self._process, None
        if process is not None:
            # Nothing it holds outlives it: it need not take its time to unload torch.
            process.kill()
            process.communicate()


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``{"value": ...}``, or ``{"error": ...}`` with an `InputError`'s line."""
    if "flops" in question:
        from fairlora.study.runs.cost import flops_per_second

        return {"value": flops_per_second(**question["flops"])}
    if "precision" in question:
        found = measure(**question["precision"])
        return {"value": found.model_dump(mode="json")}
    try:
        return {"value": asdict(_count(Question(**question["count"])))}
    except InputError as error:
        return {"error": str(error)}


def _count(question: Question) -> Size:
    from fairlora.models.adapter_spec import Adapter
    from fairlora.models.counting import count_of
    from fairlora.models.counting_language import count_language
    from fairlora.models.libraries import load_libraries

    load_libraries()
    adapter = Adapter(**json.loads(question.adapter))
    if question.kind == "language":
        count = count_language(question.model, adapter)
    else:
        count = count_of(
            question.model,
            question.classes,
            kind=question.kind,
            adapter=adapter,
            image_size=question.image_size,
        )
    own = count.parameters
    return Size(own.trainable, own.total, own.percent, count.encoder, count.tokens)


def _serve(lines: IO[str], answers: IO[str]) -> None:
    """Answer questions, a line each, until there are no more."""
    import importlib

    # What takes long, before the first question comes; a quarter of it would go to the search for
    # garbage among modules, which are none.
    gc.disable()
    for name in ("peft", "transformers.modeling_utils", "fairlora.models.counting"):
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    for line in lines:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    # What a library prints must not stand among the answers.
    to_parent = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # What is not installed is said by the parent, which then asks in its own process.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt, ModuleNotFoundError):
        _serve(sys.stdin, to_parent)
