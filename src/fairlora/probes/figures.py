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
        "series": [
            {"name": answer.name, "points": _points(answer, list(_OUTCOMES))} for answer in shown
        ],
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
            {"name": answer.name, "points": _points(answer, [f"p_{name}" for name in meanings])}
            for answer in shown
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
                "name": answer.name,
                "points": [
                    {"x": k, "y": value}
                    for k, value in enumerate(
                        answer.asked[0]
                        .summary["readings"]["plain"]["p_female"]["by_template"]
                        .values()
                    )
                ],
            }
            for answer in shown
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
                    {
                        "name": answer.name,
                        "points": _points(answer, [f"{s}_{meaning}" for s in sets]),
                    }
                    for answer in shown
                ],
            }
        )
    labels = [(name, symbol) for name, summary in sets.items() for symbol in summary["symbols"]]
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
                    "name": answer.name,
                    "points": [
                        {"x": k, "y": answer.asked[0].summary["sets"][s]["symbols"][v]["likeliest"]}
                        for k, (s, v) in enumerate(labels)
                    ],
                }
                for answer in shown
            ],
        }
    )
    return charts


def token_bias_charts(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """The size of each factor, a chart a set of symbols."""
    charts = []
    for name, summary in answers[0].asked[0].summary["sets"].items():
        factors = [f for f in FACTORS if f in summary["factors"]]
        series = []
        for answer in _few(answers):
            points = []
            for k, factor in enumerate(factors):
                entry = answer.asked[0].summary["sets"][name]["factors"][factor]
                point = _point(k, entry)
                if len(answer.asked) > 1:
                    own = answer.point(f"{name}_{factor}")
                    low = None if own["low"] is None else max(0.0, own["low"])
                    point |= {"y": own["value"], "low": low, "high": own["high"],
                              "marks": own.get("marks", [])}  # fmt: skip
                points.append(point)
            series.append({"name": answer.name, "points": points})
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


def _points(answer: Answers, names: Sequence[str]) -> list[dict[str, Any]]:
    return [_point(k, answer.point(name)) for k, name in enumerate(names)]


def _point(x: float, estimate: dict[str, Any]) -> dict[str, Any]:
    point = {"x": x, "y": estimate["value"], "low": estimate["low"], "high": estimate["high"]}
    return {**point, "marks": estimate["marks"]} if "marks" in estimate else point


def _by_rank(
    answers: Sequence[Answers], name: str, title: str, unit: str, better: str | None
) -> list[dict[str, Any]]:
    """A measure along the ranks of an adapter, base and full as lines; none for fewer than two."""
    ranked = [answer for answer in answers if answer.rank is not None]
    if len({answer.rank for answer in ranked}) < 2:
        return []
    points = []
    seen: set[int] = set()
    for answer in sorted(ranked, key=lambda a: a.rank or 0):
        if answer.rank in seen:
            continue
        seen.add(answer.rank or 0)
        points.append(_point(float(answer.rank or 0), answer.point(name)))
    references = []
    for answer in answers:
        if answer.rank is None:
            estimate = answer.point(name)
            ends = {key: estimate[key] for key in ("value", "low", "high")}
            references.append({"name": answer.name, **ends})
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
    fixed = [answer for answer in answers if answer.rank is None][:_MOST]
    rest = [answer for answer in answers if answer not in fixed]
    room = _MOST - len(fixed)
    step = max(1.0, len(rest) / max(1, room))
    chosen = [rest[min(len(rest) - 1, int(k * step))] for k in range(room)]
    return [answer for answer in answers if answer in fixed or answer in chosen]
