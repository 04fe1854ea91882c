"""`fairlora audit`: what it prints and writes, and what it says of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fairlora.cli import app, main
from fairlora.predictions import PredictionsWriter, score_logits

ROWS = [("yes", "yes", "f", 0.9), ("yes", "no", "f", 0.4), ("no", "no", "m", 0.2)] * 5
OPTIONS = ["--label", "y", "--pred", "h", "--group", "sex"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some predictions.csv"
    lines = [",".join(map(str, row)) for row in ROWS]
    path.write_text("\n".join(["y,h,sex,p", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run_table(tmp_path: Path) -> Path:
    """A table of fairlora: four rows of the test split, two of the training split."""
    path = tmp_path / "predictions.parquet"
    labels = [0, 1, 0, 1, 1, 1]
    with PredictionsWriter(path, ("no", "yes"), ["race"]) as writer:
        writer.append(
            list("abcdef"),
            ["test"] * 4 + ["train"] * 2,
            labels,
            score_logits([[1.0, 0.0], [0.0, 1.0]] * 3, labels),
            {"race": ["x", "x", "y", "y", "x", "y"]},
        )
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["audit", *map(str, arguments)])


def content_of(*arguments: object) -> dict[str, Any]:
    """The audit that is printed with --json."""
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert isinstance(content, dict)
    return content


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on standard error that ends the command with code 2."""
    old, sys.argv = sys.argv, ["fairlora", "audit", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        sys.argv = old
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert err.startswith("fairlora: ")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    return err


def test_the_installed_command_prints_pure_json_and_one_line_for_bad_input(file: Path) -> None:
    code = "from fairlora.cli import main; main()"
    command = [sys.executable, "-c", code, "audit", str(file), *OPTIONS, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] == 15
    command[command.index("y")] = "z"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "no column 'z'" in done.stderr


def test_a_csv_with_other_names(file: Path) -> None:
    content = content_of(file, *OPTIONS, "--positive", "yes", "--min-group", 1)
    assert content["n"] == 15
    assert content["classes"] == ["no", "yes"]
    assert content["overall"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert content["by_group"]["sex"]["f"]["tpr"]["value"] == 0.5
    assert content["by_group"]["sex"]["m"]["tpr"]["value"] is None
    assert content["disparities"]["sex"]["accuracy_gap"]["worst"] == "f"
    assert content["overall"]["ece"]["reason"] == "no probabilities given"


def test_options_reach_the_audit(file: Path) -> None:
    named = content_of(file, *OPTIONS, "--positive", "no", "--group", "p", "--min-group", 0)
    assert named["positive"] == "no"
    assert list(named["by_group"]) == ["sex", "p"]
    # Every woman of the file is a yes and no man is: that is said, and which rates it leaves out.
    told = [w.split(" tells")[0] for w in named["warnings"] if " tells " in w]
    assert told == ["sex", "p"]
    assert any("sex: fewer than 1 rows" in w and "f: TPR of no" in w for w in named["warnings"])
    default = content_of(file, *OPTIONS)
    assert default["positive"] == "yes"
    assert default["disparities"]["sex"]["accuracy_gap"]["value"] is None
    said = ("no positive class was named", "sex tells the label", "sex: fewer than 10 rows")
    assert len(default["warnings"]) == len(said)
    for warning, beginning in zip(default["warnings"], said, strict=True):
        assert warning.startswith(beginning)


def test_probabilities_and_confidence(file: Path) -> None:
    with_probs = [*OPTIONS, "--probs", "p", "--positive", "yes", "--bins", 1]
    top = content_of(file, *with_probs)["overall"]
    positive = content_of(file, *with_probs, "--confidence", "positive")["overall"]
    # One bin: the distance of the means. The top probabilities are 0.9, 0.6 and 0.8.
    assert top["ece"]["value"] == pytest.approx(abs(2.3 / 3 - 2 / 3), abs=1e-6)
    assert positive["ece"]["value"] == pytest.approx(abs(0.5 - 2 / 3), abs=1e-6)


def test_a_table_of_fairlora_is_audited_on_its_test_split(run_table: Path) -> None:
    content = content_of(run_table)
    assert content["n"] == 4
    assert list(content["by_group"]) == ["race"]
    assert content["overall"]["brier"]["value"] is not None
    assert content_of(run_table, "--split", "train")["n"] == 2


def test_the_audit_for_people(file: Path) -> None:
    done = invoke(file, *OPTIONS)
    assert done.exit_code == 0
    assert f"Audit of {file.name}" in done.stdout
    assert "66.7" in done.stdout
    assert "By sex" not in done.stdout
    assert "By sex" in invoke(file, *OPTIONS, "--full").stdout
    assert "'yes' is taken" in done.stdout


def test_out_writes_the_audit_by_the_ending_of_the_name(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for name in ("audit.html", "audit.md", "audit.JSON"):
        done = invoke(file, *OPTIONS, "--out", folder / name)
        assert done.exit_code == 0, done.output
        assert str(folder / name) in done.stdout.replace("\n", "")
    html = (folder / "audit.html").read_text(encoding="utf-8")
    assert html.lower().startswith("<!doctype html>")
    assert "By sex" in html
    assert (folder / "audit.md").read_text(encoding="utf-8").startswith("# Audit of")
    # As on standard output: the audit, and not the page that shows it.
    written = json.loads((folder / "audit.JSON").read_text(encoding="utf-8"))
    assert written == content_of(file, *OPTIONS)
    assert sorted(p.name for p in folder.iterdir()) == ["audit.JSON", "audit.html", "audit.md"]


def test_json_stays_pure_where_a_page_is_written_too(file: Path, tmp_path: Path) -> None:
    assert content_of(file, *OPTIONS, "--out", tmp_path / "audit.html")["n"] == 15
    assert (tmp_path / "audit.html").exists()


def test_figures_are_drawn_for_their_ending_and_numbered(file: Path, tmp_path: Path) -> None:
    done = invoke(file, *OPTIONS, "--out", tmp_path / "audit.svg")
    assert done.exit_code == 0, done.output
    drawn = sorted(tmp_path.glob("audit-*.svg"))
    assert len(drawn) >= 2
    for one in drawn:
        assert "<svg" in one.read_text(encoding="utf-8")
        # Long paths break over lines.
        assert one.name in done.output.replace("\n", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--label", "z"], ("some predictions.csv (--label)", "'z'", "y, h, sex, p")),
        (["--pred", "z"], ("(--pred)", "'z'")),
        (["--group", "z"], ("(--group)", "'z'")),
        (["--probs", "z_"], ("(--probs)", "'z_'")),
        (["--probs", "sex"], ("column sex", "not numbers")),
        (["--positive", "maybe"], ("no such class", "'maybe'", "no, yes")),
        (["--confidence", "high"], ("confidence", "'high'", "'top' or 'positive'")),
        (["--split", "validation"], ("--split validation: no column 'split'",)),
        (["--out", "audit.docx"], ("--out", "audit.docx", ".html, .md, .tex, .json")),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    replaced: Callable[..., list[str]],
    change: list[str],
    expected: tuple[str, ...],
) -> None:
    monkeypatch.chdir(file.parent)
    message = refused(capsys, file, *replaced(OPTIONS, change))
    for text in expected:
        assert text in message
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_bad_files_are_one_line_and_code_2(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "none.csv: no such file" in refused(capsys, tmp_path / "none.csv", *OPTIONS)
    assert "--label: which column" in refused(capsys, file)
    assert "--group" in refused(capsys, file, "--label", "y", "--pred", "h")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "not a readable table" in refused(capsys, picture, *OPTIONS)
    inside = file / "audit.html"
    assert "cannot write here" in refused(capsys, file, *OPTIONS, "--out", inside)
