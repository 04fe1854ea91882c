"""`fairlora probe` on language models: load, ask, keep what was asked, and compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairlora.data import REST, Examples, load_examples
from fairlora.errors import InputError
from fairlora.probes.answers import Answers, Role
from fairlora.probes.rows import Asked, read_probe
from fairlora.probes.settings import parse_probe
from fairlora.study.cell import prepare
from fairlora.study.language_report import rank_of, role_of
from fairlora.study.spec import RunSpec, apply_overrides, parse_spec, read_yaml
from fairlora.study.store import RunFolder

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Target:
    """A model to ask: a run of fairlora, or any language model."""

    model_id: str
    spec: RunSpec | None
    folder: Path

    @property
    def role(self) -> Role:
        return "base" if self.spec is None else role_of(self.spec)


@dataclass
class Probed:
    """What came of it: every model's answers, the folders, and which were asked just now."""

    answers: list[Answers] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    asked: int = 0
    facts: dict[str, str] = field(default_factory=dict)


def probe_models(
    name: str,
    model_ids: Sequence[str],
    *,
    data: str | None = None,
    overrides: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    out: Path | None = None,
    chat: bool | None = None,
    base: str | None = None,
    again: bool = False,
    watch: Watch | None = None,
) -> Probed:
    """Ask models one probe, all the same.

    Parameters
    ----------
    model_ids : runs' folders, model folders, .gguf files, adapters or hub ids.
    data : a data set's name or a run file; None is the first run's own data, with its splits.
    overrides : ``data.KEY=VALUE``, options of the data; anything else is a setting of the probe.
    settings : further settings of the probe; None values are left out.
    out : where the results of what is no run go, a folder a model; a run keeps its own unless this
        is given. Default: ``probes/NAME`` in the working folder.
    again : ask anew what was asked with the same settings and data before.

    Raises `InputError` for anything wrong with models, data or settings.
    """
    mine = [o for o in overrides if not o.startswith("data.")]
    own = apply_overrides({}, mine)
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    parsed = parse_probe(name, {**own, **given})
    targets = _targets(model_ids, out)
    examples = _examples(targets, data, [o for o in overrides if o.startswith("data.")])
    if not examples.language:
        raise InputError(
            "these data are to be classified, not to be continued",
            where="--data",
            found=examples.name,
            expected="language data such as winomt, yelp-md-gender or plain-text",
        )
    if data is not None and parsed.split != "all" and examples.split is None:
        # Nothing of it was trained on as far as anybody knows.
        parsed = parsed.model_copy(update={"split": "all"})
    out_of = Probed(facts={"Data": examples.name, "Model": ", ".join(model_ids)})
    found: list[Asked] = []
    for target in targets:
        kept = None if again else _kept(target, name, parsed, examples)
        if kept is None:
            _ask(target, name, parsed, examples, chat, base, watch)
            kept = read_probe(target.folder, name)
            out_of.asked += 1
        assert kept is not None
        found.append(kept)
        out_of.folders.append(target.folder)
    out_of.answers = _grouped(targets, found)
    return out_of


def _targets(model_ids: Sequence[str], out: Path | None) -> list[Target]:
    targets = []
    for model_id in model_ids:
        path = Path(model_id)
        spec = RunFolder(path).spec() if (path / "spec.yaml").is_file() else None
        if spec is not None and not RunFolder(path).is_finished():
            raise InputError("not a finished run", where=path)
        if out is not None:
            folder = out if len(model_ids) == 1 else out / _word(model_id)
        elif spec is not None:
            folder = path / "probes"
        else:
            folder = Path("probes") / _word(model_id)
        targets.append(Target(model_id, spec, folder))
    folders = [target.folder for target in targets]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError("two models of one name", where="MODEL", found=folder.name)
    return targets


def _word(model_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_id.rstrip("/").rsplit("/", 1)[-1]) or "model"


def _examples(targets: Sequence[Target], data: str | None, overrides: Sequence[str]) -> Examples:
    if data is None:
        spec = next((t.spec for t in targets if t.spec is not None), None)
        if spec is None:
            raise InputError(
                "no data named",
                where="--data",
                expected="a data set's name or a run file (no model is a run's folder)",
            )
        return prepare(parse_spec(spec.model_dump(mode="json"), overrides)).examples
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        content = apply_overrides(read_yaml(Path(data)), overrides)
        return prepare(parse_spec(content, where=data)).examples
    section = apply_overrides({"data": {"name": data}}, overrides)["data"]
    asked = parse_spec({"data": section}, where=data).data
    examples = load_examples(asked.name, asked.options)
    if examples.split is not None:
        from dataclasses import replace

        return replace(examples, split=np.where(examples.split == REST, "train", examples.split))
    return examples


def _kept(target: Target, name: str, settings: Any, examples: Examples) -> Asked | None:
    """What was asked before, if it is the same."""
    found = read_probe(target.folder, name)
    if found is None:
        return None
    same = found.summary["settings"] == settings.model_dump(mode="json")
    return found if same and found.summary["data"] == data_of(examples) else None


def data_of(examples: Examples) -> dict[str, Any]:
    """What a probe's summary says of its data."""
    from fairlora.probes.run import data_of as said

    return said(examples)


def _ask(
    target: Target,
    name: str,
    settings: Any,
    examples: Examples,
    chat: bool | None,
    base: str | None,
    watch: Watch | None,
) -> None:
    from fairlora.models import load_language
    from fairlora.probes.run import run_probe

    language = load_language(target.model_id, chat=chat, base=base)
    word = target.model_id.rstrip("/").rsplit("/", 1)[-1]

    def told(done: int, total: int) -> None:
        if watch is not None:
            watch(word, done, total)

    run_probe(name, language, examples, settings, target.folder, told)


def _grouped(targets: Sequence[Target], asked: Sequence[Asked]) -> list[Answers]:
    """Runs that differ in their seed alone are one method."""
    groups: dict[str, list[int]] = {}
    for k, target in enumerate(targets):
        key = target.model_id
        if target.spec is not None:
            key = target.spec.model_copy(update={"seed": 0, "name": ""}).model_dump_json()
        groups.setdefault(key, []).append(k)
    names = _names([targets[rows[0]] for rows in groups.values()])
    out = []
    for name, rows in zip(names, groups.values(), strict=True):
        first = targets[rows[0]]
        seeds = tuple(0 if (s := targets[k].spec) is None else s.seed for k in rows)
        rank = None if first.spec is None else rank_of(first.spec)
        out.append(Answers(name, tuple(asked[k] for k in rows), first.role, rank, seeds))
    return out


def _names(targets: Sequence[Target]) -> list[str]:
    """Base, LoRA rank 8, full; what is alike is told apart by its folder."""
    words = []
    for target in targets:
        spec = target.spec
        if spec is None:
            words.append(_word(target.model_id))
        else:
            rank = rank_of(spec)
            chosen = spec.data.options.get("set")
            aside = [f"rank {rank}"] if rank is not None else []
            aside += [str(chosen)] if chosen and target.role != "base" else []
            words.append(" ".join([spec.method, *aside]))
    return [
        word if words.count(word) == 1 else f"{word} ({_word(t.model_id)})"
        for word, t in zip(words, targets, strict=True)
    ]
