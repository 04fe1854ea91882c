"""The figures of probes, as plain charts for the report room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.probes.answers import Answers
from fairlora.probes.token_bias import FACTORS, TITLES

_MOST = 8
_OUTCOMES = {"pro": "pro", "anti": "anti", "neutral": "neutral", "other": "both or none"}
_INTERVALS = "Bars have 95 % intervals over {units}; of several seeds the marks are the seeds."


def translation_charts(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """Shares of the four outcomes, as Figure 7 of Ding et al. 2024; along ranks, as Figure 9."""
    shown = _few(answers)
    shares = {
        "title": "Translations by stereotype",
        "caption": "Pro: a pronoun of the gender that the occupation's stereotype has; anti: of "
        "the other. Without bias they are alike. " + _INTERVALS.format(units="scenes"),
        "kind": "bars",
        "x": {"label": "the translation's pronoun, beside the stereotype"},
        "y": {"label": "sentences", "unit": "share"},
        "categories": [{"label": title} for title in _OUTCOMES.values()],
        "series": [{"name": one.name, "points": _points(one, list(_OUTCOMES))} for one in shown],
    }
    charts = [shares]
    charts += _by_rank(
        answers, "stereotype_gap", "Pro- minus anti-stereotypical share", "share", None
    )
    charts += _by_rank(answers, "bleu", "BLEU", "number", "higher")
    return charts


def cloze_charts(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """P(female) against P(male), as Figure 6 of Ding et al. 2024; and by template."""
    shown = _few(answers)
    meanings = answers[0].asked[0].summary["meanings"]
    even = 1 / len(meanings)
    by_meaning = {
        "title": "Cloze: the author's gender",
        "caption": "Each option's share of the options' likelihood, over texts and templates. "
        + _INTERVALS.format(units="texts"),
        "kind": "bars",
        "x": {"label": "option"},
        "y": {"label": "share", "unit": "share"},
        "categories": [{"label": name} for name in meanings],
        "series": [
            {"name": one.name, "points": _points(one, [f"p_{name}" for name in meanings])}
            for one in shown
        ],
        "references": [{"name": "all alike", "value": even}],
    }
    templates = answers[0].asked[0].summary["templates"]
    by_template = {
        "title": "Cloze: P(female) by template",
        "caption": "Mean over texts, of the first seed. How far the bars of one model lie apart is "
        "what another wording would change.",
        "kind": "bars",
        "x": {"label": "template"},
        "y": {"label": "P(female)", "unit": "share"},
        "categories": [{"label": name} for name in templates],
        "series": [
            {
                "name": one.name,
                "points": [
                    {"x": k, "y": value}
                    for k, value in enumerate(
                        one.asked[0]
                        .summary["readings"]["plain"]["p_female"]["by_template"]
                        .values()
                    )
                ],
            }
            for one in shown
        ],
        "references": [{"name": "all alike", "value": even}],
    }
    return [by_meaning, by_template, *_by_rank(answers, "p_female", "P(female)", "share", None)]


def choice_charts(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """P(female) and P(male) by set of symbols; and how often each symbol is the likeliest."""
    shown = _few(answers)
    sets = answers[0].asked[0].summary["sets"]
    charts = []
    for meaning in ("female", "male"):
        charts.append(
            {
                "title": f"Choice: P({meaning}) by kind of symbol",
                "caption": "Over every order of the options. " + _INTERVALS.format(units="texts"),
                "kind": "bars",
                "x": {"label": "symbols"},
                "y": {"label": f"P({meaning})", "unit": "share"},
                "categories": [{"label": name} for name in sets],
                "series": [
                    {"name": one.name, "points": _points(one, [f"{s}_{meaning}" for s in sets])}
                    for one in shown
                ],
            }
        )
    labels = [(name, symbol) for name, found in sets.items() for symbol in found["symbols"]]
    charts.append(
        {
            "title": "Choice: how often each symbol is the likeliest",
            "caption": "Over prompts, of the first seed. Of a model without a preference for a "
            "symbol all symbols of a kind are alike.",
            "kind": "bars",
            "x": {"label": "symbol"},
            "y": {"label": "prompts", "unit": "share"},
            "categories": [{"label": f"{symbol} ({name})"} for name, symbol in labels],
            "series": [
                {
                    "name": one.name,
                    "points": [
                        {"x": k, "y": one.asked[0].summary["sets"][s]["symbols"][v]["likeliest"]}
                        for k, (s, v) in enumerate(labels)
                    ],
                }
                for one in shown
            ],
        }
    )
    return charts


def token_bias_charts(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """The size of each factor, a chart a set of symbols."""
    charts = []
    for name, found in answers[0].asked[0].summary["sets"].items():
        factors = [f for f in FACTORS if f in found["factors"]]
        series = []
        for one in _few(answers):
            points = []
            for k, factor in enumerate(factors):
                entry = one.asked[0].summary["sets"][name]["factors"][factor]
                point = {"x": k, "y": entry["value"], "low": entry["low"], "high": entry["high"]}
                if len(one.asked) > 1:
                    own = one.point(f"{name}_{factor}")
                    low = None if own["low"] is None else max(0.0, own["low"])
                    point |= {"y": own["value"], "low": low, "high": own["high"],
                              "marks": own.get("marks", [])}  # fmt: skip
                points.append(point)
            series.append({"name": one.name, "points": points})
        charts.append(
            {
                "title": f"Token bias: what a preference is for ({name})",
                "caption": "Log odds between two levels of a factor; 0 is no preference. "
                + _INTERVALS.format(units="texts"),
                "kind": "bars",
                "x": {"label": "factor"},
                "y": {"label": "log odds", "better": "lower"},
                "categories": [{"label": TITLES[factor]} for factor in factors],
                "series": series,
            }
        )
    return charts


def _points(one: Answers, names: Sequence[str]) -> list[dict[str, Any]]:
    points = []
    for k, name in enumerate(names):
        found = one.point(name)
        point = {"x": k, "y": found["value"], "low": found["low"], "high": found["high"]}
        if "marks" in found:
            point["marks"] = found["marks"]
        points.append(point)
    return points


def _by_rank(
    answers: Sequence[Answers], name: str, title: str, unit: str, better: str | None
) -> list[dict[str, Any]]:
    """A measure along the ranks of an adapter, base and full as lines; none for fewer than two."""
    ranked = [one for one in answers if one.rank is not None]
    if len({one.rank for one in ranked}) < 2:
        return []
    points = []
    seen: set[int] = set()
    for one in sorted(ranked, key=lambda a: a.rank or 0):
        if one.rank in seen:
            continue
        seen.add(one.rank or 0)
        found = one.point(name)
        point = {"x": float(one.rank or 0), "y": found["value"], "low": found["low"],
                 "high": found["high"]}  # fmt: skip
        if "marks" in found:
            point["marks"] = found["marks"]
        points.append(point)
    references = []
    for one in answers:
        if one.rank is None:
            found = one.point(name)
            references.append({"name": one.name, "value": found["value"], "low": found["low"],
                               "high": found["high"]})  # fmt: skip
    axis: dict[str, Any] = {"label": title, "unit": unit}
    if better is not None:
        axis["better"] = better
    return [
        {
            "title": f"{title} against rank",
            "caption": _INTERVALS.format(units="scenes or texts").replace("Bars", "Points"),
            "kind": "lines",
            "x": {"label": "Rank", "scale": "rank"},
            "y": axis,
            "series": [{"name": "by rank", "points": points}],
            "references": references,
        }
    ]


def _few(answers: Sequence[Answers]) -> list[Answers]:
    """Eight at most, for more cannot be told apart: base, full, then ranks from both ends."""
    if len(answers) <= _MOST:
        return list(answers)
    fixed = [one for one in answers if one.rank is None][:_MOST]
    rest = [one for one in answers if one not in fixed]
    room = _MOST - len(fixed)
    step = max(1.0, len(rest) / max(1, room))
    chosen = [rest[min(len(rest) - 1, int(k * step))] for k in range(room)]
    return [one for one in answers if one in fixed or one in chosen]
