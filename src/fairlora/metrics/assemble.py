"""From tables to the audit's content, which every output is made of.

It sees no rows, so an audit in memory and one that streams end in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlora.errors import InputError
from fairlora.metrics.content import (
    Agreement,
    AuditContent,
    Bin,
    GroupNumbers,
    Number,
    OverallNumbers,
    Rate,
    Reliability,
    SelectedGroup,
    ShownSettings,
)
from fairlora.metrics.counting import (
    OVERALL,
    Table,
    Tables,
    effective_key,
    effective_of,
    positive_class,
)
from fairlora.metrics.counts import calibration, macro
from fairlora.metrics.counts.auc import auc_number
from fairlora.metrics.counts.means import mean_of
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.findings import lowest_groups
from fairlora.metrics.groups.disparity import AGAINST_REST, disparities
from fairlora.metrics.groups.gaps import extreme, gap
from fairlora.metrics.groups.impact import impact_ratios
from fairlora.metrics.groups.intersections import crossed_name
from fairlora.metrics.groups.missing import NOT_COMPARED, missing_warning
from fairlora.metrics.inference.design import Design, Kind, seed_of
from fairlora.metrics.inference.intervals import proportion
from fairlora.metrics.inference.power import power_rows
from fairlora.metrics.settings import Settings
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.spellings import class_named, odd_groups

# The bins of more groups than this are kept for the worst group alone.
_MOST_DIAGRAMS = 50
# What probabilities and losses give.
SCORES = ("ece", "mce", "confidence_gap", "brier", "nll", "auc", "mean_loss")


def assemble(tables: Tables, settings: Settings, *, chance: bool = True) -> AuditContent:
    """The audit's content; see `fairlora.metrics.result.AuditResult`.

    Parameters
    ----------
    tables : of the rows.
    settings : of the audit.
    chance : whether to work out what gaps would be by chance.
    """
    classes, warnings = tables.classes, list(tables.warnings)
    if tables.left_out:
        warnings.append(left_out_note(tables.left_out, tables.n))
    positive = positive_class(classes, settings.positive, warnings)
    _check_classes(tables, warnings)
    content = AuditContent(
        n=tables.n,
        **effective_key(tables.everyone.tally, 0),
        left_out=tables.left_out,
        classes=list(classes),
        positive=None if positive is None else classes[positive],
        settings=ShownSettings(**settings.shown()),
        overall=_overall(tables.everyone, classes, positive, settings),
        by_group={},
        disparities={},
        pairwise={},
        warnings=[],
    )
    if tables.everyone.clustered:
        content.settings.clusters = tables.everyone.clustered.count
    if tables.weighted_by is not None:
        content.settings.weight = tables.weighted_by
    for attribute in settings.suggests:
        if attribute not in tables.attributes:
            raise InputError(
                "no such attribute",
                where="suggests",
                found=repr(attribute),
                expected="one of " + ", ".join(tables.attributes),
            )
    crossed = {crossed_name(one) for one in settings.intersect}
    if tables.everyone.tally.bins is not None:
        bins = _bins(tables.everyone, 0, settings)
        content.reliability = Reliability(overall=bins, by_group={})
    for attribute, table in tables.attributes.items():
        tally = table.tally
        design = table.design(settings, attribute)
        rates = GroupRates(tally, classes, positive, settings.min_group, design)
        found = disparities(
            rates,
            auc=table.auc,
            draws=settings.bootstrap if chance else 0,
            seed=settings.seed,
            level=settings.level,
            attribute=attribute,
        )
        suggests = {
            group: class_named(named, classes) or named
            for group, named in settings.suggests.get(attribute, {}).items()
        }
        agreement = _agreement(rates, suggests, settings.level, attribute)
        groups = {
            group: _group_numbers(table, rates, g, settings, attribute, found.by_group[g])
            for g, group in enumerate(tally.names)
        }
        if table.missing is not None:
            groups[MISSING] = _not_compared(table.missing, rates, settings, attribute)
        content.by_group[attribute] = groups
        summary = content.disparities[attribute] = found.summary
        if suggests:
            for g, group in enumerate(tally.names):
                groups[group].sensitive_agreement = agreement[g]
            summary.sensitive_agreement = _agreement_of_all(
                tally, design, suggests, classes, settings.level
            )
        if settings.four_fifths:
            content.impact_ratios = content.impact_ratios or {}
            content.impact_ratios[attribute] = _impact(rates, settings.level)
        content.pairwise[attribute] = found.pairwise
        if content.reliability is not None:
            worst = lowest_groups(summary.accuracy_worst)[:1]
            wanted = tally.names if len(tally.names) <= _MOST_DIAGRAMS else tuple(worst)
            content.reliability.by_group[attribute] = {
                group: _bins(table, tally.names.index(group), settings) for group in wanted
            }
        if table.missing is not None:
            rows = int(table.missing.tally.n.sum())
            warnings.append(missing_warning(attribute, rows, tables.n))
        if attribute not in crossed:
            warnings += odd_groups(attribute, tally.names)
        _warn(attribute, tally, settings.min_group, found.left_out, warnings)
    if settings.power is not None:
        content.power_difference = settings.power
        content.power = {
            attribute: power_rows(table.tally, settings.power, settings.level)
            for attribute, table in tables.attributes.items()
        }
    content.warnings = warnings
    return content


def _bins(table: Table, g: int, settings: Settings) -> list[Bin]:
    sizes = None if table.bin_sizes is None else table.bin_sizes(g)
    return calibration.reliability(table.tally, g, settings.level, sizes)


def _impact(rates: GroupRates, level: float) -> dict[str, SelectedGroup]:
    """Each group's selection rate over the highest, as an audit of decisions has it."""
    if rates.positive is None:
        raise InputError(
            "impact ratios need two classes",
            where="four_fifths",
            found=f"{len(rates.classes)} classes",
            expected="a class that selects and one that does not",
        )
    family, names = rates.rate("selection_rate", rates.positive), rates.tally.names
    return {
        group: SelectedGroup(
            n=int(rates.tally.n[g]),
            **effective_key(rates.tally, g),
            selected=int(rates.tally.row_counts[g, :, rates.positive].sum()),
            small=not bool(family.known[g]),
            missing=False,
            selection_rate=number(family, g, level, EMPTY["selection_rate"]),
            impact_ratio=found,
        )
        for g, (group, found) in enumerate(
            zip(names, impact_ratios(family, names, level), strict=True)
        )
    }


