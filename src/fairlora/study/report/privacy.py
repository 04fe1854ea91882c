"""What attacks found in a study: one result an arm, verdicts between arms, tables and charts.

report/privacy/ARM.html  ARM.json  ARM.parquet   the whole result, and the scores it is made of
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.curves.charts import roc_chart
from fairlora.privacy import paired_privacy_page
from fairlora.privacy.attacks import ATTACKS
from fairlora.privacy.content import PairedPrivacyContent, PrivacyContent
from fairlora.privacy.page import (
    attack_cells,
    attack_columns,
    lead,
    privacy_page,
    side_by_side,
)
from fairlora.privacy.settings import percent
from fairlora.privacy.shift import shift_lines
from fairlora.report.tables import make_table
from fairlora.study.membership.features import base_features
from fairlora.study.membership.scores import (
    SCORES,
    Scores,
    Trial,
    compare,
    judge,
    reads_features,
    scores_of,
)
from fairlora.study.report.comparisons import pairs_of
from fairlora.study.report.files import slug
from fairlora.study.report.measures import mean_of
from fairlora.study.report.results import Results
from fairlora.study.runs.cache import Cache, record_form
from fairlora.study.runs.cells import Cell
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import DataSets
from fairlora.study.runs.shadow_models import Attacked
from fairlora.study.spec.study import StudySpec

Tell = Callable[[int, int], None]
_READ = ("predictions", "texts")


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


@dataclass(frozen=True)
class PairFinding:
    """What a comparison of two arms found; `attack` is the attack's title."""

    setting: str
    attack: str
    content: PairedPrivacyContent


