"""`fairlora probe` on language models: load, ask, keep what was asked, and compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlora.data import REST, Examples, load_examples
from fairlora.errors import InputError
from fairlora.models.device import best_device
from fairlora.probes.answers import Answers, Role
from fairlora.probes.rows import Asked, read_probe
from fairlora.probes.run import check_probe, data_of, run_probe
from fairlora.probes.settings import ProbeSettings, alike, parse_probe
from fairlora.study.report.causal_lm import rank_of, role_of
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import RunSpec, apply_overrides, parse_spec, read_yaml

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


@dataclass(frozen=True)
class How:
    """How models are loaded; None is as each of them says."""

    chat: bool | None = None
    base: str | None = None


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
    data : a data set's name or a run file; None is each run's own data, with its own splits, and
        for what is no run those of the first run.
    overrides : ``data.KEY=VALUE``, options of the data; anything else is a setting of the probe.
    settings : further settings of the probe; None values are left out. What neither says is as the
        first run's own probe of this name has it.
    out : where the results go, a folder a model. Default: the run's own folder, else
        ``probes/NAME`` in the working folder.
    again : ask anew what was asked with the same settings and data before.

    Raises `InputError` for anything wrong with models, data or settings.
    """
    specs = [_spec_of(Path(model_id)) for model_id in model_ids]
    first = next((spec for spec in specs if spec is not None), None)
    mine = [o for o in overrides if not o.startswith("data.")]
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    before = {} if first is None else {str(k): v for k, v in first.probes.items()}
    parsed = parse_probe(name, {**before.get(name, {}), **apply_overrides({}, mine), **given})
    aside = [o for o in overrides if o.startswith("data.")]
    examples = _examples(specs, data, aside, base)
    if data is not None and parsed.split != "all" and examples[0].split is None:
        # Nothing of it was trained on as far as anybody knows.
        parsed = parsed.model_copy(update={"split": "all"})
    targets = _targets(model_ids, specs, name, parsed, out)
    facts = {"Data": examples[0].name, "Model": ", ".join(model_ids)}
    probed = Probed(facts=facts, folders=[target.folder for target in targets])
    questions = {id(rows): check_probe(name, rows, parsed) for rows in examples}
    asked_all: list[Asked] = []
    for target, own in zip(targets, examples, strict=True):
        asked = _asked_how(target, How(chat, base))
        said = {"data": data_of(own), "questions": questions[id(own)], "asked": asked}
        kept = None if again else _kept(target, name, parsed, said)
        if kept is None:
            _ask(target, name, parsed, own, asked, How(chat, base), watch)
            if target.spec is not None and target.folder == Path(target.model_id) / "probes":
                # What is asked of a run afterwards is part of it too.
                RunFolder(Path(target.model_id)).seal_again(rf"probes/{name}\..*", accept=False)
            kept = read_probe(target.folder, name)
            probed.asked += 1
        assert kept is not None
        asked_all.append(kept)
    probed.answers = _grouped(targets, asked_all)
    return probed


def _spec_of(path: Path) -> RunSpec | None:
    """The spec of a finished run; None for what is no run."""
    if not (path / "spec.yaml").is_file():
        return None
    folder = RunFolder(path)
    folder.check_finished(weights=True)
    return folder.spec()


def _targets(
    model_ids: Sequence[str],
    specs: Sequence[RunSpec | None],
    name: str,
    settings: ProbeSettings,
    out: Path | None,
) -> list[Target]:
    targets = []
    for model_id, spec in zip(model_ids, specs, strict=True):
        if out is not None:
            folder = out if len(model_ids) == 1 else out / _word(model_id)
        elif spec is None:
            folder = Path("probes") / _word(model_id)
        elif any(
            key == name and not alike(parse_probe(name, values), settings)
            for key, values in spec.probes.items()
        ):
            # What was asked when the run was made is what its study's report is made of.
            folder = Path(model_id) / "asked"
        else:
            folder = Path(model_id) / "probes"
        targets.append(Target(model_id, spec, folder))
    folders = [target.folder for target in targets]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError("two models of one name", where="MODEL", found=folder.name)
    return targets


def _word(model_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_id.rstrip("/").rsplit("/", 1)[-1]) or "model"


def _examples(
    specs: Sequence[RunSpec | None], data: str | None, overrides: Sequence[str], base: str | None
) -> list[Examples]:
    """The rows that each model is asked about."""
    if data is not None:
        chosen = [_named_data(data, overrides)] * len(specs)
    else:
        first = next((spec for spec in specs if spec is not None), None)
        if first is None:
            raise InputError(
                "no data named",
                where="--data",
                expected="a data set's name or a run file (no model is a run's folder)",
            )
        moved = [*overrides, *([] if base is None else [f"model.id={base}"])]
        read: dict[str, Examples] = {}
        chosen = []
        for spec in specs:
            own = parse_spec((spec or first).model_dump(mode="json"), moved)
            key = own.model_copy(update={"adapter": first.adapter, "name": ""}).model_dump_json()
            if key not in read:
                read[key] = prepare(own).examples
            chosen.append(read[key])
    for examples in chosen:
        if not examples.language:
            raise InputError(
                "these data are to be classified, not to be continued",
                where="--data",
                found=examples.name,
                expected="language data such as winomt, yelp-md-gender or plain-text",
            )
    return chosen


def _named_data(data: str, overrides: Sequence[str]) -> Examples:
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        content = apply_overrides(read_yaml(Path(data)), overrides)
        return prepare(parse_spec(content, where=data)).examples
    section = apply_overrides({"data": {"name": data}}, overrides)["data"]
    asked = parse_spec({"data": section}, where=data).data
    examples = load_examples(asked.name, asked.options)
    if examples.split is not None:
        return replace(examples, split=np.where(examples.split == REST, "train", examples.split))
    return examples


def _asked_how(target: Target, how: How) -> dict[str, Any]:
    """Whom a probe asks and how, so that another's answers are not taken for its own."""
    from fairlora.models import model_fingerprint, resolve_source

    if target.spec is not None:
        return {"chat": target.spec.model.chat if how.chat is None else how.chat}
    model = model_fingerprint(resolve_source(target.model_id))
    return {"chat": how.chat, "base": how.base, "model": model}


def _kept(
    target: Target, name: str, settings: ProbeSettings, said: Mapping[str, Any]
) -> Asked | None:
    """What was asked before, if it is the same."""
    found = read_probe(target.folder, name)
    if found is None or not alike(parse_probe(name, found.summary["settings"]), settings):
        return None
    same = all(found.summary.get(key) == value for key, value in said.items())
    return found if same else None


def _ask(
    target: Target,
    name: str,
    settings: ProbeSettings,
    examples: Examples,
    asked: dict[str, Any],
    how: How,
    watch: Watch | None,
) -> None:

    from fairlora.models import load_language

    language = load_language(target.model_id, chat=how.chat, base=how.base)
    if language.quantize is None:  # what is quantised is where it must be
        language.model.to(best_device())
    word = target.model_id.rstrip("/").rsplit("/", 1)[-1]

    def told(done: int, total: int) -> None:
        if watch is not None:
            watch(word, done, total)

    run_probe(name, language, examples, settings, target.folder, told, asked=asked)


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
