"""Sum up an audit in three sentences, and list the gaps beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlora.metrics.content import AuditContent, Disparity, Lowest, Number
from fairlora.metrics.labels import DISPARITY, GAPS, GROUP, RATIOS, in_sentence

# What a table's row may be called, and a sentence cannot.
_LEAD_NAMES = {"eopp_max": "equal opportunity difference of one group against the rest"}
# The level of the search's own test.
_ALPHA = 0.05


def beyond_chance(name: str, number: Number) -> bool:
    """Whether a disparity's interval leaves out no disparity."""
    if number.value is None or number.low is None or number.high is None:
        return False
    # A gap's name may end in the quantile that it is of, or in whose threshold it is at.
    gap = name.partition(" ")[0].removesuffix("_own").endswith("_gap")
    if name in (*GAPS, "loss_variance") or gap:
        return number.low > 0
    return name in RATIOS and number.high < 1


def lowest_groups(number: Lowest) -> list[str]:
    """The groups of the lowest value: one, several that tie, or none where all groups are alike."""
    if number.all_alike:
        return []
    return number.groups or [group for group in [number.group] if group is not None]


_NO_PLACE = (
    "value",
    "low",
    "high",
    "reason",
    "by_class",
    "expected_by_chance",
    "no_chance_value",
    "expected_if_calibrated",
    "all_alike",
)


_RATE_WORDS = {"tpr": "TPR", "fpr": "FPR", "selection_rate": "selection rate"}


def place_texts(number: Number) -> list[str]:
    """What names a statistic's place, in words: its groups, its class, who was left out."""
    out, keys = [], number.to_dict()
    for key, value in keys.items():
        if key in _NO_PLACE or value is None:
            continue
        if key == "left_out":
            some = [f"{group}: {'; '.join(what)}" for group, what in value.items()]
            out.append(f"left out: {_few(some)}")
        elif key in ("groups", "classes"):
            every = ", all alike" if keys.get("all_alike") else ""
            out.append(f"tied{every}: {_few(value)}")
        elif key == "rate":
            out.append(_RATE_WORDS.get(str(value), str(value)))
        elif isinstance(value, list):
            out.append(f"{key.replace('_', ' ')} {_few(value)}")
        else:
            out.append(f"{key} {value}")
    ends = [keys[key] for key in ("worst", "smallest") if key in keys]
    return [*out, "all alike"] if ends == [None] else out


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True)
class Finding:
    """One disparity as the lead tells it.

    Attributes
    ----------
    text : a sentence with its size and interval.
    chance : a sentence on whether noise explains it.
    shown : whether it is beyond chance.
    low, high, value : of its size, a share.
    plain : whether it is of accuracy, or the search's: what leads unless another is surely larger.
    searched : whether it is the search's.
    short, size : the search's sentence without its interval, and that.
    """

    text: str
    chance: str
    shown: bool
    low: float
    high: float
    value: float
    plain: bool
    searched: bool = False
    short: str = ""
    size: str = ""

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What is shown comes first, then what is surely large."""
        return self.shown, self.low, self.value


def lead(content: AuditContent) -> str:
    """Say the worst finding first, whether chance explains it, and how many others there are.

    Three sentences at most, over all attributes, combinations and the search for subgroups. A gap
    of accuracy leads, or the search's subgroup, unless the interval of another gap lies wholly
    above. Empty where there are no two groups to compare.
    """
    found = [
        _of_gap(content, attribute, name, number, number.value)
        for attribute, disparities in content.disparities.items()
        for name, number in disparities.numbers().items()
        if name in GAPS and isinstance(number, Disparity) and number.value is not None
    ]
    searched = search_finding(content)
    if searched is not None:
        found.append(searched)
    if not found:
        return ""
    plain = [one for one in found if one.plain]
    first = max(plain or found, key=lambda one: one.rank)
    other = max(found, key=lambda one: one.rank)
    if other.shown and (not first.shown or other.low > first.high):
        first = other
    return " ".join(part for part in (first.text, first.chance, _counted(found, first)) if part)


def _counted(found: list[Finding], first: Finding) -> str:
    """How many gaps are beyond chance, and the search's subgroup where it does not lead."""
    gaps = [one for one in found if not one.searched]
    shown = sum(one.shown for one in gaps)
    searched = next((one for one in found if one.searched and one is not first), None)
    text = ""
    if len(gaps) > 1 or (gaps and not shown):
        text = f"In all, {shown or 'none'} of {len(gaps)} gaps is beyond chance"
        if shown > 1:
            text = text.replace(" is ", " are ")
    if searched is not None and searched.shown:
        text += f"{', and so is' if shown else '; what is, is'} the worst subgroup of the search"
    if not any(one.shown for one in found):
        text += ", which does not show that there is no disparity"
    return text and f"{text}."


