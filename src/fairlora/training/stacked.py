"""Train several LoRA adapters on one frozen base in one pass, each by a Trainer of its own.

The Trainers run in threads, one at a time, and are not changed: each has its own data, optimizer,
schedule, evaluations, checkpoints and end. Where one calls its model in a training step, it waits
until all others do; then one pass takes the rows of all batches through the base, whose weights are
read once, and each adapter's low-rank products and head see the rows of their own batch alone. The
losses go backwards in one pass too. No row meets another adapter's weights, so that every adapter
is trained as it would be alone, to rounding.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class CannotStack(Exception):
    """Why a model cannot be trained in one pass with others."""


class Stack:
    """Threads that train side by side, and meet wherever their models are called.

    Parameters
    ----------
    size : how many there are.
    """

    def __init__(self, size: int) -> None:
        # Whoever holds it works; all others wait at a meeting, or for their turn.
        self._turn = threading.Condition()
        self.size = self._left = size
        self._asked: dict[int, tuple[str, Any]] = {}
        self._answers: dict[int, Any] = {}
        self._models: dict[int, Any] = {}
        self._members: dict[int, Member] = {}
        self.stopping = False
        # Of the pass that runs: members, and how many rows each has.
        self._pass: list[tuple[int, int]] = []
        self.passes = 0  # with more than one member

    def run(self, works: Sequence[Callable[[], T]]) -> list[T | BaseException]:
        """Do all works, each in a thread; returns what each gave, or raised.

        Parameters
        ----------
        works : as many as the stack's size. `current_member` in each is its own.
        """
        results: list[Any] = [None] * len(works)
        fresh = _gradient_state()

        def do(place: int) -> None:
            member = Member(self, place)
            _current.set(member)
            with self._turn:
                _gradient_state(fresh)
                try:
                    results[place] = works[place]()
                except BaseException as error:
                    results[place] = error
                finally:
                    member.leave()

        threads = [threading.Thread(target=do, args=(k,), daemon=True) for k in range(len(works))]
        for thread in threads:
            thread.start()
        try:
            _wait(threads)
        except (KeyboardInterrupt, SystemExit) as stop:
            # Signals reach the main thread alone: it asks all Trainers to save and to end.
            self.stopping = True
            for member in self._members.values():
                member.stop()
            _wait(threads)
            if isinstance(stop, KeyboardInterrupt):
                raise
        return results

    def joined(self, member: Member) -> None:
        """Take note of a member that trains, together or alone."""
        self._members[member.place] = member
        if self.stopping:
            member.stop()

    def meet(self, place: int, what: str, asked: Any) -> Any:
        """Wait for all others, and for the answer.

        Parameters
        ----------
        place : the member's, which has the turn.
        what, asked : "forward" with a model and its inputs, or "backward" with a loss.
        """
        self._asked[place] = (what, asked)
        known = _gradient_state()
        self._serve()
        while place not in self._answers:
            self._turn.wait()
        _gradient_state(known)
        answer = self._answers.pop(place)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def leave(self, place: int) -> None:
        """No longer wait for this one."""
        self._models.pop(place, None)
        self._left -= 1
        self._serve()

    def add(self, place: int, model: Any) -> None:
        """Have a model take part; raises `CannotStack` with the reason where it cannot."""
        check(model)
        if self._models:
            lead = next(iter(self._models.values()))
            share_frozen(lead, model)
        self._models[place] = model
        for name, module in _trained_modules(model):
            own = module.forward
            lora = _is_lora(module)
            # Every model may come to lead, when those before it are done.
            module.forward = _Fork(self, place, name, own, lora)

    def module(self, place: int, name: str) -> Any:
        """A member's module of this name."""
        return self._models[place].get_submodule(name)

    def parts(self, rows: int) -> list[tuple[int, int]]:
        """The members of the pass, and how many of `rows` each has.

        An image may have become several rows (windows), which lie one after another.
        """
        total = sum(n for _, n in self._pass)
        if total == 0 or rows % total:
            raise RuntimeError(f"{rows} rows of {total} examples are not told apart")
        return [(place, n * (rows // total)) for place, n in self._pass]

    @property
    def passing(self) -> bool:
        """Whether a pass of several members runs."""
        return bool(self._pass)

    def _serve(self) -> None:
        if not self._asked or len(self._asked) < self._left:
            return
        asked, self._asked = self._asked, {}
        for what, serve in (("backward", self._backward), ("forward", self._forward)):
            places = [place for place in sorted(asked) if asked[place][0] == what]
            if not places:
                continue
            try:
                answers = serve(places, [asked[place][1] for place in places])
            except BaseException as error:  # it is everybody's
                answers = [error] * len(places)
            self._answers.update(zip(places, answers, strict=True))
        self._turn.notify_all()

    def _forward(self, places: list[int], calls: list[tuple[Any, Mapping[str, Any]]]) -> list[Any]:
        if len(places) == 1:
            model, inputs = calls[0]
            return [model(**inputs)]
        together = combine([inputs for _, inputs in calls], calls[0][0])
        sizes = [_rows(inputs) for _, inputs in calls]
        self._pass = list(zip(places, sizes, strict=True))
        self.passes += 1
        try:
            output = calls[0][0](**together)
        finally:
            self._pass = []
        logits = output.logits if hasattr(output, "logits") else output["logits"]
        parts = list(torch.split(logits, sizes))
        if logits.ndim == 3:  # of tokens: those that were added to the shorter ones go again
            lengths = [_length(inputs) for _, inputs in calls]
            parts = [part[:, :n] for part, n in zip(parts, lengths, strict=True)]
        return [_Output(logits=part) for part in parts]

    def _backward(self, places: list[int], losses: list[Tensor]) -> list[Any]:
        torch.autograd.backward(losses)
        return [True] * len(places)


def _wait(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        # Python hears of signals between two waits.
        while thread.is_alive():
            thread.join(0.5)


def _gradient_state(known: dict[str, Any] | None = None) -> dict[str, Any]:
    """Where accelerate is in its data and its accumulation, which all Trainers of a process share;
    or put it back to what was `known` before another Trainer's turn."""
    from accelerate.state import GradientState

    shared: dict[str, Any] = GradientState._shared_state
    if known is not None:
        shared.clear()
        shared.update(known)
    lists = {key: list(value) for key, value in shared.items() if isinstance(value, list)}
    return {**shared, **lists}


class _Output(SimpleNamespace):
    """A model's answer, of which trainers read the logits."""

    logits: Tensor


class Member:
    """One Trainer's place in a stack."""

    def __init__(self, stack: Stack, place: int) -> None:
        self.stack, self.place = stack, place
        self.alone: str | None = "nothing was trained"  # why
        self._there = True
        self._trainer: Any = None

    def stop(self) -> None:
        """Have the Trainer end after its step, with a checkpoint where it keeps them."""
        self._trainer.stop()

    def join(self, trainer: Any) -> None:
        """Have the trainer's model take part; where it cannot, it trains `alone`, and says why."""
        self._trainer = trainer
        self.stack.joined(self)
        try:
            if trainer.frozen is not None:
                raise CannotStack("what its frozen part answers is kept")
            self.stack.add(self.place, trainer.model)
        except CannotStack as reason:
            self.alone = str(reason)
            self.leave()
            return
        self.alone = None
        trainer.stacked = self
        accelerator = trainer.accelerator

        def backward(loss: Tensor, **kwargs: Any) -> None:
            self.stack.meet(self.place, "backward", loss / accelerator.gradient_accumulation_steps)

        accelerator.backward = backward

    def forward(self, model: Any, inputs: Mapping[str, Any]) -> Any:
        """The model's answer to its own batch, in one pass with the others' batches."""
        return self.stack.meet(self.place, "forward", (model, inputs))

    def leave(self) -> None:
        """Let the others go on without this one; a second time does nothing."""
        if self._there:
            self._there = False
            self.stack.leave(self.place)


_current: ContextVar[Member | None] = ContextVar("member", default=None)


def current_member() -> Member | None:
    """The place in a stack of whoever asks; None outside of one."""
    return _current.get()


class _Fork:
    """A module's forward: in a pass of several members, each with its own weights for its rows."""

    def __init__(self, stack: Stack, place: int, name: str, own: Any, lora: bool) -> None:
        self.stack, self.place, self.name, self.own, self.lora = stack, place, name, own, lora

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.stack.passing:
            return self.own(*args, **kwargs)
        parts = self.stack.parts(args[0].shape[0])
        modules = [self.stack.module(place, self.name) for place, _ in parts]
        sizes = [n for _, n in parts]
        if self.lora:
            return low_rank(modules, sizes, args[0])
        cut = [_cut(value, sizes) for value in args]
        named = {key: _cut(value, sizes) for key, value in kwargs.items()}
        out = []
        for k, module in enumerate(modules):
            fork = module.forward
            out.append(fork.own(*(c[k] for c in cut), **{key: c[k] for key, c in named.items()}))
        return torch.cat(out)


def _cut(value: Any, sizes: Sequence[int]) -> Sequence[Any]:
    if isinstance(value, Tensor) and value.ndim and value.shape[0] == sum(sizes):
        return torch.split(value, list(sizes))
    return [value] * len(sizes)


def low_rank(layers: Sequence[Any], sizes: Sequence[int], x: Tensor) -> Tensor:
    """A linear layer with each member's LoRA for its rows: base product once, low ranks batched.

    Parameters
    ----------
    layers : the members' layers of PEFT; the base weights of the first are used.
    sizes : how many of the rows each member has.
    x : (rows, ..., inputs).

    Returns (rows, ..., outputs).
    """
    result = layers[0].base_layer(x)
    downs = [layer.lora_A["default"].weight for layer in layers]
    ups = [layer.lora_B["default"].weight * layer.scaling["default"] for layer in layers]
    x = x.to(downs[0].dtype)
    if len(set(sizes)) == 1:
        rank = max(len(down) for down in downs)
        down = torch.stack([_padded(weight, 0, rank) for weight in downs])  # (K, rank, inputs)
        up = torch.stack([_padded(weight, 1, rank) for weight in ups])  # (K, outputs, rank)
        rows = x.reshape(len(layers), -1, x.shape[-1])
        added = torch.bmm(torch.bmm(rows, down.mT), up.mT).reshape(*x.shape[:-1], -1)
    else:
        parts = torch.split(x, list(sizes))
        zipped = zip(parts, downs, ups, strict=True)
        added = torch.cat([part @ down.T @ up.T for part, down, up in zipped])
    total: Tensor = result + added
    return total.to(result.dtype)


def _padded(weight: Tensor, dim: int, rank: int) -> Tensor:
    missing = rank - weight.shape[dim]
    if not missing:
        return weight
    return nn.functional.pad(weight, (0, 0, 0, missing) if dim == 0 else (0, missing))


def combine(batches: Sequence[Mapping[str, Any]], model: Any) -> dict[str, Any]:
    """Several batches as one: rows below each other, shorter texts padded on the right.

    Raises `CannotStack` where the batches do not hold the same things.
    """
    names = list(batches[0])
    if any(set(batch) != set(names) for batch in batches):
        raise CannotStack("batches with different inputs")
    together: dict[str, Any] = {}
    for name in names:
        values = [batch[name] for batch in batches]
        if not isinstance(values[0], Tensor):
            if any(value != values[0] for value in values):
                raise CannotStack(f"different values of {name}")
            together[name] = values[0]
            continue
        if len({tuple(value.shape[1:]) for value in values}) > 1:
            values = [_lengthened(value, name, batches, model) for value in values]
        together[name] = torch.cat(values)
    return together


def _lengthened(value: Tensor, name: str, batches: Sequence[Mapping[str, Any]], model: Any) -> Any:
    if value.ndim != 2 or "attention_mask" not in batches[0]:
        raise CannotStack(f"inputs of different shapes ({name})")
    longest = max(batch[name].shape[1] for batch in batches)
    filler = 0
    if name == "input_ids":
        filler = getattr(getattr(model, "config", None), "pad_token_id", None) or 0
    return nn.functional.pad(value, (0, longest - value.shape[1]), value=filler)


def _rows(inputs: Mapping[str, Any]) -> int:
    return next(len(value) for value in inputs.values() if isinstance(value, Tensor) and value.ndim)


def _length(inputs: Mapping[str, Any]) -> int:
    return int(inputs["input_ids"].shape[1])


def check(model: Any) -> None:
    """Raise `CannotStack` for a model that would not be trained as it is alone."""
    if not hasattr(model, "peft_config"):
        raise CannotStack("only LoRA adapters are trained together")
    if getattr(model, "is_gradient_checkpointing", False):
        raise CannotStack("gradient checkpointing")
    config = model.get_base_model().config
    inner = [getattr(config, name, None) for name in ("vision_config", "text_config")]
    for part in (config, *(part for part in inner if part is not None)):
        drops = {k: v for k, v in vars(part).items() if ("drop" in k or "layerdrop" in k)}
        for name, value in drops.items():
            if isinstance(value, float | int) and not isinstance(value, bool) and value > 0:
                # What is dropped is drawn from one generator: each would see other draws.
                raise CannotStack(f"the base has dropout ({name} {value:g})")
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise CannotStack(f"dropout ({name})")
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            raise CannotStack(f"a batch norm that sees the whole batch ({name})")
    owners = {name for name, _ in _trained_modules(model)}
    for name, parameter in model.named_parameters():
        module = name.rpartition(".")[0]
        if parameter.requires_grad and not any(
            module == owner or module.startswith(f"{owner}.") for owner in owners
        ):
            raise CannotStack(f"a trained weight outside of LoRA and head ({name})")


def _is_lora(module: nn.Module) -> bool:
    from peft.tuners.lora import Linear

    return isinstance(module, Linear)


def _trained_modules(model: nn.Module) -> list[tuple[str, Any]]:
    """Modules that members have of their own: LoRA layers, and others with trained weights."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    found: list[tuple[str, Any]] = []
    inside: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}.") for outer in inside):
            continue
        if isinstance(module, BaseTunerLayer):
            _check_layer(name, module)
            inside.append(name)
            found.append((name, module))
        elif any(p.requires_grad for p in module.parameters(recurse=False)):
            if not name:
                raise CannotStack("a trained weight of the whole model")
            found.append((name, module))
    return found


def _check_layer(name: str, layer: Any) -> None:
    if not _is_lora(layer) or list(layer.active_adapters) != ["default"] or layer.merged:
        raise CannotStack(f"{type(layer).__name__} is not plain LoRA ({name})")
    if layer.lora_variant or layer.fan_in_fan_out or layer.lora_B["default"].bias is not None:
        raise CannotStack(f"a variant of LoRA ({name})")


def share_frozen(lead: nn.Module, model: nn.Module) -> None:
    """Let a model use the lead's frozen weights instead of its own, which must be the same.

    Raises `CannotStack` where they differ.
    """
    theirs = dict(lead.named_parameters())
    for name, own in list(model.named_parameters()):
        # PEFT keeps a new head as it was drawn beside the one that is trained, and never asks it.
        if own.requires_grad or "original_module" in name.split("."):
            continue
        same = theirs.get(name)
        if same is None or same.requires_grad or same.shape != own.shape:
            raise CannotStack(f"another base ({name})")
        if same is not own and not torch.equal(same, own):
            raise CannotStack(f"another base ({name})")
        module, _, last = name.rpartition(".")
        model.get_submodule(module)._parameters[last] = same
    buffers = dict(lead.named_buffers())
    for name, buffer in model.named_buffers():
        if name not in buffers or not torch.equal(buffers[name], buffer):
            raise CannotStack(f"another base ({name})")
