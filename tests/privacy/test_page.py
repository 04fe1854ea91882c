"""The pages: every output is made of them, whatever is undefined or many or hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlora.privacy import compare_attacks, privacy_page, roc
from fairlora.privacy.paired_page import paired_privacy_page
from fairlora.report import chart_figure, check_page, to_html, to_json, to_latex, to_markdown

RNG = np.random.default_rng(0)
N = 1200
MEMBER = np.arange(N) % 2 == 0
GROUP = RNG.choice(["a", "b", "c", "d"], N)
SCORES = RNG.normal(size=N) + MEMBER


def test_the_page_has_tables_rocs_and_resistance() -> None:
    found = roc({"LiRA": SCORES, "LOSS": -SCORES}, MEMBER, {"skin": GROUP}, permutations=99)
    page = privacy_page(found.content, "Attacks")
    titles = [table["title"] for table in page["tables"]]
    assert titles[0] == "All rows"
    assert "By skin, LiRA: thresholds of each group" in titles
    assert "By skin, LOSS: one threshold for all" in titles
    assert "Gaps by skin, LiRA" in titles
    charts = {chart["title"]: chart for chart in page["charts"]}
    whole = charts["ROC, all rows"]
    assert [one["name"] for one in whole["series"]] == ["LiRA", "LOSS", "chance"]
    assert {whole["x"]["scale"], whole["y"]["scale"]} == {"log"}
    sizes = charts["Resistance and size by skin, LiRA"]
    assert {point["label"] for point in sizes["series"][0]["points"]} == set("abcd")
    assert "LiRA has an AUC of" in page["lead"]
    assert any("is the sign right" in note for note in page["notes"])


def test_every_output_takes_the_page(tmp_path: Path) -> None:
    found = roc(SCORES, MEMBER, {"skin": GROUP}, permutations=19)
    page = privacy_page(found.content, "Attacks")
    for output in (to_html, to_json, to_latex, to_markdown):
        assert "skin" in output(page)
    for k, chart in enumerate(page["charts"]):
        chart_figure(chart, tmp_path / f"{k}.png")
    found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000
    # The charts' numbers are tables too.
    assert found.to_latex().count("toprule") == len(page["tables"]) + len(page["charts"])
    found.show()


@pytest.mark.parametrize("scores", [np.zeros(N), np.where(MEMBER, 1.0, 0.0)])
def test_extreme_scores_make_a_page(scores: np.ndarray) -> None:
    found = roc(scores, MEMBER, {"g": GROUP}, permutations=9)
    check_page(privacy_page(found.content, "t"))
    check_page(paired_privacy_page(compare_attacks(scores, SCORES, MEMBER).content, "t"))


def test_many_groups_are_cut_and_said() -> None:
    group = [f"group {k % 75}" for k in range(N)]
    found = roc(SCORES, MEMBER, {"g": group}, permutations=9, min_group=2)
    page = privacy_page(found.content, "t")
    table = next(t for t in page["tables"] if "each group" in t["title"])
    assert len(table["rows"]) == 60
    assert "The 60 largest of 75 groups." in table["caption"]
    chart = next(c for c in page["charts"] if c["title"] == "ROC by g")
    assert len(chart["series"]) == 9
    assert "The 8 finest of 75" in chart["caption"]


def test_an_unresolvable_point_says_what_it_takes() -> None:
    found = roc(SCORES[:200], MEMBER[:200], permutations=9).to_markdown()
    assert "unresolvable: needs 1,000" in found


def test_hostile_names_are_text() -> None:
    group = np.where(GROUP == "a", "<script>alert(1)</script>|", "chance")
    found = roc({"chance": SCORES}, MEMBER, {"a|b": group}, permutations=9)
    html = to_html(privacy_page(found.content, "t"))
    assert "<script>alert(1)" not in html
    found.to_markdown()


def test_a_comparison_makes_a_page() -> None:
    result = compare_attacks(
        SCORES, SCORES + RNG.normal(size=N), MEMBER, {"skin": GROUP}, names=("LoRA", "full")
    )
    page = paired_privacy_page(result.content, "Compared")
    assert [table["title"] for table in page["tables"]] == [
        "All rows",
        "Gaps by skin",
        "Groups of skin",
    ]
    assert page["charts"][0]["series"][0]["name"] == "LoRA"
    assert "LoRA less full" in result.to_markdown()


def test_groups_named_alike_to_chance_keep_their_line() -> None:
    group = np.where(GROUP == "a", "chance", "other")
    found = roc(SCORES, MEMBER, {"g": group}, permutations=9)
    chart = privacy_page(found.content, "t")["charts"][1]
    assert [one["name"] for one in chart["series"]] == ["chance (name)", "other", "chance"]


def test_a_tiny_p_value_reads_as_one() -> None:
    found = roc(SCORES, MEMBER, {"g": GROUP}, permutations=9)
    found.content.attacks["attack"].gaps["g"]["auc_gap"].p_corrected = 0.0002
    lead = privacy_page(found.content, "t")["lead"]
    assert "(p <0.001)" in lead
    found.content.attacks["attack"].gaps["g"]["auc_gap"].p_corrected = 0.25
    assert "not beyond chance (p = 0.250)" in privacy_page(found.content, "t")["lead"]


def test_a_gap_is_marked_where_its_interval_leaves_out_no_gap_as_the_mark_says() -> None:
    found = roc(SCORES, MEMBER, {"g": GROUP}, permutations=9)
    gap = found.content.attacks["attack"].gaps["g"]["auc_gap"]
    for low, mark in ((0.0, None), (0.01, "beyond")):
        gap.p_corrected, gap.low = 0.01, low
        tables = privacy_page(found.content, "t")["tables"]
        row = next(t for t in tables if t["title"] == "Gaps by g")["rows"][0]
        assert row["cells"][1]["mark"] == mark
