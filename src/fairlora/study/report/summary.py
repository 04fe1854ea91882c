"""Set runs side by side: the page of `fairlora train` and `fairlora compare`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fairlora.data import parse_options
from fairlora.errors import InputError
from fairlora.metrics.content import AuditContent
from fairlora.metrics.page import audit_page
from fairlora.report.page import Fact, Page, check_page
from fairlora.study.report.causal_lm import is_language, language_page
from fairlora.study.report.measures import (
    Column,
    Run,
    disparity_columns,
    mean_and_spread,
    mean_interval,
    overall_columns,
    seeds_words,
    value_of,
)
from fairlora.study.report.run_verdicts import SeedRuns, run_verdicts
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Finished runs from their folders; `InputError` for one that is not finished."""
    runs = []
    for path in folders:
        folder = RunFolder(path)
        if not folder.is_finished():
            status = folder.status()
            found = "no status.json" if status is None else f"state {status.get('state')!r}"
            raise InputError("not a finished run", where=path, found=found)
        runs.append(Run(folder, folder.spec(), folder.metrics()))
    return runs


def by_method(runs: Sequence[Run]) -> list[SeedRuns]:
    """Group runs that differ in their seed alone, in order of first appearance.

    Methods of one name are told apart by the settings that differ between them, and all by their
    models where there are several.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        content = run.spec.model_copy(update={"seed": 0, "name": ""}).model_dump_json()
        found.setdefault(content, []).append(run)
    groups = list(found.values())
    names = [members[0].spec.method for members in groups]
    told = [_settings(members[0].spec) for members in groups]
    methods = []
    for k, members in enumerate(groups):
        alike = [i for i, name in enumerate(names) if name == names[k]]
        differing = [
            words
            for key, words in told[k].items()
            if len({told[i].get(key) for i in (range(len(told)) if key == "model" else alike)}) > 1
        ]
        aside = ", ".join(differing)
        if any(told[i] == told[k] for i in alike if i != k):
            aside = f"{aside}, {alike.index(k) + 1}".lstrip(", ")
        methods.append(SeedRuns(f"{names[k]} ({aside})" if aside else names[k], members))
    return methods


def _settings(spec: RunSpec) -> dict[str, str]:
    """What two methods of one name may differ in, in words."""
    told = {"model": model_name(spec.model.id)}
    told["rate"] = f"learning rate {spec.training.learning_rate:g}"
    epochs = spec.training.epochs
    told["epochs"] = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    if "set" in spec.data.options:
        told["set"] = str(spec.data.options["set"])
    if spec.adapter.kind not in ("base", "full", "linear"):
        told["rank"] = f"rank {spec.adapter.rank}"
    if spec.objective.fair:
        groups = spec.objective.groups
        told["groups"] = f"groups: {'classes' if groups == 'label' else groups}"
        if spec.objective.name == "loss-variance":
            told["strength"] = f"strength {spec.objective.strength:g}"
    return told


def model_name(model_id: str) -> str:
    """A model's own name: what a hub id, a folder or a file ends in."""
    return Path(model_id).name.removesuffix(".gguf") or model_id


