"""Prepare a run: read, split and check its data, and compute its identity."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from fairlora.data import (
    Examples,
    assign_membership,
    assign_splits,
    cross_groups,
    keep_trainable,
    limit_training,
    load_examples,
    make_scarce,
)
from fairlora.errors import InputError, require_known
from fairlora.study.runs.folder import cell_name, identity
from fairlora.study.spec.checks import check_suggestions
from fairlora.study.spec.run import RunSpec


class DataSets:
    """Data sets by name and options, each read once.

    `most` : how many are kept; what was not asked for the longest goes first. None keeps all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._kept: dict[str, Examples] = {}

    def __call__(self, spec: RunSpec) -> Examples:
        """The run's data as read, before they are split."""
        key = json.dumps([spec.data.name, spec.data.options], sort_keys=True, default=str)
        examples = self._kept.pop(key, None)
        if examples is None:
            while self._most is not None and len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            examples = load_examples(spec.data.name, spec.data.options)
        self._kept[key] = examples  # last in, last out
        return examples


@dataclass(frozen=True)
class Prepared:
    """A cell whose inputs have been read: everything is checked that can be before training."""

    spec: RunSpec
    examples: Examples
    identity: str
    data_fingerprint: str
    model_fingerprint: str

    @property
    def name(self) -> str:
        return cell_name(self.spec, self.identity)


def prepare(spec: RunSpec, loaded: Examples | None = None) -> Prepared:
    """Read the data, split it, and compute the cell's identity.

    `loaded` spares reading a data set that a study reads for every cell.
    Raises `InputError` for anything wrong with data, groups or settings.
    """
    from fairlora.models.source import model_fingerprint, resolve_source

    spec.adapter.check()
    examples = divided(spec, loaded)
    fingerprint = examples.fingerprint
    if spec.queries and examples.kind != "image":
        raise InputError("only pictures have a mirror image", where="queries", found="texts")
    _check_groups(spec, examples)
    check_suggestions(spec.audit, examples)
    if spec.model.prompt is not None or spec.model.answers:
        from fairlora.study.tasks.image_text_checks import check_image_text

        check_image_text(spec, examples)
    elif examples.language or spec.probes or spec.adapter.kind == "base":
        from fairlora.study.tasks.causal_lm_checks import check_language

        check_language(spec, examples)
    if spec.deploy is not None:
        _check_shipped(spec, examples)
    if spec.audit.positive is not None:
        require_known([spec.audit.positive], examples.classes, "class", "audit.positive")
    one_class = len(np.unique(examples.labels[examples.split == "train"])) < 2
    if one_class and not examples.language:
        raise InputError(
            "the training split has one class",
            where="data",
            expected="at least two classes to tell apart",
        )
    source = resolve_source(spec.model.id)
    weights = model_fingerprint(source)
    own = identity(spec, fingerprint, weights)
    return Prepared(spec, examples, own, fingerprint, weights)


def divided(spec: RunSpec, loaded: Examples | None = None) -> Examples:
    """The run's data in its splits; the model is not asked for.

    Parameters
    ----------
    spec : the run.
    loaded : as of `prepare`.
    """
    examples = loaded or load_examples(spec.data.name, spec.data.options)
    examples = cross_groups(examples, spec.data.intersect)
    examples = assign_splits(examples, spec.seed, spec.data.shares)
    examples = keep_trainable(examples)
    if spec.data.scarcity:
        examples = make_scarce(examples, spec.data.scarcity, spec.seed)
    if spec.data.train_rows is not None:
        examples = limit_training(examples, spec.data.train_rows, spec.seed)
    if spec.data.membership is not None:
        # Last: a shadow model has the rows of the run that it is a shadow of.
        examples = assign_membership(examples, spec.data.membership, spec.seed)
    return examples


def _check_shipped(spec: RunSpec, examples: Examples) -> None:
    if examples.language:
        raise InputError("only classifiers are shipped", where="deploy", found="a language model")
    if spec.model.prompt is not None and str(spec.deploy).startswith("onnx"):
        raise InputError(
            "a vision-language model is asked a prompt, which no exported file holds",
            where="deploy",
            found=spec.deploy,
            expected="float32, bfloat16 or nf4",
        )
    if spec.model.quantize is not None:
        raise InputError(
            "an adapter cannot be folded into quantised weights",
            where="deploy",
            found=f"model.quantize: {spec.model.quantize}",
            expected="a model in full precision",
        )


def _check_groups(spec: RunSpec, examples: Examples) -> None:
    wanted: dict[str, tuple[str, ...]] = {"objective.groups": (spec.objective.groups,)}
    if spec.last_layer is not None:
        wanted["last_layer.groups"] = spec.last_layer.groups
    for where, names in wanted.items():
        for name in set(names) - {"label", *examples.groups}:
            raise InputError(
                "no such group column",
                where=where,
                found=repr(name),
                expected="'label' or one of " + ", ".join(examples.groups),
            )
