"""A watch as a page: alarms, groups with bounds, gaps, and small charts of groups over time."""

from __future__ import annotations

from typing import Any

from fairlora.metrics.content import Number
from fairlora.metrics.labels import GROUP
from fairlora.metrics.tables import with_interval
from fairlora.metrics.watch.content import Alarm, WatchContent, Watched, WatchedGroup
from fairlora.metrics.watch.series import METRICS
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell, in_topic, make_table, right

_GAPS = {
    "accuracy": "Accuracy gap",
    "selection_rate": "Demographic parity difference",
    "tpr": "Equal opportunity difference",
    "fpr": "FPR gap",
}
# More charts, rows or findings than this nobody reads: those of alarms come first.
_MOST_CHARTS, _MOST_ROWS, _MOST_FINDINGS = 12, 40, 5


def watch_page(content: WatchContent, title: str) -> Page:
    """Tables and charts of a watch, from its content."""
    level = f"{100 * content.settings.level:g} %"
    tables: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    if content.alarms:
        tables.append(_alarm_table(content))
    for attribute, groups in content.by_group.items():
        tables += in_topic(attribute, _group_table(content, attribute, groups, level))
        tables += in_topic(attribute, _gap_table(content, attribute, level))
    if len(content.periods) > 1:
        charts = _charts(content, level)
    page: dict[str, Any] = {
        "title": title,
        "question": f"Has the model changed for anybody since {content.baseline}?",
        "findings": _findings(content),
        "facts": _facts(content),
        "tables": tables,
        "charts": charts,
        "topics": list(content.by_group),
        "limits": _limits(content),
        "notes": _notes(content, level),
        "lead": lead(content),
    }
    return check_page({key: value for key, value in page.items() if value or key == "title"})


def lead(content: WatchContent) -> str:
    """The first alarm in a sentence, or that there is none."""
    if len(content.periods) == 1:
        return f"{content.baseline} is the baseline; no period has come after it yet."
    if not content.alarms:
        last = content.periods[-1]
        return f"No alarm up to {last}: no rate is shown to have left its baseline."
    first, more = content.alarms[0], len(content.alarms) - 1
    rest = f" {more} more alarm{'s' * (more > 1)}." if more else ""
    return f"{alarm_text(first)}, first shown in {first.period}: {_size(first)}.{rest}"


def alarm_text(alarm: Alarm) -> str:
    """Whose rate, which, and where it went: "TPR of race: B fell"."""
    whose = "all rows" if alarm.attribute is None else f"{alarm.attribute}: {alarm.group}"
    than = " against everyone outside it" if alarm.against == "rest" else ""
    return f"{GROUP[alarm.metric]} of {whose} {alarm.direction}{than}"


def _size(alarm: Alarm) -> str:
    return f"{_percent(alarm.value)} in that period, {_percent(alarm.baseline.value)} before"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _rate(number: Number) -> str:
    return with_interval(number, lambda value: f"{100 * value:.1f}", unit=" %")


def _findings(content: WatchContent) -> list[dict[str, Any]]:
    if len(content.periods) == 1:
        return []
    if not content.alarms:
        waits = " so far" if content.unlabelled else ""
        return [
            {
                "text": f"No rate of any group is shown to have left its baseline{waits}",
                "verdict": "no alarm",
                "mark": "open",
            }
        ]
    return [
        {
            "text": f"{alarm_text(alarm)}, since {alarm.period}",
            "size": _size(alarm),
            "verdict": "alarm",
            "mark": "worse",
            **({} if alarm.attribute is None else {"topic": alarm.attribute}),
        }
        for alarm in content.alarms[:_MOST_FINDINGS]
    ]


def _facts(content: WatchContent) -> list[dict[str, str]]:
    periods = content.periods
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        {"name": "Periods", "value": f"{len(periods):,}, {periods[0]} to {periods[-1]}"},
        {"name": "Baseline", "value": content.baseline},
        {"name": "Alarms", "value": f"{len(content.alarms):,}"},
    ]
    if content.positive is not None:
        facts.append({"name": "Selected", "value": content.positive})
    if content.unlabelled:
        rows = sum(content.unlabelled.values())
        facts.append(
            {
                "name": "Labels to come",
                "value": f"{rows:,} rows of {len(content.unlabelled):,} periods",
            }
        )
    return facts


