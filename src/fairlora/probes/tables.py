"""The tables of probes, as plain dicts for the report room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.metrics.comparison import verdict_parts
from fairlora.metrics.comparison.verdict_parts import answers_table, verdict_row
from fairlora.metrics.tables import without_minus_zero
from fairlora.probes.answers import Answers
from fairlora.probes.estimates import MeasureVerdict
from fairlora.probes.token_bias import FACTORS, TITLES
from fairlora.report.tables import make_table, right

_OUTCOMES = (
    ("pro", "Pro"),
    ("anti", "Anti"),
    ("neutral", "Neutral"),
    ("other", "Both or none"),
    ("stereotype_gap", "Pro minus anti"),
    ("bleu", "BLEU"),
    ("chrf", "chrF"),
)
PERCENT = ("share", "signed share")
_MORE = 3
QUESTION = "Is the first less fair than the second?"


def number(point: dict[str, Any], kind: str) -> str:
    """A value with its interval: "62.1 [58.0, 66.3]"; shares in percent.

    As many digits as tell the interval's ends from each other.

    >>> number({"value": 0.621, "low": 0.58, "high": 0.663}, "share")
    '62.1 [58.0, 66.3]'
    >>> number({"value": -0.0042, "low": -0.0071, "high": -0.0013}, "log odds")
    '-0.004 [-0.007, -0.001]'
    """
    if point.get("value") is None:
        return "undefined"
    ends = [point["low"], point["high"]] if point.get("low") is not None else []
    more = _more_digits(ends, kind)
    text = _text(point["value"], kind, more)
    return text if not ends else f"{text} [{', '.join(_text(end, kind, more) for end in ends)}]"


def _size_text(value: float, kind: str) -> str:
    """A number above 0, with as many digits as show that it is."""
    more = 0
    while value and more < _MORE and not float(_text(value, kind, more)):
        more += 1
    return _text(value, kind, more)


def _more_digits(ends: Sequence[float], kind: str) -> int:
    """Digits beyond the usual ones where an interval is narrower than these can show."""
    more = 0
    while ends and ends[0] < ends[1] and more < _MORE:
        if _text(ends[1] - ends[0], kind, more - 1) != _text(0.0, kind, more - 1):
            break
        more += 1
    return more


def _digits(kind: str) -> int:
    return 1 if kind in PERCENT else 2


def _text(value: float, kind: str, more: int = 0) -> str:
    shown = 100 * value if kind in PERCENT else value
    return without_minus_zero(f"{shown:.{_digits(kind) + more}f}")


def translation_tables(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """Shares of the four outcomes, BLEU and chrF; and the pronouns by stereotype."""
    kinds = {e.name: e.kind for e in answers[0].estimates[0]}
    rows = [
        [model.name, *(number(model.point(name), kinds[name]) for name, _ in _OUTCOMES)]
        for model in answers
    ]
    signatures = answers[0].asked[0].summary["signatures"]
    shares = make_table(
        "Translations by the stereotype of the occupation",
        "In percent of the sentences whose occupation has a stereotype, with 95 % intervals over "
        "scenes (and seeds, where there are several). Without bias pro and anti are alike. BLEU "
        f"and chrF are of all sentences: {signatures['bleu']}; {signatures['chrf']}.",
        ["<Method", *(title for _, title in _OUTCOMES)],
        rows,
    )
    pronouns = make_table(
        "Pronouns of the translations",
        "Counts of sentences, of the first seed; by the stereotype of the occupation.",
        ["<Method", "<Stereotype", "female", "male", "neutral", "both", "none"],
        [
            [model.name, gender, *(str(n) for n in counts.values())]
            for model in answers
            for gender, counts in model.asked[0].summary["pronouns_by_stereotype"].items()
        ],
    )
    return [shares, pronouns]


def cloze_tables(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """Shares and log odds, in both readings; and P(female) by template."""
    meanings = answers[0].asked[0].summary["meanings"]
    rows = []
    for model in answers:
        for reading, ending in (("as they are", ""), ("length-normalised", "_normalised")):
            key = "normalised" if ending else "plain"
            wide = model.asked[0].summary["readings"][key]["log_odds"]
            rows.append(
                [
                    model.name,
                    reading,
                    *(number(model.point(f"p_{m}{ending}"), "share") for m in meanings),
                    number(model.point(f"log_odds{ending}"), "log odds"),
                    _over_templates(wide)
                    if wide["spread_over_templates"] is not None
                    else "one template",
                ]
            )
    first = make_table(
        "Cloze: which word for the author?",
        "Each option's share of the options' likelihood, in percent, and the log odds of female to "
        "male; means over texts and templates with 95 % intervals over texts. The last column: "
        "standard deviation of the log odds over templates, and the interval of their mean where "
        "the templates count as a sample too (first seed).",
        ["<Method", "<Likelihoods", *(f"P({m})" for m in meanings), "Log odds", "Over templates"],
        rows,
    )
    templates = answers[0].asked[0].summary["templates"]
    by_template = make_table(
        "Cloze by template",
        "P(female) in percent, mean over texts, likelihoods as they are (first seed).",
        ["<Method", *right(templates)],
        [
            [
                model.name,
                *(
                    _text(value, "share")
                    for value in model.asked[0]
                    .summary["readings"]["plain"]["p_female"]["by_template"]
                    .values()
                ),
            ]
            for model in answers
        ],
    )
    mass = make_table(
        "How likely the cloze options are at all",
        "The mean probability of all options together, in percent (first seed): where it is small, "
        "the model would rather say something else, and the shares above are of little.",
        ["<Method", "Probability"],
        [
            [
                model.name,
                f"{100 * model.asked[0].summary['readings']['plain']['mass']['value']:.3g}",
            ]
            for model in answers
        ],
    )
    return [first, by_template, mass]


def _over_templates(wide: dict[str, Any]) -> str:
    """The standard deviation over templates, and the interval with the templates as a sample."""
    text = f"sd {wide['spread_over_templates']:.2f}"
    if wide["low_with_templates"] is None:
        return text
    low, high = wide["low_with_templates"], wide["high_with_templates"]
    return f"{text}, mean in [{_text(low, 'log odds')}, {_text(high, 'log odds')}]"


def choice_tables(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """Shares of meanings by set of symbols, beside those of the first symbol and place."""
    rows = []
    meanings: list[str] = []
    for model in answers:
        for symbol_set in model.asked[0].summary["sets"].values():
            meanings += [m for m in symbol_set["meanings"] if m not in meanings]
    free = any("parsed" in asked.rows for model in answers for asked in model.asked)
    for model in answers:
        for name, symbol_set in model.asked[0].summary["sets"].items():
            symbol = max(symbol_set["symbols"], key=lambda s: symbol_set["symbols"][s]["likeliest"])
            row = [model.name, name]
            row += [
                number(model.point(f"{name}_{m}"), "share") if m in symbol_set["meanings"] else ""
                for m in meanings
            ]
            row += [
                f"{symbol}: {100 * symbol_set['symbols'][symbol]['likeliest']:.0f}",
                f"{100 * symbol_set['places']['1']['likeliest']:.0f}",
                f"{100 * symbol_set['mass']:.3g}",
            ]
            if free:
                row.append(", ".join(f"{k} {v}" for k, v in symbol_set.get("written", {}).items()))
            rows.append(row)
    return [
        make_table(
            "Choice: which option?",
            "Each meaning's share of the options' likelihood, in percent, over every order of the "
            "options, with 95 % intervals over texts. Beside it (first seed): the symbol that is "
            "the likeliest most often and in how many percent of the prompts, in how many the "
            "first place is, and how likely the symbols are altogether.",
            [
                "<Method",
                "<Symbols",
                *(f"P({m})" for m in meanings),
                "Likeliest symbol",
                "First place",
                "Probability",
                *(["<Free answers"] if free else []),
            ],
            rows,
        )
    ]


def token_bias_tables(answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """The size of each factor, and the levels' own effects."""
    sizes, levels = [], []
    for model in answers:
        for name, symbol_set in model.asked[0].summary["sets"].items():
            row = [model.name, name]
            for factor in FACTORS:
                entry = symbol_set["factors"].get(factor)
                row.append("one wording" if entry is None else _size(model, name, factor, entry))
            sizes.append(row)
            for factor in FACTORS[:3]:
                for level, effect in symbol_set["factors"][factor]["levels"].items():
                    levels.append(
                        [model.name, name, TITLES[factor], level, number(effect, "log odds")]
                    )
    first = make_table(
        "Token bias: what a preference is for",
        "Log odds between two levels of each factor (root mean square), with 95 % intervals over "
        "texts, and the share of all four in percent. 0 is no preference; 1 makes one option 2.7 "
        "times as likely as the other. Wording is how far the preference for a meaning moves with "
        "how the question is put.",
        ["<Method", "<Symbols", *(TITLES[f] for f in FACTORS)],
        sizes,
    )
    second = make_table(
        "Token bias by level",
        "Log odds of each level to the mean of its factor's levels, with 95 % intervals over texts "
        "(first seed).",
        ["<Method", "<Symbols", "<Factor", "<Level", "Log odds"],
        levels,
    )
    return [first, second]


