"""Attack scores of a study: every attack on every target of one arm.

The scores are kept as a table (``report/privacy/ARM.parquet``), which `fairlora attack --scores`
reads too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions import GroupColumn, group_column
from fairlora.privacy import PrivacyResult, compare_attacks, roc
from fairlora.privacy.attacks import ATTACKS, AttackOptions, chosen_options, run_attacks
from fairlora.privacy.content import PairedPrivacyContent, Shift
from fairlora.privacy.evidence import Evidence
from fairlora.study.membership.evidence import Judged, Sheet, evidence_of, read_sheet
from fairlora.study.membership.texts import texts_of
from fairlora.study.runs.cache import Form
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.dp import DPSpec
from fairlora.study.spec.privacy import PrivacySpec

_REFUSED, _SHIFTS, _NOTES = b"fairlora.refused", b"fairlora.shifts", b"fairlora.notes"
# (sheet) -> (n, p) features of the base model, in the sheet's order.
Features = Callable[[Sheet], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Scores:
    """Attacks on all targets of an arm, row after row.

    Attributes
    ----------
    target : (N,) which model a row was scored under: "seed 0", "seed 0, model 3".
    ids, member : (N,) example, and whether that model trained on it.
    groups : attribute -> (N,).
    clusters : (N,) what was drawn together: the example, or its family; None where each row is a
        draw of its own.
    scores : attack -> (N,), larger for a likelier member.
    refused : attack -> why it could not be run.
    shifts : of language models: of each target whether its two sides differ without it.
    notes : what a reader should know of the rows.
    """

    target: NDArray[Any]
    ids: NDArray[Any]
    member: NDArray[np.bool_]
    groups: dict[str, GroupColumn]
    clusters: NDArray[Any] | None
    scores: dict[str, NDArray[np.float64]]
    refused: dict[str, str] = field(default_factory=dict)
    shifts: tuple[Shift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shift(self) -> Shift | None:
        """The test with the smallest p-value, corrected for how many targets were tested; None
        where there is none."""
        known = [one for one in self.shifts if one.p is not None]
        if not known:
            return self.shifts[0] if self.shifts else None
        worst = min(known, key=lambda one: one.p or 0.0)
        return worst.model_copy(update={"p": min(1.0, len(known) * (worst.p or 0.0))})

    @property
    def first(self) -> str:
        """The attack that groups and verdicts are about."""
        return next(iter(self.scores))

    @property
    def targets(self) -> int:
        """How many models were attacked."""
        return len(np.unique(self.target))


@dataclass(frozen=True)
class Trial:
    """One seed of an arm: its target (or None, of the crossed design) and the other models."""

    seed: int
    target: RunFolder | None
    models: tuple[RunFolder, ...]
    shadows: tuple[RunFolder, ...] = ()

    @property
    def folders(self) -> tuple[RunFolder, ...]:
        own = () if self.target is None else (self.target,)
        return (*own, *self.models, *self.shadows)


def scores_of(
    trials: Sequence[Trial],
    names: Sequence[str],
    families: Mapping[str, str] | None = None,
    features: Features | None = None,
    targets: int | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """Run attacks on every target of these trials.

    Parameters
    ----------
    names : of the attacks, the first the one that groups and verdicts are about.
    families : id -> what is drawn together; None where each example is by itself.
    features : gives the base model's, for attacks that read them.
    targets : of a crossed design: how many of the models are attacked in turn; None is all.
    tell : gets (done, total) targets.

    Raises `InputError` for tables that do not belong together, and for what an attack refuses.
    """
    parts: list[Scores] = []
    refused: dict[str, str] = {}
    total = sum(len(_columns_of(trial, targets)) for trial in trials)
    for trial in trials:
        sheet = read_sheet(trial.folders)
        base = features(sheet) if features is not None and reads_features(names) else None
        options: AttackOptions | None = None
        for target, shadows in _columns_of(trial, targets):
            tell(len(parts), total)
            judged = evidence_of(sheet, target, shadows, base)
            evidence, shift, notes = _with_texts(trial, target, judged, families)
            options = chosen_options(evidence, names, trial.seed, options)
            name = f"seed {trial.seed}"
            if trial.target is None:
                name += f", model {target}"
            parts.append(
                Scores(
                    np.full(len(judged.rows), name),
                    evidence.ids,
                    judged.member,
                    {a: column.take(judged.rows) for a, column in sheet.groups.items()},
                    None,
                    _run(evidence, names, options, refused),
                    shifts=shift,
                    notes=notes,
                )
            )
    tell(total, total)
    return _joined(parts, families, refused)


def _with_texts(
    trial: Trial, target: int, judged: Judged, families: Mapping[str, str] | None
) -> tuple[Evidence, tuple[Shift, ...], tuple[str, ...]]:
    """The evidence with the tokens of a language model's texts, its shift, and its notes."""
    evidence = judged.evidence
    folder = trial.folders[target]
    found = texts_of(folder, evidence.ids.astype(str), judged.member, families, trial.seed)
    if found is None:
        return evidence, (), ()
    return replace(evidence, tokens=found.tokens), (found.shift,), tuple(found.notes)


