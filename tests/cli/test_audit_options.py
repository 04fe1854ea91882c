"""`fairlora audit`: what each option does, what hostile names come to, and folders of files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlora.metrics import audit

Command = Callable[..., Any]
COLUMNS = ["--label", "y", "--pred", "h", "--positive", "yes"]
OPTIONS = [*COLUMNS, "--group", "sex", "--group", "skin"]
QUICK = ["--bootstrap", 0]


def table(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "skin": rng.choice(list("dlx"), n)})
    rows["y"] = rng.choice(["no", "yes"], n)
    wrong = rng.random(n) < np.where((rows["sex"] == "f") & (rows["skin"] == "d"), 0.6, 0.1)
    rows["h"] = np.where(wrong, np.where(rows["y"] == "yes", "no", "yes"), rows["y"])
    rows["p"] = np.where(rows["h"] == "yes", 0.8, 0.3)
    rows["person"] = [f"person {k // 4}" for k in range(n)]
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    table().to_csv(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same rows in three Parquet files."""
    out = tmp_path / "parts"
    out.mkdir()
    for k in range(3):
        table()[80 * k : 80 * (k + 1)].to_parquet(out / f"{k}.parquet", index=False)
    return out


@pytest.fixture
def content_of(fairlora: Command) -> Callable[..., dict[str, Any]]:
    """The audit that --json prints; nothing else may stand on standard output."""

    def run(*arguments: object) -> dict[str, Any]:
        done = fairlora("audit", *arguments, "--json")
        assert (done.code, done.err) == (0, "")
        content = json.loads(done.out)
        assert isinstance(content, dict)
        return content

    return run