def _of_gap(
    content: AuditContent, attribute: str, name: str, number: Disparity, size: float
) -> Finding:
    shown = beyond_chance(name, number)
    if name == "accuracy_gap":
        lowest = content.disparities[attribute].accuracy_worst
        worst = lowest_groups(lowest)
        if not worst or not size or number.best is None:
            value = lowest.value
            text = f"By {attribute}, accuracy is the same for every group ({_percent(value)} %)."
        else:
            value = content.by_group[attribute][worst[0]].accuracy.value
            interval = _interval(number, content)
            interval = interval and f" ({interval})"
            best = named([number.best, *(number.also_best or [])])
            groups = content.by_group[attribute].values()
            few = sum(one.small and not one.missing for one in groups)
            least = content.settings.min_group
            among = f" among groups of {least} rows or more" if few else ""
            text = (
                f"By {attribute}, accuracy is lowest for {named(worst)}{among}: "
                f"{_percent(value)} %, {_percent(size)} points below {best}{interval}."
            )
    else:
        label = _LEAD_NAMES.get(name) or in_sentence(DISPARITY[name])
        places = ", ".join(
            f"{key} {place}"
            for key, place in (
                ("class", number.class_name),
                ("largest", number.largest),
                ("smallest", number.smallest),
                ("best", number.best),
                ("worst", number.worst),
                ("group", number.group),
            )
            if place is not None
        )
        aside = "; ".join(part for part in (_interval(number, content), places) if part)
        text = f"By {attribute}, the {label} is {_percent(size)} points ({aside})."
    chance = _of_chance(number, shown)
    low = 0.0 if number.low is None else number.low
    high = size if number.high is None else number.high
    return Finding(text, chance, shown, low, high, size, name == "accuracy_gap")


def _of_chance(number: Disparity, shown: bool) -> str:
    """Whether noise explains a gap. Its interval answers that; the chance value is a yardstick."""
    if not number.value:
        return ""
    expected = number.expected_by_chance
    yardstick = ""
    if expected is not None:
        yardstick = (
            " (without any disparity, the gap of groups of these sizes would be "
            f"{_percent(expected)} points on average)"
        )
    if number.low is None:
        return f"Whether chance explains it is not known: {number.reason}."
    if shown:
        return (
            "Chance does not explain it: the interval leaves out 0, as it does only where two "
            f"groups differ beyond noise{yardstick}."
        )
    return f"Chance may explain it: the interval reaches 0{yardstick}."


def search_finding(content: AuditContent) -> Finding | None:
    """The worst subgroup of the search, judged as the best of so many."""
    search = content.subgroups
    if search is None or search.worst is None:
        return None
    worst = search.worst
    metric, size = GROUP[search.metric], abs(worst.difference)
    shown = worst.p < _ALPHA
    low, high = sorted((abs(worst.low), abs(worst.high)))
    if worst.low <= 0 <= worst.high:
        low = 0.0
    below = "below" if worst.difference < 0 else "above"
    percent = _level(content)
    of = f"{metric} of the subgroup {worst.name} is {_percent(worst.rate)} %"
    text = (
        f"{of}, {_percent(size)} points {below} everyone outside it ({percent} interval, not "
        f"corrected for the search, {_percent(low)} to {_percent(high)})."
    )
    short = (
        f"{of}, {below} everyone outside it: the worst of {search.tested:,} subgroups, as far off "
        f"in a search of permuted rows with p = {worst.p:.2g}."
    )
    ends = f"{_percent(size)} points [{_percent(low)}, {_percent(high)}]"
    chance = (
        f"It is the worst of {search.tested:,} subgroups, and chance "
        f"{'does not' if shown else 'may'} explain it: a search of permuted rows finds "
        f"one as far off with p = {worst.p:.2g}."
    )
    return Finding(text, chance, shown, low, high, size, True, True, short, ends)


def _interval(number: Number, content: AuditContent) -> str:
    if number.low is None or not number.value:
        return ""
    ends = f"{_percent(number.low)} to {_percent(number.high)}"
    return f"{_level(content)} interval {ends}"


def _level(content: AuditContent) -> str:
    return f"{100 * content.settings.level:g} %"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def named(groups: list[str], most: int = 3) -> str:
    """Names in a sentence.

    >>> named(["a"]), named(["a", "b"]), named(["a", "b", "c", "d", "e"])
    ('a', 'a and b', 'a, b, c and 2 more')
    """
    if len(groups) > most:
        return ", ".join(groups[:most]) + f" and {len(groups) - most} more"
    return " and ".join([", ".join(groups[:-1]), groups[-1]] if len(groups) > 1 else groups)
