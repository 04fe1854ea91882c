"""`fairlora.check`: decide a policy on predictions, from Python; files are decided here too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fairlora.errors import InputError
from fairlora.metrics.counting import Tables, tables_of
from fairlora.metrics.gate.absolute import gate_settings
from fairlora.metrics.gate.against import Compared, check_baseline
from fairlora.metrics.gate.content import GateContent
from fairlora.metrics.gate.judge import judge
from fairlora.metrics.gate.names import require
from fairlora.metrics.gate.page import gate_page, report_lines, to_junit
from fairlora.metrics.gate.policy import Policy
from fairlora.metrics.inputs import positive_name, prediction_tables
from fairlora.metrics.settings import Confidence, MissingGroup, Settings
from fairlora.metrics.stream import stream_tables
from fairlora.predictions import Predictions, read_table
from fairlora.predictions.binning import Ranges
from fairlora.predictions.classes import MissingLabel, class_rules
from fairlora.predictions.join import JoinOf, joins_of
from fairlora.predictions.opened import Opened
from fairlora.predictions.opened_any import open_any
from fairlora.predictions.pairing import paired_rows
from fairlora.predictions.splits import AUTO
from fairlora.predictions.table import METADATA_KEY
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class GateResult(Result[GateContent]):
    """What a gate decided (`to_dict`), and its views."""

    title: ClassVar[str] = "Gate"

    @property
    def passed(self) -> bool:
        """Whether nothing fails."""
        return self.content.passed

    @property
    def exit_code(self) -> int:
        """0 passed, 3 violated, 4 cannot be told or undefined where the policy lets that fail."""
        return self.content.exit_code

    @property
    def outcomes(self) -> list[str]:
        """Of each rule: met, violated, cannot be told or undefined."""
        return [rule.outcome for rule in self.content.rules]

    def page(self, title: str) -> Page:
        """Return the gate as a page."""
        return gate_page(self.content, title)

    def about(self) -> list[str]:
        """Return how many rules there are."""
        return [f"{len(self.content.rules)} rules"]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Raise `InputError`: a gate has no figure."""
        raise InputError("a gate has nothing to draw", expected="fairlora.audit(...).plot()")

    def lines(self) -> list[str]:
        """Return the verdict, and a line for each rule that is not met."""
        return report_lines(self.content)

    def to_junit(self) -> str:
        """Return the rules as test cases of JUnit XML."""
        return to_junit(self.content)


def check(
    labels: Any,
    predictions: Any = None,
    groups: Any = None,
    probs: Any = None,
    *,
    policy: Any,
    against: Any = None,
    against_probs: Any = None,
    label: str | None = None,
    pred: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    join: Mapping[Any, str] | None = None,
    loss: Any = None,
    classes: Any = None,
    missing_label: MissingLabel = "refuse",
    ignore_label: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    positive: Any = None,
    min_group: int = 10,
    bins: int = 15,
    confidence: Confidence = "top",
    bootstrap: int = 2000,
    seed: int = 0,
    clusters: Any = None,
    weight: Any = None,
    max_groups: int | None = None,
    missing_group: MissingGroup = "show",
) -> GateResult:
    """Decide the rules of a policy on predictions: met, violated, cannot be told or undefined.

    Parameters
    ----------
    labels, predictions, groups, probs, label, pred, split, join, loss, classes, missing_label,
        ignore_label, bin_groups, positive, min_group, bins, confidence, bootstrap, seed, clusters,
        weight, max_groups, missing_group : as of `fairlora.audit`; the level is the policy's. Of a
        table, groups are by default those that the policy names.
    policy : a path of YAML, a mapping, a list of rules, or a `Policy`: docs/gate.md.
    against : the baseline of rules with `not_worse_by`: (n,) predicted classes of the same rows;
        where `labels` is a table, another table, or the name of another column of it.
    against_probs : the baseline's probabilities, or the name of its column.
    id_column : of two tables, the column that pairs their rows.

    Raises
    ------
    InputError : as `fairlora.audit`, `fairlora.compare` and `Policy.read`; a policy that names a
        group or column that is not there; a baseline of other rows.

    >>> result = check([1, 0] * 50, [1, 0] * 50, {"sex": ["f", "f", "m", "m"] * 25}, positive=1,
    ...                policy=[{"metric": "accuracy", "of": "overall", "at_least": 0.9}])
    >>> result.outcomes, result.exit_code
    (['met'], 0)
    """
    rules = Policy.read(policy)
    settings = Settings(
        positive=None if positive is None else positive_name(positive),
        min_group=min_group,
        bins=bins,
        confidence=confidence,
        bootstrap=bootstrap,
        seed=seed,
        max_groups=max_groups,
        missing_group=missing_group,
    )
    if predictions is None:
        named = [groups] if isinstance(groups, str) else list(groups or ())
        columns: dict[str, Any] = {
            "label": label,
            "pred": pred,
            "probs": probs,
            "groups": tuple(named),
            "cluster": clusters,
            "positive": settings.positive,
            "rules": class_rules(classes, missing_label, ignore_label),
            "bins": bin_groups or {},
            "weight": weight,
        }
        joins = joins_of([Path(path) for path in join or ()], [*(join or {}).values()])
        column = isinstance(against, str) and not Path(against).exists()
        return check_table(
            labels,
            columns,
            rules,
            against=None if column else against,
            against_columns={"pred": against, "probs": against_probs} if column else
            {"probs": against_probs} if against_probs is not None else {},
            id_column=id_column,
            split=split,
            joins=joins,
            settings=settings,
        )  # fmt: skip
    if groups is None and rules.attributes:
        raise InputError("no groups", where="groups", expected="attribute -> group names")
    sides = {"predictions": predictions} | ({} if against is None else {"against": against})
    given = {} if probs is None else {"predictions": probs}
    if against_probs is not None:
        given["against"] = against_probs
    tables = prediction_tables(
        labels,
        sides,
        {} if groups is None else groups,
        given,
        loss=loss,
        rules=class_rules(classes, missing_label, ignore_label),
        clusters=clusters,
        positive=positive,
        bin_groups=bin_groups,
        weight=weight,
    )
    baseline = tables[1] if against is not None else None
    return check_predictions(tables[0], rules, settings, baseline=baseline)


