"""Put jobs together whose adapters can be trained in one pass (`fairlora.training.stacked`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from fairlora.study.engines.jobs import Job

# LoRA whose layers are two products and no more.
_KINDS = ("lora", "rslora")
# What all members of a pack have in common: the pass through the base, and what labels mean.
_COMMON = ("precision", "bf16", "arguments", "workers")


def packs(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """The jobs in packs of at most `size`; what cannot be trained together is a pack of its own.

    Jobs keep their order within a pack, and packs the order of their first jobs.
    """
    if size < 2:
        return [[job] for job in jobs]
    made: list[list[Job]] = []
    filling: dict[str, list[Job]] = {}
    for job in jobs:
        key = _key(yaml.safe_load(job.spec))
        pack = filling.get(key) if key is not None else None
        if pack is None or len(pack) == size:
            pack = []
            made.append(pack)
            if key is not None:
                filling[key] = pack
        pack.append(job)
    return made


def _key(spec: dict[str, Any]) -> str | None:
    """What jobs that can be trained together share; None for one that trains alone."""
    adapter, training = spec.get("adapter", {}), spec.get("training", {})
    if adapter.get("kind", "lora") not in _KINDS or adapter.get("rank") == 0:
        return None
    if spec.get("deploy") is not None:
        return None  # it trains nothing
    if (spec.get("model") or {}).get("prompt") is not None:
        return None  # one pass of such a model is several
    if spec.get("dp"):
        return None  # its rows are drawn and cut one by one
    if training.get("workers"):
        return None  # processes of a loader are for one training at a time
    data = {key: value for key, value in spec.get("data", {}).items() if key not in _OWN_DATA}
    shared = [data, spec.get("model"), adapter.get("targets"), adapter.get("fields")]
    return json.dumps([*shared, *(training.get(key) for key in _COMMON)], default=str)


# Which rows a member trains on is its own affair.
_OWN_DATA = ("split", "scarcity", "train_rows", "membership")
