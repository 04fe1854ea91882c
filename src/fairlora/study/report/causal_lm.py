"""Runs of language models side by side: losses, what their probes found, verdicts between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.errors import InputError, require_known
from fairlora.probes.answers import Answers, Role
from fairlora.probes.page import Parts, probe_parts
from fairlora.probes.rows import read_probe
from fairlora.probes.settings import SETTINGS
from fairlora.report.tables import asked
from fairlora.study.report.measures import (
    Column,
    Run,
    loss_column,
    number_at,
    trained_percent,
)
from fairlora.study.report.results import ArmResult
from fairlora.study.report.tables import means_table
from fairlora.study.spec.run import RunSpec


def is_language(run: Run) -> bool:
    """Whether a run is of a language model: it has losses and probes, and no audit."""
    return run.metrics.get("task") == "language"


def role_of(spec: RunSpec) -> Role:
    """Base, full or adapter."""
    kind = spec.adapter.kind
    return "base" if kind == "base" else "full" if kind == "full" else "adapter"


def rank_of(spec: RunSpec) -> int | None:
    """The adapter's rank; None for the base model and full fine-tuning."""
    return spec.adapter.rank if role_of(spec) == "adapter" else None


def language_columns(run: Run) -> list[tuple[str, Column]]:
    """Every measure of a language model's run, with the name that files give it."""

    columns = [
        loss_column(
            "train", "Training loss", 0, "mean over examples of the mean over their tokens"
        ),
        loss_column("validation", "Validation loss", -1),
        loss_column("test", "Test loss", -1),
        Column("perplexity", "Test perplexity", number_at("perplexity", "test"), -1, "figures"),
        Column(
            "token_accuracy",
            "Tokens right",
            number_at("split_accuracy", "test"),
            +1,
            help="of the test split, each from the true ones before it",
        ),
        trained_percent(),
    ]
    named = [(column.key, column) for column in columns]
    for probe, summary in run.metrics.get("probes", {}).items():
        for name in summary.get("estimates", {}):
            key, pick = f"{probe}.{name}", number_at("probes", probe, "estimates", name)
            named.append((key, Column(key, key, pick, 0, "figures", signed=True)))
        for symbols, content in summary.get("sets", {}).items():
            for factor in content.get("factors", {}):
                key = f"{probe}.{symbols}_{factor}"
                pick = number_at("probes", probe, "sets", symbols, "factors", factor)
                named.append((key, Column(key, key, pick, 0, "figures")))
    return named


def loss_table(methods: Sequence[ArmResult], title: str) -> dict[str, Any]:
    """Losses, perplexity and what is trained; a row a method, means over seeds."""
    return means_table(
        title,
        "Mean over seeds ± standard deviation. The loss is the mean over examples of the mean over "
        "their tokens (of the answer alone, where there are answers); compare methods where the "
        "training loss is about the same.",
        methods,
        [column for _, column in language_columns(methods[0].runs[0])[:6]],
        mark=False,
    )


def answers_of(methods: Sequence[ArmResult], probe: str) -> list[Answers]:
    """What the methods answered to a probe; methods whose runs were not all asked are left out."""
    answers = []
    for method in methods:
        asked = [
            read_probe(run.folder.path / "probes", probe) if _was_asked(run, probe) else None
            for run in method.runs
        ]
        known = tuple(summary for summary in asked if summary is not None)
        if known and len(known) == len(method.runs):
            spec = method.runs[0].spec
            seeds = tuple(run.spec.seed for run in method.runs)
            answers.append(Answers(method.name, known, role_of(spec), rank_of(spec), seeds))
    return answers


def _was_asked(run: Run, probe: str) -> bool:
    status = run.folder.status()
    return status is not None and f"probes/{probe}.json" in status.files


def language_parts(
    methods: Sequence[ArmResult],
    *,
    question: str | None = None,
    setting: str = "",
    probes: Sequence[str] | None = None,
) -> Parts:
    """Tables, charts and verdicts of methods on the same rows: losses, then every probe.

    Parameters
    ----------
    methods : named, with their runs, one a seed.
    question : what is asked, for the titles of verdicts; None is the usual one.
    setting : which data and model, for the titles; "" where there is one.
    probes : those to show; None is all there are.

    Raises `InputError` for a probe that is none.
    """
    require_known(probes or (), SETTINGS, "probe", "report.probes")
    title = f"Losses ({setting})" if setting else "Losses"
    parts = Parts([loss_table(methods, title)])
    for probe in SETTINGS if probes is None else probes:
        answers = answers_of(methods, probe)
        if not answers:
            continue
        try:
            found = probe_parts(probe, answers, question=question, setting=setting)
        except InputError as error:
            parts.notes.append(f"the {probe} probe is not compared: {error}")
            continue
        found.verdicts = [{"probe": probe, **row} for row in found.verdicts]
        found.tables[:1] = map(asked, found.tables[:1])  # the run's settings named the probe
        parts.add(found)
    return parts