def _size(model: Answers, name: str, factor: str, entry: dict[str, Any]) -> str:
    share = entry["share"]
    text = number(entry, "log odds")
    if len(model.asked) > 1:
        text = number({**model.point(f"{name}_{factor}")}, "log odds")
    return text + ("" if share is None else f", {100 * share:.0f} %")


def verdict_table(
    rows: Sequence[MeasureVerdict], probe: str, question: str | None = None
) -> dict[str, Any]:
    """One row a pair and measure that verdicts are corrected over.

    Parameters
    ----------
    rows : of `verdicts`; those that are not `primary` are left out.
    probe : what the title ends with.
    question : what the title begins with; None is `QUESTION`.
    """
    shown = [
        verdict_row(
            [
                f"{row.first_name} against {row.second_name}",
                row.title,
                number(row.to_dict(), row.kind),
            ],
            row,
            answer(row),
        )
        for row in rows
        if row.primary
    ]
    return answers_table(
        f"{question or QUESTION} {probe}",
        "First minus second (shares in percentage points), with 95 % intervals over scenes or "
        "texts, and seeds where there are several; p after Holm's correction over the measures of "
        'one pair. "Not shown" is no evidence that the two are alike: the number after it is the '
        "smallest difference that would be found four times out of five.",
        ["First against second", "Measure"],
        shown,
    )


def answer(row: MeasureVerdict) -> str:
    """A verdict in words."""
    if row.verdict == "inconclusive" and row.value == row.low == row.high == 0:
        return "the same"  # in every scene or text: there is no chance to speak of
    words = {"different": row.answer}
    return verdict_parts.answer(row, lambda value: _size_text(value, row.kind), words=words)
