"""Attacks as the page that the `report` room turns into texts, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.charts import group_dots
from fairlora.metrics.comparison.verdict_parts import p_text
from fairlora.metrics.content import Number
from fairlora.metrics.curves.charts import roc_chart
from fairlora.metrics.opening import Told, not_shown, opening, topic_of, with_first
from fairlora.privacy.charts import resistance_chart
from fairlora.privacy.content import (
    AttackContent,
    Gap,
    GroupNumbers,
    OperatingPoint,
    OverallNumbers,
    PrivacyContent,
    Rate,
    SettingsRecord,
)
from fairlora.privacy.epsilon import bounds_by_group
from fairlora.privacy.settings import fpr_key, percent
from fairlora.privacy.shift import differs, p_words, shift_lines
from fairlora.report.page import Page, check_page
from fairlora.report.tables import asked, cell, in_topic, make_table, right

_MARKS = {"coarse": "small", "unresolvable": "small"}
_MOST_GROUPS = 60
_FAILING = (
    "An attack that fails shows no privacy: a stronger one may succeed. A TPR is a lower bound of "
    "what an outsider can tell."
)


def privacy_page(content: PrivacyContent, title: str) -> Page:
    """Tables of the attacks, of each attribute's groups and of gaps; log-log ROCs; resistance."""
    settings, attacks = content.settings, content.attacks
    level = percent(settings.level)
    tables = [asked(_attacks(attacks, settings)), *side_by_side(attacks)]
    named = {name: one.overall.curve for name, one in attacks.items()}
    charts = [roc_chart("ROC, all rows", named, level)]
    several = len(attacks) > 1
    for name, one in attacks.items():
        of = f", {name}" if several else ""
        for attribute, groups in one.by_group.items():
            topic = topic_of(attribute)
            tables += in_topic(
                topic,
                _groups(attribute, groups, settings, of),
                _global(attribute, groups, settings, of),
                _gaps(attribute, one.gaps[attribute], settings, of),
            )
            curves = {g: numbers.curve for g, numbers in groups.items() if not numbers.small}
            charts += in_topic(
                topic,
                roc_chart(f"ROC by {attribute}{of}", curves, level),
                resistance_chart(attribute, one.resistance[attribute], level, of),
            )
    tables.append(epsilon_table(content))
    first = _first_screen(content, level)
    page: dict[str, Any] = {
        "title": title,
        **first,
        "lead": lead(content),
        "facts": [
            {"name": "Examples", "value": f"{content.n:,}"},
            {"name": "Members", "value": f"{content.members:,}"},
            {"name": "Non-members", "value": f"{content.non_members:,}"},
            {"name": "Attacks", "value": ", ".join(attacks)},
        ],
        "tables": with_first(first, [table for table in tables if table["rows"]]),
        "charts": [chart for chart in charts if chart["series"]],
        "notes": notes(content),
    }
    return check_page(page)


def _strongest(content: PrivacyContent) -> str | None:
    """The attack with the largest AUC; None where no attack has one."""
    values = {name: one.overall.auc.value for name, one in content.attacks.items()}
    known = {name: value for name, value in values.items() if value is not None}
    return max(known, key=lambda name: known[name]) if known else None