def _alarm_table(content: WatchContent) -> dict[str, Any]:
    rows: list[list[str | dict[str, Any]]] = [
        [
            cell(alarm_text(alarm), "worse"),
            alarm.period,
            _rate(alarm.baseline),
            _percent(alarm.value),
            f"{alarm.evidence:,.0f}" if alarm.evidence < 1e6 else f"{alarm.evidence:.0e}",
        ]
        for alarm in content.alarms[:_MOST_ROWS]
    ]
    left = len(content.alarms) - _MOST_ROWS
    return make_table(
        "Alarms",
        f"Evidence of {content.alarms[0].threshold:,.0f} raises an alarm. Differences to everyone "
        "outside a group are in percentage points."
        + (f" {left:,} later alarms are left out." if left > 0 else ""),
        [
            {"name": "What", "align": "left"},
            ("First period", "the first whose evidence was enough"),
            *right(["Baseline", "That period", "Evidence so far"]),
        ],
        rows,
    )


def _metrics(content: WatchContent) -> list[str]:
    return [name for name in METRICS if getattr(content.overall, name) is not None]


def _order(content: WatchContent, attribute: str) -> list[str]:
    """Groups with an alarm first, then the lowest."""
    groups, metrics = content.by_group[attribute], _metrics(content)
    alarmed = [alarm.group for alarm in content.alarms if alarm.attribute == attribute]

    def key(name: str) -> tuple[bool, float]:
        found: Watched | None = getattr(groups[name], metrics[0]) if metrics else None
        value = None if found is None else found.value
        return name not in alarmed, 2.0 if value is None else value

    return sorted(groups, key=key)


def _group_table(
    content: WatchContent, attribute: str, groups: dict[str, WatchedGroup], level: str
) -> dict[str, Any]:
    metrics = _metrics(content)
    alarms = {
        (alarm.group, alarm.metric) for alarm in content.alarms if alarm.attribute == attribute
    }
    names = _order(content, attribute)
    rows: list[list[Any]] = []
    for name in names[:_MOST_ROWS]:
        group = groups[name]
        cells: list[Any] = [cell(f"{name}, new" if group.new else name), f"{group.n:,}"]
        for metric in metrics:
            found: Watched | None = getattr(group, metric)
            if found is None:
                cells += ["", ""]
                continue
            cells.append(cell(_rate(found), "worse" if (name, metric) in alarms else None))
            cells.append(_percent(found.baseline.value))
        rows.append(cells)
    more = len(names) - _MOST_ROWS
    return make_table(
        f"Groups by {attribute}",
        f"Mean rates since the baseline; in brackets bounds that hold for all groups, metrics and "
        f"looks together ({level})."
        + (f" {more:,} groups more are in the JSON." if more > 0 else ""),
        [
            {"name": attribute, "align": "left"},
            "n",
            *(name for metric in metrics for name in (GROUP[metric], "before")),
        ],
        rows,
    )


def _gap_table(content: WatchContent, attribute: str, level: str) -> dict[str, Any] | None:
    gaps = content.gaps.get(attribute) or {}
    rows = []
    for metric, gap in gaps.items():
        few = ", ".join(gap.lowest[:4]) + (
            f" and {len(gap.lowest) - 4} more" * (len(gap.lowest) > 4)
        )
        rows.append(
            [
                _GAPS[metric],
                _rate(gap),
                _percent(gap.baseline),
                f"{gap.smallest} to {gap.largest}",
                few,
            ]
        )
    if not rows:
        return None
    return make_table(
        f"Gaps by {attribute}",
        f"Largest minus smallest mean rate since the baseline, with {level} bounds that hold "
        "however often one looks. The last column: groups that can be the lowest.",
        ["<Gap", "Since the baseline", "At the baseline", "From, to", "Lowest can be"],
        rows,
    )


