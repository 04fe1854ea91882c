"""`fairlora attack`: membership inference per group, of a study, of runs, of a file of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.output import FullOption, JsonOption, OutOption

_TARGET = (
    "A study's folder (its file names the attacks), or a run's folder: then --shadow names its "
    "shadow models, of which a language model's run needs none. Without either, --scores."
)


def attack(
    target: Annotated[
        Path | None, typer.Argument(metavar="STUDY_OR_RUN", help=_TARGET, show_default=False)
    ] = None,
    shadow: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="Folder of a shadow model's run; repeatable."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Another run with the same members: which tells less, by the first attack that "
            "works on both?",
        ),
    ] = None,
    against_shadow: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="Its shadow models; default: those of --shadow."),
    ] = None,
    attack_: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            metavar="NAME",
            help="loss, difference, lira-offline, lira-offline-fixed, lira-offline-bavaria, "
            "lira-online, lira-online-fixed, lira-online-bavaria, lira-online-bavaria-n, rmia, "
            "quantile; of a language model base-ratio, ez-mia, wbc, min-k++, min-k, zlib, loss; "
            "repeatable. Default: all that the models allow but BaVarIA.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of a study: this method alone; repeatable."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV or Parquet of scores computed elsewhere, a row an example."
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL",
            help='Of --scores: column of an attack\'s scores; repeatable. Default: "score".',
        ),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Of --scores: column that says who was trained on (1 and 0, member and "
            'non-member, in and out, train and test). Default: "member".',
        ),
    ] = None,
    smaller_is_member: Annotated[
        bool,
        typer.Option(
            "--smaller-is-member",
            help="Of --scores: members are expected to score lower, as with losses.",
        ),
    ] = False,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Column of a sensitive attribute; repeatable."),
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option("--id", metavar="COL", help="Of --scores: names the example, once each."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="COL", help="Of --scores: what was drawn together (a person, an example)."
        ),
    ] = None,
    fpr: Annotated[
        list[float] | None,
        typer.Option(help="False positive rate to give the TPR at; repeatable. 0.1 to 0.0001."),
    ] = None,
    level: Annotated[
        float | None, typer.Option(help="Level of the intervals. Default: 0.95.")
    ] = None,
    min_group: Annotated[
        int | None,
        typer.Option(
            min=1, help="Groups of fewer members or non-members are left out of gaps. Default: 10."
        ),
    ] = None,
    max_groups: Annotated[
        int | None,
        typer.Option(min=1, help="More groups than this are taken for ids. Default: 1000."),
    ] = None,
    permutations: Annotated[
        int | None,
        typer.Option(
            min=0, help="Permutations of the groups, for p-values of gaps. Default: 1000."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything drawn. Default: 0.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    out: OutOption = None,
    json_: JsonOption = False,
    full: FullOption = False,
) -> None:
    """How well can an outsider tell who was in the training set, for each group?

    Gives the AUC, and the TPR at low false positive rates, with what they can resolve; by group,
    with the gaps between groups beyond chance. An attack that fails shows no privacy.

    Examples:

        fairlora attack runs/mia-lira --method LoRA --method full --out attack.html

        fairlora attack runs/a --shadow runs/s1 --shadow runs/s2 --group race

        fairlora attack --scores scores.csv --score lira --group race --group sex

        fairlora attack --scores losses.csv --score loss --smaller-is-member --json
    """
    from fairlora.cli.output import check_endings
    from fairlora.errors import InputError

    # Before the work, not after it.
    check_endings(out or [])
    if (target is None) == (scores is None):
        raise InputError(
            "what is attacked?",
            where="fairlora attack",
            found="nothing" if target is None else "a folder and --scores",
            expected="a study's or run's folder, or --scores FILE",
        )
    kind = "--scores" if target is None else _kind(target)
    judged = {
        "--fpr": fpr or None,
        "--level": level,
        "--min-group": min_group,
        "--max-groups": max_groups,
        "--permutations": permutations,
        "--seed": seed,
    }
    given = {
        "--shadow": shadow,
        "--against": against,
        "--against-shadow": against_shadow,
        "--attack": attack_,
        "--method": method,
        "--score": score,
        "--member": member,
        "--smaller-is-member": smaller_is_member or None,
        "--group": group,
        "--id": id_,
        "--cluster": cluster,
        **judged,
    }
    _check_options(kind, {name for name, value in given.items() if value not in (None, [])})
    options = {_KEYWORDS[name]: value for name, value in judged.items() if value is not None}
    if scores is not None:
        from fairlora.cli.attack_scores import audit_scores

        columns = {"score": score, "member": member, "group": group, "id": id_, "cluster": cluster}
        answer = audit_scores(scores, columns, smaller_is_member, options, title)
    elif kind == "a study":
        from fairlora.cli.attack_runs import attack_study

        assert target is not None
        answer = attack_study(target, method or [], title)
    else:
        from fairlora.cli.attack_runs import attack_runs

        assert target is not None
        answer = attack_runs(
            (target, shadow or []),
            None if against is None else (against, against_shadow or shadow or []),
            attack_ or [],
            group or [],
            options,
            title,
        )
    answer.give(out or [], json_)


def _kind(target: Path) -> str:
    from fairlora.errors import InputError

    if (target / "study.json").is_file():
        return "a study"
    if any((target / f"{name}.parquet").is_file() for name in ("predictions", "texts")):
        return "a run"
    raise InputError(
        "neither a study's folder nor a finished run's",
        where=target,
        found="a folder" if target.is_dir() else "a file" if target.exists() else "nothing there",
        expected="a folder with study.json, or one with predictions.parquet or texts.parquet",
    )


# How a result is judged, as `fairlora.privacy.roc` calls it; a study's file says it by itself.
_KEYWORDS = {
    "--fpr": "fprs",
    "--level": "level",
    "--min-group": "min_group",
    "--max-groups": "max_groups",
    "--permutations": "permutations",
    "--seed": "seed",
}
_OF = {
    "--scores": {
        *("--score", "--member", "--smaller-is-member", "--group", "--id", "--cluster"),
        *_KEYWORDS,
    },
    "a study": {"--method"},
    "a run": {
        *("--shadow", "--against", "--against-shadow", "--attack", "--group"),
        *_KEYWORDS,
    },
}


def _check_options(kind: str, given: set[str]) -> None:
    """Raise `InputError` for an option that this kind of input does not have."""
    from fairlora.errors import InputError

    strange = sorted(given - _OF[kind])
    if strange:
        whose = [name for name, known in _OF.items() if strange[0] in known]
        raise InputError(
            f"not an option of {kind}",
            where=strange[0],
            expected=f"it is one of {' and '.join(whose)}"
            + ("; a study's file says how it is attacked" if kind == "a study" else ""),
        )
    if "--against-shadow" in given and "--against" not in given:
        raise InputError("of which run?", where="--against-shadow", expected="--against RUN")
    if {"--permutations", "--against"} <= given:
        raise InputError(
            "two runs are compared by resampling rows",
            where="--permutations",
            expected="none with --against",
        )
