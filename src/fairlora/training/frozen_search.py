"""Find the frozen part of a model, and prove it on a few rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from fairlora.training.frozen import FROZEN, FrozenPart, answer_at, given

# As parts of the largest number compared: the order of sums in batches of other rows, alone.
CLOSE = 1e-5
Context = Callable[[], AbstractContextManager[Any]]


@dataclass
class _Calls:
    """Which modules one forward pass called: by order, with the modules that they were called in"""

    first: dict[nn.Module, int]
    last: dict[nn.Module, int]
    within: dict[nn.Module, tuple[nn.Module, ...]]
    outputs: dict[nn.Module, Any]
    inputs: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]


def find_frozen(
    model: nn.Module, inputs: Mapping[str, Any], context: Context = nullcontext
) -> FrozenPart | None:
    """The frozen part of a model; None where it has no block of its own, or cannot be told apart.

    Proved on the rows given: from the part's answers, every later module and the gradient of every
    trained weight are those of the whole model.

    Parameters
    ----------
    model : with its adapter attached; left in its mode, with its random state.
    inputs : of one batch of at least two rows; tensors (N, ...), and what is no tensor for all.
    context : what the model is called in, such as autocast.
    """
    training = model.training
    try:
        with torch.random.fork_rng(), context():
            model.eval()
            calls = _record(model, inputs)
            for part in _candidates(model, calls, inputs):
                if _same(model, part, calls, inputs):
                    part.steady = _is_steady(model, part, calls, inputs)
                    return part
    finally:
        model.train(training)
    return None


def _record(
    model: nn.Module, inputs: Mapping[str, Any], call: Callable[[], Any] | None = None
) -> _Calls:
    """What one forward pass in eval mode calls, takes and gives."""
    calls = _Calls({}, {}, {}, {}, {})
    stack: list[nn.Module] = []
    count = 0

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal count
        calls.within.setdefault(module, tuple(stack))
        calls.first.setdefault(module, count)
        calls.inputs.setdefault(module, (args, kwargs))
        calls.last[module] = count
        count += 1
        stack.append(module)

    def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        stack.pop()
        calls.outputs[module] = output

    hooks = []
    for module in model.modules():
        hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True, prepend=False))
        hooks.append(module.register_forward_hook(leave, with_kwargs=True))
    try:
        with torch.no_grad():
            model(**inputs) if call is None else call()
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _candidates(model: nn.Module, calls: _Calls, inputs: Mapping[str, Any]) -> Iterator[FrozenPart]:
    """Parts that might do, the largest first."""
    first = _first_trained(model, calls)
    if first is None:
        return
    rows = len(next(value for value in inputs.values() if isinstance(value, Tensor)))
    tensors = {key: value for key, value in inputs.items() if isinstance(value, Tensor)}
    blocks = {
        child
        for module in model.modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        for child in module
    }
    path = (*calls.within[first], first)
    for depth in range(len(path) - 1, 0, -1):
        entry, above = path[depth], set(path[:depth])
        place = _tensor_place(*calls.inputs[entry], rows)
        before = [
            module
            for module in calls.first
            if calls.last[module] < calls.first[entry]
            and module not in path
            and calls.within[module][-1:]
            and calls.within[module][-1] in above
            # The others take no time, and later modules may read what they give.
            and any(True for _ in module.parameters())
        ]
        held = {inner for module in before for inner in module.modules()}
        if place is None or not held & blocks:
            continue
        # Embeddings may be read by every block, as relative positions are: then the blocks alone.
        for several in (before, [module for module in before if module in blocks]):
            skipped = {module: calls.outputs[module] for module in several}
            if skipped:
                yield FrozenPart(model, entry, place, _without_values(skipped), tensors)


def _first_trained(model: nn.Module, calls: _Calls) -> nn.Module | None:
    """The called module that reads a trained weight first; None where nothing is trained."""
    modules = dict(model.named_modules())
    found: nn.Module | None = None
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        owner = name
        while owner:
            owner = owner.rpartition(".")[0]
            if modules[owner] in calls.first:
                break
        module = modules[owner]
        if module in calls.first and (found is None or calls.first[module] < calls.first[found]):
            found = module
    return found


def _same(model: nn.Module, part: FrozenPart, calls: _Calls, inputs: Mapping[str, Any]) -> bool:
    """Whether from the part's answers all that comes later is as in the whole model."""
    whole = answer_at(part.place, *calls.inputs[part.entry])
    if part.length is not None:
        return _same_texts(model, part, calls, inputs, whole[1:])
    # Without the first row: what depends on how many rows there are shows itself.
    fewer = {k: v[1:] if isinstance(v, Tensor) else v for k, v in inputs.items()}
    rest = {k: v for k, v in fewer.items() if not isinstance(v, Tensor)}
    batch = {FROZEN: whole[1:], **rest}
    try:
        again = _record(model, {}, lambda: part.call(model, batch))
        late = [m for m, k in calls.last.items() if k >= calls.first[part.entry]]
        late += list(calls.within[part.entry])
        for module in late:
            now, before = again.outputs.get(module), _first_tensor(calls.outputs[module])
            if before is not None and not _same_rows(_first_tensor(now), before, len(whole)):
                return False
        ours, theirs = _gradients(model, part, batch), _gradients(model, part, fewer)
    except Exception:  # a module that takes no blank input may say so in any way
        return False
    return _all_close(ours, theirs)


