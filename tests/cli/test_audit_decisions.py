"""`fairlora audit` without labels: decisions, scores, counts, and a law's tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlora.cli import app, main

LL144 = Path(__file__).resolve().parents[3] / "shared" / "data" / "ll144" / "audits.csv"


def run(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["audit", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    rows = [("yes", "f", 3.5)] * 10 + [("no", "f", 1.0)] * 30
    rows += [("yes", "m", 4.0)] * 20 + [("no", "m", 2.0)] * 20
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join(["hired,sex,score", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts.csv"
    path.write_text("sex,applicants,hired\nf,40,10\nm,40,20\nx,9,4\n", encoding="utf-8")
    return path


def test_decisions_without_a_label(people: Path) -> None:
    content = run(people, "--pred", "hired", "--positive", "yes", "--group", "sex")
    groups = content["by_group"]["sex"]
    assert groups["f"]["selection_rate"]["value"] == 0.25
    assert groups["f"]["impact_ratio"]["value"] == 0.5
    assert content["disparities"]["sex"]["dpd"]["value"] == 0.25
    assert "accuracy" not in content["overall"]
    assert not [line for line in content["warnings"] if "every row is right" in line]


def test_scores_above_the_median(people: Path) -> None:
    content = run(people, "--score", "score", "--group", "sex", "--standard", "nyc-ll144")
    # The median of 30 at 1, 20 at 2, 10 at 3.5 and 20 at 4 is 2.
    groups = content["by_group"]["sex"]
    assert groups["f"]["selected"] == 10
    assert groups["m"]["selected"] == 20
    assert content["positive"] == "above the median"


def test_a_table_of_counts(counts: Path) -> None:
    content = run(counts, "--count", "applicants", "--selected", "hired", "--group", "sex")
    assert content["n"] == 89
    assert content["by_group"]["sex"]["f"]["impact_ratio"]["value"] == 0.5


def test_a_page_of_every_kind(people: Path, tmp_path: Path) -> None:
    outs = [tmp_path / name for name in ("a.html", "a.md", "a.tex", "a.json", "a.png")]
    options = [text for path in outs for text in ("--out", str(path))]
    result = CliRunner().invoke(
        app, ["audit", str(people), "--pred", "hired", "--group", "sex", *options]
    )
    assert result.exit_code == 0, result.output
    assert "an impact ratio of" in " ".join(result.stdout.split())
    assert all(any(tmp_path.glob(f"a*{path.suffix}")) for path in outs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pred", "hired"], "fairlora audit FILE --count applicants --selected hired"),
        (["--count", "applicants"], "--selected: a table of counts needs both"),
        (["--count", "applicants", "--selected", "none"], "no column 'none'"),
        (["--count", "hired", "--selected", "applicants"], "more selected than there are"),
        (
            ["--count", "applicants", "--selected", "hired", "--split", "test"],
            "--split: not part of a table of counts",
        ),
        (["--standard", "nyc-ll144"], "one of --pred and --score"),
        (["--standard", "eu", "--pred", "sex"], "no such standard"),
        (["--pred", "hired", "--probs", "p_"], "--probs: needs labels"),
        (["--pred", "hired", "--threshold", "0.5"], "not part of an audit of decisions"),
        (["--score", "hired", "--threshold", "0.5"], "not part of an audit of scores"),
        (["--target", "hired=applicants", "--standard", "nyc-ll144"], "not part of an audit of"),
        (["--label", "hired", "--pred", "hired", "--unknown", "x"], "not part of an audit with"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    counts: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["fairlora", "audit", str(counts), "--group", "sex", *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().replace(str(counts), "FILE")
    assert message in said
    assert len(said.splitlines()) == 1


@pytest.mark.real_data
@pytest.mark.skipif(not LL144.exists(), reason="needs the published audits")
def test_published_audits_give_their_published_ratios() -> None:
    """Tables by sex or race; rates and ratios are published with two or three digits."""
    import fairlora

    tables: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with LL144.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tables.setdefault((row["audit"], row["kind"], row["table"]), []).append(row)
    same, compared = 0, 0
    for (_, _, table), rows in tables.items():
        column = {"sex": "sex", "race/ethnicity": "race_ethnicity"}.get(table)
        counted = [row for row in rows if row["applicants"] not in ("NA", "0")]
        # Where not all have a count it is not known whom the auditor compared.
        if column is None or len(counted) < len(rows):
            continue
        content = fairlora.audit_counts(
            [row["applicants"] for row in rows],
            [row["selected"] for row in rows],
            {column: [row[column] for row in rows]},
            standard="nyc-ll144",
            bootstrap=0,
        ).to_dict()
        for row in rows:
            ours = content["by_group"][column].get(row[column], {}).get("impact_ratio")
            if row["reported_impact_ratio"] == "NA" or not ours or ours["value"] is None:
                continue
            compared += 1
            same += abs(ours["value"] - float(row["reported_impact_ratio"])) <= 0.0151
    # The rest took another comparator than the highest category of 2 % or more.
    assert compared > 100
    assert same / compared > 0.8
