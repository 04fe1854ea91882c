"""Check a vision-language model's run before it is trained."""

from __future__ import annotations

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.study.spec.run import RunSpec


def check_image_text(spec: RunSpec, examples: Examples) -> None:
    """Raise `InputError` for settings that a model which answers a prompt has no use for."""
    if spec.model.prompt is None:
        raise InputError(
            "answers to no prompt",
            where="model.answers",
            expected="model.prompt, the question about the picture",
        )
    if examples.kind != "image":
        raise InputError(
            "a prompt is put beside a picture, and the data are texts",
            where="model.prompt",
            found=examples.name,
            expected="data of pictures",
        )
    for where, value in (
        ("last_layer", spec.last_layer),
        ("model.image_size", spec.model.image_size),
        ("probes", spec.probes or None),
        ("model.chat", spec.model.chat or None),
    ):
        if value is not None:
            raise InputError(
                "not a setting of a vision-language model",
                where=where,
                expected="no such setting: its processor prepares pictures and prompts (by a chat "
                "template where it has one), and there is no head to fit",
            )
    unknown = [name for name in spec.model.answers if name not in examples.classes]
    if unknown:
        raise InputError(
            "an answer for a class that the data do not have",
            where="model.answers",
            found=repr(unknown[0]),
            expected=", ".join(examples.classes),
        )
    adapter = spec.adapter
    if adapter.kind == "linear" or (adapter.kind not in ("base", "full") and adapter.rank == 0):
        raise InputError(
            "a vision-language model has no new head to train",
            where="adapter.kind",
            found=f"{adapter.kind!r} of rank {adapter.rank}",
            expected="'base', which trains nothing, or an adapter such as 'lora'",
        )
