"""From tables to the audit's content: the plain dict that every output is made of.

It sees no rows, so an audit in memory and one that streams end in the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.counts import calibration, macro
from fairlora.metrics.counts.auc import Auc, auc_number
from fairlora.metrics.counts.means import mean_of
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.findings import lowest_groups
from fairlora.metrics.groups.disparity import AGAINST_REST, disparities
from fairlora.metrics.groups.gaps import extreme, gap
from fairlora.metrics.groups.intersections import crossed_name
from fairlora.metrics.groups.missing import NOT_COMPARED, missing_warning
from fairlora.metrics.inference.clusters import Clustered
from fairlora.metrics.inference.design import Design, IndependentRows, Kind, seed_of
from fairlora.metrics.inference.intervals import Float, Number, proportion, undefined
from fairlora.metrics.inference.power import power_rows
from fairlora.metrics.settings import Settings
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.spellings import class_named, odd_groups, shown

OVERALL = "all"
# The bins of more groups than this are kept for the worst group alone.
_MOST_DIAGRAMS = 50


@dataclass
class Table:
    """One attribute's tables.

    Attributes
    ----------
    tally : counts, bins and powers.
    auc : of the groups, or None without probabilities, with the reason in `no_auc`.
    clustered : the design where rows come in clusters.
    noise : g -> draws of the bins' sums where rows come in clusters.
    missing : the rows without a group value, which are shown and not compared; see `apart`.
    """

    tally: Tally
    auc: Auc | None = None
    no_auc: str = calibration.NO_PROBS
    clustered: Clustered | None = None
    noise: Callable[[int], Float] | None = None
    bin_sizes: Callable[[int], Float] | None = None
    missing: Table | None = None

    def design(self, settings: Settings, attribute: str) -> Design:
        if self.clustered is not None:
            return self.clustered
        rng = seed_of(settings.seed, attribute, "bootstrap")
        return IndependentRows(self.tally, settings.bootstrap, rng)


def apart(table: Table, settings: Settings) -> Table:
    """The table of the rows that have a group value; those that have none are its `missing`."""
    if settings.missing_group == "keep" or MISSING not in table.tally.names:
        return table
    without = np.array([name == MISSING for name in table.tally.names])
    known, missing = (
        Table(
            tally,
            None if table.auc is None else table.auc.of(groups),
            table.no_auc,
        )
        for tally, groups in (
            (table.tally.without(MISSING), ~without),
            (table.tally.alone(MISSING), without),
        )
    )
    known.missing = missing
    return known


@dataclass
class Tables:
    """All that an audit needs of the rows."""

    n: int
    classes: tuple[str, ...]
    everyone: Table
    attributes: dict[str, Table]
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def assemble(tables: Tables, settings: Settings) -> dict[str, Any]:
    """The audit's content; see `fairlora.metrics.result.AuditResult`."""
    classes, warnings = tables.classes, list(tables.warnings)
    if tables.left_out:
        warnings.append(left_out_note(tables.left_out, tables.n))
    positive = positive_class(classes, settings.positive, warnings)
    _check_classes(tables, warnings)
    content: dict[str, Any] = {
        "n": tables.n,
        "left_out": tables.left_out,
        "classes": list(classes),
        "positive": None if positive is None else classes[positive],
        "settings": {
            **settings.shown(),
            **({"clusters": tables.everyone.clustered.count} if tables.everyone.clustered else {}),
        },
        "overall": _dicts(_overall(tables.everyone, classes, positive, settings)),
        "by_group": {},
        "disparities": {},
        "pairwise": {},
    }
    for attribute in settings.suggests:
        if attribute not in tables.attributes:
            raise InputError(
                "no such attribute",
                where="suggests",
                found=repr(attribute),
                expected="one of " + ", ".join(tables.attributes),
            )
    crossed = {crossed_name(one) for one in settings.intersect}
    diagrams: dict[str, Any] = {}
    if tables.everyone.tally.bins is not None:
        bins = calibration.reliability(
            tables.everyone.tally,
            0,
            settings.level,
            None if tables.everyone.bin_sizes is None else tables.everyone.bin_sizes(0),
        )
        diagrams = {"overall": bins, "by_group": {}}
    for attribute, table in tables.attributes.items():
        tally = table.tally
        design = table.design(settings, attribute)
        rates = GroupRates(tally, classes, positive, settings.min_group, design)
        found = disparities(
            rates,
            auc=table.auc,
            draws=settings.bootstrap,
            seed=settings.seed,
            level=settings.level,
            attribute=attribute,
        )
        suggests = {
            group: class_named(named, classes) or named
            for group, named in settings.suggests.get(attribute, {}).items()
        }
        agreement = _agreement(rates, suggests, settings.level, attribute)
        content["by_group"][attribute] = {
            group: {
                "n": int(tally.sizes[g]),
                "small": bool(tally.sizes[g] < settings.min_group),
                "missing": False,
                **_dicts(_group_numbers(table, rates, g, settings, attribute)),
                **_dicts(found.by_group[g]),
                **({"sensitive_agreement": agreement[g].to_dict()} if suggests else {}),
            }
            for g, group in enumerate(tally.names)
        }
        if table.missing is not None:
            content["by_group"][attribute][MISSING] = _not_compared(
                table.missing, AGAINST_REST, rates, settings, attribute
            )
        summary = found.summary
        if suggests:
            summary["sensitive_agreement"] = _agreement_of_all(
                table, suggests, classes, settings.level
            )
        content["disparities"][attribute] = _dicts(summary)
        content["pairwise"][attribute] = [
            {"metric": metric, "group": a, "other": b, **pair.to_dict()}
            for metric, pairs in found.pairwise.items()
            for a, b, pair in pairs
        ]
        if diagrams:
            worst = lowest_groups(summary["accuracy_worst"].detail)[:1]
            wanted = tally.names if len(tally.names) <= _MOST_DIAGRAMS else tuple(worst)
            diagrams["by_group"][attribute] = {
                group: calibration.reliability(
                    tally,
                    tally.names.index(group),
                    settings.level,
                    None if table.bin_sizes is None else table.bin_sizes(tally.names.index(group)),
                )
                for group in wanted
            }
        if table.missing is not None:
            rows = int(table.missing.tally.sizes.sum())
            warnings.append(missing_warning(attribute, rows, tables.n))
        if attribute not in crossed:
            warnings += odd_groups(attribute, tally.names)
        _warn(attribute, tally, settings.min_group, found.left_out, warnings)
    if diagrams:
        content["reliability"] = diagrams
    if settings.power is not None:
        content["power_difference"] = settings.power
        content["power"] = {
            attribute: power_rows(table.tally, settings.power, settings.level)
            for attribute, table in tables.attributes.items()
        }
    content["warnings"] = warnings
    return content