def _check_classes(tables: Tables, warnings: list[str]) -> None:
    total = tables.everyone.tally.total
    never = [
        name
        for c, name in enumerate(tables.classes)
        if total[c].sum() == 0 and total[:, c].sum() > 0
    ]
    if never:
        named = ", ".join(repr(name) for name in never[:5]) + (" ..." if len(never) > 5 else "")
        warnings.append(
            f"predicted and never a true label: {named} (are labels and predictions spelled alike?)"
        )


def _warn(
    attribute: str,
    tally: Tally,
    min_group: int,
    left_out: Mapping[str, Sequence[str]],
    warnings: list[str],
) -> None:
    if _tells_the_label(tally):
        warnings.append(
            f"{attribute} tells the label: every group has rows of one class alone, so its "
            "disparities are differences between classes"
        )
    if len(tally.names) == 1:
        warnings.append(f"{attribute} has one group alone: nothing to compare")
    if left_out:
        parts = [f"{group}: {'; '.join(what)}" for group, what in left_out.items()]
        shown = " | ".join(parts[:8]) + (f" | and {len(parts) - 8} more" if len(parts) > 8 else "")
        needed = max(1, min_group)
        both = " (equalized odds needs both TPR and FPR)" if "PR of" in shown else ""
        warnings.append(
            f"{attribute}: {few_words(needed, tally)}, so left out of maxima and spreads{both}: "
            + shown
        )


