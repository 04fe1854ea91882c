"""Module names of a model: as today's transformers gives them, and as other versions did.

transformers renamed modules of many architectures (ViT's ``attention.attention.query`` is
``attention.q_proj`` now). Whole checkpoints are translated when they are loaded; the keys and the
settings of an adapter are not, so they are translated here, by transformers' own table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Parts that wrappers put into names: of torch.compile, data parallelism, FSDP, checkpointing, PEFT,
# and of the larger model that a language model was a part of.
STRAY = (
    "_orig_mod",
    "module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "base_model",
    "language_model",
)
PREFIX = "base_model.model."


class ModuleNames:
    """The names of a model's modules, and what other versions call them.

    Parameters
    ----------
    model : a transformers model without an adapter.
    """

    def __init__(self, model: Any) -> None:
        from transformers import PreTrainedModel
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightConverter

        self.modules = {name for name, _ in model.named_modules() if name}
        self.prefix = getattr(model, "base_model_prefix", "")
        self.weights = set(model.state_dict())
        self._parts = {part for name in self.modules for part in name.split(".")}
        self._known: dict[str, str | None] = {}
        table: list[Any] = []
        if isinstance(model, PreTrainedModel):
            table = get_model_conversion_mapping(model, add_legacy=False)
        self._renamings = [rule for rule in table if not isinstance(rule, WeightConverter)]
        self._reversed = [rule.reverse_transform() for rule in self._renamings[::-1]]

    def today(self, name: str) -> str | None:
        """What the model calls the module that another version calls `name`.

        None where it has no such module, or more than one.
        """
        if name not in self._known:
            self._known[name] = name if name in self.modules else self._look_up(name)
        return self._known[name]

    def _look_up(self, name: str) -> str | None:
        plain = ".".join(self._without_stray(name.split(".")))
        matches: set[str] = set()
        for candidate in dict.fromkeys((name, plain, f"{self.prefix}.{plain}")):
            renamed = self._rename(candidate, self._renamings)
            shorter = (it.removeprefix(f"{self.prefix}.") for it in (candidate, renamed))
            longer = (f"{self.prefix}.{it}" for it in (candidate, renamed))
            matches.update({candidate, renamed, *shorter, *longer} & self.modules)
            if matches:
                break
        return matches.pop() if len(matches) == 1 else None

    def earlier(self, name: str) -> str:
        """What transformers called the module before it was renamed; `name` if it never was."""
        return self._rename(name, self._reversed)

    def weight(self, key: str) -> str | None:
        """What the model calls a weight of its own, where transformers renamed the weight."""
        renamed = _renamed(key, self._renamings)
        return renamed if renamed in self.weights else None

    def split(self, key: str) -> tuple[str, str, str] | None:
        """A weight's key as the module's name in it, the model's name of that, and the rest.

        ``vit.encoder.layer.0.attention.attention.query.lora_A.weight`` gives
        ``vit.encoder.layer.0.attention.attention.query``, ``vit.layers.0.attention.q_proj`` and
        ``lora_A.weight``; None where no part of it is a module of the model.
        """
        parts = key.removeprefix(PREFIX).split(".")
        for end in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:end])
            today = self.today(name)
            if today is not None:
                return name, today, ".".join(parts[end:])
        return None

    @staticmethod
    def _rename(name: str, renamings: Iterable[Any]) -> str:
        # The table is of weights: some of its patterns end where a weight's name begins.
        return _renamed(f"{name}.weight", renamings).removesuffix(".weight")

    def _without_stray(self, parts: list[str]) -> list[str]:
        """The parts of a name without those of wrappers, which the model itself does not have."""
        kept = [part for part in parts if part not in STRAY or part in self._parts]
        # PEFT's prefix twice: base_model.model.base_model.model.bert ...
        while "base_model" in parts and kept[:1] == ["model"]:
            if ".".join(kept[:2]) in self.modules:
                break
            kept = kept[1:]
        return kept


def _renamed(key: str, renamings: Iterable[Any]) -> str:
    from transformers.core_model_loading import rename_source_key

    return str(rename_source_key(key, list(renamings), [])[0])