def _first_screen(content: PrivacyContent, level: str) -> dict[str, Any]:
    """Whom the strongest attack tells most easily, and what it does not tell."""
    best = _strongest(content)
    if best is None:
        return {}
    told, shown = [], []
    attack = content.attacks[best]
    for attribute, gaps in attack.gaps.items():
        gap = gaps["auc_gap"]
        if gap.value is None:
            continue
        topic = topic_of(attribute)
        if not gap.value or gap.largest is None or gap.smallest is None:
            text = f"The attack {best} is as strong on every group of {attribute}."
            told.append(Told(text, "", None, (0.0, 0.0), topic))
            continue
        high, low = (
            100 * (attack.by_group[attribute][name].auc.value or 0.0)
            for name in (gap.largest, gap.smallest)
        )
        text = (
            f"The attack {best} is strongest on {attribute} {gap.largest}: an AUC of {high:.1f}, "
            f"against {low:.1f} on {gap.smallest}."
        )
        beyond = gap.p_corrected is not None and gap.p_corrected < 0.05
        shown.append(beyond)
        told.append(
            Told(
                text,
                f"{_shown(gap)} points",
                beyond,
                (gap.low or 0.0, gap.value),
                topic,
                (gap.p_reason or "no p-value") if gap.p_corrected is None else None,
            )
        )
    dots = []
    for attribute, groups in attack.by_group.items():
        numbers = {name: (one.n, one.auc) for name, one in _largest(groups).items()}
        dots += in_topic(topic_of(attribute), group_dots("AUC", attribute, numbers, level))
    page = opening(
        "Whose membership does it give away, and more than that of others?",
        told,
        dots,
        f"AUC of the attack {best} on each group",
        [
            *shift_lines(content.shift),
            *not_shown(shown, "gaps of the AUC"),
            _FAILING,
            *content.warnings,
        ],
    )
    whole = attack.overall.auc.value
    if "picture" in page:
        page["picture"] |= {"reference": whole, "reference_name": "all rows"}
    return page


def lead(content: PrivacyContent) -> str:
    """The strongest attack, whom it tells most easily, and whether that is beyond chance."""
    best = _strongest(content)
    if best is None:
        return "No attack says anything: all scores are equal, or a side has too few rows."
    auc = content.attacks[best].overall.auc
    words = "not shown to be better than chance"
    if auc.p_corrected is not None and auc.p_corrected < 0.05:
        words = "better than chance"
    parts = [f"The attack {best} has an AUC of {_shown(auc)}, {words}."]
    if differs(content.shift):
        parts = [*shift_lines(content.shift), *parts]
    for attribute, gaps in content.attacks[best].gaps.items():
        gap = gaps["auc_gap"]
        if gap.value is None:
            continue
        sentence = (
            f"By {attribute} it is strongest on {gap.largest}, {100 * gap.value:.1f} points "
            f"above {gap.smallest}"
        )
        if gap.expected_by_chance is not None:
            sentence += f" (chance alone would give {100 * gap.expected_by_chance:.1f})"
        if gap.p_corrected is not None:
            beyond = "beyond chance" if gap.p_corrected < 0.05 else "not beyond chance"
            sentence += f", {beyond} ({p_words(gap.p_corrected)})"
        parts.append(sentence + ".")
    return " ".join(parts)


def notes(content: PrivacyContent) -> list[str]:
    """What the reader must not conclude."""
    out = [
        _FAILING,
        "Intervals in brackets are Clopper and Pearson's, of the TPR at that threshold. Among all "
        "non-members the threshold has another FPR than among these: the realised FPR has its own "
        "interval, and the bands of the ROC take both into account.",
        "Coarse: fewer than ten non-members lie above the threshold. Unresolvable: not one of them "
        "may, and no number is given.",
        "A gap between groups is a maximum: noise alone makes it larger than 0, the more so the "
        "smaller the groups.",
    ]
    if content.settings.clusters:
        out.append("Rows of one cluster count as drawn together.")
    out += shift_lines(content.shift)
    return [*out, *content.warnings]


def _shown(number: Number | Rate, digits: int = 1) -> str:
    if number.value is None:
        return "undefined"
    text = f"{100 * number.value:.{digits}f}"
    if number.low is not None and number.high is not None:
        text += f" [{100 * number.low:.{digits}f}, {100 * number.high:.{digits}f}]"
    return text


def _digits(fpr: float) -> int:
    """TPRs are shown as finely as their FPR."""
    return 1 if fpr >= 0.01 else 2


def _pointcell(point: OperatingPoint, fpr: float) -> dict[str, Any]:
    if point.value is None:
        needed = point.non_members_needed
        text = "unresolvable" if needed is None else f"unresolvable: needs {needed:,}"
        return cell(text, "small")
    return cell(_shown(point, _digits(fpr)), _MARKS.get(point.resolution))


