"""Differences and their verdicts as parts of a page: texts, rows, tables, forests.

Whatever was compared, the words and tables of its verdicts are made here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlora.metrics.comparison.content import ComparisonContent, Verdict, Verdicts
from fairlora.metrics.labels import DISPARITY, GROUP, NOT_PERCENT, OVERALL, in_sentence
from fairlora.metrics.tables import metric_text, with_interval

VERDICT_MARKS = {
    "better": "better",
    "worse": "worse",
    "different": "beyond",
    "equivalent": "equal",
    "inconclusive": "open",
}
# The verdicts that say that a difference was shown.
SHOWN = ("better", "worse", "different")
FAIRER = {"better": "fairer", "worse": "less fair"}
EXPLORATORY = (
    "Exploratory: of the verdicts better and worse, one in twenty is expected to be false "
    "(Benjamini-Hochberg)."
)
_REST = {
    "equivalent": "equivalent",
    "inconclusive": "inconclusive, which is no evidence of equality",
    "undefined": "undefined",
}
# So many differences in which one of the two is better are named in the lead.
_MOST_NAMED = 3
_LABELS = {"overall": OVERALL, "disparities": DISPARITY, "by_group": GROUP}

# A metric's name and a number of it, as text; None is "".
NumberText = Callable[[str, float | None], str]
# A metric's name and what stands for want of another -> its name for people.
NumberLabel = Callable[[str, str], str]
# What a difference is of, its metric, its verdict.
Named = tuple[str, str, Verdict]


def size_text(verdict: Verdict, text: Callable[[float], str], unit: str = " points") -> str:
    """How far apart the two are, without a sign: the words beside it say which is better.

    Parameters
    ----------
    verdict : of a difference with an interval.
    text : how a number is written.
    unit : what stands behind it.
    """
    value, ends = verdict.value or 0.0, (verdict.low or 0.0, verdict.high or 0.0)
    turned = -1 if value < 0 else 1
    low, high = sorted(turned * end for end in ends)
    return f"{text(turned * value)}{unit} [{text(low)}, {text(high)}]"


def p_text(p: float | None) -> str:
    """A p-value as it is shown.

    >>> p_text(0.0004), p_text(0.0123)
    ('<0.001', '0.012')
    """
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def percent_text(content: ComparisonContent) -> str:
    """The level of the intervals."""
    return f"{100 * content.settings.level:g} %"


def answer(
    verdict: Verdict,
    text: Callable[[float], str],
    words: Mapping[str, str] = FAIRER,
    could: str = "",
    most: float | None = None,
) -> str:
    """A verdict as an answer; for want of evidence nothing is called fair or equal.

    Parameters
    ----------
    verdict : to be said.
    text : how a number is written.
    words : for better, worse and different, where they are others.
    could : what stands before the smallest difference that could have been found.
    most : what no difference can be as large as.
    """
    word, least = verdict.verdict, verdict.detectable
    if word == "equivalent" and verdict.margin is not None:
        return f"equivalent (within {text(verdict.margin)})"
    if word == "undefined":
        return f"undefined: {verdict.reason or ''}".rstrip(": ")
    if word != "inconclusive":
        return words.get(word, word)
    if least is None:
        return "not shown"
    return f"not shown ({could}{'none' if most is not None and least >= most else text(least)})"


def verdict_cell(
    name: str, row: Verdict | None, words: Mapping[str, str] = FAIRER
) -> dict[str, Any]:
    """A cell of a matrix of verdicts: "less fair, 3.1", "not shown (2.9)"; empty without one.

    Parameters
    ----------
    name : of the metric.
    row : its verdict.
    words : for better, worse and different, where they are others.
    """
    if row is None:
        return {"text": ""}

    def text(value: float) -> str:
        return f"{value:.2g}" if name in NOT_PERCENT else f"{100 * value:.1f}"

    word = row.verdict
    if word == "undefined":
        return {"text": word}
    said = answer(row, text, words, most=most_of(name))
    if word in SHOWN and row.value is not None:
        said = f"{said}, {text(row.value)}"
    return {"text": said, "mark": VERDICT_MARKS.get(word)}


def most_of(name: str) -> float | None:
    """What no difference can be as large as: of variances and losses there is no such number."""
    return None if name in NOT_PERCENT else 1.0


def verdict_row(texts: Sequence[str], verdict: Verdict, *last: str) -> dict[str, Any]:
    """A row of a table of verdicts: texts up to the difference, p, and the marked verdict.

    Parameters
    ----------
    texts : up to the difference.
    verdict : whose row it is.
    last : further texts, of which the last is the verdict's.
    """
    cells = [{"text": cell} for cell in (*texts, p_text(verdict.p_corrected), *last[:-1])]
    marked = {"text": last[-1], "mark": VERDICT_MARKS.get(verdict.verdict)}
    return {"header": True, "cells": [*cells, marked]}


def answers_table(
    title: str, caption: str, heads: Sequence[str], rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A table of `verdict_row`s: what each is of, the difference, p and the answer.

    Parameters
    ----------
    title, caption : of the table.
    heads : of the columns before the difference.
    rows : with as many texts before the difference.
    """
    columns = [*((head, "left") for head in heads), ("Difference", "right"), ("p", "right")]
    return {
        "title": title,
        "caption": caption,
        "columns": [{"name": name, "align": side} for name, side in (*columns, ("Answer", "left"))],
        "rows": rows,
    }


