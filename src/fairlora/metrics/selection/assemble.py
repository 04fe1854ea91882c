"""Selection rates, gaps and impact ratios of an audit without labels, from counts by group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.assemble import few_words
from fairlora.metrics.content import AgainstRest, Disparity, ScoreSettings
from fairlora.metrics.counting import OVERALL, Table, Tables, effective_key
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.groups.chance import expected_by_chance
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import differences_to_rest, gap, pairwise, ratio
from fairlora.metrics.groups.impact import impact_ratios
from fairlora.metrics.groups.missing import NOT_COMPARED, missing_warning
from fairlora.metrics.inference.design import seed_of
from fairlora.metrics.selection.bounds import ratio_bounds
from fairlora.metrics.selection.content import (
    BoundedRatio,
    DecidedGroup,
    OverallSelection,
    SelectionContent,
    SelectionDisparities,
)
from fairlora.metrics.selection.standards import Standard
from fairlora.metrics.settings import Settings
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.missing_labels import left_out_note

# Pairs of more groups than this are left to whoever needs them, as in an audit with labels.
_MOST_PAIRED = 30


def assemble_selection(
    tables: Tables,
    settings: Settings,
    selected: str,
    standard: Standard | None = None,
) -> SelectionContent:
    """The content of an audit without labels.

    Parameters
    ----------
    tables : rows of two classes, (not selected, selected), with labels equal to predictions.
    settings : of the audit.
    selected : what the selected are called.
    standard : a law's rules of who is compared; None compares groups of `min_group` rows or more.

    Raises
    ------
    InputError : there is no row.
    """
    if tables.n == 0:
        raise InputError("no rows", where="counts", expected="at least one")
    warnings = list(tables.warnings)
    if tables.left_out:
        warnings.append(left_out_note(tables.left_out, tables.n))
    whole = tables.everyone
    everyone = GroupRates(whole.tally, tables.classes, 1, 1, whole.design(settings, OVERALL))
    shown = {k: v for k, v in settings.shown().items() if k in ScoreSettings.model_fields}
    if whole.clustered:
        shown["clusters"] = whole.clustered.count
    if tables.weighted_by is not None:
        shown["weight"] = tables.weighted_by
    rate = number(everyone.rate("selection_rate", 1), 0, settings.level, EMPTY["selection_rate"])
    content = SelectionContent(
        n=tables.n,
        **effective_key(whole.tally, 0),
        selected=int(whole.tally.rows[:, 1, 1].sum()),
        left_out=tables.left_out,
        positive=selected,
        standard=None if standard is None else standard.name,
        settings=ScoreSettings(**shown),
        overall=OverallSelection(selection_rate=rate),
        by_group={},
        disparities={},
        pairwise={},
        warnings=[],
    )
    for attribute, table in tables.attributes.items():
        rates = GroupRates(
            table.tally,
            tables.classes,
            1,
            settings.min_group,
            table.design(settings, attribute),
        )
        family = rates.rate("selection_rate", 1)
        if standard is not None:
            family = replace(family, known=standard.compared(table.tally.n))
        names = table.tally.names
        everybody = float(whole.tally.sizes[0])
        content.by_group[attribute] = _groups(table, rates, family, settings, attribute, everybody)
        content.disparities[attribute] = _disparities(table, family, settings, attribute)
        few = len(names) <= _MOST_PAIRED
        pairs = pairwise(family, names, settings.level, "selection_rate") if few else []
        content.pairwise[attribute] = pairs
        if table.missing is not None:
            rows = int(table.missing.tally.n.sum())
            warnings.append(missing_warning(attribute, rows, tables.n))
        small = [name for name, known in zip(names, family.known, strict=True) if not known]
        if small:
            why = (
                few_words(max(1, settings.min_group), table.tally)
                if standard is None
                else standard.why_left_out
            )
            named = ", ".join(small[:8]) + (f" and {len(small) - 8} more" if small[8:] else "")
            warnings.append(f"{attribute}: {why}, so shown and not compared: {named}")
        if len(names) == 1:
            warnings.append(f"{attribute} has one group alone: nothing to compare")
    content.warnings = warnings
    return content


def _groups(
    table: Table,
    rates: GroupRates,
    family: Estimates,
    settings: Settings,
    attribute: str,
    n: float,
) -> dict[str, DecidedGroup]:
    tally, level = table.tally, settings.level
    against_rest = differences_to_rest(rates.against("selection_rate"), tally.names, level)
    ratios = impact_ratios(family, tally.names, level)
    chosen, sizes = rates.counts("selection_rate", 1)
    bounds: list[tuple[float, float] | None] = [None] * len(sizes)
    if table.missing is not None and table.missing.tally.n.sum():
        unknown = table.missing.tally.counts[0].astype(np.float64)
        bounds = ratio_bounds(chosen, sizes, family.known, unknown[1, 1], unknown[0, 0])
    out = {}
    for g, group in enumerate(tally.names):
        limits = bounds[g]
        bounded: dict[str, Any] = {} if limits is None else {"if_unknown_were_known": list(limits)}
        out[group] = DecidedGroup(
            n=int(tally.n[g]),
            **effective_key(tally, g),
            selected=int(tally.row_counts[g, 1, 1]),
            share=float(sizes[g] / n),
            small=not bool(family.known[g]),
            missing=False,
            selection_rate=number(family, g, level, EMPTY["selection_rate"]),
            dpd=against_rest[g],
            impact_ratio=BoundedRatio(**ratios[g].to_dict(), **bounded),
        )
    if table.missing is not None:
        missing = table.missing.tally
        design = table.missing.design(settings, attribute)
        alone = GroupRates(missing, rates.classes, 1, settings.min_group, design)
        rate = number(alone.rate("selection_rate", 1), 0, level, EMPTY["selection_rate"])
        out[MISSING] = DecidedGroup(
            n=int(missing.n[0]),
            **effective_key(missing, 0),
            selected=int(missing.row_counts[0, 1, 1]),
            share=float(missing.sizes[0] / n),
            small=bool(missing.effective[0] < settings.min_group),
            missing=True,
            selection_rate=rate,
            dpd=AgainstRest.undefined(NOT_COMPARED),
            impact_ratio=BoundedRatio(
                value=None,
                low=None,
                high=None,
                reason=NOT_COMPARED,
                four_fifths="undefined",
                equal="undefined",
            ),
        )
    return out


def _disparities(
    table: Table, family: Estimates, settings: Settings, attribute: str
) -> SelectionDisparities:
    names, level = table.tally.names, settings.level
    found = SelectionDisparities(
        dpd=gap([family], names, level, ends=True), dp_ratio=ratio([family], names, level)
    )
    design = table.design(settings, attribute)

    def known(kind: str, c: int) -> Any:
        return family.known

    expected = design.chance([1], known)
    if expected is None:
        rng = seed_of(settings.seed, attribute, "chance")
        expected = expected_by_chance(table.tally, [1], known, settings.bootstrap, rng).expected
    for name in ("dpd", "dp_ratio"):
        disparity: Disparity = getattr(found, name)
        if disparity.value is not None and name in expected:
            disparity.expected_by_chance = expected[name]
    return found