def attack_columns(settings: SettingsRecord) -> list[dict[str, Any]]:
    """The columns of `attack_cells`."""
    rates = [f"TPR at {percent(fpr)}" for fpr in settings.fprs]
    return right(["AUC", "p", "Balanced accuracy", *rates])


def attack_cells(
    numbers: OverallNumbers | GroupNumbers, settings: SettingsRecord
) -> list[dict[str, Any]]:
    """An attack's numbers over all rows, or over those of a group."""
    return [
        cell(_shown(numbers.auc)),
        cell(p_text(numbers.auc.p_corrected)),
        cell(_shown(numbers.balanced_accuracy)),
        *(_pointcell(numbers.tpr_at_fpr[fpr_key(f)], f) for f in settings.fprs),
    ]


def _attacks(attacks: Mapping[str, AttackContent], settings: SettingsRecord) -> dict[str, Any]:
    return make_table(
        "All rows",
        f"In percent, with {percent(settings.level)} intervals. p: of an AUC above "
        "one half by chance, Holm over the attacks. Balanced accuracy at thresholds chosen on the "
        "other half of the rows.",
        ["<Attack", *attack_columns(settings)],
        [[name, *attack_cells(attack.overall, settings)] for name, attack in attacks.items()],
    )


def epsilon_table(content: PrivacyContent) -> dict[str, Any]:
    """What the attacks show of epsilon at least, beside what was promised; a row a group."""
    settings = content.settings
    promised = "none" if settings.epsilon is None else f"{settings.epsilon:g}"
    rows: list[list[str | dict[str, Any]]] = [
        [
            name,
            attribute or "all rows",
            group,
            cell(
                f"{bound.value:.2f}", "beyond" if bound.value > (settings.epsilon or 1e99) else None
            ),
            promised,
            "" if bound.tpr_low is None else f"{100 * bound.tpr_low:.1f}",
            "" if bound.fpr_high is None else f"{100 * bound.fpr_high:.1f}",
        ]
        for name, attack in content.attacks.items()
        for (attribute, group), bound in bounds_by_group(attack).items()
        if bound is not None and bound.value is not None
    ]
    return make_table(
        "Empirical epsilon, lower bound",
        "Epsilon is at least this, each bound by itself with "
        f"{percent(settings.level)} confidence, at delta {settings.delta:g}: thresholds chosen on "
        "one half of the rows, TPR and FPR (in percent) bounded on the other. 0 says nothing. Rows "
        "of one model share its noise, which the confidence does not take into account. Promised: "
        "by training with differential privacy.",
        [
            "<Attack",
            "<Attribute",
            "<Group",
            "Epsilon at least",
            "Promised",
            "TPR at least",
            "FPR at most",
        ],
        rows,
    )


def side_by_side(
    attacks: Mapping[str, AttackContent], attribute: str | None = None
) -> list[dict[str, Any]]:
    """The AUC of every attack on each group, of all attributes or of one; none of one attack."""
    if len(attacks) < 2:
        return []
    out = []
    for name, groups in next(iter(attacks.values())).by_group.items():
        if attribute not in (None, name):
            continue
        rows: list[list[str | dict[str, Any]]] = []
        for group, numbers in _largest(groups).items():
            aucs = [_shown(one.by_group[name][group].auc) for one in attacks.values()]
            mark = "small" if numbers.small else None
            rows.append([cell(group, mark), f"{numbers.members:,}", *aucs])
        table = make_table(
            f"AUC by {name}: every attack",
            "In percent, members against non-members of the same group, with intervals.",
            [f"<{name}", "Members", *attacks],
            rows,
        )
        out += in_topic(topic_of(name), table)
    return out


