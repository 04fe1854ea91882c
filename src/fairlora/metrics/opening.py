"""The first screen of a page of gaps: what is asked, whom it fails, a picture, what is not told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

# So many findings are listed; the tables have all.
MOST_FINDINGS = 6
# One picture shows so many groups at most of all attributes but the first.
_MOST_ROWS = 16


class Told(NamedTuple):
    """A gap as a finding.

    Attributes
    ----------
    text : in plain words.
    size : its value with the interval, as text.
    shown : whether it is beyond chance; None where all groups are alike.
    weight : what orders the findings: the interval's end nearest to no gap, then the value.
    topic : the heading under which the page says more.
    unknown : why there is no verdict.
    """

    text: str
    size: str
    shown: bool | None
    weight: tuple[float, float]
    topic: str
    unknown: str | None = None

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What is shown comes first."""
        return bool(self.shown), *self.weight


def verdict_words(shown: bool) -> dict[str, str]:
    """The word that says whether a finding is beyond chance, with its sign."""
    if shown:
        return {"verdict": "shown", "mark": "beyond"}
    return {"verdict": "not shown", "mark": "open"}


def topic_of(attribute: str) -> str:
    """The heading under which a page has an attribute's tables and figures."""
    return f"By {attribute}"


def opening(
    question: str,
    told: Iterable[Told],
    plots: Sequence[dict[str, Any]],
    title: str,
    limits: Sequence[str],
) -> dict[str, Any]:
    """The keys of a page that its first screen is made of.

    Parameters
    ----------
    question : what the page answers.
    told : the findings, in any order; of many the weightiest stand here.
    plots : dots by topic; those of the first finding come first in the picture, others as far as
        there is room.
    title : of the picture.
    limits : what these rows cannot tell.
    """
    ranked = sorted(told, key=lambda one: one.rank, reverse=True)
    found = []
    for one in ranked[:MOST_FINDINGS]:
        finding: dict[str, Any] = {"text": one.text, "topic": one.topic}
        if one.size:
            finding["size"] = one.size
        if one.unknown is not None:
            finding["verdict"] = f"not known: {one.unknown}"
        elif one.shown is None:
            finding["verdict"] = "no gap"
        else:
            finding |= verdict_words(one.shown)
        found.append(finding)
    page: dict[str, Any] = {"question": question, "limits": list(limits)}
    if found:
        page["findings"] = found
    places = {one.topic: place for place, one in reversed(list(enumerate(ranked)))}
    picture = _joined(sorted(plots, key=lambda p: places.get(p["topic"], len(places))), title)
    return page | ({} if picture is None else {"picture": picture})


def with_first(page: dict[str, Any], tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables of which one is printed where there is room for little: that of the first finding.

    Parameters
    ----------
    page : the keys of the first screen.
    tables : of the page; where no finding has a topic, it is the first.
    """
    first = next((one["topic"] for one in page.get("findings", ())), None)
    place = next((k for k, table in enumerate(tables) if table.get("topic") == first), 0)
    return [{**table, "asked": True} if k == place else table for k, table in enumerate(tables)]


def not_shown(shown: Sequence[bool], what: str = "gaps") -> list[str]:
    """The line that says how many of the gaps are not shown; none where all are.

    >>> not_shown([True, False])
    ['1 of 2 gaps is not shown to be beyond chance: that does not show that there is none.']
    """
    missed = len(shown) - sum(shown)
    if not missed:
        return []
    are = "is" if missed == 1 else "are"
    return [
        f"{missed} of {len(shown)} {what} {are} not shown to be beyond chance: that does not show "
        "that there is none."
    ]


def _joined(plots: Sequence[dict[str, Any]], title: str) -> dict[str, Any] | None:
    """One picture of the panels of several plots; None where there is nothing to draw.

    Where a plot has several panels, which then have no room for their attribute, it stands alone.
    """
    if any(len(plot["panels"]) > 1 for plot in plots):
        return {key: value for key, value in plots[0].items() if key != "topic"}
    panels: list[dict[str, Any]] = []
    drawn, more = 0, ""
    for plot in plots:
        rows = sum(len(panel["rows"]) for panel in plot["panels"])
        if panels and drawn + rows > _MOST_ROWS:
            more = " Further attributes stand below."
            continue
        panels += plot["panels"]
        drawn += rows
    if not drawn:
        return None
    first = {key: value for key, value in plots[0].items() if key != "topic"}
    return {
        **first,
        "title": title,
        "caption": plots[0].get("caption", "") + more,
        "panels": panels,
    }
