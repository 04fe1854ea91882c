"""`fairlora audit` of files of any format, joined by id, and its help."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
FORMATS = Path(__file__).parents[1] / "predictions" / "formats"
COLUMNS = ["--label", "y", "--pred", "h", "--group", "race", "--min-group", 1, "--bootstrap", 0]


@pytest.mark.parametrize("name", ["mlflow.json", "wandb.table.json", "openml.arff", "pandas.orc"])
def test_the_numbers_are_those_counted_by_hand(name: str, fairlora: Run) -> None:
    """Of the four black rows 2 are right, of the three white ones 3; one has no group."""
    done = fairlora("audit", FORMATS / name, *COLUMNS, "--positive", 1, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    groups = found["by_group"]["race"]
    assert {g: (row["n"], row["accuracy"]["value"]) for g, row in groups.items()} == {
        "black": (4, 0.5),
        "white": (3, 1.0),
        "(missing)": (1, 1.0),
    }
    assert groups["black"]["tpr"]["value"] == pytest.approx(2 / 3)  # a1 and a5 of a1, a2, a5
    assert groups["black"]["fpr"]["value"] == 1.0  # a7
    assert found["disparities"]["race"]["accuracy_gap"]["value"] == 0.5


def test_a_join_and_its_faults(fairlora: Run, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id,site\na1,x\na2,x\na3,y\na4,y\na5,x\na6,y\na7,x\n")
    options = [FORMATS / "pandas-lines.json", "--label", "y", "--pred", "h", "--group", "site"]
    options += ["--min-group", 1, "--bootstrap", 0]
    joined = [*options, "--join", people, "--on", "id"]
    found = json.loads(fairlora("audit", *joined, "--json").out)
    assert {g: row["n"] for g, row in found["by_group"]["site"].items()} == {
        "x": 4,
        "y": 3,
        "(missing)": 1,
    }
    assert any("1 of 8 rows have an id that is not there ('a8'" in w for w in found["warnings"])
    done = fairlora("audit", *options, "--join", people)
    assert done.code == 2
    assert done.err == "fairlora: --join: which column holds the ids? (expected --on COLUMN)\n"


def test_two_columns_of_standard_input_are_compared_with_a_join(tmp_path: Path) -> None:
    """In a process of its own, whose standard input is a file."""
    import subprocess
    import sys

    people = tmp_path / "people.csv"
    people.write_text("id,site\n" + "".join(f"r{k},{'xy'[k % 2]}\n" for k in range(40)))
    rows = "id,y,a,b\n" + "".join(f"r{k},{k % 2},{k % 2},{k % 3 % 2}\n" for k in range(40))
    code = "import sys; from fairlora.cli import main; sys.argv[0] = 'fairlora'; main()"
    options = ["--label", "y", "--pred", "a", "--against-pred", "b", "--group", "site", "--json"]
    options += ["--join", str(people), "--on", "id", "--bootstrap", "50"]
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", "-", *options],
        input=rows,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 40


def test_the_help_is_under_a_screen_and_names_every_option(fairlora: Run) -> None:
    short, whole = fairlora("audit", "--help"), fairlora("audit", "--help-all")
    assert (short.code, whole.code) == (0, 0)
    assert len(short.out.splitlines()) <= 60
    assert len(whole.out.splitlines()) > len(short.out.splitlines())
    for name in ("--label", "--join", "--on", "--against", "--bootstrap", "--out"):
        assert name in short.out
        assert name in whole.out
    assert "Bootstrap draws." in whole.out
    assert "Bootstrap draws." not in short.out
