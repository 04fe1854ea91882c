"""The frozen part of a model: all that it computes before the first weight that is trained.

What it answers to a picture or text is the same in every epoch: it is asked once. Where it ends is
found by calls, not by names: the deepest module on the way to the first trained weight whose input,
put in from memory, gives the answers and the gradients of the whole model. The modules before it
are then not called at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

# What a batch calls the frozen part's answers (N, ...); they stand in place of the pictures, or
# beside the tokens of texts, which say how long each is.
FROZEN = "fairlora_frozen"
TOKENS = "input_ids"


class FrozenPart:
    """A model's frozen part, as `find_frozen` found it.

    Attributes
    ----------
    name : the module that takes its answers, without PEFT's prefixes.
    steady : whether it answers alike in training; dropout in it would not.
    length : tokens of the texts that it was proved on, as padded; None of pictures.
    """

    def __init__(
        self,
        model: nn.Module,
        entry: nn.Module,
        place: int | str,
        skipped: dict[nn.Module, Any],
        inputs: Mapping[str, Tensor],
    ) -> None:
        self.entry, self.place, self.skipped = entry, place, skipped
        names = {module: name for name, module in model.named_modules()}
        self.name = _plain_name(names[entry])
        self.steady = True
        self._inputs = {
            key: value.new_zeros(()).expand(value.shape) for key, value in inputs.items()
        }
        self._rows = len(next(iter(inputs.values())))
        self.length = inputs[TOKENS].shape[1] if TOKENS in inputs else None

    def call(self, model: nn.Module, inputs: Mapping[str, Any]) -> Any:
        """The model's outputs; for a batch that has the frozen part's answers, from those.

        Parameters
        ----------
        model : the whole model, or what wraps it.
        inputs : of one batch.
        """
        if FROZEN not in inputs:
            return model(**inputs)
        rest = {key: value for key, value in inputs.items() if key != FROZEN}
        values: Tensor = inputs[FROZEN]
        length = inputs[TOKENS].shape[1] if TOKENS in inputs else 0
        # Texts stay as they are: where they end is asked for later too.
        absent = {key: value for key, value in self._inputs.items() if key not in rest}
        blank = {key: self._blank(value, len(values), length) for key, value in absent.items()}
        with self._put_in(values, length):
            return model(**blank, **rest)

    def answers(self, model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
        """(N, ...) what the frozen part answers to a batch of pictures or texts, in eval mode.

        Parameters
        ----------
        model : the whole model.
        inputs : of one batch.
        """
        training = model.training
        model.eval()
        try:
            return given(model, self.entry, self.place, inputs).detach()
        finally:
            model.train(training)

    def by_token(self, values: Tensor) -> bool:
        """Whether answers to the proof's texts have one for each token."""
        return values.ndim > 2 and values.shape[1] == self.length

    def _blank(self, value: Any, rows: int, length: int) -> Any:
        """A recorded tensor as one of so many rows, and of texts so long; else as it is."""
        if not isinstance(value, Tensor) or value.shape[:1] != (self._rows,):
            return value
        if self.by_token(value):
            return value[:1, :1].expand(rows, length, *value.shape[2:])
        return value[:1].expand(rows, *value.shape[1:])

    @contextmanager
    def _put_in(self, values: Tensor, length: int) -> Iterator[None]:
        place = self.place

        def put(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if isinstance(place, str):
                return args, {**kwargs, place: values}
            return (*args[:place], values, *args[place + 1 :]), kwargs

        def instead(output: Any) -> Callable[..., Any]:
            return lambda *_, **__: tree_map(lambda x: self._blank(x, len(values), length), output)

        before = {module: module.__dict__.get("forward") for module in self.skipped}
        # First, for others may look at what the module is given.
        hook = self.entry.register_forward_pre_hook(put, with_kwargs=True, prepend=True)
        try:
            for module, output in self.skipped.items():
                module.forward = instead(output)
            yield
        finally:
            hook.remove()
            for module, own in before.items():
                if own is None:
                    del module.forward
                else:
                    module.forward = own


class _Enough(Exception):
    """All that was asked of a forward pass is known."""


def given(
    model: nn.Module, entry: nn.Module, place: int | str, inputs: Mapping[str, Any]
) -> Tensor:
    """What a module is given at a place when the model is called; later modules are not.

    Parameters
    ----------
    model : in the mode that is asked about.
    entry : one of its modules.
    place : of the module's arguments, by number or by name.
    inputs : of one batch.
    """
    found: list[Tensor] = []

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.append(answer_at(place, args, kwargs))
        raise _Enough

    hook = entry.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            model(**inputs)
    except _Enough:
        pass
    finally:
        hook.remove()
    return found[0]


def answer_at(place: int | str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """What a module was given at a place, by number or by name.

    Parameters
    ----------
    place : where.
    args, kwargs : all that it was given.
    """
    value: Tensor = kwargs[place] if isinstance(place, str) else args[place]
    return value


def _plain_name(name: str) -> str:
    """A module's name below PEFT's wrapper.

    >>> _plain_name("base_model.model.vit.layers.4")
    'vit.layers.4'
    >>> _plain_name("base_model.model.classifier.modules_to_save.default")
    'classifier'
    """
    name = name.removeprefix("base_model.model.")
    return name.removesuffix(".modules_to_save.default")