def _charts(content: WatchContent, level: str) -> list[dict[str, Any]]:
    metrics = _metrics(content)
    if not metrics:
        return []
    wanted: list[tuple[str, str, str]] = []
    for alarm in content.alarms:
        if alarm.attribute is not None and alarm.group is not None:
            wanted.append((alarm.attribute, alarm.group, alarm.metric))
    each = max(1, _MOST_CHARTS // max(1, len(content.by_group)))
    for attribute in content.by_group:
        wanted += [(attribute, name, metrics[0]) for name in _order(content, attribute)[:each]]
    charts = []
    for attribute, name, metric in list(dict.fromkeys(wanted))[:_MOST_CHARTS]:
        found: Watched | None = getattr(content.by_group[attribute][name], metric)
        if found is not None:
            charts.append(_chart(content, attribute, name, metric, found, level))
    return charts


def _chart(
    content: WatchContent, attribute: str, name: str, metric: str, found: Watched, level: str
) -> dict[str, Any]:
    number = {period: k + 1 for k, period in enumerate(content.periods)}
    at = [number[period] for period in content.looks]
    course = found.course
    so_far: list[dict[str, Any]] = []
    for k, x in enumerate(at):
        if course.mean[k] is not None:
            low, high = course.low[k], course.high[k]
            so_far.append({"x": x, "y": course.mean[k], "low": low, "high": high})
    alarms = [
        alarm.period
        for alarm in content.alarms
        if (alarm.attribute, alarm.group, alarm.metric) == (attribute, name, metric)
    ]
    base = found.baseline
    return {
        "title": f"{GROUP[metric]} of {attribute}: {name}",
        "topic": attribute,
        "caption": (f"Alarm in {alarms[0]}. " if alarms else "")
        + f"Points: the period's rate. Whiskers: bounds of the mean rate since the baseline, which "
        f"hold however often one looks ({level} with all others)."
        + _thinned(content),
        "kind": "lines",
        "x": {"label": f"period (1 is {content.periods[0]}, {len(content.periods)} is "
                       f"{content.periods[-1]})"},
        "y": {"label": GROUP[metric], "unit": "share"},
        "series": [
            {
                "name": "each period",
                "points": [{"x": x, "y": y} for x, y in zip(at, course.value, strict=True)],
            },
            {"name": "mean since the baseline", "points": so_far},
        ],
        "references": [
            {"name": "baseline", "value": base.value, "low": base.low, "high": base.high}
        ],
    }  # fmt: skip


def _thinned(content: WatchContent) -> str:
    if len(content.looks) == len(content.periods):
        return ""
    return f" {len(content.looks)} of {len(content.periods):,} periods are shown."


def _limits(content: WatchContent) -> list[str]:
    out = []
    if content.unlabelled:
        some = list(content.unlabelled.items())[-3:]
        named = ", ".join(f"{period} ({rows:,} rows)" for period, rows in some)
        out.append(
            f"Labels are not there yet for {named}"
            + (" and earlier periods" if len(content.unlabelled) > 3 else "")
            + ": of these rows selection rates alone are watched."
        )
    new = [
        f"{attribute}: {name}"
        for attribute, groups in content.by_group.items()
        for name, group in groups.items()
        if group.new
    ]
    if new:
        named = ", ".join(new[:4]) + (f" and {len(new) - 4} more" if new[4:] else "")
        out.append(f"Not in the baseline, so without alarms: {named}.")
    return out


def _notes(content: WatchContent, level: str) -> list[str]:
    settings = content.settings
    return [
        f"All alarms together are false in at most {100 * (1 - settings.level):.3g} % of watches, "
        f"however long they go on and however often one looks: {settings.tests:,} one-sided tests "
        "share it evenly, and half of each share covers that the baseline is a sample.",
        f"All bounds together hold in {level} of watches: {settings.bounds:,} confidence sequences "
        "share the rest. They are of mean rates since the baseline, also where rates drift; a late "
        "change moves a mean slowly, and alarms find it sooner.",
        "Rows are taken as draws of their own: several of one person make bounds too narrow. An "
        "alarm says that a rate changed, not why: the model, the people or the labels may have.",
        *content.warnings,
    ]