@dataclass
class PrivacyFindings:
    """What attacks found in a study."""

    arms: list[ArmFinding] = field(default_factory=list)
    pairs: list[PairFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_privacy(
    study: StudySpec,
    results: Results,
    attacked: Sequence[Attacked[Cell]],
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
    findings = PrivacyFindings()
    scores: dict[str, Scores] = {}
    cache, data = Cache(folder / "privacy"), DataSets()
    arms: dict[str, list[Attacked[Cell]]] = {}
    for cells_read in attacked:
        if _all_finished(cells_read, findings.notes):
            arms.setdefault(cells_read.arm.name, []).append(cells_read)
    done = 0
    for setting in results.settings():
        for member in setting.members:
            cells = arms.get(member.arm.name)
            if not cells:
                continue
            tell(done, len(arms))
            done += 1
            try:
                made, finding = _arm(study, setting.name, member.name, cells, cache, data)
            except InputError as error:
                findings.notes.append(f"{member.arm.name} is not attacked: {error}")
                continue
            scores[member.arm.name] = made
            findings.arms.append(finding)
            findings.notes += [
                f"{ATTACKS[attack].title} on {member.arm.name} could not be run: {why}"
                for attack, why in made.refused.items()
            ]
            about = [*made.notes, *shift_lines(finding.content.shift)]
            findings.notes += [f"{member.name}: {line}" for line in about]
        for _, a, b in pairs_of(study, setting):
            if a.arm.name in scores and b.arm.name in scores:
                first, second = scores[a.arm.name], scores[b.arm.name]
                least = a.arm.spec.audit.min_group
                try:
                    pair = compare(first, second, (a.name, b.name), privacy, max(1, least))
                except InputError as error:
                    findings.notes.append(f"{a.name} and {b.name} are not compared: {error}")
                    continue
                findings.pairs.append(PairFinding(setting.name, *pair))
    tell(len(arms), len(arms))
    findings.notes += _warnings(findings)
    return findings


def _all_finished(one: Attacked[Cell], notes: list[str]) -> bool:
    finished = sum(cell.folder.is_result(cell.identity) for cell in one.runs)
    if finished < len(one.runs):
        notes.append(
            f"{one.arm.name}, seed {one.seed}, is not attacked: {finished} of {len(one.runs)} "
            "models are finished"
        )
    return finished == len(one.runs)


def _arm(
    study: StudySpec,
    setting: str,
    name: str,
    cells: Sequence[Attacked[Cell]],
    cache: Cache,
    data: DataSets,
) -> tuple[Scores, ArmFinding]:
    """One arm's scores and result, from the cache if nothing changed."""
    privacy = study.privacy
    assert privacy is not None
    folders = [seed.map(lambda cell: cell.folder) for seed in cells]
    trials = [Trial(seed.seed, seed.target, seed.models, seed.shadows) for seed in folders]
    title = ", ".join(w for w in (setting, name) if w)
    min_group = max(1, cells[0].arm.spec.audit.min_group)
    promise = cells[0].arm.spec.dp

    def attack() -> Scores:
        examples = data(cells[0].arm.spec)
        families = None
        if examples.family is not None:
            families = dict(zip(examples.ids.tolist(), examples.family.tolist(), strict=True))
        features = None
        if reads_features(privacy.names):
            features = base_features(cells[0].own[0].prepared, examples, cache)
        return scores_of(trials, privacy.names, families, features, privacy.targets)

    def result() -> PrivacyContent:
        judged = judge(scores, privacy, min_group, promise=promise)
        judged.to_html(cache.folder / f"{slug(title)}.html", f"Membership inference: {title}")
        return judged.content

    runs = [[trial.seed, [_tables(folder) for folder in trial.folders]] for trial in trials]
    made_from = [privacy.model_dump(mode="json"), runs, title, min_group]
    made_from += ["epsilon", None if promise is None else promise.model_dump(mode="json")]
    scores = cache.get(made_from, attack, SCORES, slug(title))
    form = record_form(PrivacyContent)
    content = cache.get(made_from, result, form, slug(title), [f"{slug(title)}.html"])
    losses = (
        _mean_loss([folder for seed in folders for folder in seed.own]),
        _mean_loss([folder for seed in folders for folder in seed.others]),
    )
    first = ATTACKS[scores.first].title
    return scores, ArmFinding(setting, name, content, first, scores.targets, losses)


def _tables(folder: RunFolder) -> dict[str, str]:
    """The tables of predictions or of texts that attacks read, with their hashes."""
    status = folder.status()
    made_from = {} if status is None else status.made_from
    return {name: own for name, own in made_from.items() if name.startswith(_READ)}


def _mean_loss(folders: Sequence[RunFolder]) -> float | None:
    values = [folder.metrics()["mean_loss"]["train"] for folder in folders]
    return mean_of([float(value) for value in values if value is not None])


def _warnings(findings: PrivacyFindings) -> list[str]:
    seen: dict[str, None] = {}
    for arm in findings.arms:
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


def privacy_lead(findings: PrivacyFindings) -> str:
    """What the strongest attack on each arm found, and for whom."""
    named = [", ".join(w for w in (arm.setting, arm.name) if w) for arm in findings.arms]
    leads = [lead(arm.content) for arm in findings.arms]
    return " ".join(f"{name}: {words}" for name, words in zip(named, leads, strict=True))


def privacy_tables(findings: PrivacyFindings, attribute: str | None = None) -> list[dict[str, Any]]:
    """Every attack on every arm; verdicts; then the groups of each arm, for its first attack."""
    if not findings.arms:
        return []
    tables = [_overview(findings.arms)]
    for pair in findings.pairs:
        first, second = pair.content.first, pair.content.second
        page = paired_privacy_page(pair.content, "")
        for table in page["tables"]:
            if table["title"].startswith("Groups of") or not table["rows"]:
                continue
            of = ", ".join(w for w in (pair.setting, f"{first} and {second}") if w)
            title = f"Who tells less: {_lower(table['title'])} ({of})"
            tables.append({**_said(table, pair.attack), "title": title})
    for arm in findings.arms:
        tables += [
            {**table, "title": arm.about(str(table["title"]))}
            for table in side_by_side(arm.content.attacks, attribute)
        ]
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
    rows: list[list[str | dict[str, Any]]] = []
    for arm in arms:
        for name, attack in arm.content.attacks.items():
            losses = ["" if loss is None else f"{loss:.3f}" for loss in arm.losses]
            counts = [arm.targets, arm.content.members, arm.content.non_members]
            words = [*([arm.setting] if several else []), arm.name, name]
            words += [*(f"{count:,}" for count in counts), *losses]
            rows.append([*words, *attack_cells(attack.overall, settings)])
    return make_table(
        "Membership inference",
        f"In percent, with {percent(settings.level)} intervals. An AUC of 50 tells "
        "nothing. p: of an AUC above one half by chance, Holm over the attacks on a method. "
        "Compare methods at about the same training loss.",
        [
            *(["<Setting"] if several else []),
            "<Method",
            "<Attack",
            ("Targets", "models that were attacked"),
            ("Members", "rows that the model was trained on, over all targets"),
            ("Non-members", "rows that it was not trained on"),
            ("Training loss", "of the attacked models, without dropout"),
            ("of shadows", "training loss of the shadow models"),
            *attack_columns(settings),
        ],
        rows,
    )


def privacy_charts(findings: PrivacyFindings, attribute: str | None = None) -> list[dict[str, Any]]:
    """ROCs of the arms of each setting; of every attack and by group of each arm; resistance."""
    charts: list[dict[str, Any]] = []
    settings: dict[str, list[ArmFinding]] = {}
    for arm in findings.arms:
        settings.setdefault(arm.setting, []).append(arm)
    for setting, arms in settings.items():
        level = percent(arms[0].content.settings.level)
        if len(arms) > 1:
            title = "Membership inference: ROC" + (f" ({setting})" if setting else "")
            firsts = " and ".join(dict.fromkeys(arm.first for arm in arms))
            curves = {arm.name: arm.content.attacks[arm.first].overall.curve for arm in arms}
            charts.append(_said(roc_chart(title, curves, level), firsts))
        for arm in arms:
            attacks = {name: a.overall.curve for name, a in arm.content.attacks.items()}
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
