"""Every option of `fairlora audit` changes all that it writes, or stands here with why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from fairlora.cli.audit import audit

Command = Callable[..., Any]
BASE = ["--label", "y", "--pred", "h", "--probs", "p_", "--group", "race", "--group", "sex"]
BASE += ["--positive", "yes", "--bootstrap", 200]
SEARCH = ["--subgroups", 2, "--subgroup-size", 20]
# Option -> the arguments that set it, and what else is set with and without it.
ALONE: dict[str, tuple[list[Any], list[Any]]] = {
    "--label": (["--label", "y2"], []),
    "--pred": (["--pred", "h2"], []),
    "--probs": (["--probs", "q_"], []),
    "--group": (["--group", "age"], []),
    "--intersect": (["--intersect", "race,sex"], []),
    "--subgroups": (["--subgroups", 1], []),
    "--subgroup-size": (["--subgroup-size", 60], SEARCH),
    "--subgroup-metric": (["--subgroup-metric", "tpr"], SEARCH),
    "--cluster": (["--cluster", "person"], []),
    "--weight": (["--weight", "weight"], []),
    "--suggests": (["--suggests", "sex:f=yes"], []),
    "--power": (["--power", 0.05], []),
    "--four-fifths": (["--four-fifths"], []),
    "--curves": (["--curves"], []),
    "--at": (["--at", "specificity=0.8"], []),
    "--threshold": (["--threshold", 0.6], []),
    "--sensitivity": (["--sensitivity", 0.9], []),
    "--specificity": (["--specificity", 0.9], []),
    "--split": (["--split", "train"], []),
    "--positive": (["--positive", "no"], []),
    "--min-group": (["--min-group", 40], []),
    "--bins": (["--bins", 4], []),
    "--confidence": (["--confidence", "positive"], []),
    "--bootstrap": (["--bootstrap", 500], []),
    "--seed": (["--seed", 3], []),
    "--level": (["--level", 0.8], []),
    "--classes": (["--classes", "yes,no"], []),
    "--ignore-label": (["--ignore-label", "maybe"], []),
    "--missing-group": (["--missing-group", "keep"], []),
    "--bin": (["--bin", "years=30,60"], ["--group", "years", "--max-groups", 90]),
}
AGAINST = {
    name: arguments
    for name, (arguments, _) in ALONE.items()
    if name not in ("--subgroup-size", "--subgroup-metric")
} | {"--margin": ["--margin", 0.2], "--id": ["--id", "row"]}
REFUSED = ("--subgroups", "--suggests", "--power", "--four-fifths", "--curves", "--at")
REFUSED += ("--threshold", "--sensitivity", "--specificity", "--weight")
# Neither a number nor a word of the audit itself; each has tests of its own.
OTHER = {
    "--full": "says what is printed: tests/cli/test_audit.py",
    "--show-examples": "names rows on the page alone: tests/metrics/test_details.py",
    "--map": "renames classes, whose columns of probabilities would have to be renamed too",
    "--missing-label": "of a file with missing labels: tests/cli/test_audit_input.py",
    "--against-pred": "a comparison of two columns: tests/cli/test_audit_input.py",
    "--against-probs": "a comparison of two columns: tests/cli/test_audit_input.py",
    "--join": "of two files: tests/cli/test_audit_files.py",
    "--on": "of two files: tests/cli/test_audit_files.py",
    "--max-groups": "refuses attributes of more groups, and changes no number",
    **dict.fromkeys(
        ("--count", "--selected", "--score", "--standard", "--unknown"),
        "of decisions without labels: tests/cli/test_audit_decisions.py",
    ),
    **dict.fromkeys(("--numeric", "--quantile"), "measurements: tests/cli/test_audit_numeric.py"),
    "--target": "several targets: tests/metrics/test_targets.py",
    "--uncertain": "of several targets",
    "--blank": "of several targets",
    "--filter": "of an evaluation log: tests/predictions/logs/",
    "--thresholds": "predictions by a file: tests/cli/test_thresholds.py",
    "--title": "names the page; the JSON has no title",
    "--out": "says where the page goes",
    "--json": "says what is printed",
    "--help-all": "prints the help",
    "--against": "another command in all but name, below",
    "--margin": "of a comparison",
    "--id": "of a comparison",
    "--subgroup-size": "of a search, which a comparison does not have",
    "--subgroup-metric": "of a search, which a comparison does not have",
}


def table(seed: int) -> pd.DataFrame:
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    n = 360
    out = pd.DataFrame({"race": fixed.choice(list("xyz"), n, p=[0.5, 0.4, 0.1])})
    out["row"] = fixed.permutation(n)
    for name, values in (("sex", "fm"), ("age", "oy")):
        out[name] = fixed.choice(list(values), n)
    out.loc[fixed.random(n) < 0.1, "race"] = None
    out["years"] = fixed.integers(18, 90, n)
    out["split"] = fixed.choice(["test", "train"], n, p=[0.7, 0.3])
    out["person"] = fixed.integers(0, 80, n)
    out["weight"] = np.random.default_rng(7).integers(0, 5, n) / 2
    for suffix, seen in (("", fixed), ("2", fixed)):
        out[f"y{suffix}"] = seen.choice(["no", "yes"], n)
    p = np.clip(0.3 + 0.4 * (out["y"] == "yes") + rng.normal(0, 0.25, n), 0.01, 0.99)
    out["h"] = np.where(p > 0.5, "yes", "no")
    out["h2"] = np.where(p > 0.6, "yes", "no")
    out["p_yes"], out["p_no"] = p, 1 - p
    out["q_yes"], out["q_no"] = np.sqrt(p), 1 - np.sqrt(p)
    return out


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    table(1).to_csv(one, index=False)
    table(2).to_csv(two, index=False)
    return one, two


@pytest.fixture
def outputs(fairlora: Command, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """What the command prints as JSON, and writes as pages of each kind."""

    def run(*arguments: object) -> dict[str, str]:
        pages = [tmp_path / f"page.{ending}" for ending in ("html", "md", "tex")]
        wanted = [word for page in pages for word in ("--out", page)]
        done = fairlora("audit", *arguments, *wanted, "--title", "t", "--json")
        assert done.code == 0, done.err
        return {"json": done.out} | {p.suffix: p.read_text(encoding="utf-8") for p in pages}

    return run


Outputs = Callable[..., dict[str, str]]


def given(base: list[Any], arguments: list[Any]) -> list[Any]:
    """The base with some options set otherwise: each but --group may stand there once."""
    out = list(base)
    for name in arguments:
        if name in out and str(name).startswith("--") and name != "--group":
            place = out.index(name)
            del out[place : place + 2]
    return [*out, *arguments]


def test_every_option_has_a_case() -> None:
    app = typer.Typer()
    app.command()(audit)
    command = typer.main.get_command(app)
    options = {
        name
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--")
        and name not in ("--help", "--install-completion", "--show-completion")
    }
    assert options == set(ALONE) | set(OTHER)
    assert options == set(AGAINST) | set(OTHER)


@pytest.mark.parametrize("name", ALONE)
def test_an_option_changes_every_output_of_an_audit(
    files: tuple[Path, Path], outputs: Outputs, name: str
) -> None:
    arguments, rest = ALONE[name]
    before = outputs(files[0], *BASE, *rest)
    after = outputs(files[0], *given([*BASE, *rest], arguments))
    for kind, text in after.items():
        assert text != before[kind], kind


@pytest.mark.parametrize("name", AGAINST)
def test_an_option_changes_every_output_of_a_comparison(
    files: tuple[Path, Path], outputs: Outputs, fairlora: Command, name: str
) -> None:
    rest = ALONE[name][1] if name == "--bin" else []
    base = [files[0], "--against", files[1], *BASE, *rest]
    if name in REFUSED:
        done = fairlora("audit", *base, *AGAINST[name])
        assert (done.code, done.out) == (2, "")
        assert "not part of a comparison" in done.err
        return
    before = outputs(*base)
    if name == "--id":
        # Rows in another order are other rows without an id, and the same rows with one.
        shuffled = pd.read_csv(files[1]).sample(frac=1, random_state=0)
        shuffled.to_csv(files[1], index=False)
        assert fairlora("audit", *base).code == 2
        assert outputs(*base, *AGAINST[name]) == before
        return
    after = outputs(*given(base, AGAINST[name]))
    for kind, text in after.items():
        assert text != before[kind], kind
