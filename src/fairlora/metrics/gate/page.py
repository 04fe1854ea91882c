"""A gate's findings as the plain dict that the room `report` draws, and as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree

from fairlora.errors import clean
from fairlora.metrics.gate.content import GateContent, Needed, RuleResult
from fairlora.metrics.labels import left_out_fact
from fairlora.report.page import Page, check_page
from fairlora.report.tables import cell

# Groups that are named in a line; the JSON has all.
_MOST = 3
# What a rule that was not decided comes to.
_WORDS = {"fail": "fails", "warn": "a warning", "pass": "passes"}


def gate_page(content: GateContent, title: str) -> Page:
    """The verdict, a row a rule, and what the numbers mean."""
    settings = content.settings
    facts = [
        {"name": "Rows", "value": f"{content.n:,}"},
        *([{"name": "Baseline", "value": content.baseline}] if content.baseline else []),
        *left_out_fact(content.left_out),
        {"name": "Rules", "value": str(len(content.rules))},
        {"name": "Exit code", "value": str(content.exit_code)},
    ]
    rows = [
        {
            "header": True,
            "cells": [
                cell(rule.text),
                cell(outcome_words(rule)),
                cell(_interval(rule)),
                cell("; ".join(details(rule))),
            ],
        }
        for rule in content.rules
    ]
    table = {
        "title": "Rules",
        "main": True,
        "caption": f"In brackets {percent(settings.interval_level)} intervals, which hold "
        f"together at {percent(settings.level)}.",
        "columns": [
            {"name": "Rule", "align": "left"},
            {"name": "Outcome", "align": "left"},
            {"name": "Found", "align": "right"},
            {"name": "Which", "align": "left"},
        ],
        "rows": rows,
    }
    notes = [
        f"Met: the interval lies on the good side of the limit; violated: on the other; cannot be "
        f"told: it holds the limit. The chance that any of these decisions is wrong is at most "
        f"{percent(1 - settings.level)}.",
        f"What cannot be told {_does(settings.cannot_be_told)}, what is undefined "
        f"{_does(settings.undefined)}, unless a rule says otherwise.",
        *content.warnings,
    ]
    return check_page(
        {"title": title, "lead": lead(content), "facts": facts, "tables": [table], "notes": notes}
    )


def lead(content: GateContent) -> str:
    """Whether the gate is passed, and how many rules came to what."""
    counts: dict[str, int] = {}
    for rule in content.rules:
        counts[rule.outcome] = counts.get(rule.outcome, 0) + 1
    told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items(), key=lambda x: -x[1]))
    count = "1 rule" if len(content.rules) == 1 else f"{len(content.rules)} rules"
    return f"{'Passed' if content.passed else 'Not passed'}: of {count} {told}."


def outcome_words(rule: RuleResult) -> str:
    """The outcome, and what the policy makes of it where nothing was decided."""
    if rule.outcome in ("met", "violated"):
        return rule.outcome
    return f"{rule.outcome} ({_WORDS[rule.action]})"


def details(rule: RuleResult) -> list[str]:
    """Which groups decide a rule, why it is undefined, and how many rows would tell."""
    out = []
    if rule.outcome == "undefined":
        out.append(rule.reason or "no interval")
    elif rule.outcome == "cannot be told":
        out.append("would tell: " + _some([_rows(one) for one in rule.needed or []]))
    elif rule.groups:
        out.append(_some(rule.groups))
    if rule.baseline is not None:
        out.append(f"{rule.current:.4f}, before {rule.baseline:.4f}")
    if rule.left_out:
        out.append(f"too small, left out: {_some(rule.left_out)}")
    return out


def percent(share: float) -> str:
    """A share as percent, with as many digits as it needs.

    >>> percent(0.95), percent(1 - 0.05 / 3)
    ('95 %', '98.333 %')
    """
    return f"{100 * share:.5g} %"


def to_junit(content: GateContent, name: str = "fairlora gate") -> str:
    """The rules as test cases of JUnit XML.

    What fails is a failure, or an error where the number is undefined; what is only a warning is
    skipped, with the reason.
    """
    cases = content.rules
    errors = sum(rule.action == "fail" and rule.outcome == "undefined" for rule in cases)
    failures = sum(rule.action == "fail" for rule in cases) - errors
    skipped = sum(rule.action == "warn" for rule in cases)
    numbers = {"tests": len(cases), "failures": failures, "errors": errors, "skipped": skipped}
    counts = {key: str(number) for key, number in numbers.items()}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _xml(name), **counts})
    for rule in cases:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "fairlora.gate", "name": _xml(rule.text)}
        )
        said = _xml("; ".join([f"{rule.outcome}: {_interval(rule)}", *details(rule)]))
        if rule.action == "pass":
            ElementTree.SubElement(case, "system-out").text = said
            continue
        kind = "skipped" if rule.action == "warn" else "failure"
        if kind == "failure" and rule.outcome == "undefined":
            kind = "error"
        ElementTree.SubElement(case, kind, {"type": rule.outcome, "message": said})
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _xml(text: str) -> str:
    # A line break in a name would be a space to whoever reads the attribute.
    return " ".join(clean(text).split())


def _does(action: str) -> str:
    return {"fail": "fails", "warn": "is a warning", "pass": "passes"}[action]


def _interval(rule: RuleResult) -> str:
    sign = "+" if rule.rule.get("not_worse_by") is not None else ""

    def text(value: float) -> str:
        return f"{value:{sign}.4f}"

    if rule.value is None:
        return "undefined"
    if rule.low is None or rule.high is None:
        return text(rule.value)
    return f"{text(rule.value)} [{text(rule.low)}, {text(rule.high)}]"


def _rows(one: Needed) -> str:
    whose = "" if one.group is None else f" of {one.group}"
    if one.needed is None:
        return f"no number of rows{whose}, as the value is the limit"
    return f"{one.needed:,} rows{whose} (now {one.n:,})"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def report_lines(content: GateContent) -> list[str]:
    """The verdict and a line for each rule that is not met, without a table."""
    lines = [lead(content)]
    for rule in content.rules:
        if rule.outcome != "met":
            more = "".join(f"; {one}" for one in details(rule))
            lines.append(f"{outcome_words(rule)}: {rule.text}: {_interval(rule)}{more}")
    return [clean(" ".join(line.split())) for line in lines]
