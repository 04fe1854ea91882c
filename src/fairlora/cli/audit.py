"""`fairlora audit`: audit a file of predictions. Needs no torch and no model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora.cli.common import output_file, reading_bar, say, say_json
from fairlora.cli.panels import HelpAll

if TYPE_CHECKING:
    from fairlora.metrics import AuditResult, Settings

_FILE = (
    "Predictions: CSV, JSON, Parquet, Arrow, ORC, Excel, ARFF, Stata, SPSS, packed or not; a "
    "folder of files; an evaluation log; - for standard input."
)


def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE)],
    label: Annotated[str | None, typer.Option(help="Column of the true label.")] = None,
    pred: Annotated[str | None, typer.Option(help="Column of the predicted label.")] = None,
    probs: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX_OR_COL",
            help="Probabilities: a prefix of one column a class (p_ for p_cat, p_dog), a column of "
            "structs or lists, or, of two classes, one column: of the class in its name, else of "
            "the positive class.",
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(help="Column of a score (0/1 or any number), audited without a label."),
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", help="Of an evaluation log: the filter (HELM: perturbation)."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Column of a sensitive attribute; repeatable.")
    ] = None,
    intersect: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Audit combinations of these attributes; repeatable."),
    ] = None,
    subgroups: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="DEPTH",
            help="Rank all subgroups of up to so many attributes, and search for the worst.",
        ),
    ] = 0,
    subgroup_size: Annotated[
        int, typer.Option(min=1, help="Rows that a subgroup of the search needs.")
    ] = 30,
    subgroup_metric: Annotated[
        str, typer.Option(help="What the search compares: accuracy, selection_rate, tpr or fpr.")
    ] = "accuracy",
    cluster: Annotated[
        str | None,
        typer.Option(help="Column that names what rows share (a person): resampled together."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="All classes, in the order of the probabilities; default: those that occur, "
            "numbers by size and words by letter.",
        ),
    ] = None,
    map_: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="OLD=NEW,...",
            help="Other spellings of classes: --map no=0,yes=1.",
        ),
    ] = None,
    missing_label: Annotated[
        str,
        typer.Option(
            metavar="refuse|drop|keep",
            help="Rows without a label or prediction: refused, left out and counted, or (keep) a "
            "word such as NA is a class.",
        ),
    ] = "refuse",
    ignore_label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL", help="Leave out rows of this label (-100), counted; repeatable."
        ),
    ] = None,
    bin_: Annotated[
        list[str] | None,
        typer.Option(
            "--bin",
            metavar="COL=EDGES",
            help="A group column of numbers as ranges: age=18,30,45 or age=quantiles:4; "
            "repeatable.",
        ),
    ] = None,
    join: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file with groups or labels by id; repeatable."),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL", help="Column of the ids in both (OURS=THEIRS); one for all, or each."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Predictions of another model on the same rows."),
    ] = None,
    against_pred: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Predictions of another model: a column of this file, or of the one --against.",
        ),
    ] = None,
    against_probs: Annotated[
        str | None,
        typer.Option(metavar="PREFIX_OR_COL", help="Probabilities of the other model."),
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Column that pairs the rows of two files.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Differences below this count as equivalent; of rates 0.02 unless said."),
    ] = None,
    suggests: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL:GROUP=CLASS",
            help="The class that a group would suggest, for sensitive agreement; repeatable.",
        ),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(help="Say how many examples each group needs to show this difference."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Rows of this split alone; default: test, where there is one."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class of a binary label; default: the last.")
    ] = None,
    min_group: Annotated[
        int, typer.Option(min=0, help="Rates of fewer rows are left out of maxima and spreads.")
    ] = 10,
    max_groups: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="More groups than this are taken for ids or measurements; default: 1,000 names, "
            "60 numbers.",
        ),
    ] = None,
    missing_group: Annotated[
        str,
        typer.Option(
            metavar="show|keep",
            help="Rows without a group value: shown and not compared, or kept as a group.",
        ),
    ] = "show",
    bins: Annotated[int, typer.Option(min=1, help="Confidence bins of the ECE.")] = 15,
    confidence: Annotated[
        str, typer.Option(help="Confidence of the calibration: top or positive.")
    ] = "top",
    bootstrap: Annotated[int, typer.Option(min=0, help="Bootstrap draws.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")] = 0,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
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
    help_all: HelpAll = False,
) -> None:
    """Audit predictions across subgroups.

    \b
    fairlora audit predictions.csv --label y --pred y_hat --group race --group sex
    fairlora audit p.csv --label y --pred h --probs p_ --group race --out audit.html
    fairlora audit p.json --label y --pred h --group doc.race --subgroups 2
    fairlora audit p.csv --join people.csv --on id --label y --pred h --group race
    fairlora audit p.csv --label y --pred h --group age --bin age=18,30,45,60
    fairlora audit two.csv --label y --pred lora --against-pred full --group race
    fairlora audit lora.parquet --against full.parquet
    fairlora audit runs/demo/CELL/predictions.parquet --json
    fairlora audit log.eval --score match --group metadata.race --against other.eval
    """
    from fairlora.cli.compare import check_endings
    from fairlora.metrics import Settings
    from fairlora.metrics.page import audit_page
    from fairlora.predictions.classes import class_rules
    from fairlora.predictions.join import joins_of

    # Before the work, not after it.
    check_endings(out or [])
    settings = Settings(
        positive=positive,
        min_group=min_group,
        bins=bins,
        confidence=confidence,  # type: ignore[arg-type]
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        intersect=tuple(_split(one) for one in intersect or ()),
        subgroups=subgroups,
        subgroup_size=subgroup_size,
        subgroup_metric=subgroup_metric,
        suggests=suggestions(suggests or []),
        power=power,
        max_groups=max_groups,
        missing_group=missing_group,  # type: ignore[arg-type]
    )
    columns: dict[str, Any] = {
        "label": label,
        "pred": pred,
        "probs": probs,
        "groups": tuple(group or ()),
        "positive": positive,
        "cluster": cluster,
        "rules": class_rules(
            None if classes is None else _split(classes),
            missing_label,
            ignore_label,
            renamed(map_),
        ),
        "bins": bins_of(bin_ or []),
        "joins": joins_of(join or [], on or []),
    }
    from fairlora.cli.audit_scores import audit_scores, takes_scores

    if takes_scores(file, label, score, filter_):
        others = {"label": label, "pred": pred, "probs": probs, "split": split}
        audit_scores(
            file, score, filter_, columns, others, settings, against, id_, margin, title, out or [],
            json_,
        )  # fmt: skip
        return
    if against is not None or against_pred is not None or against_probs is not None:
        from fairlora.cli.paired import paired
        from fairlora.errors import InputError
        from fairlora.metrics.inference.verdicts import MARGIN

        for option, given in (
            ("--subgroups", subgroups),
            ("--power", power),
            ("--suggests", suggests),
        ):
            if given:
                raise InputError("not part of a comparison", where=f"--against with {option}")

        second = {"pred": against_pred or pred, "probs": against_probs}
        if against_probs is None and (against_pred is None or against is not None):
            second["probs"] = probs
        paired(
            file,
            against,
            columns,
            second,
            id_,
            split,
            settings,
            MARGIN if margin is None else margin,
            title,
            out or [],
            json_,
        )
        return
    result = _audit(file, columns, split, settings, filter_)
    page = audit_page(
        result.content, title or f"Audit of {'standard input' if str(file) == '-' else file.name}"
    )
    written: list[Path] = []
    for path in out or []:
        written += _write(result, page, path)
    if json_:
        say_json(result.to_json())
        return
    from fairlora.report.terminal import print_page

    print_page(page)
    for path in written:
        say(f"Written: {path}")


def _audit(
    file: Path, columns: dict[str, Any], split: str | None, settings: Settings, filter_: str | None
) -> AuditResult:
    from fairlora.cli.audit_scores import log_table
    from fairlora.metrics import audit_table

    given = {name: value for name, value in columns.items() if name != "joins"}
    with reading_bar(f"Reading {file.name}") as bar:
        log = log_table(file, filter_)
        return audit_table(
            file if log is None else log,
            given,
            split=split,
            joins=columns["joins"],
            settings=settings,
            progress=bar,
        )


def _split(text: str) -> tuple[str, ...]:
    """The names between commas, without spaces around them."""
    return tuple(one.strip() for one in text.split(","))


def renamed(text: str | None) -> dict[str, str]:
    """Old name -> new name of `--map`. Names may hold an equals sign: each way to part is taken.

    >>> renamed("no=0, yes=1")
    {'no': '0', ' yes': '1', 'yes': '1'}
    >>> renamed("<=50K.=low")
    {'<': '50K.=low', '<=50K.': 'low'}
    """
    from fairlora.errors import InputError

    out: dict[str, str] = {}
    for pair in [] if text is None else text.split(","):
        parts = pair.split("=")
        ways = {"=".join(parts[:k]): "=".join(parts[k:]).strip() for k in range(1, len(parts))}
        ways |= {old.strip(): new for old, new in ways.items()}
        if not ways or not all(old and new for old, new in ways.items()):
            raise InputError(
                "not a pair", where="--map", found=repr(pair), expected="OLD=NEW,OLD=NEW"
            )
        twice = [old for old, new in ways.items() if out.get(old, new) != new]
        if twice:
            raise InputError(
                "two new names for one",
                where=f"--map {twice[0]}",
                found=f"{out[twice[0]]} and {ways[twice[0]]}",
                expected="one",
            )
        out |= ways
    return out


def bins_of(given: list[str]) -> dict[str, str]:
    """Column -> edges or "quantiles:K" of `--bin`."""
    from fairlora.errors import InputError

    out: dict[str, str] = {}
    for text in given:
        column, equals, edges = text.rpartition("=")
        column = column.strip()
        if not (column and equals and edges):
            raise InputError(
                "not a pair",
                where="--bin",
                found=repr(text),
                expected="COLUMN=EDGES, as in age=18,30,45",
            )
        if column in out:
            raise InputError("ranges given twice", where=f"--bin {column}", expected="once")
        out[column] = edges
    return out


def suggestions(given: list[str]) -> dict[str, dict[str, str]]:
    from fairlora.errors import InputError

    out: dict[str, dict[str, str]] = {}
    for text in given:
        attribute, colon, rest = text.partition(":")
        # A group may hold an equals sign; a class is what stands after the last.
        group, equals, named = rest.rpartition("=")
        if not (attribute and colon and group and equals and named):
            raise InputError(
                "not a suggestion",
                where="--suggests",
                found=repr(text),
                expected="COLUMN:GROUP=CLASS, as in place:water=waterbird",
            )
        classes = out.setdefault(attribute, {})
        if classes.get(group, named) != named:
            raise InputError(
                "two classes suggested for one group",
                where=f"--suggests {attribute}:{group}",
                found=f"{classes[group]} and {named}",
                expected="one",
            )
        classes[group] = named
    return out


def _write(result: AuditResult, page: Any, path: Path) -> list[Path]:
    if path.suffix.lower() == ".json":
        with output_file(path) as partial:
            partial.write_text(result.to_json() + "\n", encoding="utf-8")
        return [path]
    from fairlora.cli.compare import write_page

    return write_page(page, path)
