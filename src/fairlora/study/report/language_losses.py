"""Losses of language models by group, set side by side on the same test texts."""

from __future__ import annotations

from collections.abc import Sequence

from fairlora.errors import InputError
from fairlora.metrics.comparison.compare import PairedResult
from fairlora.metrics.comparison.scores import compare_scores_over_seeds
from fairlora.predictions import Predictions
from fairlora.predictions.scores import read_scores
from fairlora.predictions.texts import SCORE, texts_record
from fairlora.probes.page import Parts
from fairlora.study.report.comparisons import Pair, comparison_settings
from fairlora.study.report.results import ArmResult


def compare_losses(pairs: Sequence[Pair], bootstrap: int) -> Parts:
    """Tables of each pair's losses on the same test texts: over all, by group, and of the gaps.

    Pairs of which a run kept no table of texts, or has no group column, are left out; those whose
    texts differ make a note.

    Parameters
    ----------
    pairs : methods with their runs.
    bootstrap : resamplings, as of `compare_pairs`.
    """
    out = Parts()
    for setting, first, second in pairs:
        try:
            tables = [_test_texts(method) for method in (first, second)]
            if not all(tables):
                continue
            content = compare_scores_over_seeds(
                tables[0],
                tables[1],
                comparison_settings(first.runs[0].spec, bootstrap),
                names=(first.name, second.name),
            )
        except InputError as error:
            out.notes.append(
                f"the losses of {first.name} and {second.name} have no verdict: {error}"
            )
            continue
        aside = f" ({setting})" if setting else ""
        about = f"Loss of the test texts, {first.name} against {second.name}{aside}"
        page = PairedResult(content).page(about)
        for table in page.get("tables", []):
            if not table["rows"]:
                continue
            title = str(table["title"])
            kept = {key: value for key, value in table.items() if key not in ("asked", "main")}
            out.tables.append({**kept, "title": f"{about}: {title[:1].lower()}{title[1:]}"})
    return out


def _test_texts(method: ArmResult) -> dict[int, Predictions]:
    """Seed -> the losses of the test texts; empty where a run kept none, or has no groups."""
    out = {}
    for run in method.runs:
        path = run.folder.texts
        record = texts_record(path)
        if record is None or not record.groups:
            return {}
        out[run.spec.seed] = read_scores(
            path, SCORE, groups=tuple(record.groups), id_column="id", split="test"
        )
    return out
