"""Check a language model's run before it is trained."""

from __future__ import annotations

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.probes.run import check_probe
from fairlora.probes.settings import parse_probe
from fairlora.study.spec.run import RunSpec


def check_language(spec: RunSpec, examples: Examples) -> None:
    """Raise `InputError` for settings that only a language model has, and for those it lacks.

    What its probes need is looked at too: they are asked last, hours later.
    """
    if not examples.language:
        where = "probes" if spec.probes else "adapter.kind"
        raise InputError(
            "only of a language model, and the data are to be classified",
            where=where,
            found=", ".join(spec.probes) or repr(spec.adapter.kind),
            expected="data to continue, such as winomt, yelp-md-gender or plain-text",
        )
    if spec.adapter.kind != "base" and spec.adapter.kind != "full" and spec.adapter.rank == 0:
        raise InputError(
            "a language model has no new head to train",
            where="adapter.rank",
            found=0,
            expected="adapter.kind base, which trains nothing, or a rank above 0",
        )
    if spec.adapter.kind == "linear":
        raise InputError(
            "a language model has no new head to train",
            where="adapter.kind",
            found="'linear'",
            expected="'base', which trains nothing, or an adapter such as 'lora'",
        )
    for where, value in (
        ("last_layer", spec.last_layer),
        ("audit.positive", spec.audit.positive),
        ("model.image_size", spec.model.image_size),
    ):
        if value is not None:
            raise InputError("a language model classifies nothing", where=where)
    for name, values in spec.probes.items():
        check_probe(name, examples, parse_probe(name, values, where=f"probes.{name}"))
    if spec.dp is not None and examples.answers is None and spec.training.pack:
        raise InputError(
            "a text may be in two blocks, and differential privacy is of one row",
            where="training.pack",
            found=True,
            expected="false, which trains on one text a row",
        )
    if spec.training.select == "accuracy_worst" and not spec.objective.fair:
        raise InputError(
            "without groups there is no worst one",
            where="training.select",
            found="accuracy_worst",
            expected="loss, accuracy or last",
        )
    if not spec.objective.fair:
        return
    if spec.objective.groups == "label":
        raise InputError(
            "a language model has no classes to take as groups",
            where="objective.groups",
            found="'label'",
            expected="one of " + (", ".join(examples.groups) or "no group column: objective erm"),
        )
    if examples.answers is None and spec.training.pack:
        raise InputError(
            "a block of packed texts is in no group",
            where="training.pack",
            found=True,
            expected="false, which trains on one text a row",
        )
