"""Classification heads: which modules they are, how a new one starts, what classes it names.

A head is what the checkpoint does not bring: the classifier itself, and every other module that
loading had to draw anew (RoBERTa's ``classifier.dense``, DistilBERT's ``pre_classifier``, the
pooler of a BERT without one). It is trained whatever the adapter, or it would stay random.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.load_checks import UNUSED, LoadRecord, check_unexpected, some_of
from fairlora.models.source import Source

# Names at a model's top level that are part of its head, wherever the weights come from.
HEAD_NAMES = (
    "pre_classifier",
    "classifier",
    "score",
    "head",
    "fc",
    "classification_head",
    "logits_proj",
)


@dataclass(frozen=True)
class Head:
    """A head in its model: the modules' names, what a user should know, weights left out."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def in_head(parameter: str, head: Iterable[str]) -> bool:
    """Whether a parameter's or module's dotted name lies in the head, below any wrapper's prefix.

    >>> in_head("base_model.model.classifier.modules_to_save.default.weight", ("classifier",))
    True
    >>> in_head("bert.pooler.dense.weight", ("bert.pooler", "classifier"))
    True
    >>> in_head("pre_classifier.weight", ("classifier",))
    False
    """
    return any(f".{name}." in f".{parameter}." for name in head)


def has_head(config: Any) -> bool:
    """Whether the checkpoint says that it carries a classification head."""
    return any("Classification" in name for name in config.architectures or ())


def own_classes(config: Any) -> tuple[str, ...]:
    """The class names of the checkpoint's own head, in order."""
    return tuple(str(config.id2label[k]) for k in sorted(config.id2label))


def check_head(config: Any, source: Source) -> None:
    """Raise `InputError` for a checkpoint without a classification head."""
    if not has_head(config):
        raise InputError(
            "this checkpoint has no classification head",
            where="model.id",
            found=f"{source.id} ({', '.join(config.architectures or ['no architecture named'])})",
            expected="a fine-tuned classifier, or a new head (--untrained-head)",
        )


def check_single_label(config: Any, source: Source) -> None:
    """Raise `InputError` for a head whose classes do not exclude each other, or that has one."""
    kind = getattr(config, "problem_type", None)
    if kind in ("multi_label_classification", "regression") or config.num_labels == 1:
        raise InputError(
            "this model's head does not choose one of several classes",
            where=source.location,
            found=kind or "a head of one output",
            expected="a classifier of which exactly one class is right",
        )


def record_of(
    model: nn.Module,
    config: Any,
    head: Head,
    *,
    processor: str | None = None,
    tokenizer: Any = None,
    max_length: int | None = None,
) -> LoadRecord:
    """What was found when a classifier was loaded.

    Parameters
    ----------
    model : the loaded model.
    config : its checkpoint's, which may say what version wrote it.
    head : the model's head.
    processor : folder or hub id of the image processor's settings; None where there were none.
    tokenizer : of texts; None for pictures.
    max_length : tokens of the longest text; None for pictures.
    """
    wrote = getattr(config, "transformers_version", None)
    return LoadRecord(
        written_by={} if wrote is None else {"transformers": str(wrote)},
        keys=len(model.state_dict()),
        left_out=_parts_of(head.left_out, getattr(model, "base_model_prefix", "")),
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
        head=head.names,
        processor=processor,
        tokenizer=None if tokenizer is None else str(tokenizer.name_or_path),
        max_length=max_length,
    )


def _parts_of(keys: Iterable[str], prefix: str) -> tuple[str, ...]:
    """The parts of a checkpoint that weights belong to: the names below its body's."""
    names = (key.removeprefix(f"{prefix}.").partition(".")[0] for key in keys)
    return tuple(dict.fromkeys(names))


def set_classes(config: Any, classes: Sequence[str]) -> None:
    """Write the class names into the config, so that the saved model carries them."""
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: k for k, name in enumerate(classes)}


def find_head(model: nn.Module) -> tuple[str, ...]:
    """Names of the head's modules; `InputError` if the model has none that fairlora knows."""
    children = dict(model.named_children())
    heads = tuple(
        name for name in HEAD_NAMES if name in children and list(children[name].parameters())
    )
    if not heads:
        raise InputError(
            "no classification head found",
            where=type(model).__name__,
            found=", ".join(children),
            expected="one of " + ", ".join(HEAD_NAMES),
        )
    return heads