def verdict_tables(
    content: Verdicts,
    overall: tuple[str, str],
    disparities: tuple[str, str],
    *,
    label: Callable[[str, str], str] = lambda part, name: _LABELS[part].get(name, name),
    number: NumberText = metric_text,
    side: Callable[[str, Verdict, str], str] | None = None,
) -> list[dict[str, Any]]:
    """Tables of differences with verdicts: overall, then disparities and groups by attribute.

    Parameters
    ----------
    content : of a comparison.
    overall, disparities : title and caption of the tables; an attribute's title ends in its name.
    label : a metric's name for people, by part of the content ("overall", ...) and name.
    number : how a metric's number is written.
    side : how a row's "first" or "second" is written; None is its number.
    """
    names = ("Difference", "p", "Could show", "Verdict")

    def table(head: tuple[str, str], about: str, rows: Sequence[Named]) -> dict[str, Any]:
        columns = (about, content.first, content.second, *names)
        return {
            "title": head[0],
            "caption": head[1],
            "columns": [
                {"name": name, "align": "left" if k in (0, len(columns) - 1) else "right"}
                for k, name in enumerate(columns)
            ],
            "rows": [shown(*named) for named in rows],
        }

    def shown(label: str, name: str, row: Verdict) -> dict[str, Any]:
        ends = ("first", "second")
        sides = [
            number(name, getattr(row, k)) if side is None else side(name, row, k) for k in ends
        ]
        texts = [label, *sides, with_interval(row, lambda value: number(name, value))]
        verdict = row.verdict if row.reason is None else f"{row.verdict}: {row.reason}"
        return verdict_row(texts, row, number(name, row.detectable), verdict)

    every = [(label("overall", name), name, row) for name, row in content.overall.items()]
    tables = [table(overall, "Metric", every)]
    for attribute, rows in content.disparities.items():
        gaps = [(label("disparities", name), name, row) for name, row in rows.items()]
        groups = [
            (f"{group}: {label('by_group', name)}", name, row)
            for group, metrics in content.by_group[attribute].items()
            for name, row in metrics.items()
        ]
        head = (f"{disparities[0]} {attribute}", disparities[1])
        tables.append(table(head, "Metric", gaps))
        head = (f"Groups of {attribute}", EXPLORATORY)
        tables.append(table(head, "Group and metric", groups))
    return tables


def verdict_matrix(content: Verdicts, label: NumberLabel = DISPARITY.get) -> dict[str, Any]:
    """The verdicts on disparities at a glance: a row a measure, a column an attribute.

    Parameters
    ----------
    content : of a comparison.
    label : a measure's name for people, by its name and what else it is.
    """
    names = dict.fromkeys(name for rows in content.disparities.values() for name in rows)
    return {
        "title": f"Verdicts at a glance: {content.first} against {content.second}",
        "caption": f"Whether {content.first} is fairer. After the word the difference, in points; "
        "after an equivalence the margin; after what is not shown the smallest difference that "
        "these data find four times out of five (none: more than there can be).",
        "columns": [
            {"name": "Measure", "align": "left"},
            *({"name": attribute, "align": "left"} for attribute in content.disparities),
        ],
        "rows": [
            {
                "header": True,
                "cells": [
                    {"text": label(name, name)},
                    *(verdict_cell(name, rows.get(name)) for rows in content.disparities.values()),
                ],
            }
            for name in names
        ],
    }


def no_rates(content: ComparisonContent) -> bool:
    """Whether a comparison is of numbers in a unit of their own, not of rates."""
    return set(content.overall) <= NOT_PERCENT