def positive_class(names: Sequence[str], positive: str | None, warnings: list[str]) -> int | None:
    """Index of the positive class of a binary label, or None; says what it assumed.

    Parameters
    ----------
    names : of the classes, in order.
    positive : the class as it was given; None takes the last of two.
    warnings : takes what was assumed, and that a class is not used where there are not two.

    Raises
    ------
    InputError : `positive` is none of the classes.
    """
    meant = None if positive is None else class_named(positive, names)
    if positive is not None and meant is None:
        raise InputError(
            "no such class",
            where="positive",
            found=repr(positive),
            expected="one of " + ", ".join(map(shown, names)),
        )
    if len(names) != 2:
        if positive is not None:
            warnings.append(
                f"a positive class needs two classes, and there are {len(names)}: {positive!r} is "
                "not used, each class is taken against the rest"
            )
        return None
    if meant is not None:
        return list(names).index(meant)
    warnings.append(
        f"no positive class was named: {names[1]!r} is taken, the last in order (--positive)"
    )
    return 1


def confidence_class(names: Sequence[str], index: int | None, settings: Settings) -> int | None:
    """The class whose probability is the confidence, or None for the predicted class's.

    Parameters
    ----------
    names : of the classes.
    index : of the positive class; None where there are not two.
    settings : of the audit, of which `confidence` counts.

    Raises
    ------
    InputError : the positive class's confidence is asked for, and there is no such class.
    """
    if settings.confidence == "top":
        return None
    if index is None:
        raise InputError(
            "confidence='positive' needs two classes", where="confidence", found=len(names)
        )
    return index


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
            f"{attribute}: fewer than {needed} rows, so left out of maxima and spreads{both}: "
            + shown
        )


def _tells_the_label(tally: Tally) -> bool:
    """Whether each group has rows of one class alone, and not all groups of the same class.

    Groups of one row (an id column by mistake) have one class each without telling anything.
    """
    present = tally.counts.sum(axis=2) > 0
    one_class = bool((present.sum(axis=1) == 1).all())
    return one_class and int(present.any(axis=0).sum()) > 1 and bool((tally.sizes > 1).any())


def _overall(
    table: Table, classes: tuple[str, ...], positive: int | None, settings: Settings
) -> dict[str, Number]:
    design = table.design(settings, OVERALL)
    rates = GroupRates(table.tally, classes, positive, 1, design)
    level = settings.level
    out = {"accuracy": number(rates.rate("accuracy", 0), 0, level, EMPTY["accuracy"])}
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
    out["f1_gap"] = gap([f1], classes, level, ends=False)
    if out["f1_gap"].value is None:
        out["f1_gap"] = undefined("one class alone")
    return {**out, **_scores(table, 0, settings)}