@pytest.fixture
def refused(fairlora: Command) -> Callable[..., str]:
    def run(*arguments: object) -> str:
        done = fairlora("audit", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("fairlora: ")
        assert len(done.err.splitlines()) == 1
        return str(done.err)

    return run


Content = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def test_intersect_adds_the_combinations(file: Path, content_of: Content) -> None:
    content = content_of(file, *OPTIONS, *QUICK, "--intersect", "sex,skin")
    assert list(content["by_group"]) == ["sex", "skin", "sex&skin"]
    rows = table()
    inside = rows[(rows["sex"] == "f") & (rows["skin"] == "d")]
    group = content["by_group"]["sex&skin"]["f & d"]
    assert group["n"] == len(inside)
    assert group["accuracy"]["value"] == pytest.approx((inside["y"] == inside["h"]).mean())


def test_subgroups_finds_the_planted_one(file: Path, content_of: Content) -> None:
    content = content_of(
        file, *OPTIONS, "--bootstrap", 400, "--subgroups", 2, "--subgroup-size", 20
    )
    found = content["subgroups"]
    assert found["worst"]["conditions"] == {"sex": "f", "skin": "d"}
    # The smallest that 200 permutations can give.
    assert found["draws"] == 200
    assert found["worst"]["p"] == pytest.approx(1 / 201)
    assert found["tested"] == 11


def test_subgroups_take_their_size_and_metric(file: Path, content_of: Content) -> None:
    some = ["--subgroups", 1, "--subgroup-size", 100, "--subgroup-metric", "fpr"]
    found = content_of(file, *OPTIONS, *QUICK, *some)["subgroups"]
    assert (found["metric"], found["min_size"]) == ("fpr", 100)
    # About 120 rows are no yes: none of their groups has a hundred.
    assert (found["tested"], found["worst"]) == (0, None)


def test_a_cluster_column_makes_intervals_wider(file: Path, content_of: Content) -> None:
    rows = pd.concat([table()] * 4).sort_values("person")
    repeated = file.with_name("repeated.csv")
    rows.to_csv(repeated, index=False)
    alone = content_of(repeated, *OPTIONS, *QUICK)
    content = content_of(repeated, *OPTIONS, *QUICK, "--cluster", "person")
    assert content["settings"]["clusters"] == 60
    one, other = (c["overall"]["accuracy"] for c in (alone, content))
    assert one["value"] == other["value"]
    assert other["high"] - other["low"] > 1.5 * (one["high"] - one["low"])


def test_suggests_gives_the_agreement(file: Path, content_of: Content) -> None:
    some = ["--suggests", "sex:f=no", "--suggests", "sex:m=yes"]
    groups = content_of(file, *OPTIONS, *QUICK, *some)["by_group"]["sex"]
    rows = table()
    for group, named in (("f", "no"), ("m", "yes")):
        share = (rows.loc[rows["sex"] == group, "h"] == named).mean()
        assert groups[group]["sensitive_agreement"]["value"] == pytest.approx(share)


def test_a_suggestion_may_hold_equals_signs(file: Path, content_of: Content) -> None:
    rows = table().replace({"sex": {"f": "a=b:c"}})
    rows.to_csv(file, index=False)
    groups = content_of(file, *OPTIONS, *QUICK, "--suggests", "sex:a=b:c=yes")["by_group"]["sex"]
    assert groups["a=b:c"]["sensitive_agreement"]["suggests"] == "yes"


def test_power_says_how_many_rows_are_needed(
    file: Path, content_of: Content, fairlora: Command
) -> None:
    content = content_of(file, *OPTIONS, *QUICK, "--power", 0.05)
    assert [row["group"] for row in content["power"]["skin"]] == ["d", "l", "x"]
    done = fairlora("audit", file, *OPTIONS, *QUICK, "--power", 0.05)
    assert "Examples needed by skin" in done.out
    assert "5 points" in done.out


def test_level_widens_the_intervals(file: Path, content_of: Content) -> None:
    narrow, wide = (
        content_of(file, *OPTIONS, *QUICK, "--level", level)["overall"]["accuracy"]
        for level in (0.9, 0.99)
    )
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


def test_without_draws_nothing_is_expected_by_chance(file: Path, content_of: Content) -> None:
    with_draws = content_of(file, *OPTIONS, "--bootstrap", 100)["disparities"]["sex"]
    without = content_of(file, *OPTIONS, "--bootstrap", 0)["disparities"]["sex"]
    assert "expected_by_chance" in with_draws["accuracy_gap"]
    assert "expected_by_chance" not in without["accuracy_gap"]
    assert without["accuracy_gap"]["value"] == with_draws["accuracy_gap"]["value"]


def test_the_seed_decides(file: Path, content_of: Content) -> None:
    def run(seed: int) -> dict[str, Any]:
        return content_of(file, *OPTIONS, "--bootstrap", 100, "--seed", seed)

    assert run(1) == run(1)
    assert run(1)["disparities"] != run(2)["disparities"]


def test_several_files_are_written_and_json_stays_pure(
    file: Path, content_of: Content, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    names = ["audit.tex", "audit.json", "audit.md", "audit.html"]
    wanted = [part for name in names for part in ("--out", out / name)]
    content = content_of(file, *OPTIONS, *QUICK, *wanted)
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert json.loads((out / "audit.json").read_text(encoding="utf-8")) == content
    assert r"\toprule" in (out / "audit.tex").read_text(encoding="utf-8")


def test_pictures_are_numbered_and_named(file: Path, fairlora: Command, tmp_path: Path) -> None:
    done = fairlora("audit", file, *COLUMNS, "--group", "sex", *QUICK, "--out", tmp_path / "a.png")
    drawn = sorted(tmp_path.glob("a-*.png"))
    assert len(drawn) == 3
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.name in done.out.replace("\n", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--cluster", "z"], ("predictions.csv (--cluster)", "'z'", "sex, skin, y")),
        (["--level", 2], ("level", "found 2.0", ">= 0.5 and <= 0.999999")),
        (["--level", 0.1], ("level", "found 0.1")),
        (["--power", 0], ("power", "> 0 and < 1")),
        (["--power", 1], ("power", "> 0 and < 1")),
        (["--intersect", "sex,nope"], ("intersect", "sex,nope", "two or more of sex, skin")),
        (["--intersect", "sex"], ("intersect", "found sex")),
        (["--intersect", "sex,sex"], ("intersect", "sex,sex")),
        (["--suggests", "nonsense"], ("--suggests", "'nonsense'", "COLUMN:GROUP=CLASS")),
        (["--suggests", "sex:f="], ("--suggests", "'sex:f='")),
        (["--suggests", "sex:z=yes"], ("suggests['sex']", "no such group", "'z'", "f, m")),
        (["--suggests", "sex:f=maybe"], ("suggests['sex']", "no such class", "no, yes")),
        (["--suggests", "sxe:f=yes"], ("suggests", "'sxe'", "sex, skin")),
        (
            ["--subgroups", 1, "--subgroup-metric", "f1"],
            ("subgroup_metric", "'f1'", "'tpr' or 'fpr'"),
        ),
        (["--subgroups", 1, "--cluster", "person"], ("subgroups", "clusters")),
        (["--max-groups", 2], ("group column 'skin'", "3 distinct values", "--max-groups")),
        (["--out", "a.tex", "--out", "a.docx"], ("--out", "'a.docx'")),
    ],
)
def test_bad_values_are_one_line_and_code_2(
    file: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    change: list[object],
    expected: tuple[str, ...],
) -> None:
    monkeypatch.chdir(file.parent)
    message = refused(file, *OPTIONS, *QUICK, *change)
    for text in expected:
        assert text in message


@pytest.mark.parametrize(
    "change",
    [["--bootstrap", -1], ["--seed", -1], ["--subgroups", -1], ["--bins", "x"], ["--nope"]],
)
def test_options_out_of_range_are_refused_with_code_2(
    file: Path, fairlora: Command, change: list[object]
) -> None:
    done = fairlora("audit", file, *OPTIONS, *change)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


def test_an_id_column_is_no_group(file: Path, refused: Refused) -> None:
    pd.concat([table()] * 21).assign(id=range(5040)).to_csv(file, index=False)
    message = refused(file, *COLUMNS, "--group", "id")
    assert (
        "group column 'id': too many groups (found 5,040 distinct numbers in 5,040 rows" in message
    )


def test_a_folder_is_audited_as_its_rows(folder: Path, content_of: Content) -> None:
    content = content_of(folder, *OPTIONS, *QUICK, "--probs", "p", "--intersect", "sex,skin")
    rows = table()
    groups = {name: rows[name] for name in ("sex", "skin")}
    whole = audit(
        rows["y"],
        rows["h"],
        groups,
        rows["p"],
        positive="yes",
        bootstrap=0,
        intersect=[["sex", "skin"]],
    ).to_dict()
    assert content["n"] == 240
    for attribute, numbers in whole["disparities"].items():
        for name, number in numbers.items():
            found = content["disparities"][attribute][name]["value"]
            assert found == pytest.approx(number["value"], abs=1e-4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--subgroups", 2], ("--subgroups", "in memory")),
        (["--label", "z"], ("0.parquet", "no column 'z'")),
        (["--group", "z"], ("0.parquet", "no column 'z'")),
        (["--probs", "z_"], ("0.parquet", "z_")),
        (["--split", "train"], ("no column 'split'",)),
        (["--cluster", "person"], ("parts", "--cluster")),
        (["--intersect", "sex,nope"], ("intersect", "nope")),
        (["--max-groups", 2], ("group column 'skin'", "--max-groups")),
        (["--positive", "maybe"], ("no such class", "'maybe'")),
    ],
)
def test_bad_values_for_a_folder_are_one_line_and_code_2(
    folder: Path,
    refused: Refused,
    replaced: Callable[..., list[object]],
    change: list[object],
    expected: tuple[str, ...],
) -> None:
    message = refused(folder, *replaced([*OPTIONS, *QUICK], change))
    for text in expected:
        assert text in message


