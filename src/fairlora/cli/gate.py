"""`fairlora gate`: a yes or no on predictions, by a policy. Needs no torch and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlora.cli.columns import (
    AgainstOption,
    AgainstPredOption,
    AgainstProbsOption,
    BinOption,
    ClassesOption,
    ClusterOption,
    IdOption,
    IgnoreLabelOption,
    JoinOption,
    LabelOption,
    MapOption,
    MissingLabelOption,
    OnOption,
    PredOption,
    ProbsOption,
    SplitOption,
)
from fairlora.cli.common import output_file, reading_bar, say
from fairlora.cli.options import options_of
from fairlora.cli.output import Answer, JsonOption
from fairlora.cli.pairs import bins_of, parted, renamed
from fairlora.metrics.settings import Settings


@options_of(
    Settings,
    leave=(
        *("intersect", "suggests", "at", "level", "power", "curves", "four_fifths"),
        *("subgroups", "subgroup_size", "subgroup_metric"),
    ),
)
def gate(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Predictions, as of audit: a table of any format."),
    ],
    policy: Annotated[
        Path, typer.Option(metavar="POLICY.yaml", help="The rules: see docs/gate.md.")
    ],
    against: AgainstOption = None,
    against_pred: AgainstPredOption = None,
    against_probs: AgainstProbsOption = None,
    label: LabelOption = None,
    pred: PredOption = None,
    probs: ProbsOption = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Column of groups; default: those that the policy names. Repeatable."),
    ] = None,
    id_: IdOption = None,
    split: SplitOption = None,
    cluster: ClusterOption = None,
    weight: Annotated[
        str | None, typer.Option(help="Column of how much each row counts; no baseline then.")
    ] = None,
    classes: ClassesOption = None,
    map_: MapOption = None,
    missing_label: MissingLabelOption = "refuse",
    ignore_label: IgnoreLabelOption = None,
    bin_: BinOption = None,
    join: JoinOption = None,
    on: OnOption = None,
    *,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the result here too: .xml (JUnit), .md, .html, .tex, .json; repeatable."
        ),
    ] = None,
    json_: JsonOption = False,
    **settings: Any,
) -> None:
    """Decide the rules of a policy on predictions: met, violated, cannot be told, or undefined.

    Exit codes: 0 passed, 3 a rule is violated, 4 a rule cannot be told or is undefined and the
    policy lets that fail (unless it says otherwise, it does), 2 bad input.

    \b
    fairlora gate predictions.csv --policy policy.yaml --label y --pred y_hat
    fairlora gate new.parquet --policy policy.yaml --against released.parquet --id image
    fairlora gate p.csv --policy policy.yaml --label y --pred h --out gate.xml --out gate.md
    """
    from fairlora.cli.output import check_endings
    from fairlora.metrics.gate.check import check_table
    from fairlora.metrics.gate.policy import Policy
    from fairlora.predictions.classes import class_rules
    from fairlora.predictions.join import joins_of

    # Before the work, not after it.
    files = [path for path in out or [] if path.suffix.lower() != ".xml"]
    check_endings(files)
    rules = Policy.read(policy)
    chosen = Settings(**settings)
    columns: dict[str, Any] = {
        "label": label,
        "pred": pred,
        "probs": probs,
        "groups": tuple(group or ()),
        "positive": chosen.positive,
        "cluster": cluster,
        "weight": weight,
        "rules": class_rules(
            None if classes is None else parted(classes), missing_label, ignore_label,
            renamed(map_),
        ),
        "bins": bins_of(bin_ or []),
    }  # fmt: skip
    other = {"pred": against_pred, "probs": against_probs}
    with reading_bar(f"Reading {file.name}") as bar:
        result = check_table(
            file,
            columns,
            rules,
            against=against,
            against_columns={name: value for name, value in other.items() if value is not None},
            id_column=id_,
            split=split,
            joins=joins_of(join or [], on or []),
            settings=chosen,
            progress=bar,
        )
    for path in out or []:
        if path.suffix.lower() == ".xml":
            with output_file(path) as partial:
                partial.write_text(result.to_junit(), encoding="utf-8")
    page = result.page(title or f"Gate of {file.name} by {policy.name}")
    Answer(page, result.to_json).give(files, json_, full=True)
    for path in out or []:
        if path not in files and not json_:
            say(f"Written: {path}")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