def _groups(
    attribute: str, groups: Mapping[str, GroupNumbers], settings: SettingsRecord, of: str
) -> dict[str, Any]:
    rows: list[list[str | dict[str, Any]]] = [
        [
            cell(group, "small" if numbers.small else None),
            f"{numbers.members:,}",
            f"{numbers.non_members:,}",
            *attack_cells(numbers, settings),
        ]
        for group, numbers in _largest(groups).items()
    ]
    more = len(groups) - len(rows)
    return make_table(
        f"By {attribute}{of}: thresholds of each group",
        "In percent. Each group's TPR at thresholds of its own non-members. p: of an "
        "AUC above one half by chance, Holm over the groups."
        + (f" The {len(rows)} largest of {len(groups)} groups." if more else ""),
        [f"<{attribute}", "Members", "Non-members", *attack_columns(settings)],
        rows,
    )


def _global(
    attribute: str, groups: Mapping[str, GroupNumbers], settings: SettingsRecord, of: str
) -> dict[str, Any]:
    kept = [
        fpr
        for fpr in settings.fprs
        if any(
            one.tpr_at_global_threshold[fpr_key(fpr)].value is not None for one in groups.values()
        )
    ]
    rows = []
    for group, numbers in _largest(groups).items():
        cells = [cell(group, "small" if numbers.small else None)]
        for fpr in kept:
            point = numbers.tpr_at_global_threshold[fpr_key(fpr)]
            cells.append(_pointcell(point, fpr))
            cells.append(cell("" if point.fpr is None else _shown(point.fpr, _digits(fpr))))
        rows.append(cells)
    return make_table(
        f"By {attribute}{of}: one threshold for all",
        "In percent. TPR and FPR of each group at the threshold that has the FPR over "
        "all rows: who is found, and who is taken for a member wrongly.",
        [
            f"<{attribute}",
            *(f"{word} at {percent(fpr)}" for fpr in kept for word in ("TPR", "FPR")),
        ],
        rows if kept else [],
    )


def _gaps(
    attribute: str, gaps: Mapping[str, Gap], settings: SettingsRecord, of: str
) -> dict[str, Any]:
    rows: list[list[str | dict[str, Any]]] = []
    for name, one in gaps.items():
        if one.value is None:
            continue
        p, expected = one.p_corrected, one.expected_by_chance
        digits = _digits(float(name.split("@")[1])) if "@" in name else 1
        beyond = p is not None and p < 0.05 and one.low is not None and one.low > 0
        rows.append(
            [
                gap_name(name),
                cell(_shown(one, digits), "beyond" if beyond else None),
                "" if expected is None else f"{100 * expected:.{digits}f}",
                p_text(p),
                one.family or "",
                one.largest or "all alike",
                one.smallest or "all alike",
            ]
        )
    draws = max([one.draws for one in gaps.values()], default=0)
    return make_table(
        f"Gaps by {attribute}{of}",
        "Largest group less smallest, in percentage points, with "
        f"{percent(settings.level)} intervals that take account of the many pairs. By chance, "
        f"and p: groups permuted among members and among non-members, {draws:,} times; Holm over "
        "the primary gaps of all attributes, Benjamini-Hochberg over the exploratory ones.",
        ["<Gap", "Value", "By chance", "p", "Family", "<Largest", "<Smallest"],
        rows,
    )


def gap_name(name: str) -> str:
    """How a gap is called where people read it.

    >>> gap_name("fpr_gap_global@0.01"), gap_name("auc_gap")
    ('FPR at 1 %, one threshold for all', 'AUC')
    """
    if name == "auc_gap":
        return "AUC"
    kind, fpr = name.split("@")
    at = f"{kind[:3].upper()} at {percent(float(fpr))}"
    return at + (", one threshold for all" if "global" in kind else ", thresholds of each group")


def _largest(groups: Mapping[str, GroupNumbers]) -> dict[str, GroupNumbers]:
    """The groups that a page shows, in their order; all of them are in the JSON."""
    if len(groups) <= _MOST_GROUPS:
        return dict(groups)
    chosen = set(sorted(groups, key=lambda g: -groups[g].n)[:_MOST_GROUPS])
    return {group: numbers for group, numbers in groups.items() if group in chosen}