def head_of_loaded(model: nn.Module, source: Source, info: dict[str, Any], *, new: bool) -> Head:
    """The head of a model that `from_pretrained` just made.

    Parameters
    ----------
    info : its loading info: ``missing_keys``, ``mismatched_keys`` and ``unexpected_keys``.
    new : whether a new head was asked for.

    Raises `InputError` if weights are missing or misshaped that no head explains, or if the
    checkpoint has weights inside modules of the model that the model has no place for.
    """
    known = find_head(model)
    missing = [key for key in map(str, info["missing_keys"]) if not key.endswith(UNUSED)]
    shapes = [key if isinstance(key, str) else str(key[0]) for key in info["mismatched_keys"]]
    for key in sorted(shapes):
        if not in_head(key, known):
            raise InputError(
                "a weight of the checkpoint has another shape than the model's",
                where=source.location,
                found=key,
            )
    if not new and (lost := [key for key in (*missing, *shapes) if in_head(key, known)]):
        raise InputError(
            "the checkpoint lacks weights of its classification head",
            where=source.location,
            found=", ".join(lost[:3]),
            expected="a fine-tuned classifier, or a new head (--untrained-head)",
        )
    drawn = [name for name in modules_of(model, missing) if not in_head(name, known)]
    body = {n: p.numel() for n, p in model.named_parameters() if not in_head(n, known)}
    absent = sum(body.get(key, 0) for key in missing)
    left_out = check_unexpected(model, info["unexpected_keys"], source.location)
    if absent > sum(body.values()) / 2:
        raise InputError(
            "the checkpoint's weights are not this model's",
            where=source.location,
            found=f"{absent} of {sum(body.values())} parameters missing",
            expected=f"weights of {type(model).__name__}",
        )
    # Of a layer, weights are lost; what stands beside the layers (a pooler) may never have been.
    whole = tuple(drawn)
    lost = [
        key
        for key in missing
        if not in_head(key, known) and (not new or _in_body(key) or not in_head(key, whole))
    ]
    if lost:
        raise InputError(
            "the checkpoint lacks weights of the model",
            where=source.location,
            found=f"no {some_of(lost)}",
            expected=f"all weights of {type(model).__name__}",
        )
    notes: tuple[str, ...] = ()
    if drawn:
        notes = (
            f"{source.id} has no weights for {', '.join(drawn)}: drawn anew and trained as a "
            "part of the head",
        )
    if left_out and not new:
        notes = (f"{source.id} has weights that are not used: {some_of(left_out)}",)
    return Head((*drawn, *known), notes, left_out)


def _in_body(parameter: str) -> bool:
    """Whether a parameter is one of a numbered layer, or of the embeddings."""
    parts = parameter.split(".")
    return any(part.isdigit() or "embed" in part for part in parts)


def modules_of(model: nn.Module, parameters: Iterable[str]) -> list[str]:
    """The largest modules that consist of the given parameters alone, in the model's order."""
    wanted = set(parameters)

    def search(module: nn.Module, prefix: str) -> list[str]:
        own = [f"{prefix}.{name}".lstrip(".") for name, _ in module.named_parameters()]
        if own and prefix and wanted.issuperset(own):
            return [prefix]
        return [
            below
            for name, child in module.named_children()
            for below in search(child, f"{prefix}.{name}".lstrip("."))
        ]

    return search(model, "")


def start_head(model: nn.Module, head: Sequence[str], seed: int) -> None:
    """Draw the head's linear layers from their own generator: N(0, 0.02^2), biases zero.

    Other layers of a head (norms) start as their architecture says.

    Parameters
    ----------
    model : changed in place.
    head : names of the head's modules.
    seed : of the generator.
    """
    generator = torch.Generator().manual_seed(seed)
    for name in head:
        for module in model.get_submodule(name).modules():
            if isinstance(module, nn.Linear):
                drawn = torch.randn(module.weight.shape, generator=generator) * 0.02
                with torch.no_grad():
                    module.weight.copy_(drawn)
                    if module.bias is not None:
                        module.bias.zero_()


def renew_head(model: Any, head: Sequence[str], classes: Sequence[str], seed: int) -> Any:
    """The same network with a new head for `classes`; built anew where their number differs.

    Parameters
    ----------
    model : a transformers model without an adapter; not to be used on.
    head : names of the head's modules.
    classes : class names of the new head, in order.
    seed : of its initial values.
    """
    if model.config.num_labels != len(classes):
        body = {k: v for k, v in model.state_dict().items() if not in_head(k, find_head(model))}
        dtype = next(model.parameters()).dtype
        set_classes(model.config, classes)
        with torch.random.fork_rng():
            fresh = type(model)._from_config(model.config, dtype=dtype)
        fresh.load_state_dict(body, strict=False)
        model = fresh
    start_head(model, head, seed)
    set_classes(model.config, classes)
    return model


def same_classes(own: Sequence[str], wanted: Sequence[str], name: str) -> None:
    """Raise `InputError` unless a head that is kept has the classes of the data, in their order.

    Parameters
    ----------
    own : the head's class names; ``LABEL_0``, ``LABEL_1``, ... stand for as many of any name.
    wanted : the data's class names.
    name : of the model, for the message.
    """
    nameless = all(label == f"LABEL_{k}" for k, label in enumerate(own))
    if nameless and len(own) == len(wanted):
        return
    if [label.casefold() for label in own] != [label.casefold() for label in wanted]:
        raise InputError(
            "the head that is to be kept has other classes",
            where=name,
            found=", ".join(own[:8]),
            expected=", ".join(wanted[:8]),
        )
