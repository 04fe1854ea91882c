"""`fairlora attack STUDY` and `fairlora attack RUN --shadow RUN`: attacks on finished runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.cli.output import Answer

if TYPE_CHECKING:
    from fairlora.report.page import Page
    from fairlora.study.membership.scores import Scores
    from fairlora.study.runs.folder import RunFolder

Run = tuple[Path, Sequence[Path]]


def attack_study(root: Path, methods: Sequence[str], title: str | None) -> Answer:
    """What the attacks of a finished study found.

    Raises `InputError` for a study without attacks, and for a method that it does not have.
    """
    from fairlora.cli.study_live import ReportBar
    from fairlora.errors import InputError
    from fairlora.report.page import check_page
    from fairlora.study.report.from_disk import find_study_privacy
    from fairlora.study.report.privacy import (
        PrivacyFindings,
        privacy_charts,
        privacy_lead,
        privacy_tables,
    )

    with ReportBar() as bar:
        study, found = find_study_privacy(root, bar)
    known = list(dict.fromkeys(arm.name for arm in found.arms))
    for name in methods:
        if name not in known:
            raise InputError(
                "no such method, or not all of its models are finished",
                where="--method",
                found=repr(name),
                expected="one of " + ", ".join(known) if known else "fairlora study run",
            )
    if not found.arms:
        raise InputError("nothing is attacked", where=root, found="; ".join(found.notes)[:300])
    chosen = methods or known
    kept = PrivacyFindings(
        [arm for arm in found.arms if arm.name in chosen],
        [p for p in found.pairs if {p.content.first, p.content.second} <= set(chosen)],
        found.notes,
    )
    page: dict[str, Any] = {
        "title": title or f"Membership inference: {study.title or study.name}",
        "lead": privacy_lead(kept),
        "facts": [
            {"name": "Study", "value": study.name},
            {"name": "Methods", "value": ", ".join(chosen)},
        ],
        "tables": privacy_tables(kept, study.report.attribute),
        "charts": privacy_charts(kept, study.report.attribute),
        "notes": kept.notes,
    }
    content = {
        "arms": [
            {
                "setting": arm.setting,
                "method": arm.name,
                "targets": arm.targets,
                "training_loss": {"targets": arm.losses[0], "shadows": arm.losses[1]},
                **arm.content.to_dict(),
            }
            for arm in kept.arms
        ],
        "pairs": [
            {"setting": pair.setting, "attack": pair.attack, **pair.content.to_dict()}
            for pair in kept.pairs
        ],
        "notes": kept.notes,
    }
    return Answer(check_page(page), lambda: _dumped(content))


def attack_runs(
    run: Run,
    against: Run | None,
    attacks: Sequence[str],
    groups: Sequence[str],
    options: Mapping[str, Any],
    title: str | None,
) -> Answer:
    """Attack one run with its shadow models, or two and say which tells less.

    `options` are those of `fairlora.privacy.roc`. Raises `InputError` for folders that are no runs,
    or do not belong together, and for attacks that the models do not allow.
    """
    from fairlora.privacy import compare_attacks, roc
    from fairlora.privacy.attacks import ATTACKS
    from fairlora.privacy.page import privacy_page
    from fairlora.study.membership.scores import promised, shared
    from fairlora.study.runs.folder import RunFolder

    found = _scores(run, attacks)
    columns = _columns(found, groups, run[0])
    if against is None:
        result = roc(
            {ATTACKS[name].title: values for name, values in found.scores.items()},
            found.member,
            columns,
            ids=found.ids,
            clusters=_clusters(found),
            **promised(RunFolder(run[0]).spec().dp),
            **options,
        ).with_shift(found.shift)
        page = privacy_page(result.content, title or f"Membership inference: {run[0].name}")
        return Answer(_with_notes(page, found, run[0]), result.to_json)
    one, other = shared(found, _scores(against, attacks))
    name = next((name for name in one.scores if name in other.scores), None)
    names = _names(run[0], against[0])
    if name is None:
        from fairlora.errors import InputError

        raise InputError("no attack works on both", where="--against", found=" and ".join(names))
    pair = compare_attacks(
        one.scores[name],
        other.scores[name],
        one.member,
        _columns(one, groups, run[0]),
        names=names,
        ids=one.ids,
        clusters=_clusters(one),
        **options,
    )
    words = title or f"{ATTACKS[name].title}: {names[0]} against {names[1]}"
    page = _with_notes(pair.page(words), found, run[0], against[0])
    return Answer(page, pair.to_json)


def _scores(run: Run, attacks: Sequence[str]) -> Scores:
    """Scores of a run under all attacks that were named, or that its shadow models allow."""
    from fairlora.errors import InputError
    from fairlora.privacy.attacks import ATTACKS, OF_TEXTS
    from fairlora.study.membership.scores import Trial, scores_of
    from fairlora.study.membership.texts import has_texts
    from fairlora.study.runs.folder import RunFolder

    target, shadows = run
    for folder in (target, *shadows):
        RunFolder(folder).check_finished()
    if target.resolve() in {folder.resolve() for folder in shadows}:
        raise InputError("a run is its own shadow model", where=target)
    for name in attacks:
        one = ATTACKS.get(name)
        if one is not None and one.features:
            raise InputError(
                "reads features of the base model",
                where=f"--attack {name}",
                expected="a study that names it",
            )
        if one is not None and one.outside and not shadows:
            raise InputError("no shadow models", where=f"--attack {name}", expected="--shadow RUN")
    texts = has_texts(RunFolder(target))
    usual = [
        name
        for name, one in ATTACKS.items()
        if one.usual and not one.features and (texts or not one.tokens)
    ]
    # The strongest first: groups and verdicts are about the first.
    usual.sort(key=lambda name: (-ATTACKS[name].inside, -ATTACKS[name].outside))
    if texts and not shadows:
        usual = list(OF_TEXTS)
    elif not shadows:
        usual = ["loss"]
    trial = Trial(0, RunFolder(target), tuple(RunFolder(folder) for folder in shadows))
    families = _families(RunFolder(target))
    found = scores_of([trial], list(attacks) or usual, families)
    refused = {name: why for name, why in found.refused.items() if name in attacks}
    if refused:
        name, why = next(iter(refused.items()))
        raise InputError(why, where=f"--attack {name}")
    return found


def _clusters(found: Scores) -> Any:
    """Families; None where each row is one of its own, as intervals of rows are then exact."""
    if found.clusters is None or len(set(found.clusters.tolist())) == len(found.clusters):
        return None
    return found.clusters


def _families(folder: RunFolder) -> dict[str, str] | None:
    """Id -> its family, or the id itself; None where the run's data cannot be read."""
    from fairlora.data import load_examples
    from fairlora.errors import FairloraError

    try:
        spec = folder.spec()
        data = load_examples(spec.data.name, spec.data.options)
    except (FairloraError, OSError):
        return None
    ids = data.ids.tolist()
    family = ids if data.family is None else data.family.tolist()
    return dict(zip(map(str, ids), map(str, family), strict=True))


