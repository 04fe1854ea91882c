"""Runs of language models side by side: losses, what their probes found, verdicts between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.errors import InputError
from fairlora.probes.answers import Answers, Role
from fairlora.probes.page import Parts, probe_parts
from fairlora.probes.rows import read_probe
from fairlora.probes.settings import SETTINGS
from fairlora.study.report.measures import Column, Run, mean_and_spread, value_of
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

    def loss(split: str) -> Any:
        return lambda one: one.metrics["mean_loss"][split]

    columns = [
        Column("training_loss", "Training loss", loss("train"), 0, "loss",
               help="mean over examples of the mean over their tokens"),
        Column("validation_loss", "Validation loss", loss("validation"), -1, "loss"),
        Column("test_loss", "Test loss", loss("test"), -1, "loss"),
        Column("perplexity", "Test perplexity", lambda one: one.metrics["perplexity"]["test"], -1,
               "figures"),
        Column("token_accuracy", "Tokens right", lambda one: one.metrics["split_accuracy"]["test"],
               +1, help="of the test split, each from the true ones before it"),
        Column("trained_percent", "Trained %", lambda one: one.metrics["parameters"]["percent"], 0,
               "figures"),
    ]  # fmt: skip
    named = [(column.key, column) for column in columns]
    for probe, summary in run.metrics.get("probes", {}).items():
        for name in summary.get("estimates", {}):
            key = f"{probe}.{name}"
            named.append((key, Column(key, key, _estimate(probe, name), 0, "figures", signed=True)))
        for symbols, found in summary.get("sets", {}).items():
            for factor in found.get("factors", {}):
                key = f"{probe}.{symbols}_{factor}"
                pick = _factor(probe, symbols, factor)
                named.append((key, Column(key, key, pick, 0, "figures")))
    return named


def _estimate(probe: str, name: str) -> Any:
    return lambda run: value_of(
        run.metrics.get("probes", {}).get(probe, {}).get("estimates", {}).get(name)
    )


def _factor(probe: str, symbols: str, factor: str) -> Any:
    def pick(run: Run) -> float | None:
        sets = run.metrics.get("probes", {}).get(probe, {}).get("sets", {})
        return value_of(sets.get(symbols, {}).get("factors", {}).get(factor))

    return pick


def loss_table(named: Sequence[tuple[str, Sequence[Run]]], title: str) -> dict[str, Any]:
    """Losses, perplexity and what is trained; a row a method, means over seeds."""
    columns = [column for _, column in language_columns(named[0][1][0])[:6]]
    rows = [
        {
            "header": True,
            "cells": [
                {"text": name, "mark": None},
                {"text": str(len(runs)), "mark": None},
                *({"text": mean_and_spread(c.values(runs), c.kind), "mark": None} for c in columns),
            ],
        }
        for name, runs in named
    ]
    return {
        "title": title,
        "caption": "Mean over seeds ± standard deviation. The loss is the mean over examples of "
        "the mean over their tokens (of the answer alone, where there are answers); compare "
        "methods where the training loss is about the same.",
        "columns": [
            {"name": "Method", "align": "left"},
            {"name": "Seeds", "align": "right"},
            *({"name": c.name, "align": "right", "help": c.help} for c in columns),
        ],
        "rows": rows,
    }


def answers_of(named: Sequence[tuple[str, Sequence[Run]]], probe: str) -> list[Answers]:
    """What the methods answered to a probe; methods whose runs were not all asked are left out."""
    out = []
    for name, runs in named:
        asked = [read_probe(run.folder.path / "probes", probe) for run in runs]
        found = [one for one in asked if one is not None]
        if found and len(found) == len(runs):
            spec = runs[0].spec
            seeds = tuple(run.spec.seed for run in runs)
            out.append(Answers(name, tuple(found), role_of(spec), rank_of(spec), seeds))
    return out


def language_parts(
    named: Sequence[tuple[str, Sequence[Run]]],
    *,
    question: str | None = None,
    setting: str = "",
    probes: Sequence[str] | None = None,
) -> Parts:
    """Tables, charts and verdicts of methods on the same rows: losses, then every probe.

    Parameters
    ----------
    named : each method's name and its runs, one a seed.
    question : what is asked, for the titles of verdicts; None is the usual one.
    setting : which data and model, for the titles; "" where there is one.
    probes : those to show; None is all there are.

    Raises `InputError` for a probe that is none.
    """
    for name in probes or ():
        if name not in SETTINGS:
            raise InputError(
                "no such probe",
                where="report.probes",
                found=repr(name),
                expected="one of " + ", ".join(SETTINGS),
            )
    title = f"Losses ({setting})" if setting else "Losses"
    parts = Parts([loss_table(named, title)])
    for probe in SETTINGS if probes is None else probes:
        answers = answers_of(named, probe)
        if not answers:
            continue
        try:
            found = probe_parts(probe, answers, question=question, setting=setting)
        except InputError as error:
            parts.notes.append(f"the {probe} probe is not compared: {error}")
            continue
        found.verdicts = [{"probe": probe, **row} for row in found.verdicts]
        parts.add(found)
    return parts


def language_page(
    named: Sequence[tuple[str, Sequence[Run]]],
    title: str,
    *,
    lead: str = "",
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """A page of one or several methods.

    Parameters
    ----------
    named : each method's name and its runs, one a seed.
    title, lead : the page's heading, and what stands below it.
    notes : sentences that come before those of probes and runs.
    """
    parts = language_parts(named)
    first = named[0][1][0]
    runs = [run for _, some in named for run in some]
    facts = {
        "Data": "; ".join(dict.fromkeys(_data(run.spec) for run in runs)),
        "Rows": ", ".join(f"{n:,} {split}" for split, n in first.metrics["rows"].items()),
        "Model": "; ".join(dict.fromkeys(run.spec.model.id for run in runs)),
        "Methods": ", ".join(name for name, _ in named),
        "Seeds": ", ".join(str(seed) for seed in sorted({run.spec.seed for run in runs})),
    }
    told = [*notes, *parts.notes, *(note for run in runs for note in run.metrics["notes"])]
    return {
        "title": title,
        "lead": lead,
        "facts": [{"name": key, "value": value} for key, value in facts.items()],
        "tables": parts.tables,
        "charts": parts.charts,
        "notes": list(dict.fromkeys(told)),
    }


def _data(spec: RunSpec) -> str:
    chosen = spec.data.options.get("set")
    return spec.data.name + (f", {chosen}" if chosen else "")