def comparison_page(
    runs: Sequence[Run], *, title: str, lead: str = "", notes: Sequence[str] = ()
) -> Page:
    """The page that sets the methods side by side: means, disparities, verdicts, and dots.

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
    if any(is_language(run) for run in runs):
        return _language_page(runs, title, lead, notes)
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
    methods = by_method(runs)
    attributes = list(runs[0].audit["by_group"])
    verdicts, without = run_verdicts(methods)
    page = {
        "title": title,
        "lead": lead,
        "facts": _facts(runs, methods),
        "tables": [
            _table(
                "All methods",
                "Mean over seeds ± standard deviation, on the test split; in percent unless it is "
                "a loss. The mark is on the best mean, which is no verdict: the difference to the "
                "next may be chance.",
                methods,
                overall_columns(),
            ),
            *(
                _table(
                    f"Disparities by {attribute}",
                    "In percentage points; smaller is better, except for the worst group's "
                    "accuracy. A gap is a maximum over groups: chance alone makes it larger "
                    "than 0.",
                    methods,
                    disparity_columns(attribute),
                )
                for attribute in attributes
            ),
            *verdicts,
        ],
        "dots": [_dots(methods, attribute) for attribute in attributes],
        "notes": [*notes, *without, *_warnings(runs)],
    }
    return check_page(page)


def _language_page(runs: Sequence[Run], title: str, lead: str, notes: Sequence[str]) -> Page:
    """Language models side by side; those trained on another set of one data set too."""
    for run in runs:
        if not is_language(run):
            raise InputError(
                "a classifier and a language model cannot be compared", where=run.folder.path
            )
    named = [(method.name, method.runs) for method in by_method(runs)]
    return check_page(language_page(named, title, lead=lead, notes=notes))


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
    if is_language(run):
        title = f"{spec.name}: {spec.method}, seed {spec.seed}"
        few = "One run with one seed: another seed moves every number."
        return check_page(language_page([(spec.method, [run])], title, notes=[few]))
    page = audit_page(
        AuditContent.model_validate(run.audit), f"{spec.name}: {spec.method}, seed {spec.seed}"
    )
    losses, parameters = metrics["mean_loss"], metrics["parameters"]
    page["lead"] = "One run, audited on its test split."
    page["facts"] = [
        *_facts([run], [SeedRuns(spec.method, [run])]),
        {
            "name": "Trained",
            "value": f"{parameters['trainable']:,} of {parameters['total']:,} parameters "
            f"({parameters['percent']:.2f} %)",
        },
        {
            "name": "Mean loss",
            "value": ", ".join(f"{split} {loss:.3f}" for split, loss in losses.items()),
        },
        *page.get("facts", []),
    ]
    page["notes"] = [
        "One run with one seed: another seed moves every number.",
        *page.get("notes", []),
        *metrics.get("notes", []),
    ]
    return page


def _facts(runs: Sequence[Run], methods: Sequence[SeedRuns]) -> list[Fact]:
    first = runs[0]
    rows = first.metrics["rows"]
    seeds = sorted({run.spec.seed for run in runs})
    scarce = "; ".join(
        f"{attribute} {group} ({share:.0%} kept)"
        for attribute, groups in first.spec.data.scarcity.items()
        for group, share in groups.items()
    )
    facts = {
        "Data": f"{first.spec.data.name}, target {first.spec.data.options.get('target', 'label')}",
        "Rows": ", ".join(f"{n:,} {split}" for split, n in rows.items()),
        "Scarce in training": scarce,
        "Model": first.spec.model.id
        + (f" at {first.spec.model.image_size} pixels" if first.spec.model.image_size else ""),
        "Methods": ", ".join(m.name for m in methods),
        "Trained for the groups of": _trained_for(methods),
        "Seeds": ", ".join(str(s) for s in seeds),
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _trained_for(methods: Sequence[SeedRuns]) -> str:
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


def _table(
    title: str, caption: str, methods: Sequence[SeedRuns], columns: Sequence[Column]
) -> dict[str, Any]:
    means: list[list[float | None]] = []
    rows = []
    for method in methods:
        cells: list[dict[str, Any]] = [{"text": method.name, "mark": None}]
        line: list[float | None] = []
        for column in columns:
            values = method.values(column.pick)
            line.append(sum(values) / len(values) if values else None)
            cells.append({"text": mean_and_spread(values, column.kind), "mark": None})
        means.append(line)
        rows.append({"cells": cells, "header": True})
    for k, column in enumerate(columns):
        known = [line[k] for line in means if line[k] is not None]
        if column.better == 0 or len(set(known)) < 2:
            continue
        best = max(known) if column.better > 0 else min(known)  # type: ignore[type-var]
        for row, line in zip(rows, means, strict=True):
            if line[k] == best:
                row["cells"][k + 1]["mark"] = "best"  # type: ignore[index]
    return {
        "title": title,
        "caption": caption,
        "columns": [
            {"name": "SeedRuns", "align": "left"},
            *({"name": c.name, "align": "right", "help": c.help} for c in columns),
        ],
        "rows": rows,
    }


def _dots(methods: Sequence[SeedRuns], attribute: str) -> dict[str, Any]:
    groups = methods[0].runs[0].audit["by_group"][attribute]
    several = max(len(m.runs) for m in methods) > 1
    rows = []
    for group, first in groups.items():
        points = []
        for method in methods:
            nodes = [run.audit["by_group"][attribute].get(group, {}) for run in method.runs]
            accuracies = [node.get("accuracy") for node in nodes]
            values = [v for v in (value_of(a) for a in accuracies) if v is not None]
            low = high = None
            if several:
                low, high = mean_interval(values, method.runs) or (None, None)
            elif values and isinstance(accuracies[0], dict):
                low, high = accuracies[0].get("low"), accuracies[0].get("high")
            points.append(
                {
                    "series": method.name,
                    "value": sum(values) / len(values) if values else None,
                    "low": low,
                    "high": high,
                    "marks": values if several else [],
                }
            )
        rows.append({"label": group, "n": first.get("n"), "points": points})
    intervals = (
        seeds_words([run for method in methods for run in method.runs])
        if several
        else "With 95 % Wilson intervals."
    )
    return {
        "title": f"Accuracy by {attribute}",
        "caption": f"{intervals} n is the number of test rows of the group.",
        "unit": "share",
        "panels": [{"name": attribute, "rows": rows}],
    }


def _warnings(runs: Sequence[Run]) -> list[str]:
    """Warnings of the audits and notes of the runs, each once."""
    seen: dict[str, None] = {}
    for run in runs:
        for text in [*run.metrics.get("notes", []), *run.audit.get("warnings", [])]:
            seen.setdefault(text)
    return list(seen)
