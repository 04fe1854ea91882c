"""Audit a score a row by group, without labels: means, gaps, and what chance gives.

Scores of 0 and 1 alone are hits and misses: their means are rates, with the intervals and the
chance value that accuracy has. Any other numbers have the intervals of a mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.assemble import few_words
from fairlora.metrics.content import (
    Disparity,
    Number,
    OverallScore,
    ScoreContent,
    ScoreDisparities,
    ScoreGroup,
    ScoreSettings,
)
from fairlora.metrics.counting import OVERALL, Table, Tables, effective_key
from fairlora.metrics.counts.means import floor_of, mean_estimates, mean_number, no_interval
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.counts.sums import Means, Powers
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.chance import MOST_DRAWS, expected_by_chance
from fairlora.metrics.groups.disparity import MOST_PAIRED
from fairlora.metrics.groups.estimates import Against, Estimates
from fairlora.metrics.groups.gaps import extreme, gap, pairwise, signed_differences
from fairlora.metrics.groups.intersections import crossed_name
from fairlora.metrics.groups.missing import NOT_COMPARED, missing_warning
from fairlora.metrics.inference.clusters import Clustered
from fairlora.metrics.inference.design import MANY, expected_range, seed_of
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inference.weighted import WeightedRows
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.spellings import odd_groups

# Rows times permutations for the gap that chance gives, and the fewest that say anything.
_BUDGET, _FEWEST = 20_000_000, 20


class GroupMeans:
    """An attribute's mean scores as estimates: all groups', and everyone outside each.

    Parameters
    ----------
    table : of the attribute.
    binary : whether the scores are hits and misses.
    settings : of the audit.
    attribute : its name.
    origin : what was taken from every score before the table was made; see `origin_of`.
    """

    def __init__(
        self, table: Table, binary: bool, settings: Settings, attribute: str, origin: float = 0.0
    ) -> None:
        self.table, self.settings, self.binary = table, settings, binary
        self.origin = origin
        self.tally = table.tally
        self.design = table.design(settings, attribute)
        self.least = max(1, settings.min_group)
        self.means, correlation = self._means()
        self.means = self._moved(self.means)
        if binary:
            self.rates = GroupRates(self.tally, ("0", "1"), 1, settings.min_group, self.design)
            self.inside = self.rates.rate("accuracy", 0)
        else:
            self.floor = floor_of(self.means)
            enough = self.tally.effective >= self.least
            self.inside = mean_estimates(self.means, enough, correlation, self.floor)

    def _means(self) -> tuple[Means, Float | None]:
        if self.table.clustered is not None:
            return self.table.clustered.means("score")
        means, covariance = self.tally.means["score"], self.design.covariance("score")
        if covariance is None:
            return means, None
        spread = np.sqrt(np.maximum(np.diag(covariance), 0))
        scale = spread[:, None] * spread[None, :]
        return means, np.where(scale > 0, covariance / np.where(scale > 0, scale, 1), 0.0)

    def _moved(self, means: Means) -> Means:
        return means._replace(mean=means.mean + self.origin)

    def against(self) -> Against:
        """Each group and everyone outside it."""
        if self.binary:
            return self.rates.rest("accuracy", 0)
        correlation = None
        if self.table.clustered is not None:
            outside, correlation = self.table.clustered.means("score", outside=True)
        else:
            outside = Powers(*(self.tally.outside(v) for v in self.tally.raw["score"])).means()
        outside = self._moved(outside)
        enough = self.tally.rest >= self.least
        return Against(self.inside, mean_estimates(outside, enough, floor=self.floor), correlation)

    def number(self, g: int) -> Number:
        """One group's mean."""
        level = self.settings.level
        if self.binary:
            return number(self.inside, g, level, EMPTY["accuracy"])
        why = no_interval(self.tally, "row" if self.table.clustered is None else "cluster")
        return mean_number(self.inside, self.means, g, level, why)

    def chance(self, values: Float, column: GroupColumn, attribute: str) -> float | None:
        """The mean gap where the groups are alike: permuted rows, or clusters drawn anew.

        Parameters
        ----------
        values : (n,) the scores of the rows that have a group.
        column : their groups.
        attribute : its name.
        """
        draws, known = self.settings.bootstrap, self.inside.known
        if known.sum() < 2 or not draws:
            return None
        rng = seed_of(self.settings.seed, attribute, "chance")
        if self.binary:
            found = self.design.chance([], lambda *_: known)
            if found is None:
                found = expected_by_chance(self.tally, [], lambda *_: known, draws, rng).expected
            return found.get("accuracy_gap")
        if isinstance(self.design, Clustered | WeightedRows):
            return self.design.mean_chance("score", known)
        if self.means.n[known].min() >= MANY:
            # Permuted means vary as those of rows of their own, but for what all have in common.
            return expected_range(float(values.var()) * self._overlap()[np.ix_(known, known)], rng)
        draws = min(draws, MOST_DRAWS, _BUDGET // max(len(values), 1))
        if draws < _FEWEST:
            return None
        patterns = len(self.tally.cells)
        means = np.empty((draws, len(self.tally.names)))
        for b in range(draws):
            sums = np.bincount(column.codes, weights=rng.permutation(values), minlength=patterns)
            means[b] = self.tally.by_group(sums.astype(np.float64)) / np.maximum(self.means.n, 1)
        some = means[:, known]
        return float((some.max(axis=1) - some.min(axis=1)).mean())

    def _overlap(self) -> Float:
        """(G, G) the share of two groups' rows that both have, over the rows of either."""
        n, patterns = np.maximum(self.means.n, 1), self.tally.patterns
        if patterns is None:
            return np.diag(1 / n)
        holds = patterns.astype(np.float64)
        shared = (holds * self.tally.raw["score"].n[:, None]).T @ holds
        return np.asarray(shared / n[:, None] / n[None, :])


def check_score_settings(settings: Settings, of: str = "a score") -> None:
    """Raise `InputError` for a setting that is about classes; `of` says what is audited."""
    names = ("positive", "subgroups", "suggests", "power", "four_fifths", "curves", "at")
    settings.refuse(f"an audit of {of}", names)


def origin_of(values: Float) -> float:
    """What to take from scores before their squares are added up, so that these keep their digits.

    It is 0 unless the scores lie far from 0 for their spread, as years and times do.

    >>> origin_of(np.array([1.0, 2.0, 3.0])), origin_of(np.array([2000.0, 2001.0, 2002.0]))
    (0.0, 2001.0)
    """
    mean = float(values.mean())
    return mean if abs(mean) > 100 * float(values.std()) else 0.0


def gap_of_groups(
    groups: GroupMeans, values: Float, column: GroupColumn, attribute: str
) -> Disparity:
    """The largest difference of two groups' means, with what chance gives.

    Parameters
    ----------
    groups : the means.
    values : (n,) the scores of the rows that have a group.
    column : their groups.
    attribute : its name.
    """
    found = gap([groups.inside], groups.tally.names, groups.settings.level, ends=True)
    expected = groups.chance(values, column, attribute)
    if found.value is not None and expected is not None:
        found.expected_by_chance = expected
    return found


def score_content(
    tables: Tables,
    predictions: Predictions,
    columns: Mapping[str, GroupColumn],
    settings: Settings,
    origin: float = 0.0,
) -> ScoreContent:
    """The content of a score's audit, as `assemble` gives that of predictions.

    Parameters
    ----------
    tables : of the rows.
    predictions : the rows' table, which has scores.
    columns : attribute -> its column, combinations included.
    settings : of the audit.
    origin : what was taken from every score before the tables were made.
    """
    scores = predictions.scores
    assert scores is not None
    binary = predictions.classes == ("0", "1")
    warnings = list(tables.warnings)
    if tables.left_out:
        warnings.append(left_out_note(tables.left_out, tables.n))
    shown = settings.shown()
    clustered = tables.everyone.clustered
    everyone = GroupMeans(tables.everyone, binary, settings, OVERALL, origin)
    content = ScoreContent(
        n=tables.n,
        **effective_key(tables.everyone.tally, 0),
        left_out=tables.left_out,
        score="rate" if binary else "mean",
        classes=[],
        positive=None,
        settings=ScoreSettings(
            **{name: shown[name] for name in ScoreSettings.model_fields if name in shown},
        ),
        overall=OverallScore(score=everyone.number(0)),
        by_group={},
        disparities={},
        pairwise={},
        warnings=warnings,
    )
    if clustered:
        content.settings.clusters = clustered.count
    if tables.weighted_by is not None:
        content.settings.weight = tables.weighted_by
    crossed = {crossed_name(names) for names in settings.intersect}
    for attribute, table in tables.attributes.items():
        groups = GroupMeans(table, binary, settings, attribute, origin)
        known = known_rows(columns[attribute], table)
        values = scores if known is None else scores[known]
        column = columns[attribute] if known is None else columns[attribute].take(known)
        names, level = table.tally.names, settings.level
        differences = signed_differences(groups.against(), level)
        content.by_group[attribute] = {
            group: ScoreGroup(
                n=int(table.tally.n[g]),
                **effective_key(table.tally, g),
                small=bool(table.tally.effective[g] < settings.min_group),
                missing=False,
                score=groups.number(g),
                score_difference=differences[g],
            )
            for g, group in enumerate(names)
        }
        if table.missing is not None:
            content.by_group[attribute][MISSING] = _missing_row(
                GroupMeans(table.missing, binary, settings, attribute, origin)
            )
            rows = int(table.missing.tally.n.sum())
            warnings.append(missing_warning(attribute, rows, tables.n))
        found = gap_of_groups(groups, values, column, attribute)
        content.disparities[attribute] = ScoreDisparities(
            score_gap=found, score_lowest=extreme([groups.inside], names, level)
        )
        several = len(names) <= MOST_PAIRED
        content.pairwise[attribute] = (
            pairwise(groups.inside, names, level, "score") if several else []
        )
        if attribute not in crossed:
            warnings += odd_groups(attribute, names)
        warn_small(attribute, table.tally, groups.inside, settings, warnings)
    content.warnings = warnings
    return content


def known_rows(column: GroupColumn, table: Table) -> NDArray[np.intp] | None:
    """The rows that the attribute's table holds, or None for all."""
    if table.missing is None:
        return None
    return np.flatnonzero(~column.contains(MISSING))


def _missing_row(groups: GroupMeans) -> ScoreGroup:
    tally = groups.tally
    return ScoreGroup(
        n=int(tally.n[0]),
        **effective_key(tally, 0),
        small=bool(tally.effective[0] < groups.settings.min_group),
        missing=True,
        score=groups.number(0),
        score_difference=Number.undefined(NOT_COMPARED),
    )


def warn_small(
    attribute: str, tally: Tally, inside: Estimates, settings: Settings, warnings: list[str]
) -> None:
    """Say which groups are left out of gaps, and where there is nothing to compare.

    Parameters
    ----------
    attribute : its name.
    tally : of the attribute.
    inside : the groups' means.
    settings : of the audit.
    warnings : takes what is said.
    """
    if len(tally.names) == 1:
        warnings.append(f"{attribute} has one group alone: nothing to compare")
    small = [
        f"{name} ({n:{'.1f' if tally.weighed else '.0f'}})"
        for name, n, known in zip(tally.names, tally.effective, inside.known, strict=True)
        if not known
    ]
    if small:
        shown = ", ".join(small[:8]) + (" ..." if len(small) > 8 else "")
        least = max(1, settings.min_group)
        warnings.append(f"{attribute}: {few_words(least, tally)}, so left out of gaps: {shown}")