def check_table(
    table: Any,
    columns: Mapping[str, Any],
    policy: Policy,
    *,
    against: Any = None,
    against_columns: Mapping[str, Any] | None = None,
    id_column: str | None = None,
    split: str | None = None,
    joins: Sequence[JoinOf] = (),
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> GateResult:
    """Decide a policy on a file or a table; what is too large streams by.

    Parameters
    ----------
    table, columns, split, joins, settings, progress : as of `audit_table`.
    policy : what is asked.
    against : the baseline's file or table.
    against_columns : those of the baseline that are not those of `columns`.
    id_column : that pairs the rows of both.

    Raises
    ------
    InputError : all that `read_table`, `paired_rows` and `check` refuse.
    """
    other = against_columns or {}
    paired = against is not None or bool(other)
    check_baseline(policy, paired)
    bins = {
        name: text if isinstance(text, Ranges) else Ranges(text, f"bin {name}")
        for name, text in columns["bins"].items()
    }
    columns = {**columns, "bins": bins}
    opened, columns["groups"] = _opened(table, columns, policy, id_column, joins)
    if paired and opened.is_folder:
        raise InputError(
            "a comparison needs the rows in memory",
            where=opened.path,
            found="a folder",
            expected="a file of predictions",
        )
    in_memory = paired or columns["cluster"] is not None
    if opened.streams and not in_memory:
        given = {name: value for name, value in columns.items() if name != "cluster"}
        settings = _crossing(policy, gate_settings(policy, settings), list(columns["groups"]))
        tables = stream_tables(opened, split=split, settings=settings, progress=progress, **given)
        return GateResult(judge(tables, policy, settings))
    first = read_table(opened, **columns, id_column=id_column, split=split or AUTO)
    if not paired:
        return check_predictions(first, policy, settings)
    columns |= other
    path, source = opened.path, table if against is None else against
    opened, columns["groups"] = _opened(source, columns, policy, id_column, joins)
    where = against if isinstance(against, str | Path) else "the baseline"
    second = read_table(opened, **columns, id_column=id_column, split=split or AUTO)
    named = str(where) if against is not None else str(other.get("pred") or other.get("probs"))
    return check_predictions(
        first,
        policy,
        settings,
        baseline=paired_rows(first, second, path, Path(named)),
        named=named,
    )


def check_predictions(
    predictions: Predictions,
    policy: Policy,
    settings: Settings,
    *,
    baseline: Predictions | tuple[Predictions, Predictions] | None = None,
    named: str = "the baseline",
) -> GateResult:
    """Decide a policy on a predictions table.

    Parameters
    ----------
    predictions : the table.
    policy : what is asked.
    settings : of the audit.
    baseline : the same rows as another model predicts them; or both, brought to common rows.
    named : what to call it.
    """
    if predictions.scores is not None:
        raise InputError("scores have no labels", expected="labels and predictions")
    settings = _crossing(policy, gate_settings(policy, settings), list(predictions.groups))
    compared = None
    if baseline is not None:
        one, two = baseline if isinstance(baseline, tuple) else (predictions, baseline)
        only = replace(one, groups=_asked(one, policy))
        compared = Compared(only, two, policy, settings, ("the predictions", named))
    asked = replace(predictions, groups=_asked(predictions, policy))
    tables: Tables = tables_of(asked, settings)
    return GateResult(judge(tables, policy, settings, compared, named if compared else None))


def _asked(table: Predictions, policy: Policy) -> dict[str, Any]:
    """The groups that rules name: the others need not be counted."""
    parts = {part for name in policy.attributes for part in (name, *name.split("&"))}
    return {name: column for name, column in table.groups.items() if name in parts}


def _crossing(policy: Policy, settings: Settings, groups: list[str]) -> Settings:
    """The settings with the attributes that a policy crosses (race&sex) as combinations."""
    crossed = []
    for k, rule in enumerate(policy.rules, 1):
        name = rule.attribute
        if name is None or name in groups:
            continue
        parts = tuple(name.split("&"))
        for part in parts:
            require(part, groups, "group column", f"rule {k}: attribute")
        if parts not in crossed:
            crossed.append(parts)
    return settings.model_copy(update={"intersect": tuple(crossed)})


def _opened(
    table: Any, columns: Mapping[str, Any], policy: Policy, id_column: str | None, joins: Any
) -> tuple[Opened, tuple[str, ...]]:
    """A table, and its columns of groups: those that the policy names where none are named."""
    asked = {**columns, "id": id_column}
    if columns["groups"]:
        return open_any(table, asked, joins), tuple(columns["groups"])
    # Whether "a&b" is a column or two, the columns say.
    parts = [part for name in policy.attributes for part in (name, *name.split("&"))]
    opened = open_any(table, {**asked, "groups": tuple(dict.fromkeys(parts))}, joins)
    names, wanted = opened.schema.names, []
    own = METADATA_KEY in (opened.schema.metadata or {})
    for k, rule in enumerate(policy.rules, 1):
        attribute = rule.attribute
        if attribute is not None:
            some = [attribute] if attribute in names else attribute.split("&")
            for part in some:
                require(part, names, "column", f"rule {k}: attribute")
            wanted += some
    return opened, () if own and not wanted else tuple(dict.fromkeys(wanted))