def _run(
    evidence: Evidence, names: Sequence[str], options: AttackOptions, refused: dict[str, str]
) -> dict[str, NDArray[np.float64]]:
    """The attacks that can be run; why the others cannot goes to `refused`.

    Raises `InputError` if none can.
    """
    scores: dict[str, NDArray[np.float64]] = {}
    for name in names:
        try:
            if name not in refused:
                scores |= run_attacks(evidence, [name], options)
        except InputError as error:
            refused[name] = str(error)
    if not scores:
        raise InputError("no attack can be run", found="; ".join(refused.values()))
    return scores


def _columns_of(trial: Trial, most: int | None) -> list[tuple[int, list[int]]]:
    """(target, shadows) as columns of the trial's sheet."""
    count = len(trial.models)
    if trial.target is not None:
        return [(0, list(range(1, 1 + count)))]
    first = count if trial.shadows else 0
    targets = range(count if most is None else min(count, most))
    return [(j, [first + k for k in range(count) if k != j]) for j in targets]


def reads_features(names: Sequence[str]) -> bool:
    """Whether any of these attacks reads features of the base model."""
    return any(ATTACKS[name].features for name in names)


def _joined(
    parts: Sequence[Scores], families: Mapping[str, str] | None, refused: Mapping[str, str]
) -> Scores:
    # An attack that one target refuses is none on the others either.
    names = [name for name in parts[0].scores if name not in refused]
    if not names:
        raise InputError("no attack can be run", found="; ".join(refused.values()))
    ids = np.concatenate([part.ids for part in parts])
    clusters = None
    if families is not None:
        clusters = np.array([families.get(str(id_), str(id_)) for id_ in ids.tolist()])
    elif len(parts) > 1:
        clusters = ids
    return Scores(
        np.concatenate([part.target for part in parts]),
        ids,
        np.concatenate([part.member for part in parts]),
        {
            name: group_column([value for part in parts for value in part.groups[name].tolist()])
            for name in parts[0].groups
        },
        clusters,
        {name: np.concatenate([part.scores[name] for part in parts]) for name in names},
        dict(refused),
        tuple(shift for part in parts for shift in part.shifts),
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def judge(
    found: Scores,
    privacy: PrivacySpec,
    min_group: int,
    seed: int = 0,
    promise: DPSpec | None = None,
) -> PrivacyResult:
    """What the scores come to, by attack and group.

    Parameters
    ----------
    found : the scores of one arm.
    privacy : the study's, for its false positive rates and its permutations.
    min_group : groups of fewer members, or fewer non-members, are left out of gaps and spreads.
    seed : as of `fairlora.privacy.roc`.
    promise : of the attacked runs, where they were trained with differential privacy.

    Raises
    ------
    InputError : as `fairlora.privacy.roc`.
    """
    return roc(
        {ATTACKS[name].title: values for name, values in found.scores.items()},
        found.member,
        dict(found.groups),
        clusters=found.clusters,
        fprs=privacy.fprs,
        min_group=min_group,
        permutations=privacy.permutations,
        seed=seed,
        **promised(promise),
    ).with_shift(found.shift)


def promised(promise: DPSpec | None) -> dict[str, Any]:
    """What `roc` is told of a promise."""
    return {} if promise is None else {"epsilon": promise.epsilon, "delta": promise.delta}


def compare(
    first: Scores,
    second: Scores,
    names: tuple[str, str],
    privacy: PrivacySpec,
    min_group: int,
    seed: int = 0,
) -> tuple[str, PairedPrivacyContent]:
    """Compare two arms by the study's first attack that both have, on the targets that both have.

    Parameters
    ----------
    first, second : the scores of the two arms.
    names : what to call the two.
    privacy : the study's, for its false positive rates, its bootstrap and its margin.
    min_group : groups of fewer members, or fewer non-members, are left out of gaps.
    seed : of the bootstrap.

    Returns
    -------
    The attack's title, and what `compare_attacks` found.

    Raises `InputError` where they have no targets, or no attack, in common.
    """
    left, right = shared(first, second)
    attack = next((name for name in left.scores if name in right.scores), None)
    if attack is None:
        raise InputError("no attack in common", where="privacy", found=", ".join(names))
    result = compare_attacks(
        left.scores[attack],
        right.scores[attack],
        left.member,
        dict(left.groups),
        names=names,
        clusters=left.clusters,
        fprs=privacy.fprs,
        min_group=min_group,
        bootstrap=privacy.bootstrap,
        seed=seed,
        margin=privacy.margin,
    )
    return ATTACKS[attack].title, result.content


def shared(first: Scores, second: Scores) -> tuple[Scores, Scores]:
    """The rows of the same example under the same target, in one order."""
    keys = [
        {key: k for k, key in enumerate(zip(s.target.tolist(), s.ids.tolist(), strict=True))}
        for s in (first, second)
    ]
    both = [key for key in keys[0] if key in keys[1]]
    if not both:
        raise InputError("no targets in common", where="privacy")
    taken = []
    for scores, places in zip((first, second), keys, strict=True):
        rows = np.array([places[key] for key in both])
        taken.append(take(scores, rows))
    if (taken[0].member != taken[1].member).any():
        raise InputError("members of one are non-members of the other", where="privacy")
    return taken[0], taken[1]


def take(scores: Scores, rows: NDArray[np.intp]) -> Scores:
    """Some of the rows."""
    return replace(
        scores,
        target=scores.target[rows],
        ids=scores.ids[rows],
        member=scores.member[rows],
        groups={name: column.take(rows) for name, column in scores.groups.items()},
        clusters=None if scores.clusters is None else scores.clusters[rows],
        scores={name: values[rows] for name, values in scores.scores.items()},
    )


def write_scores(path: Path, scores: Scores) -> None:
    """Write the scores of one arm as a Parquet table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "target": pa.array(scores.target.tolist(), pa.string()),
        "id": pa.array([str(id_) for id_ in scores.ids.tolist()], pa.string()),
        "member": pa.array(scores.member),
    }
    if scores.clusters is not None:
        columns["cluster"] = pa.array([str(name) for name in scores.clusters.tolist()], pa.string())
    for name, column in scores.groups.items():
        columns[f"group: {name}"] = pa.array(column.tolist())
    for name, values in scores.scores.items():
        columns[f"score: {name}"] = pa.array(values)
    about = {
        _REFUSED: json.dumps(scores.refused).encode(),
        _SHIFTS: json.dumps([one.to_dict() for one in scores.shifts]).encode(),
        _NOTES: json.dumps(scores.notes).encode(),
    }
    pq.write_table(pa.table(columns).replace_schema_metadata(about), path)


def read_scores(path: Path) -> Scores:
    """Scores that `write_scores` wrote."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = {name: table.column(name) for name in table.column_names}

    def named(prefix: str) -> dict[str, Any]:
        return {k.removeprefix(prefix): c for k, c in columns.items() if k.startswith(prefix)}

    text = {name: np.array(columns[name].to_pylist()) for name in ("target", "id")}
    about = table.schema.metadata or {}
    return Scores(
        text["target"],
        text["id"],
        columns["member"].to_numpy(),
        {name: group_column(column.to_pylist()) for name, column in named("group: ").items()},
        np.array(columns["cluster"].to_pylist()) if "cluster" in columns else None,
        {name: column.to_numpy() for name, column in named("score: ").items()},
        json.loads(about.get(_REFUSED, b"{}")),
        tuple(Shift.model_validate(one) for one in json.loads(about.get(_SHIFTS, b"[]"))),
        tuple(json.loads(about.get(_NOTES, b"[]"))),
    )


SCORES = Form(".parquet", read_scores, write_scores)