def _group_numbers(
    table: Table, rates: GroupRates, g: int, settings: Settings, attribute: str
) -> dict[str, Number]:
    level, positive = settings.level, rates.positive
    out = {"accuracy": number(rates.rate("accuracy", 0), g, level, EMPTY["accuracy"])}
    kinds: tuple[Kind, ...] = ("selection_rate", "tpr", "fpr", "precision")
    if positive is not None:
        out["f1"] = number(rates.f1(), g, level, EMPTY["f1"])
        for kind in kinds:
            out[kind] = number(rates.rate(kind, positive), g, level, EMPTY[kind])
        return {**out, **_scores(table, g, settings)}
    means = _macro(table, rates, g, settings, attribute)
    out["f1"] = means["f1"]
    for kind in kinds:
        each = {
            name: number(rates.rate(kind, c), g, level, EMPTY[kind]).to_dict()
            for c, name in enumerate(rates.classes)
        }
        # Selection rates of all classes sum to one: their mean says nothing.
        one = (
            undefined("more than two classes: see by_class")
            if kind == "selection_rate"
            else means[kind]
        )
        out[kind] = Number(one.value, one.low, one.high, one.reason, {"by_class": each})
    return {**out, **_scores(table, g, settings)}


def _not_compared(
    table: Table, names: Sequence[str], known: GroupRates, settings: Settings, attribute: str
) -> dict[str, Any]:
    """The row of those without a group value: what they are, and against nobody."""
    design = table.design(settings, attribute)
    rates = GroupRates(table.tally, known.classes, known.positive, settings.min_group, design)
    return {
        "n": int(table.tally.sizes[0]),
        "small": bool(table.tally.sizes[0] < settings.min_group),
        "missing": True,
        **_dicts(_group_numbers(table, rates, 0, settings, attribute)),
        **_dicts({name: undefined(NOT_COMPARED) for name in names}),
    }


def _macro(
    table: Table, rates: GroupRates, g: int, settings: Settings, attribute: str
) -> dict[str, Number]:
    clustered = None
    if table.clustered is not None:
        clustered = {
            name: float(table.clustered.influence(macro.influence(table.tally.counts, name))[g])
            for name in macro.NAMES
        }
    rng = seed_of(settings.seed, attribute, table.tally.names[g], "macro")
    budget = macro.BUDGET // len(table.tally.names)
    one = number(rates.rate("accuracy", 0), g, settings.level, EMPTY["accuracy"])
    return macro.macro_numbers(
        table.tally.counts[g],
        settings.bootstrap,
        rng,
        settings.level,
        clustered,
        budget,
        accuracy=None if one.low is None or one.high is None else (one.low, one.high),
        seen=macro.seen_of(table.tally.total),
    )


def _scores(table: Table, g: int, settings: Settings) -> dict[str, Number]:
    """What probabilities and losses give: calibration, AUC, mean loss."""
    tally, level = table.tally, settings.level
    noise = None if table.noise is None else table.noise(g)

    def mean(name: str, missing: str) -> Number:
        clusters = None if table.clustered is None else table.clustered.cluster_sums(name, g)
        return mean_of(tally, name, g, level, missing, clusters)

    no_probs = calibration.NO_PROBS
    auc = undefined(table.no_auc) if table.auc is None else auc_number(table.auc, g, level)
    gap = mean("confidence_gap", no_probs)
    return {
        "ece": calibration.not_below(calibration.ece(tally, g, level, settings.seed, noise), gap),
        "mce": calibration.mce(
            tally, g, level, None if table.bin_sizes is None else table.bin_sizes(g)
        ),
        "confidence_gap": gap,
        "brier": mean("brier", no_probs),
        "nll": mean("nll", no_probs),
        "auc": auc,
        "mean_loss": mean("loss", "no losses given"),
    }


def _agreement(
    rates: GroupRates, suggests: Mapping[str, str], level: float, attribute: str
) -> list[Number]:
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
            out.append(undefined("no class is suggested for this group"))
            continue
        # It is the group's selection rate of that class.
        rate = rates.rate("selection_rate", list(classes).index(suggests[group]))
        found = number(rate, g, level, EMPTY["selection_rate"])
        out.append(replace(found, detail={"suggests": suggests[group]}))
    return out


def _agreement_of_all(
    table: Table, suggests: Mapping[str, str], classes: Sequence[str], level: float
) -> Number:
    tally = table.tally
    named = {tally.names.index(g): list(classes).index(c) for g, c in suggests.items()}
    hits = sum(float(tally.counts[g][:, c].sum()) for g, c in named.items())
    n = float(sum(tally.sizes[g] for g in named))
    effective = None if table.clustered is None else table.clustered.agreement(named)
    return proportion(hits, n, "no rows", level=level, effective=effective)


def _dicts(numbers: Mapping[str, Number]) -> dict[str, Any]:
    return {name: one.to_dict() for name, one in numbers.items()}


def everyone(n: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Codes of the one group that holds all rows."""
    return np.zeros(n, dtype=np.int32)