def _same_texts(
    model: nn.Module,
    part: FrozenPart,
    calls: _Calls,
    inputs: Mapping[str, Any],
    answers: Tensor,
) -> bool:
    """Whether the answers to texts, cut where each ends, give the logits and gradients of texts.

    Without the first text, the longest: they are padded to another length than they were asked at.
    """
    longest = int(inputs["attention_mask"][1:].sum(1).max())
    fewer = {k: v[1:, :longest] if isinstance(v, Tensor) else v for k, v in inputs.items()}
    if part.by_token(answers):
        mask = fewer["attention_mask"].to(answers)
        answers = answers[:, :longest] * mask.view(*mask.shape, *[1] * (answers.ndim - 2))
    batch = {FROZEN: answers, **fewer}
    try:
        with torch.no_grad():
            logits = _first_tensor(part.call(model, batch))
        before = _first_tensor(calls.outputs[model])
        ours, theirs = _gradients(model, part, batch), _gradients(model, part, fewer)
    except Exception:  # as with pictures
        return False
    if logits is None or before is None or not _close(logits, before[1:]):
        return False
    return _all_close(ours, theirs)


def _all_close(ours: list[Tensor | None], theirs: list[Tensor | None]) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or _close(a, b))
        for a, b in zip(ours, theirs, strict=True)
    )


def _same_rows(fewer: Tensor | None, all_rows: Tensor, rows: int) -> bool:
    """Whether a module gave without the first row what it gave with it."""
    if fewer is None:
        return False
    if fewer.shape == all_rows.shape:  # a table of positions, which no row enters
        return _close(fewer, all_rows)
    # Windows of a picture are rows of their own, those of one picture together.
    return _close(fewer, all_rows[len(all_rows) // rows :])


def _gradients(
    model: nn.Module, part: FrozenPart, inputs: Mapping[str, Any]
) -> list[Tensor | None]:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    with torch.enable_grad():
        logits = _first_tensor(part.call(model, inputs))
        assert logits is not None
        value = (
            logits.float() * torch.arange(1, logits.numel() + 1).view(logits.shape).to(logits)
        ).sum()
        return list(torch.autograd.grad(value, weights, allow_unused=True))


def _is_steady(
    model: nn.Module, part: FrozenPart, calls: _Calls, inputs: Mapping[str, Any]
) -> bool:
    """Whether the part answers in training mode as it does in eval mode, and leaves no trace."""
    model.train()
    early = [m for m, k in calls.first.items() if k < calls.first[part.entry]]
    for module in early:
        chance = getattr(module, "p", getattr(module, "drop_prob", None))
        if "drop" in type(module).__name__.lower() and module.training and chance:
            return False
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            return False
    expected = answer_at(part.place, *calls.inputs[part.entry])
    return _close(given(model, part.entry, part.place, inputs), expected)


def _tensor_place(args: tuple[Any, ...], kwargs: Mapping[str, Any], rows: int) -> int | str | None:
    """Where a module was given its first tensor of as many rows."""
    given: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for place, value in given:
        if isinstance(value, Tensor) and value.is_floating_point() and value.shape[:1] == (rows,):
            return place
    return None


def _first_tensor(output: Any) -> Tensor | None:
    """The first tensor of what a module gives."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, Mapping | tuple | list):
        return None
    return next((found for value in values if (found := _first_tensor(value)) is not None), None)


def _without_values(outputs: dict[nn.Module, Any]) -> dict[nn.Module, Any]:
    """Outputs of which no number is kept in memory: nobody reads them."""
    return {
        module: tree_map(
            lambda x: x.new_zeros(()).expand(x.shape) if isinstance(x, Tensor) else x, output
        )
        for module, output in outputs.items()
    }


def _close(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape:
        return False
    if not theirs.numel():
        return True
    ours, theirs = ours.float(), theirs.float()
    return float((ours - theirs).abs().max()) <= CLOSE * (1 + float(theirs.abs().max()))
