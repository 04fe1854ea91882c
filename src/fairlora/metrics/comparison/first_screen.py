"""The first screen of a comparison's page: which is better for whom, and what was not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fairlora.metrics.comparison.content import ComparisonContent, Verdict, Verdicts
from fairlora.metrics.comparison.verdict_parts import (
    SHOWN,
    VERDICT_MARKS,
    Named,
    most_of,
    named_rows,
    no_rates,
    percent_text,
    size_of,
)
from fairlora.metrics.labels import GROUP, NOT_PERCENT
from fairlora.metrics.tables import metric_text

# So many shown differences are listed; the tables have all.
_MOST = 5
# The picture shows so many groups at most.
_MOST_ROWS = 16
# A difference, and whose.
_Found = tuple[Named, Verdicts]


def first_screen(content: ComparisonContent) -> dict[str, Any]:
    """The question, the findings with the weightiest first, the picture and the limits."""
    page: dict[str, Any] = {
        "question": f"Is {content.first} better than {content.second}, and is it fairer?",
        "findings": findings([content]),
        "limits": _limits(content),
    }
    picture = _picture(content)
    return page | ({"picture": picture} if picture else {})


def findings(contents: Sequence[Verdicts]) -> list[dict[str, Any]]:
    """The differences that were shown, overall before disparities, then what is equivalent or open.

    Of several pairs each has its weightiest first; a measure by one attribute more is not named
    again.

    Parameters
    ----------
    contents : the verdicts of a pair each.
    """
    every: list[Named] = []
    overall: list[_Found] = []
    disparities: list[_Found] = []
    same: list[_Found] = []
    for content in contents:
        whole, gaps = named_rows(content)
        every += [*whole, *gaps]
        # Among measures of all rows the first says what the others repeat.
        overall += [(named, content) for named in _of(whole, *SHOWN)[:1]]
        same += [(named, content) for named in _of([*whole, *gaps], "equivalent")[:1]]
        disparities += _weightiest(gaps, content)
    # The first of every pair, then the second of every pair: a sort keeps the order by weight.
    disparities.sort(key=lambda one: (one[0][1] in NOT_PERCENT, -abs(one[0][2].value or 0.0)))
    turn: Counter[int] = Counter()
    turns = []
    for one in disparities:
        turns.append(turn[id(one[1])])
        turn[id(one[1])] += 1
    order = sorted(range(len(disparities)), key=turns.__getitem__)
    kept = overall[: max(2, _MOST - len(disparities))]
    shown = [*kept, *(disparities[k] for k in order)][:_MOST]
    out = [_shown(label, name, row, content) for (label, name, row), content in shown]
    differ = len(_of(every, *SHOWN))
    if more := differ - len(out):
        rest = f"{more} of them {'is' if more == 1 else 'are'} in the tables alone"
        text = f"{differ} of {len(every)} measures differ: {rest}."
        out.append({"text": text, "verdict": "shown"})
    out += [_equivalent(label, name, row, content) for (label, name, row), content in same[:1]]
    for word, text, verdict in (
        ("equivalent", "equivalent: any difference is within the margin", "equivalent"),
        ("inconclusive", "shown neither to differ nor to be equivalent", "not shown"),
    ):
        if count := len(_of(every, word)):
            are = "is" if count == 1 else "are"
            finding = {
                "text": f"{count} of {len(every)} measures {are} {text}.",
                "verdict": verdict,
                "mark": VERDICT_MARKS[word],
            }
            out.append(finding)
    return out


def _weightiest(gaps: Sequence[Named], content: Verdicts) -> list[_Found]:
    """The disparities that differ, each metric once: by the attribute where it is largest."""
    best: dict[str, _Found] = {}
    for named in _of(gaps, *SHOWN):
        _, name, row = named
        if name not in best or abs(row.value or 0.0) > abs(best[name][0][2].value or 0.0):
            best[name] = (named, content)
    return list(best.values())


def _of(rows: Sequence[Named], *words: str) -> list[Named]:
    return [named for named in rows if named[2].verdict in words]


def _shown(label: str, name: str, row: Verdict, content: Verdicts) -> dict[str, Any]:
    first, second = content.first, content.second
    if row.verdict == "different":
        text = f"{first} and {second} differ in {label}."
    else:
        who = (first, second) if row.verdict == "better" else (second, first)
        text = f"{who[0]} is better than {who[1]} in {label}."
    finding = {"text": text, "size": size_of(name, row), "verdict": "shown"}
    return finding | {"mark": VERDICT_MARKS[row.verdict]}


def _equivalent(label: str, name: str, row: Verdict, content: Verdicts) -> dict[str, Any]:
    margin = "" if row.margin is None else f", within {metric_text(name, row.margin)}"
    margin += "" if not margin or name in NOT_PERCENT else " points"
    return {
        "text": f"{content.first} and {content.second} are equivalent in {label}{margin}.",
        "size": size_of(name, row),
        "verdict": "equivalent",
        "mark": VERDICT_MARKS["equivalent"],
    }


def _picture(content: ComparisonContent) -> dict[str, Any] | None:
    """Each group's difference between the two, of the first metric that has one."""
    scores, metric, drawn = no_rates(content), "", 0
    panels: list[dict[str, Any]] = []
    for attribute, groups in content.by_group.items():
        if panels and drawn + len(groups) > _MOST_ROWS:
            continue
        rows = []
        for group, numbers in list(groups.items())[: 2 * _MOST_ROWS]:
            name = next((n for n, row in numbers.items() if row.value is not None), "")
            metric = metric or name
            if not name or name != metric:
                continue
            row = numbers[name]
            point = {"series": "difference", "value": row.value, "low": row.low, "high": row.high}
            point["strong"] = row.verdict != "inconclusive"
            rows.append({"label": group, "points": [point]})
        drawn += len(rows)
        if rows:
            panels.append({"name": attribute, "rows": rows})
    if not panels:
        return None
    return {
        "title": f"{GROUP.get(metric, metric)} of each group: {content.first} minus "
        f"{content.second}",
        "caption": f"With {percent_text(content)} intervals, one by one.",
        "unit": "number" if scores or metric in NOT_PERCENT else "share",
        "reference": 0.0,
        "reference_name": "no difference",
        "panels": panels,
    }


def limits(contents: Sequence[Verdicts]) -> list[str]:
    """What verdicts leave open, and how large a difference may be and be missed.

    Parameters
    ----------
    contents : the verdicts of a pair each.
    """
    open_ = [one for content in contents for one in _of(named_rows(content)[1], "inconclusive")]
    known = [
        (row.detectable, label, name)
        for label, name, row in open_
        if row.detectable is not None and name not in NOT_PERCENT
    ]
    out = []
    if open_:
        out.append(
            f"{len(open_)} disparities are not shown to differ or to be equivalent: that is no "
            "evidence that they are equal."
        )
    if known:
        least, label, name = max(known)
        most = most_of(name)
        size = f"of less than {metric_text(name, least)} points in the {label} is"
        if most is not None and least >= most:
            size = f"of any size in the {label} may be"
        out.append(f"A difference {size} missed more often than one time in five.")
    return out


def _limits(content: ComparisonContent) -> list[str]:
    out = limits([content])
    if content.seeds is None:
        out.append("Another training run of the same methods would differ too: this is one.")
    return [*out, *content.warnings]
