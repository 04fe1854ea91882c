"""What attacks found in a study: one result an arm, verdicts between arms, tables and charts.

report/privacy/ARM.html  ARM.json  ARM.parquet   the whole result, and the scores it is made of
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.privacy import paired_privacy_page
from fairlora.privacy.attacks import ATTACKS
from fairlora.privacy.charts import roc_chart
from fairlora.privacy.content import PrivacyContent
from fairlora.privacy.page import attack_cells, attack_columns, privacy_page
from fairlora.privacy.settings import percent
from fairlora.study.membership.features import base_features
from fairlora.study.membership.scores import (
    Scores,
    Trial,
    compare,
    judge,
    key_of,
    read_scores,
    reads_features,
    scores_of,
    write_scores,
)
from fairlora.study.report.comparisons import pairs_of
from fairlora.study.report.files import slug
from fairlora.study.report.results import Results
from fairlora.study.runs.folder import RunFolder, dump_json
from fairlora.study.runs.shadow_models import AttackedCells
from fairlora.study.spec.study import StudySpec

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class ArmFinding:
    """Attacks on one arm.

    Attributes
    ----------
    setting, name : which data and model, and which method.
    content : of its `PrivacyResult`.
    first : the title of the attack that groups and verdicts are about.
    targets : how many models were attacked.
    losses : mean training loss of the attacked models and of their shadow models.
    """

    setting: str
    name: str
    content: PrivacyContent
    first: str
    targets: int
    losses: tuple[float | None, float | None]

    def about(self, what: str) -> str:
        """A title that says which arm it is of."""
        return f"{what} ({', '.join(w for w in (self.setting, self.name) if w)})"


@dataclass
class PrivacyFindings:
    """What attacks found in a study; `pairs` are (setting, what `compare_attacks` gives)."""

    arms: list[ArmFinding] = field(default_factory=list)
    pairs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_privacy(
    study: StudySpec,
    results: Results,
    attacked: Sequence[AttackedCells],
    folder: Path,
    tell: Tell = lambda done, total: None,
) -> PrivacyFindings | None:
    """Run the study's attacks on every arm whose models are all finished; None without attacks.

    What is found is kept below `folder` and read again while no run has changed.

    Parameters
    ----------
    study : says which attacks, and which pairs are compared.
    results : its arms with their finished runs.
    attacked : the cells that attacks read, one an arm and seed.
    folder : the report's.
    tell : gets (done, total) arms.

    Raises
    ------
    InputError : a pair to compare names no method. An arm that cannot be attacked makes a note.
    """
    privacy = study.privacy
    if privacy is None:
        return None
    found = PrivacyFindings()
    scores: dict[str, Scores] = {}
    place = folder / "privacy"
    place.mkdir(parents=True, exist_ok=True)
    arms: dict[str, list[AttackedCells]] = {}
    for one in attacked:
        if _all_finished(one, found.notes):
            arms.setdefault(one.arm.name, []).append(one)
    done = 0
    axes = results.axes
    for setting, members in results.settings():
        for member in members:
            cells = arms.get(member.arm.name)
            if not cells:
                continue
            tell(done, len(arms))
            done += 1
            name = axes.name_within(member.arm)
            try:
                made, finding = _arm(study, setting, name, cells, place)
            except InputError as error:
                found.notes.append(f"{member.arm.name} is not attacked: {error}")
                continue
            scores[member.arm.name] = made
            found.arms.append(finding)
            found.notes += [
                f"{ATTACKS[attack].title} on {member.arm.name} could not be run: {why}"
                for attack, why in made.refused.items()
            ]
        for a, b in pairs_of(study, members, axes):
            if a.arm.name in scores and b.arm.name in scores:
                names = tuple(axes.name_within(x.arm) for x in (a, b))
                first, second = scores[a.arm.name], scores[b.arm.name]
                least = a.arm.spec.audit.min_group
                try:
                    pair = compare(first, second, (names[0], names[1]), privacy, max(1, least))
                except InputError as error:
                    found.notes.append(f"{names[0]} and {names[1]} are not compared: {error}")
                    continue
                found.pairs.append((setting, pair))
    tell(len(arms), len(arms))
    found.notes += _warnings(found)
    return found


def _all_finished(one: AttackedCells, notes: list[str]) -> bool:
    finished = 0
    for cell in one.cells:
        try:
            finished += cell.folder.is_finished()
        except InputError:
            continue
    if finished < len(one.cells):
        notes.append(
            f"{one.arm.name}, seed {one.seed}, is not attacked: {finished} of {len(one.cells)} "
            "models are finished"
        )
    return finished == len(one.cells)


def _arm(
    study: StudySpec, setting: str, name: str, cells: Sequence[AttackedCells], place: Path
) -> tuple[Scores, ArmFinding]:
    """One arm's scores and result, from where they were kept if nothing changed."""

    privacy = study.privacy
    assert privacy is not None
    trials = [
        Trial(
            one.seed,
            None if one.target is None else one.target.folder,
            tuple(cell.folder for cell in one.models),
            tuple(cell.folder for cell in one.shadows),
        )
        for one in cells
    ]
    stem = place / slug(" ".join(w for w in (setting, name) if w))
    min_group = max(1, cells[0].arm.spec.audit.min_group)
    key = key_of(trials, privacy, [name, min_group])
    scores = read_scores(stem.with_suffix(".parquet"), key)
    content = _kept(stem.with_suffix(".json"), key)
    if scores is None:
        data = cells[0].data
        families = None
        if data.family is not None:
            families = dict(zip(data.ids.tolist(), data.family.tolist(), strict=True))
        features = base_features(cells[0], place) if reads_features(privacy.names) else None
        scores = scores_of(trials, privacy.names, families, features, privacy.targets)
        write_scores(stem.with_suffix(".parquet"), scores, key)
    if content is None:
        result = judge(scores, privacy, min_group)
        content = result.content
        title = f"Membership inference: {', '.join(w for w in (setting, name) if w)}"
        result.to_html(stem.with_suffix(".html"), title)
        stem.with_suffix(".json").write_text(
            dump_json({"key": key, "content": result.to_dict()}), encoding="utf-8"
        )
    losses = (
        _mean_loss([cell.folder for one in cells for cell in one.own]),
        _mean_loss([cell.folder for one in cells for cell in one.others]),
    )
    first = ATTACKS[scores.first].title
    return scores, ArmFinding(setting, name, content, first, scores.targets, losses)