def few_words(least: int, tally: Tally) -> str:
    """What a group that is left out has too little of."""
    if tally.weighed is not None:
        return f"an effective size below {least}"
    return f"fewer than {least} rows"


def _tells_the_label(tally: Tally) -> bool:
    """Whether each group has rows of one class alone, and not all groups of the same class.

    Groups of one row (an id column by mistake) have one class each without telling anything.
    """
    present = tally.counts.sum(axis=2) > 0
    one_class = bool((present.sum(axis=1) == 1).all())
    return one_class and int(present.any(axis=0).sum()) > 1 and bool((tally.n > 1).any())


def _overall(
    table: Table, classes: tuple[str, ...], positive: int | None, settings: Settings
) -> OverallNumbers:
    design = table.design(settings, OVERALL)
    rates = GroupRates(table.tally, classes, positive, 1, design)
    level = settings.level
    out: dict[str, Number] = {
        "accuracy": number(rates.rate("accuracy", 0), 0, level, EMPTY["accuracy"])
    }
    if positive is not None:
        out["f1"] = number(rates.f1(), 0, level, EMPTY["f1"])
        for name, kind in (("recall", "tpr"), ("fpr", "fpr"), ("precision", "precision")):
            rate: Kind = kind  # type: ignore[assignment]
            out[name] = number(rates.rate(rate, positive), 0, level, EMPTY[rate])
        selection = rates.rate("selection_rate", positive)
        out["selection_rate"] = number(selection, 0, level, EMPTY["selection_rate"])
    else:
        means = _macro(table, rates, 0, settings, OVERALL)
        out |= {"f1": means["f1"], "recall": means["tpr"], "precision": means["precision"]}
    every = GroupRates(table.tally, classes, None, 1, design)
    f1 = every.f1_by_class(0)
    recall = every.by_class("tpr", 0)
    out["f1_min"] = extreme([f1], classes, level, key="class")
    out["recall_min"] = extreme([recall], classes, level, key="class")
    out["f1_gap"] = gap([f1], classes, level, ends=False, too_few="one class alone")
    return OverallNumbers.model_validate({**out, **_scores(table, 0, settings)})


def _group_numbers(
    table: Table,
    rates: GroupRates,
    g: int,
    settings: Settings,
    attribute: str,
    against: Mapping[str, Number],
    missing: bool = False,
) -> GroupNumbers:
    level, positive, tally = settings.level, rates.positive, table.tally
    out: dict[str, Number] = {
        "accuracy": number(rates.rate("accuracy", 0), g, level, EMPTY["accuracy"])
    }
    kinds: tuple[Kind, ...] = ("selection_rate", "tpr", "fpr", "precision")
    if positive is not None:
        out["f1"] = number(rates.f1(), g, level, EMPTY["f1"])
        for kind in kinds:
            out[kind] = number(rates.rate(kind, positive), g, level, EMPTY[kind])
    else:
        means = _macro(table, rates, g, settings, attribute)
        # Selection rates of all classes sum to one: their mean says nothing.
        means["selection_rate"] = Number.undefined("more than two classes: see by_class")
        out["f1"] = means["f1"]
        for kind in kinds:
            each: dict[str, Number] = {
                name: number(rate, g, level, EMPTY[kind])
                for name, rate in zip(rates.classes, rates.of(kind), strict=True)
            }
            out[kind] = Rate(**means[kind].to_dict(), by_class=each)
    head = {
        "n": int(tally.n[g]),
        **effective_key(tally, g),
        "small": bool(tally.effective[g] < settings.min_group),
        "missing": missing,
    }
    return GroupNumbers.model_validate({**head, **out, **_scores(table, g, settings), **against})


def _not_compared(
    table: Table, known: GroupRates, settings: Settings, attribute: str
) -> GroupNumbers:
    """The row of those without a group value: what they are, and against nobody."""
    design = table.design(settings, attribute)
    rates = GroupRates(table.tally, known.classes, known.positive, settings.min_group, design)
    against = {name: kind.undefined(NOT_COMPARED) for name, kind in AGAINST_REST.items()}
    return _group_numbers(table, rates, 0, settings, attribute, against, missing=True)


