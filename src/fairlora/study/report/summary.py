"""The pages of run folders: one run after `fairlora train`, and several by `fairlora compare`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from fairlora.data import parse_options
from fairlora.errors import InputError
from fairlora.metrics.content import AuditContent
from fairlora.metrics.page import audit_page
from fairlora.report.chart import Chart
from fairlora.report.page import Fact, Page
from fairlora.study.report.causal_lm import is_language, rank_of
from fairlora.study.report.comparisons import compare_pairs, usual_pairs
from fairlora.study.report.curves import training_charts
from fairlora.study.report.dp import dp_tables
from fairlora.study.report.language_losses import compare_losses
from fairlora.study.report.measures import Run
from fairlora.study.report.page import method_parts, page_of, rows_words, warnings_of
from fairlora.study.report.results import ArmResult, Axes, Setting, attributes_of
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.expand import Arm
from fairlora.study.spec.run import RunSpec

# Resamplings of the verdicts between runs.
BOOTSTRAP = 2000


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Finished runs from their folders; `InputError` for one that is not finished, or not whole."""
    runs = []
    for path in folders:
        folder = RunFolder(path)
        folder.check_finished()
        runs.append(Run(folder, folder.spec(), folder.metrics()))
    return runs


def by_method(runs: Sequence[Run]) -> list[ArmResult]:
    """Group runs that differ in their seed alone, in order of first appearance.

    Methods of one name are told apart by the settings that differ between them, and all by their
    models where there are several.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        content = run.spec.model_copy(update={"seed": 0, "name": ""}).model_dump_json()
        groups.setdefault(content, []).append(run)
    firsts = [members[0].spec for members in groups.values()]
    settings = [_settings(spec) for spec in firsts]
    methods = []
    for k, (spec, members) in enumerate(zip(firsts, groups.values(), strict=True)):
        alike = [i for i, other in enumerate(firsts) if other.method == spec.method]
        aside = []
        for key, words in settings[k].items():
            others = range(len(settings)) if key == "model" else alike
            if len({settings[i].get(key) for i in others}) > 1:
                aside.append(words)
        if any(settings[i] == settings[k] for i in alike if i != k):
            aside.append(str(alike.index(k) + 1))
        name = f"{spec.method} ({', '.join(aside)})" if aside else spec.method
        strength = spec.objective.strength if spec.objective.fair else 0.0
        model = model_name(spec.model.id)
        arm = Arm(spec.data.name, model, name, rank_of(spec), strength, {}, spec, spec.deploy)
        methods.append(ArmResult(arm, tuple(members), name))
    return methods


def _settings(spec: RunSpec) -> dict[str, str]:
    """What two methods of one name may differ in, in words."""
    words = {"model": model_name(spec.model.id)}
    words["rate"] = f"learning rate {spec.training.learning_rate:g}"
    epochs = spec.training.epochs
    words["epochs"] = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    words["epsilon"] = f"epsilon {spec.dp.epsilon:g}" if spec.dp else "without privacy"
    if "set" in spec.data.options:
        words["set"] = str(spec.data.options["set"])
    if spec.adapter.kind not in ("base", "full", "linear"):
        words["rank"] = f"rank {spec.adapter.rank}"
    if spec.objective.fair:
        groups = spec.objective.groups
        words["groups"] = f"groups: {'classes' if groups == 'label' else groups}"
        if spec.objective.penalised:
            words["strength"] = f"strength {spec.objective.strength:g}"
    return words


def model_name(model_id: str) -> str:
    """A model's own name: what a hub id, a folder or a file ends in."""
    return Path(model_id).name.removesuffix(".gguf") or model_id


def comparison_page(
    runs: Sequence[Run], *, title: str, lead: str = "", notes: Sequence[str] = ()
) -> Page:
    """The page that sets the methods side by side: means, disparities, verdicts, and groups.

    Parameters
    ----------
    runs : finished ones; those that differ in their seed alone are one method.
    title, lead : the page's heading, and what stands below it.
    notes : sentences that come before the runs' own.

    Raises
    ------
    InputError : no runs, runs that used other data or the same data in other ways, or a classifier
        beside a language model.
    """
    if not runs:
        raise InputError("no runs to compare", where="runs")
    language = any(is_language(run) for run in runs)
    check_comparable(runs, language=language)
    methods = by_method(runs)
    setting = Setting("", methods, Axes(()), tuple(attributes_of(methods)))
    pairs = usual_pairs(setting) or [("", methods[0], other) for other in methods[1:]]
    verdicts, without = compare_pairs([] if language else pairs, BOOTSTRAP)
    parts = method_parts([setting], verdicts, figures=["accuracy"])
    if language:
        losses = compare_losses(pairs, BOOTSTRAP)
        parts.add("tables", losses.tables, topic="Loss by group")
        parts.notes += losses.notes
    named = [(method.name, method.runs[0]) for method in methods]
    parts.add("charts", training_charts(named))
    every = [*notes, *_changes_of(runs), *parts.notes, *without, *warnings_of(runs)]
    return page_of(parts, title, lead, _facts(methods), list(dict.fromkeys(every)))