def _columns(found: Scores, groups: Sequence[str], run: Path) -> dict[str, Any]:
    from fairlora.errors import require_known

    require_known(groups, found.groups, "group column", f"{run} (--group)")
    return {name: found.groups[name] for name in groups or found.groups}


def _names(first: Path, second: Path) -> tuple[str, str]:
    if first.name != second.name:
        return first.name, second.name
    return str(first), str(second)


def _with_notes(page: Page, found: Scores, *targets: Path) -> Page:
    from fairlora.privacy.attacks import ATTACKS
    from fairlora.study.membership.texts import fewer_members
    from fairlora.study.runs.folder import RunFolder

    more = [
        f"{ATTACKS[name].title} was not run: {why}"
        for name, why in found.refused.items()
        if name in ATTACKS
    ]
    more += found.notes
    if found.clusters is None and not found.shifts:
        more.append(
            "The run's data are not at hand: rows of one family, if there are any, count as "
            "independent."
        )
    for target in targets:
        folder = RunFolder(target)
        some_texts = fewer_members(folder, int(found.member.sum()))
        if some_texts is not None:
            more.append(some_texts)
        metrics = folder.metrics()
        some = metrics.get("predicted", {}).get("train")
        if some is not None:
            more.append(
                f"The members are {some:,} of the {metrics['rows']['train']:,} training rows of "
                f"{target.name}; with 'training: {{predict_train: all}}' a run predicts them all."
            )
    page["notes"] = [*page.get("notes", []), *more]
    return page


def _dumped(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