def _kept(path: Path, key: str) -> PrivacyContent | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return PrivacyContent.model_validate(kept["content"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mean_loss(folders: Sequence[RunFolder]) -> float | None:
    values = [folder.metrics()["mean_loss"]["train"] for folder in folders]
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _warnings(found: PrivacyFindings) -> list[str]:
    seen: dict[str, None] = {}
    for arm in found.arms:
        for text in arm.content.warnings:
            seen.setdefault(f"{arm.name}: {text}")
        target, shadow = arm.losses
        if target is not None and shadow is not None and not _near(target, shadow):
            seen.setdefault(
                f"{arm.name}: its shadow models ended at a training loss of {shadow:.3f}, it at "
                f"{target:.3f}. Shadow models that are trained otherwise make a weaker attack, not "
                "a more private model; training.until_loss stops all at one loss."
            )
    return list(seen)


def _near(a: float, b: float) -> bool:
    return max(a, b) <= 1.25 * min(a, b) + 0.02


def privacy_tables(found: PrivacyFindings, attribute: str | None = None) -> list[dict[str, Any]]:
    """Every attack on every arm; verdicts; then the groups of each arm, for its first attack."""
    if not found.arms:
        return []
    tables = [_overview(found.arms)]
    for setting, content in found.pairs:
        first, second = content["first"], content["second"]
        page = paired_privacy_page(content, "")
        for table in page["tables"]:
            if table["title"].startswith("Groups of") or not table["rows"]:
                continue
            of = ", ".join(w for w in (setting, f"{first} and {second}") if w)
            title = f"Who tells less: {_lower(table['title'])} ({of})"
            tables.append({**_said(table, content["attack"]), "title": title})
    for arm in found.arms:
        page = privacy_page(_first_alone(arm, attribute), "")
        tables += [
            {**_said(table, arm.first), "title": arm.about(f"Membership {_lower(table['title'])}")}
            for table in page["tables"][1:]
        ]
    return tables


def _said(part: Mapping[str, Any], attack: str) -> dict[str, Any]:
    """A table or chart that says which attack it is of."""
    return {**part, "caption": f"{attack}. {part['caption']}"}


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _first_alone(arm: ArmFinding, attribute: str | None) -> PrivacyContent:
    """An arm's content with its first attack, and one attribute if it is named."""
    attack = arm.content.attacks[arm.first]
    if attribute is not None:
        parts = {
            part: {name: one for name, one in getattr(attack, part).items() if name == attribute}
            for part in ("by_group", "gaps", "resistance")
        }
        attack = attack.model_copy(update=parts)
    return arm.content.model_copy(update={"attacks": {arm.first: attack}})


def _overview(arms: Sequence[ArmFinding]) -> dict[str, Any]:
    settings = arms[0].content.settings
    several = len({arm.setting for arm in arms}) > 1
    rows = []
    for arm in arms:
        for name, one in arm.content.attacks.items():
            head = [arm.setting] if several else []
            target, shadow = ("" if loss is None else f"{loss:.3f}" for loss in arm.losses)
            counts = [str(arm.targets), f"{arm.content.members:,}"]
            counts += [f"{arm.content.non_members:,}", target, shadow]
            words = [{"text": word, "mark": None} for word in (*head, arm.name, name, *counts)]
            rows.append({"header": True, "cells": [*words, *attack_cells(one.overall, settings)]})
    left = ["Setting"] if several else []
    names = [*left, "Method", "Attack"]
    columns = [{"name": name, "align": "left"} for name in names]
    columns += [
        {"name": name, "align": "right", "help": text}
        for name, text in (
            ("Targets", "models that were attacked"),
            ("Members", "rows that the model was trained on, over all targets"),
            ("Non-members", "rows that it was not trained on"),
            ("Training loss", "of the attacked models, without dropout"),
            ("of shadows", "training loss of the shadow models"),
        )
    ]
    return {
        "title": "Membership inference",
        "caption": f"In percent, with {percent(settings.level)} intervals. An AUC of 50 tells "
        "nothing. p: of an AUC above one half by chance, Holm over the attacks on a method. "
        "Compare methods at about the same training loss.",
        "columns": [*columns, *attack_columns(settings)],
        "rows": rows,
    }


def privacy_charts(found: PrivacyFindings, attribute: str | None = None) -> list[dict[str, Any]]:
    """ROCs of the arms of each setting; of every attack and by group of each arm; resistance."""
    charts: list[dict[str, Any]] = []
    settings: dict[str, list[ArmFinding]] = {}
    for arm in found.arms:
        settings.setdefault(arm.setting, []).append(arm)
    for setting, arms in settings.items():
        level = percent(arms[0].content.settings.level)
        if len(arms) > 1:
            title = "Membership inference: ROC" + (f" ({setting})" if setting else "")
            firsts = " and ".join(dict.fromkeys(arm.first for arm in arms))
            curves = {arm.name: arm.content.attacks[arm.first].overall.curve for arm in arms}
            charts.append(_said(roc_chart(title, curves, level), firsts))
        for arm in arms:
            attacks = {name: one.overall.curve for name, one in arm.content.attacks.items()}
            if len(arms) == 1 or len(attacks) > 1:
                charts.append(
                    roc_chart(arm.about("Membership inference: every attack"), attacks, level)
                )
            page = privacy_page(_first_alone(arm, attribute), "")
            charts += [
                {**_said(chart, arm.first), "title": arm.about(chart["title"])}
                for chart in page["charts"][1:]
            ]
    return [chart for chart in charts if chart["series"]]
