"""Each row's own gradient by opacus' hooks, and the proof that it is that of the row alone.

opacus computes them layer by layer from what it sees go in and out. Where a model folds its batch
(windows of a picture), calls a layer by keywords, or keeps weights outside of layers, they would be
those of something else, and the promise with them. So they are compared with autograd's on a few
rows before the first step, and a model that they do not fit is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from opacus.grad_sample import GradSampleHooks
from opacus.utils.module_utils import trainable_modules
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.training.dp_steps import in_parts

# Of a parameter's gradient of a row: how far opacus' may be from autograd's.
CLOSE = 1e-3
_EXPECTED = "adapter.kind lora, rslora, linear or full on a model whose layers see one row a place"


class RowGradients:
    """opacus' hooks on a model, which stays the object that it is: a PEFT model saves as before.

    After a backward pass of the sum of a batch's losses, each trained parameter's ``grad_sample``
    is (N, ...), a row's gradient each.

    Parameters
    ----------
    model : in training mode wherever its dropout shall act.

    Raises `InputError` for a batch norm, and for a layer that opacus does not take.
    """

    def __init__(self, model: nn.Module) -> None:
        check_model(model)
        self.model = model
        self.rows = 0
        self._expanding = [
            module.register_forward_pre_hook(self._expand)
            for module in model.modules()
            if isinstance(module, nn.Embedding) and module.weight.requires_grad
        ]
        # Since hooks of a frozen model's first layers have no gradient of their inputs.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        try:
            self._hooks = GradSampleHooks(model, loss_reduction="sum")
        except NotImplementedError as error:
            raise InputError(
                "opacus has no gradients of single rows for a layer of this model",
                where="dp",
                found=str(error).splitlines()[0][:160],
                expected=_EXPECTED,
            ) from error

    def _expand(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Positions are looked up once for all rows; opacus needs them once a row."""
        if not (module.training and torch.is_grad_enabled()):
            return None  # an evaluation, whose rows are others
        first = inputs[0]
        if first.ndim > 1 and len(first) == 1 < self.rows:
            return (first.expand(self.rows, *first.shape[1:]), *inputs[1:])
        return None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Without the hooks: plain autograd."""
        self._hooks.disable_hooks()
        try:
            yield
        finally:
            self._hooks.enable_hooks()

    def remove(self) -> None:
        """Leave the model as it was."""
        self._hooks.cleanup()
        for hook in self._expanding:
            hook.remove()

    def prove(self, batch: dict[str, Any], losses: Callable[[dict[str, Any]], Tensor]) -> None:
        """Compare the rows' gradients with autograd's of one row at a time.

        The trained weights are moved by chance for it and put back: a new adapter's are zero, and
        so would be half of what is compared.

        Parameters
        ----------
        batch : of two rows or more, as the trainer has it.
        losses : gives (N,) losses of a batch.

        Raises
        ------
        InputError : they differ, or cannot be computed.
        """
        trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        modes = [(module, module.training) for module in self.model.modules()]
        kept = [parameter.detach().clone() for _, parameter in trained]
        generator = torch.Generator().manual_seed(0)
        try:
            # Without dropout, but opacus' hooks look at the modes of the layers that they are on.
            self.model.eval()
            for _, module in trainable_modules(self.model):
                module.training = True
            with torch.no_grad():
                for _, parameter in trained:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.add_(noise.to(parameter), alpha=0.02)
            self._compare(trained, batch, losses)
        finally:
            with torch.no_grad():
                for (_, parameter), before in zip(trained, kept, strict=True):
                    parameter.copy_(before)
                    parameter.grad = None
                    parameter.grad_sample = None  # type: ignore[attr-defined]
            for module, mode in modes:
                module.training = mode

    def _compare(
        self,
        trained: list[tuple[str, nn.Parameter]],
        batch: dict[str, Any],
        losses: Callable[[dict[str, Any]], Tensor],
    ) -> None:
        found: dict[str, Any] = {}
        try:
            self.rows = len(batch["labels"])
            losses(batch).sum().backward()
            found = {name: getattr(parameter, "grad_sample", None) for name, parameter in trained}
        except (ValueError, RuntimeError, IndexError, TypeError, KeyError, AttributeError) as error:
            raise self._refused(
                "cannot compute them", f"{type(error).__name__}: {error}"
            ) from error
        names, parameters = zip(*trained, strict=True)
        largest, apart = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        with self.off():
            for row, part in enumerate(in_parts(batch, 1)):
                self.rows = 1
                own: Any = torch.autograd.grad(losses(part).sum(), parameters, allow_unused=True)
                for name, gradient in zip(names, own, strict=True):
                    sample = found[name]
                    if gradient is None and sample is None:
                        raise self._refused("a trained weight that no loss depends on", name)
                    if sample is None or len(sample) != len(batch["labels"]):
                        shape = None if sample is None else tuple(sample.shape)
                        raise self._refused("not one gradient a row", f"{name}: {shape}")
                    gradient = torch.zeros_like(sample[row]) if gradient is None else gradient
                    largest[name] = max(largest[name], float(gradient.norm()))
                    apart[name] = max(apart[name], float((sample[row] - gradient).norm()))
        rounding = 1e-5 * max(largest.values())
        for name in names:
            if not apart[name] <= CLOSE * largest[name] + rounding:
                raise self._refused(
                    "other gradients than autograd's",
                    f"{name}: {apart[name]:.2g} apart, the largest is {largest[name]:.2g}",
                )

    @staticmethod
    def _refused(what: str, found: str) -> InputError:
        return InputError(
            f"opacus' gradients of single rows do not fit this model: {what}",
            where="dp",
            found=found.splitlines()[0][:200],
            expected=_EXPECTED,
        )


def check_model(model: nn.Module) -> None:
    """Raise `InputError` for layers that differential privacy cannot be had with."""
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                "a batch norm: each row's answer hangs on the others of its batch, and its running "
                "means take in training rows without noise",
                where="dp",
                found=name,
                expected="a model with layer norms or group norms",
            )
    sampled = GradSampleHooks.GRAD_SAMPLERS
    for name, module in trainable_modules(model):
        if type(module) in sampled:
            continue
        dropped = [m for m in module.modules() if isinstance(m, nn.Dropout) and m.p > 0]
        if dropped:
            # opacus runs such a module once more, with another mask than the first time.
            raise InputError(
                "dropout beside weights of one module, whose gradients opacus would take under "
                "another mask",
                where="dp",
                found=f"{name} with dropout {dropped[0].p:g}",
                expected="adapter.kind lora, or a model without that dropout",
            )
