"""A run beside its exports on the same test rows: what shipping changed, and for whom."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from fairlora.errors import InputError
from fairlora.metrics.comparison.content import ComparisonContent
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.metrics.inference.intervals import wilson, z_of
from fairlora.predictions import Predictions, read_predictions
from fairlora.predictions.pairing import paired_rows
from fairlora.report.page import Page, Table
from fairlora.report.tables import in_topic, make_table
from fairlora.study.export.manifest import read_manifest
from fairlora.study.report.comparisons import comparison_settings
from fairlora.study.report.flips import count_flips
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.predict import predict_with

BOOTSTRAP = 2000


def export_page(run: Path, exports: Sequence[Path], *, title: str) -> Page:
    """The page of a run beside its exports: flips by group and direction, and paired verdicts.

    Every export predicts the run's data anew; its test rows are paired with those that the run was
    audited by. The verdicts are the export's: ``worse`` says that the export is worse.

    Parameters
    ----------
    run : folder of the finished run.
    exports : folders that were exported from it.
    title : of the page.

    Raises
    ------
    InputError : a run that is not finished, an export of another run or of none, or one that no
        longer matches its manifest.
    """
    folder = RunFolder(run)
    folder.check_finished()
    status = folder.status()
    assert status is not None
    settings = comparison_settings(folder.spec(), BOOTSTRAP)
    own = read_predictions(folder.predictions).select("test")
    pages = []
    for path in exports:
        manifest = read_manifest(path)
        identity = None if manifest is None else manifest.origin.identity
        if identity is None or identity != status.identity:
            raise InputError(
                "not an export of this run",
                where=path,
                found="no export" if manifest is None else f"an export of {identity or 'no run'}",
                expected=f"one of {run}",
            )
        with tempfile.TemporaryDirectory() as nowhere:
            table = Path(nowhere) / "predictions.parquet"
            predict_with(str(path), table)
            theirs = read_predictions(table).select("test")
        first, second = paired_rows(theirs, own, path, run)
        content = compare_predictions(first, second, settings, names=(path.name, run.name))
        pages.append(_with_flips(content, first, second))
    return _joined(pages, [path.name for path in exports], title)


def _with_flips(content: ComparisonContent, export: Predictions, run: Predictions) -> Page:
    page = comparison_page(content, content.first)
    flips = cast(list[Table], in_topic("Flips", flip_table(export, run, content)))
    page["tables"] = [*flips, *page.get("tables", [])]
    return page


def flip_table(export: Predictions, run: Predictions, content: ComparisonContent) -> dict[str, Any]:
    """Predictions that changed, by group and direction.

    Parameters
    ----------
    export, run : the same rows in the same order.
    content : their comparison, for its level and its positive class.
    """
    level = content.settings.level
    positive = None if content.positive is None else run.classes.index(content.positive)
    columns = ["<Group", "Rows", "Flips", "Share", "Right to wrong", "Wrong to right"]
    columns += ["Wrong to wrong"] if positive is None else [
        f"To {content.positive}",
        f"From {content.positive}",
    ]  # fmt: skip
    rows = []
    for (attribute, group), one in count_flips(run, export, positive).items():
        counts = [one.lost, one.gained]
        counts += [one.other] if positive is None else [one.into, one.out_of]
        low, high = wilson(one.count, one.rows, z_of(level))
        share = f"{100 * one.share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        name = f"{attribute}: {group}" if attribute else "all rows"
        texts = (f"{count:,}" for count in counts)
        rows.append([name, f"{one.rows:,}", f"{one.count:,}", share, *texts])
    table = make_table(
        "Predictions that flip",
        f"Test rows whose predicted class is another in {content.first} than in {content.second}; "
        f"shares with {100 * level:g} % intervals (Wilson), one by one.",
        columns,
        rows,
    )
    return {**table, "main": True}


def _joined(pages: Sequence[Page], names: Sequence[str], title: str) -> Page:
    """One page of several comparisons, an export's parts under its name."""
    joined: dict[str, Any] = {**pages[0], "title": title}
    if len(pages) == 1:
        return cast(Page, joined)
    for key in ("findings", "limits", "facts", "tables", "dots", "terms", "notes"):
        parts: list[Any] = []
        for page, name in zip(pages, names, strict=True):
            for part in cast("dict[str, Any]", page).get(key, []):
                if key in ("tables", "dots"):
                    part = {**part, "topic": f"{name}: {part.get('topic', '')}".rstrip(": ")}
                if part not in parts:
                    parts.append(part)
        joined[key] = parts
    joined.pop("topics", None)
    leads = (f"{name}: {page.get('lead', '')}" for page, name in zip(pages, names, strict=True))
    joined["lead"] = " ".join(leads)
    return cast(Page, joined)
