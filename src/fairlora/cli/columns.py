"""Options that name a file's columns and say how they are read: one wording in all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LabelOption = Annotated[str | None, typer.Option(help="Column of the true label.")]
PredOption = Annotated[str | None, typer.Option(help="Column of the predicted label.")]
ProbsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PREFIX_OR_COL",
        help="Probabilities: a prefix of one column a class (p_ for p_cat, p_dog), a column of "
        "structs or lists, or, of two classes, one column: of the class in its name, else of "
        "the positive class.",
    ),
]
GroupOption = Annotated[
    list[str] | None, typer.Option(help="Column of a sensitive attribute; repeatable.")
]
IntersectOption = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Audit combinations of these attributes; repeatable."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(help="Column that names what rows share (a person): resampled together."),
]
WeightOption = Annotated[
    str | None,
    typer.Option(help="Column of how much each row counts: survey or exposure weights."),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="All classes, in the order of the probabilities; default: those that occur, "
        "numbers by size and words by letter.",
    ),
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="OLD=NEW,...",
        help="Other spellings of classes: --map no=0,yes=1.",
    ),
]
MissingLabelOption = Annotated[
    str,
    typer.Option(
        metavar="refuse|drop|keep",
        help="Rows without a label or prediction: refused, left out and counted, or (keep) a "
        "word such as NA is a class.",
    ),
]
IgnoreLabelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="LABEL", help="Leave out rows of this label (-100), counted; repeatable."),
]
BinOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bin",
        metavar="COL=EDGES",
        help="A group column of numbers as ranges: age=18,30,45 or age=quantiles:4; repeatable.",
    ),
]
JoinOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="A file with groups or labels by id; repeatable."),
]
OnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL", help="Column of the ids in both (OURS=THEIRS); one for all, or each."
    ),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Predictions of another model on the same rows."),
]
AgainstPredOption = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Predictions of another model: a column of this file, or of the one --against.",
    ),
]
AgainstProbsOption = Annotated[
    str | None,
    typer.Option(metavar="PREFIX_OR_COL", help="Probabilities of the other model."),
]
IdOption = Annotated[
    str | None, typer.Option("--id", help="Column that pairs the rows of two files.")
]
SplitOption = Annotated[
    str | None,
    typer.Option(help="Rows of this split alone; default: test, where there is one."),
]
