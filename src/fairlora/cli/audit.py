"""`fairlora audit`: audit a file of predictions. Needs no torch and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora.cli.columns import (
    AgainstOption,
    AgainstPredOption,
    AgainstProbsOption,
    BinOption,
    ClassesOption,
    ClusterOption,
    GroupOption,
    IdOption,
    IgnoreLabelOption,
    IntersectOption,
    JoinOption,
    LabelOption,
    MapOption,
    MissingLabelOption,
    OnOption,
    PredOption,
    ProbsOption,
    SplitOption,
    WeightOption,
)
from fairlora.cli.common import reading_bar
from fairlora.cli.options import options_of
from fairlora.cli.output import Answer, FullOption
from fairlora.cli.pairs import bins_of, parted, points, renamed, suggestions
from fairlora.cli.panels import HelpAll
from fairlora.metrics.settings import Settings

if TYPE_CHECKING:
    from fairlora.metrics import AuditResult
    from fairlora.predictions import Predictions
    from fairlora.report.result import Result

_FILE = (
    "Predictions: CSV, JSON, Parquet, Arrow, ORC, Excel, ARFF, Stata, SPSS, packed or not; a "
    "folder of files; an evaluation log; - for standard input."
)

# Any of these audits decisions without labels.
_OF_DECISIONS = ("count", "selected", "standard")


@options_of(Settings, leave=("intersect", "suggests", "at"))
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE)],
    label: LabelOption = None,
    pred: PredOption = None,
    probs: ProbsOption = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Column of a score (0/1 or any number), audited without a label; with --standard, "
            "selected are those above the median."
        ),
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", help="Of an evaluation log: the filter (HELM: perturbation)."),
    ] = None,
    numeric: Annotated[
        bool,
        typer.Option(
            "--numeric",
            help="Labels and predictions are numbers (a regression): bias, MAE, RMSE, rank "
            "correlation.",
        ),
    ] = False,
    quantile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL=COL",
            help="Column of a predicted quantile (0.1=low), for coverage and pinball loss; "
            "repeatable.",
        ),
    ] = None,
    group: GroupOption = None,
    intersect: IntersectOption = None,
    cluster: ClusterOption = None,
    weight: WeightOption = None,
    classes: ClassesOption = None,
    map_: MapOption = None,
    missing_label: MissingLabelOption = "refuse",
    ignore_label: IgnoreLabelOption = None,
    bin_: BinOption = None,
    join: JoinOption = None,
    on: OnOption = None,
    against: AgainstOption = None,
    against_pred: AgainstPredOption = None,
    against_probs: AgainstProbsOption = None,
    id_: IdOption = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Differences below this count as equivalent; of rates 0.02 unless said."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Sensitivity and specificity by group where threshold=0.5, specificity=0.9 or "
            "sensitivity=0.8; repeatable.",
        ),
    ] = None,
    suggests: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL:GROUP=CLASS",
            help="The class that a group would suggest, for sensitive agreement; repeatable.",
        ),
    ] = None,
    split: SplitOption = None,
    count: Annotated[
        str | None,
        typer.Option(metavar="COL", help="A table of counts: column of the people of each row."),
    ] = None,
    selected: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column of those of them who were selected."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=PROBS",
            help="Several targets in one audit: columns of labels (1, 0, -1, blank) and of "
            "probabilities; repeatable.",
        ),
    ] = None,
    uncertain: Annotated[
        str,
        typer.Option(
            metavar="refuse|drop|positive|negative",
            help="What a target's labels of -1 are taken as.",
        ),
    ] = "refuse",
    blank: Annotated[
        str,
        typer.Option(metavar="refuse|drop|negative", help="What its missing labels are taken as."),
    ] = "refuse",
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Predict the positive class from this probability on."),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="... from the threshold with this TPR, on these rows."),
    ] = None,
    specificity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="... from the threshold with this 1 - FPR."),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="... from a threshold a group: what fairlora thresholds wrote."
        ),
    ] = None,
    standard: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Tables that a law asks for: nyc-ll144 (the two --group and both crossed).",
        ),
    ] = None,
    unknown: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="A group's name that means not known; repeatable."),
    ] = None,
    show_examples: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Name N rows that each attribute's worst group is failed on, by id: this may give "
            "people away to whoever reads the page.",
        ),
    ] = 0,
    *,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the audit here too: .html, .md, .tex, .json, or a picture (.png, .svg, "
            ".pdf: one file a figure); repeatable."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the audit as JSON on standard output.")
    ] = False,
    full: FullOption = False,
    help_all: HelpAll = False,
    **settings: Any,
) -> None:
    """Audit predictions across subgroups.

    \b
    fairlora audit predictions.csv --label y --pred y_hat --group race --group sex
    fairlora audit p.csv --label y --pred h --probs p_ --group race --out audit.html
    fairlora audit p.json --label y --pred h --group doc.race --subgroups 2
    fairlora audit p.csv --join people.csv --on id --label y --pred h --group race
    fairlora audit p.csv --label y --pred h --group age --bin age=18,30,45,60
    fairlora audit survey.csv --label y --pred h --group sex --weight w
    fairlora audit two.csv --label y --pred lora --against-pred full --group race
    fairlora audit lora.parquet --against full.parquet
    fairlora audit hired.csv --pred hired --positive yes --group sex
    fairlora audit ages.csv --numeric --label age --pred guess --group sex
    fairlora audit log.eval --score match --group metadata.race --against other.eval
    fairlora audit runs/demo/CELL/predictions.parquet --json
    """
    from fairlora.cli.output import check_endings
    from fairlora.metrics import Settings
    from fairlora.predictions.classes import class_rules
    from fairlora.predictions.join import joins_of

    # Before the work, not after it.
    check_endings(out or [])
    chosen = Settings(
        **settings,
        intersect=tuple(parted(names) for names in intersect or ()),
        suggests=suggestions(suggests or []),
        at=points(at or []),
    )
    columns: dict[str, Any] = {
        "label": label,
        "pred": pred,
        "probs": probs,
        "groups": tuple(group or ()),
        "positive": chosen.positive,
        "cluster": cluster,
        "weight": weight,
        "rules": class_rules(
            None if classes is None else parted(classes),
            missing_label,
            ignore_label,
            renamed(map_),
        ),
        "bins": bins_of(bin_ or []),
        "joins": joins_of(join or [], on or []),
    }
    decide: dict[str, Any] = {
        "--threshold": threshold,
        "--sensitivity": sensitivity,
        "--specificity": specificity,
        "--thresholds": thresholds,
    }
    decisions: dict[str, Any] = {
        "count": count,
        "selected": selected,
        "score": score,
        "standard": standard,
        "unknown": unknown or [],
    }
    curved: dict[str, Any] = {"--curves": chosen.curves, "--at": at}
    of_decisions = any(decisions[name] for name in _OF_DECISIONS)
    if show_examples and (
        numeric or quantile or of_decisions or target or against or against_pred or against_probs
    ):
        _refuse("this audit", {"--show-examples": show_examples})
    if numeric or quantile:
        from fairlora.cli.audit_numeric import audit_numeric

        _refuse(
            "an audit of measurements",
            {
                **decide,
                **{f"--{name}": value for name, value in decisions.items()},
                "--probs": probs,
                "--against-probs": against_probs,
                "--target": target,
                "--four-fifths": chosen.four_fifths,
                "--against with --weight": weight if against or against_pred else None,
            },
        )
        audit_numeric(
            file, quantile or [], filter_, columns, (against, against_pred), id_, split, margin,
            chosen, title, out or [], json_,
        )  # fmt: skip
        return
    from fairlora.cli.audit_scores import audit_scores, takes_scores

    if not of_decisions and not target and takes_scores(file, label, score, filter_):
        _refuse(
            "an audit of scores",
            {
                **decide,
                "--four-fifths": chosen.four_fifths,
                "--unknown": unknown,
                **curved,
            },
        )
        others = {"label": label, "pred": pred, "probs": probs, "split": split}
        audit_scores(
            file, score, filter_, columns, others, chosen, against, id_, margin, title, out or [],
            json_,
        )  # fmt: skip
        return
    if against is not None or against_pred is not None or against_probs is not None:
        from fairlora.cli.paired import paired
        from fairlora.metrics.comparison.verdicts import MARGIN

        chosen.check_comparison()
        _refuse(
            "a comparison",
            {
                **{f"--against with {option}": value for option, value in decide.items()},
                "--against with --target": target,
                "--against with --weight": weight,
                "--against with --unknown": unknown,
                **{f"--against with --{name}": decisions[name] for name in _OF_DECISIONS},
            },
        )
        second = {"pred": against_pred or pred, "probs": against_probs}
        if against_probs is None and (against_pred is None or against is not None):
            second["probs"] = probs
        if margin is None:
            margin = MARGIN
        paired(file, against, columns, second, id_, split, chosen, margin, title, out or [], json_)
        return
    from fairlora.cli.selection import audit_without_labels, without_labels

    of_labels = {
        "--classes": classes,
        "--map": map_,
        "--ignore-label": ignore_label,
        "--missing-label": None if missing_label == "refuse" else missing_label,
    }
    result: Result[Any]
    if target:
        from fairlora.cli.targets import audit_file_targets

        alone = {option: value for option, value in decide.items() if option != "--threshold"}
        others = {f"--{name}": decisions[name] for name in ("score", *_OF_DECISIONS)}
        rest: dict[str, Any] = {
            "--unknown": unknown,
            "--four-fifths": chosen.four_fifths,
            "--subgroups": chosen.subgroups or None,
        }
        rest |= {"--power": chosen.power, **of_labels}
        _refuse("an audit of several targets", alone | others | rest)
        result = audit_file_targets(
            file,
            target,
            columns,
            chosen,
            split,
            threshold=threshold,
            uncertain=uncertain,
            blank=blank,
        )
    elif of_decisions or without_labels(file, columns):
        if count or selected:
            _refuse("a table of counts", {**of_labels, "--split": split})
        _refuse("an audit of decisions without labels", decide | curved)
        result = audit_without_labels(file, columns, decisions, split, chosen)
    else:
        _refuse("an audit with labels", {"--unknown": unknown})
        result = _audit(file, columns, split, chosen, filter_, decide)
        if show_examples:
            if result.rows is None:
                _refuse("an audit of rows that stream", {"--show-examples": show_examples})
            else:
                result = replace(result, rows=replace(result.rows, examples=show_examples))
    page = result.page(title or f"Audit of {'standard input' if str(file) == '-' else file.name}")
    Answer(page, result.to_json).give(out or [], json_)


def _refuse(what: str, options: Mapping[str, Any]) -> None:
    """Raise `InputError` for an option that is given and has no part in what is done."""
    from fairlora.errors import InputError

    for option, value in options.items():
        if value is not None and value is not False and value != []:
            raise InputError(f"not part of {what}", where=option)


def _audit(
    file: Path,
    columns: dict[str, Any],
    split: str | None,
    settings: Settings,
    filter_: str | None,
    decide: dict[str, Any],
) -> AuditResult:
    from fairlora.cli.audit_scores import opened_log
    from fairlora.errors import InputError
    from fairlora.metrics import audit_table

    ways = [option for option, value in decide.items() if value is not None]
    if len(ways) > 1:
        raise InputError("one threshold", where=" and ".join(ways), expected="one of them")

    def decided(predictions: Predictions) -> Predictions:
        return _decided(predictions, ways[0], decide[ways[0]], settings.positive)

    log = opened_log(file, filter_, columns)
    given = {name: value for name, value in columns.items() if name != "joins"}
    with reading_bar(f"Reading {file.name}") as bar:
        return audit_table(
            file if log is None else log,
            given,
            split=split,
            joins=columns["joins"],
            settings=settings,
            progress=bar,
            decided=decided if ways else None,
        )


def _decided(
    predictions: Predictions, option: str, value: Any, positive: str | None
) -> Predictions:
    """The predictions that a threshold gives: its number, the rate it reaches, or a file."""
    from fairlora.metrics.thresholds import threshold_at
    from fairlora.predictions.thresholds import Thresholds, apply_thresholds, positive_scores

    if option == "--thresholds":
        return apply_thresholds(predictions, Thresholds.read(value))
    if option == "--threshold":
        index = positive_scores(predictions, positive)[1]
        chosen = Thresholds(positive=predictions.classes[index], default=value)
        return apply_thresholds(predictions, chosen)
    rate = option.removeprefix("--")
    chosen = threshold_at(predictions, positive=positive, **{rate: value})
    note = (
        f"the threshold was chosen on these rows, for a {rate} of {100 * value:g} %: the intervals "
        "take it as given"
    )
    return apply_thresholds(replace(predictions, notes=(*predictions.notes, note)), chosen)