def _macro(
    table: Table, rates: GroupRates, g: int, settings: Settings, attribute: str
) -> dict[str, Number]:
    variances = {name: rates.macro_variance(name) for name in macro.NAMES}
    clustered = {name: float(each[g]) for name, each in variances.items() if each is not None}
    rng = seed_of(settings.seed, attribute, table.tally.names[g], "macro")
    budget = macro.BUDGET // len(table.tally.names)
    one = number(rates.rate("accuracy", 0), g, settings.level, EMPTY["accuracy"])
    return macro.macro_numbers(
        table.tally.counts[g],
        settings.bootstrap,
        rng,
        settings.level,
        clustered or None,
        budget,
        accuracy=None if one.low is None or one.high is None else (one.low, one.high),
        seen=macro.seen_of(table.tally.total),
        size=effective_of(table.tally, g),
    )


def _scores(table: Table, g: int, settings: Settings) -> dict[str, Number]:
    """What probabilities and losses give: calibration, AUC, mean loss."""
    return {name: score_number(name, table, g, settings) for name in SCORES}


def score_number(name: str, table: Table, g: int, settings: Settings) -> Number:
    """One of `SCORES` of a group, with its interval.

    Parameters
    ----------
    name : of the number.
    table : of the attribute.
    g : number of the group.
    settings : of the audit: level and seed.
    """
    tally, level, no_probs = table.tally, settings.level, calibration.NO_PROBS

    def mean(name: str, missing: str) -> Number:
        clusters = None if table.clustered is None else table.clustered.cluster_sums(name, g)
        return mean_of(tally, name, g, level, missing, clusters)

    if name == "ece":
        noise = None if table.noise is None else table.noise(g)
        error = calibration.ece(tally, g, level, settings.seed, noise)
        return calibration.not_below(error, mean("confidence_gap", no_probs))
    if name == "mce":
        sizes = None if table.bin_sizes is None else table.bin_sizes(g)
        return calibration.mce(tally, g, level, sizes)
    if name == "auc":
        if table.auc is None:
            return Number.undefined(table.no_auc)
        return auc_number(table.auc, g, level)
    return mean("loss", "no losses given") if name == "mean_loss" else mean(name, no_probs)


def _agreement(
    rates: GroupRates, suggests: Mapping[str, str], level: float, attribute: str
) -> list[Agreement]:
    """Per group, how often the prediction is the class that the group would suggest."""
    names, classes = rates.tally.names, rates.classes
    for group, named in suggests.items():
        if group not in names or named not in classes:
            raise InputError(
                "no such group" if group not in names else "no such class",
                where=f"suggests[{attribute!r}]",
                found=repr(group if group not in names else named),
                expected="one of "
                + ", ".join((names if group not in names else tuple(classes))[:12]),
            )
    out = []
    for g, group in enumerate(names):
        if group not in suggests:
            out.append(Agreement.undefined("no class is suggested for this group"))
            continue
        # It is the group's selection rate of that class.
        rate = rates.rate("selection_rate", list(classes).index(suggests[group]))
        found = number(rate, g, level, EMPTY["selection_rate"])
        out.append(Agreement(**found.to_dict(), suggests=suggests[group]))
    return out


def _agreement_of_all(
    tally: Tally,
    design: Design,
    suggests: Mapping[str, str],
    classes: Sequence[str],
    level: float,
) -> Number:
    named = {tally.names.index(g): list(classes).index(c) for g, c in suggests.items()}
    hits = sum(float(tally.counts[g][:, c].sum()) for g, c in named.items())
    n = float(sum(tally.counts[g].sum(axis=0).sum() for g in named))
    return proportion(hits, n, "no rows", level=level, effective=design.agreement(named))