def test_a_folder_without_tables_is_refused(tmp_path: Path, refused: Refused) -> None:
    assert "no tables in this folder" in refused(tmp_path, *OPTIONS)


HOSTILE = [
    "<script>alert(1)</script>",
    "../../x",
    "=1+1",
    "👩🏽\u200d🚀",
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u202egnp.exe",
    "a & b_c % $x$ \\input{/etc/passwd}",
    "a|b `c` [d](javascript:alert(1))",
]


class Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.scripts: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "script":
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        (self.scripts if self.inside else self.text).append(data)


def test_hostile_names_are_text_in_every_file(tmp_path: Path, fairlora: Command) -> None:
    inside = tmp_path / "deep" / "deeper" / "work"
    inside.mkdir(parents=True)
    path = inside / "p.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["y", "h", "<i>g"])
        writer.writerows([k % 2, k // 7 % 2, HOSTILE[k % 7]] for k in range(140))
    names = ("page.html", "report.md", "tables.tex", "all.json", "figure.png")
    wanted = [part for name in names for part in ("--out", inside / "out" / name)]
    some = ["--label", "y", "--pred", "h", "--group", "<i>g", "--bootstrap", 20, "--subgroups", 1]
    done = fairlora("audit", path, *some, "--subgroup-size", 5, *wanted)
    assert done.code == 0, done.err
    written = {p.name for p in (inside / "out").iterdir()}
    assert written == {*names[:4], *(f"figure-{k}.png" for k in (1, 2, 3))}
    every = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert every == {path, *(inside / "out" / name for name in written)}
    page = Scripts()
    page.feed((inside / "out" / "page.html").read_text(encoding="utf-8"))
    assert not any("alert" in script for script in page.scripts)
    text = "".join(page.text)
    # What turns round the text that follows is left out of pages.
    assert "\u202e" not in text
    assert [name for name in HOSTILE if name.replace("\u202e", "") not in text] == []
    markdown = (inside / "out" / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)  # no link
    latex = (inside / "out" / "tables.tex").read_text(encoding="utf-8")
    assert r"\input{" not in latex
    content = json.loads((inside / "out" / "all.json").read_text(encoding="utf-8"))
    assert set(content["by_group"]["<i>g"]) == set(HOSTILE)