def forests(content: ComparisonContent, caption: str) -> list[dict[str, Any]]:
    """A forest of each attribute's disparities, with the seeds' marks where there are several."""
    return [_forest(content, name, rows, caption) for name, rows in content.disparities.items()]


def _forest(
    content: ComparisonContent, attribute: str, rows: Mapping[str, Verdict], caption: str
) -> dict[str, Any]:
    shown = []
    scores = no_rates(content)
    for name, row in rows.items():
        # Losses do not fit the axis of rates; a comparison without rates has nothing else.
        if (name in NOT_PERCENT and not scores) or row.low is None:
            continue
        seeds = row.per_seed or []
        point: dict[str, Any] = {"series": "difference", "marks": seeds if len(seeds) > 1 else []}
        point |= {"value": row.value, "low": row.low, "high": row.high}
        point["strong"] = row.verdict != "inconclusive"
        shown.append({"label": DISPARITY.get(name, name), "points": [point]})
    return {
        "title": f"Disparities by {attribute}: {content.first} minus {content.second}",
        "caption": caption,
        "unit": "number" if scores else "share",
        "reference": 0.0,
        "panels": [{"name": attribute, "rows": shown}],
    }


def paired_lead(content: ComparisonContent, rows: str) -> str:
    """Say which differences were shown: overall first, then disparities, then how many were not.

    Each with its size, its interval, and which of the two is better. `rows` says on what rows.
    """
    overall, disparities = named_rows(content)
    first = _shown(overall, content) or _not_shown(overall, content)
    counted: Counter[str] = Counter(row.verdict for _, _, row in disparities)
    parts = [_shown(disparities, content, count=True)]
    parts += [
        f"{counted[verdict]} {'is' if counted[verdict] == 1 else 'are'} {words}"
        for verdict, words in _REST.items()
        if counted[verdict]
    ]
    second = "; ".join(part for part in parts if part)
    return (
        f"On {rows}, {first}. Of {len(disparities)} disparities, {second}. "
        f"In brackets {percent_text(content)} intervals."
    )


def named_rows(content: Verdicts) -> tuple[list[Named], list[Named]]:
    """The differences overall, and those of disparities: these with the largest first.

    Losses, which are not in points, come last.
    """
    overall = [
        (in_sentence(OVERALL.get(name, name)), name, row) for name, row in content.overall.items()
    ]
    disparities = [
        (f"{in_sentence(DISPARITY.get(name, name))} by {attribute}", name, row)
        for attribute, verdicts in content.disparities.items()
        for name, row in verdicts.items()
    ]
    disparities.sort(key=lambda named: (named[1] in NOT_PERCENT, -abs(named[2].value or 0.0)))
    return overall, disparities


def _shown(rows: Sequence[Named], content: ComparisonContent, *, count: bool = False) -> str:
    """The differences with a verdict of a direction, by who is better."""
    first, second = content.first, content.second
    words = {
        "better": f"{first} is better than {second} in",
        "worse": f"{second} is better than {first} in",
        "different": f"{first} and {second} differ in",
    }
    parts = []
    for verdict, start in words.items():
        named = [entry for entry in rows if entry[2].verdict == verdict]
        if not named:
            continue
        texts = [f"{label} ({size_of(name, row)})" for label, name, row in named[:_MOST_NAMED]]
        if len(named) > _MOST_NAMED:
            texts.append(f"{len(named) - _MOST_NAMED} more")
        listed = " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
        parts.append(f"{start} {f'{len(named)}: ' if count else ''}{listed}")
    return "; ".join(parts)


def _not_shown(rows: Sequence[Named], content: ComparisonContent) -> str:
    """What is said of the first overall metric with an interval where no difference was shown."""
    for label, name, row in rows:
        if row.verdict == "equivalent":
            within = metric_text(name, row.margin)
            both = f"{content.first} and {content.second}"
            points = "" if name in NOT_PERCENT else " points"
            return (
                f"{both} are equivalent in {label}: within {within}{points} ({size_of(name, row)})"
            )
        if row.verdict == "inconclusive":
            sides = f"between {content.first} and {content.second}"
            text = f"no difference {sides} was shown in {label} ({size_of(name, row)}"
            alone = row.low is not None and row.high is not None and not row.low <= 0 <= row.high
            return text + ("; alone it would be, among these measures not)" if alone else ")")
    return "no difference is defined"


def size_of(name: str, row: Verdict) -> str:
    """A difference's size with its unit and interval."""
    unit = "" if name in NOT_PERCENT else " points"
    return size_text(row, lambda value: metric_text(name, value), unit)