def check_comparable(runs: Sequence[Run], *, language: bool) -> None:
    """Raise `InputError` for runs on other data, or on the same data in other ways.

    Language models may be trained on another set of one data set.
    """
    if language:
        for run in runs:
            if not is_language(run):
                raise InputError(
                    "a classifier and a language model cannot be compared", where=run.folder.path
                )
        return
    fingerprints = {run.folder.environment().get("data_fingerprint") for run in runs}
    if len(fingerprints) > 1:
        raise InputError(
            "the runs used different data",
            where="runs",
            found=f"{len(fingerprints)} fingerprints",
            expected="runs on the same data",
        )
    # Another target, other groups or shares: other labels or other test rows of the same data.
    asked = [_task(run) for run in runs]
    for run, task in zip(runs, asked, strict=True):
        if task != asked[0]:
            raise InputError(
                "the runs used the same data in different ways",
                where=run.folder.path,
                found=task,
                expected=asked[0],
            )


def _task(run: Run) -> str:
    """What decides labels, groups and test rows: the data's options, but for where they lie."""
    data = run.spec.data
    options = parse_options(data.name, data.options)
    settings: dict[str, Any] = {
        "name": data.name,
        **options.model_dump(mode="json", exclude={"path", "root"}),
        **data.shares.model_dump(),
        "groups": list(run.audit["by_group"]),
    }
    return ", ".join(f"{k} {v}" for k, v in settings.items() if v is not None)


def run_page(run: Run) -> Page:
    """One run: its settings, what training reported, and the audit of its test split."""
    spec, metrics = run.spec, run.metrics
    title = f"{spec.name}: {spec.method}, seed {spec.seed}"
    few = "One run with one seed: another seed moves every number."
    if is_language(run):
        return comparison_page([run], title=title, notes=[few])
    page = audit_page(AuditContent.model_validate(run.audit), title)
    losses, parameters = metrics["mean_loss"], metrics["parameters"]
    facts = _facts(by_method([run])) | {
        "Trained": f"{parameters['trainable']:,} of {parameters['total']:,} parameters "
        f"({parameters['percent']:.2f} %)",
        "Mean loss": ", ".join(f"{split} {loss:.3f}" for split, loss in losses.items()),
    }
    page["lead"] = "One run, audited on its test split."
    page["tables"] = [*page.get("tables", []), *_dp_tables([run])]
    page["charts"] = cast(list[Chart], [*page.get("charts", []), *training_charts([("", run)])])
    own: list[Fact] = [{"name": name, "value": value} for name, value in facts.items() if value]
    page["facts"] = [*own, *page.get("facts", [])]
    page["notes"] = [few, *_changes_of([run]), *page.get("notes", []), *metrics.get("notes", [])]
    return page


def _dp_tables(runs: Sequence[Run]) -> list[Any]:
    """The promise of differential privacy, and what it cost, of runs that stand alone."""
    methods = by_method(runs)
    attributes = tuple(runs[0].metrics.get("dp", {}).get("by_group", {}))
    return dp_tables(Setting("", methods, Axes(()), attributes))


def _changes_of(runs: Sequence[Run]) -> list[str]:
    """What somebody changed in the runs since they were made, and accepted."""
    states = [(run.folder.path.name, run.folder.status()) for run in runs]
    return [f"{name}: {status.changes}" for name, status in states if status and status.changes]


def _facts(methods: Sequence[ArmResult]) -> dict[str, str]:
    runs = [run for method in methods for run in method.runs]
    specs = [run.spec for run in runs]
    scarce = "; ".join(
        f"{attribute} {group} ({share:.0%} kept)"
        for attribute, groups in specs[0].data.scarcity.items()
        for group, share in groups.items()
    )
    return {
        "Data": "; ".join(dict.fromkeys(_data(run) for run in runs)),
        "Rows": rows_words(runs[:1]),
        "Scarce in training": scarce,
        "Model": "; ".join(
            dict.fromkeys(
                spec.model.id + (f" at {side} pixels" if (side := spec.model.image_size) else "")
                for spec in specs
            )
        ),
        "Methods": ", ".join(method.name for method in methods),
        "Differential privacy": _promises(methods),
        "Trained for the groups of": _trained_for(methods),
        "Seeds": ", ".join(str(seed) for seed in sorted({spec.seed for spec in specs})),
    }


def _promises(methods: Sequence[ArmResult]) -> str:
    """What methods promise of one training row; empty where none does."""
    texts = {}
    for method in methods:
        for run in method.runs:
            if "dp" in run.metrics:
                own = run.metrics["dp"]
                texts[method.name] = (
                    f"epsilon {own['epsilon']:g} at delta {own['delta']:g}, by the "
                    f"{own['accountant']} accountant over {own['steps']:,} steps at sample rate "
                    f"{own['sample_rate']:.4f}, noise multiplier {own['noise_multiplier']:.3f}"
                )
    if len(methods) == 1:
        return next(iter(texts.values()), "")
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _data(run: Run) -> str:
    """What was learned from: the data set with its target, or the set of a language model's."""
    options = run.spec.data.options
    if is_language(run):
        return ", ".join([run.spec.data.name, *([options["set"]] if options.get("set") else [])])
    return f"{run.spec.data.name}, target {options.get('target', 'label')}"


def _trained_for(methods: Sequence[ArmResult]) -> str:
    """What the objectives take as groups: an attribute, or the classes; empty for plain training.

    Where methods differ in it, each stands with its own.
    """
    named = {}
    for method in methods:
        objective = method.runs[0].spec.objective
        if objective.fair:
            named[method.name] = "the classes" if objective.groups == "label" else objective.groups
    if len(set(named.values())) == 1:
        return next(iter(named.values()))
    return ", ".join(f"{groups} ({name})" for name, groups in named.items())
