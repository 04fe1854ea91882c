"""A study of language models: each setting by itself, and settings of one model side by side.

What a study varies (`data.set` of WinoMT: balanced or pro-stereotype) makes a setting each. Methods
are compared within a setting, and every method with itself over the settings.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlora.errors import InputError
from fairlora.probes.answers import Answers, check_alike, verdicts
from fairlora.probes.page import Parts, overview
from fairlora.probes.run import PROBES
from fairlora.probes.settings import SETTINGS
from fairlora.probes.tables import verdict_table
from fairlora.study.report.causal_lm import answers_of, language_parts
from fairlora.study.report.figures import Setting
from fairlora.study.report.measures import Run
from fairlora.study.report.results import ArmResult

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
        found = language_parts(
            [(_method(setting, one), one.runs) for one in setting.members],
            question=question,
            setting=setting.name,
            probes=probes,
        )
        found.verdicts = [{"setting": setting.name, **row} for row in found.verdicts]
        out.add(found)
    for (_, model), some in models.items():
        if len(some) > 1:
            for probe in SETTINGS if probes is None else probes:
                out.add(_side_by_side(probe, some, model if len(models) > 1 else ""))
    return out


def _method(setting: Setting, one: ArmResult) -> str:
    return setting.axes.name_within(one.arm)


def _side_by_side(probe: str, settings: Sequence[Setting], model: str) -> Parts:
    """Every method that is trained in each of the settings, against itself in the first."""
    answers: list[Answers] = []
    first: dict[str, Answers] = {}
    pairs: list[tuple[Answers, Answers]] = []
    for setting in settings:
        for one in setting.members:
            method = _method(setting, one)
            name = setting.axes.name(one.arm, without=("data", "model"))
            found = answers_of([(_untrained(method, name, one.runs), one.runs)], probe)
            # What is not trained is the same in every setting.
            if not found or (method in first and found[0].role == "base"):
                continue
            answers += found
            if method in first:
                pairs.append((found[0], first[method]))
            first.setdefault(method, found[0])
    out = Parts()
    if not pairs:
        return out
    try:
        check_alike(answers)
    except InputError as error:
        return Parts(notes=[f"the {probe} probe is not compared over settings: {error}"])
    out.verdicts, out.notes = verdicts(answers, pairs)
    about = ", ".join(word for word in (PROBES[probe].title, model) if word)
    out.tables = [verdict_table(out.verdicts, f"({about})", QUESTION)]
    chart = overview(probe, answers)
    aside = ", ".join(word for word in (model, "settings side by side") if word)
    out.charts = [{**chart, "title": f"{chart['title']} ({aside})"}]
    out.verdicts = [{"setting": model, "probe": probe, **row} for row in out.verdicts]
    return out


def _untrained(method: str, name: str, runs: Sequence[Run]) -> str:
    return method if runs[0].spec.adapter.kind == "base" else name
