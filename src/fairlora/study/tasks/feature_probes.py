"""The feature probe of finished runs: their models, their data, their predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlora.data import Examples
from fairlora.errors import InputError, require_known
from fairlora.metrics import Settings, audit_predictions
from fairlora.predictions import read_predictions
from fairlora.predictions.arrow import MISSING
from fairlora.probes.features import BASE, FOLDS, probe_features
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import DataSets, Prepared, prepare


def probe_runs(
    folders: Sequence[Path],
    attributes: Sequence[str],
    *,
    split: str = "test",
    folds: int = FOLDS,
    seed: int = 0,
    suggests: Mapping[str, Mapping[str, str]] | None = None,
    base: str | None = None,
    rows: int | None = None,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Probe the features of finished runs on the same data, and those of their base model.

    Parameters
    ----------
    attributes : group columns to probe for; none is all of them that have one value a row.
    suggests : attribute -> group -> the class that the group would suggest; the agreement of each
        run's predictions with it is put beside the probe.
    base : where the base model lies, if it has moved.
    rows : at most so many of the split's rows, drawn once.
    tell : gets what is being done, and (done, total) models.

    Raises `InputError` for folders that are no finished runs, runs on other rows or of other base
    models, and attributes that the data do not have.
    """
    data = DataSets()
    runs = [_run(Path(folder), data) for folder in folders]
    examples = _same_rows(runs, split)
    if rows is not None and rows < len(examples):
        chosen = np.random.default_rng([seed, 33]).choice(len(examples), rows, replace=False)
        examples = examples.take(np.sort(chosen))
    wanted = list(attributes) or [
        name
        for name, column in examples.groups.items()
        if column.lists is None and len(set(column.names) - {MISSING}) > 1
    ]
    require_known(wanted, examples.groups, "group column", "--group")
    if not wanted:
        raise InputError("no attribute with one value a row", where="--group")
    for name in suggests or {}:
        if name not in wanted:
            raise InputError(
                "not one of the attributes", where="--suggests", found=name, expected=str(wanted)
            )
    names = _names([Path(folder) for folder in folders])
    features = {}
    steps = [BASE, *names]
    for k, name in enumerate(steps):
        tell("reading features", k, len(steps))
        prepared = runs[0][1] if k == 0 else runs[k - 1][1]
        features[name] = _features(prepared, examples, None if k == 0 else folders[k - 1], base)
    tell("reading features", len(steps), len(steps))
    probed: dict[str, Any] = {}
    for k, name in enumerate(wanted):
        tell("probing", k, len(wanted))
        probed[name] = probe_features(
            features, examples.groups[name], examples.family, folds=folds, seed=seed
        )
        if suggests and name in suggests:
            for (folder, _), run in zip(runs, names, strict=True):
                agreement = _agreement(folder, split, name, suggests[name], examples, seed)
                probed[name]["models"][run]["sensitive_agreement"] = agreement
    return {
        "rows": len(examples),
        "split": split,
        "folds": folds,
        "models": steps,
        "attributes": probed,
        "notes": list(examples.notes),
    }


def _run(folder: Path, data: DataSets) -> tuple[RunFolder, Prepared]:
    """A finished run with its data, which are read once for all runs on them."""
    run = RunFolder(folder)
    run.check_finished(weights=True)
    spec = run.spec()
    return run, prepare(spec, data(spec))


def _same_rows(runs: Sequence[tuple[RunFolder, Prepared]], split: str) -> Examples:
    """The rows that are probed: those of the split, the same in all runs."""
    (first, prepared), *others = runs
    assert prepared.examples.split is not None
    if split not in prepared.examples.split:
        raise InputError(
            f"no rows of split {split!r}",
            where="--split",
            found=", ".join(sorted(set(prepared.examples.split.tolist()))),
        )
    examples = prepared.examples.part(split)
    for run, other in others:
        if prepared.model_fingerprint != other.model_fingerprint:
            raise InputError(
                "runs of different base models",
                where=run.path,
                expected=f"the base model of {first.path}",
            )
        ids = other.examples.part(split).ids
        if len(ids) != len(examples) or (ids != examples.ids).any():
            raise InputError(
                f"other {split} rows",
                where=run.path,
                found=f"{len(ids):,} rows",
                expected=f"the {len(examples):,} of {first.path}",
            )
    return examples


def _features(
    prepared: Prepared, examples: Examples, run: Path | None, base: str | None
) -> np.ndarray[Any, Any]:
    """Features of the rows: of a run's fine-tuned model, or of its base model."""
    from fairlora.models import load_finetuned
    from fairlora.probes.embedding import embed
    from fairlora.study.tasks.arguments import load_base

    if run is None:
        classifier = load_base(prepared.spec, examples, base=base)
    else:
        classifier = load_finetuned(str(run), base=base, kind=examples.kind)
    return embed(classifier, examples)


def _agreement(
    run: RunFolder,
    split: str,
    attribute: str,
    suggests: Mapping[str, str],
    examples: Examples,
    seed: int,
) -> dict[str, Any]:
    """How often the run predicts the class that the attribute suggests, on the probed rows."""
    table = read_predictions(run.predictions).select(split)
    table = table.take(np.flatnonzero(np.isin(table.ids, examples.ids)))
    settings = Settings(
        positive=run.spec().audit.positive,
        min_group=1,
        suggests={attribute: dict(suggests)},
        bootstrap=200,
        seed=seed,
    )
    content = audit_predictions(table, settings).to_dict()
    agreement: dict[str, Any] = content["disparities"][attribute]["sensitive_agreement"]
    return agreement


def _names(folders: Sequence[Path]) -> list[str]:
    """What the runs are called: their folders' names, or whole paths where those repeat."""
    short = [folder.name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]
