"""A study of language models: each setting by itself, and settings of one model side by side.

What a study varies (`data.set` of WinoMT: balanced or pro-stereotype) makes a setting each. Methods
are compared within a setting, and every method with itself over the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairlora.errors import InputError
from fairlora.probes.answers import Answers, check_alike, verdicts
from fairlora.probes.page import Parts, overview
from fairlora.probes.run import PROBES
from fairlora.probes.settings import SETTINGS
from fairlora.probes.tables import verdict_table
from fairlora.study.report.causal_lm import answers_of, language_parts
from fairlora.study.report.results import Setting

QUESTION = "What does another setting change?"


def language_study_parts(
    settings: Sequence[Setting], question: str | None = None, probes: Sequence[str] | None = None
) -> Parts:
    """Tables, charts and verdicts of a study.

    Parameters
    ----------
    settings : those whose runs are of language models.
    question, probes : those of the study's report, as of `language_parts`.

    Raises
    ------
    InputError : a probe that is none.
    """
    out = Parts()
    models: dict[tuple[str, str], list[Setting]] = {}
    for setting in settings:
        first = setting.members[0].arm
        models.setdefault((first.data, first.model), []).append(setting)
        own = language_parts(
            setting.members,
            question=question,
            setting=setting.name,
            probes=probes,
        )
        own.verdicts = [{"setting": setting.name, **row} for row in own.verdicts]
        out.add(own)
    for (_, model), some in models.items():
        if len(some) > 1:
            for probe in SETTINGS if probes is None else probes:
                out.add(_side_by_side(probe, some, model if len(models) > 1 else ""))
    return out


def _side_by_side(probe: str, settings: Sequence[Setting], model: str) -> Parts:
    """Every method that is trained in each of the settings, against itself in the first."""
    answers: list[Answers] = []
    first: dict[str, Answers] = {}
    pairs: list[tuple[Answers, Answers]] = []
    for setting in settings:
        for member in setting.members:
            name = setting.axes.name(member.arm, without=("data", "model"))
            untrained = member.arm.spec.adapter.kind == "base"
            asked = answers_of([member if untrained else replace(member, name=name)], probe)
            # What is not trained is the same in every setting.
            if not asked or (member.name in first and untrained):
                continue
            answers += asked
            if member.name in first:
                pairs.append((asked[0], first[member.name]))
            first.setdefault(member.name, asked[0])
    out = Parts()
    if not pairs:
        return out
    try:
        check_alike(answers)
    except InputError as error:
        return Parts(notes=[f"the {probe} probe is not compared over settings: {error}"])
    rows, out.notes = verdicts(answers, pairs)
    about = ", ".join(word for word in (PROBES[probe].title, model) if word)
    out.tables = [verdict_table(rows, f"({about})", QUESTION)]
    chart = overview(probe, answers)
    aside = ", ".join(word for word in (model, "settings side by side") if word)
    out.charts = [{**chart, "title": f"{chart['title']} ({aside})"}]
    out.verdicts = [{"setting": model, "probe": probe, **row.to_dict()} for row in rows]
    return out
