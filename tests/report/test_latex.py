"""Tables in LaTeX: rules, marks, labels, and any text escaped."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlora.report import to_latex
from fairlora.report.latex import escape
from fairlora.report.text import slug

# Every command and group that escaping may write, and nothing else.
WRITTEN = re.compile(
    r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar"
    r"|textasciigrave|char34)\{\}"
    r"|\\ensuremath\{(?:-|\\times|\\pm|\\leq|\\geq|\\rightarrow)\}"
    r"|\\[&%$#_{}]|\{[\[\]*]\}|-\{\}"
)
# And the frame of a table.
FRAME = re.compile(
    r"\\(?:begin|end)\{(?:table|tabular)\}|\[htbp\]|\{@\{\}[lr]*(?:p\{[\d.]+\\linewidth\}[lr]*)*@\{\}\}"
    r"|\\(?:centering|small|footnotesize|smallskip|noindent|par|toprule|midrule|bottomrule)\b"
    r"|\\setlength\{\\tabcolsep\}\{3pt\}|\\label\{tab:[a-z0-9-]+\}|\$\^\\d?dagger\$"
    r"|\\multicolumn\{\d+\}\{@\{\}l@\{\}\}|\\shortstack\[[lr]\]|\\(?:caption|textbf|textit)(?=\{)"
    r"| & "
)
# From left to right, line ends first: a backslash belongs to the one before it.
ALL = re.compile(rf"\\\\|{WRITTEN.pattern}|{FRAME.pattern}")
SPECIAL = re.compile(r'[\\&%$#_~^<>|`"\[\]*\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]')


def inert(text: str) -> bool:
    return not re.search(SPECIAL.pattern + "|[{}]", WRITTEN.sub("", text))


def balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\input{/etc/passwd}", "\\textbackslash{}input\\{/etc/passwd\\}"),
        ("50% & $5 #1 a_b", "50\\% \\& \\$5 \\#1 a\\_b"),
        ("~^", "\\textasciitilde{}\\textasciicircum{}"),
        ("^^M", "\\textasciicircum{}\\textasciicircum{}M"),
        ("<script>", "\\textless{}script\\textgreater{}"),
        ("a|b", "a\\textbar{}b"),
        ("[2cm] *", "{[}2cm{]} {*}"),
        ("a, b", "a, b"),
        ('"a" `b`', "\\char34{}a\\char34{} \\textasciigrave{}b\\textasciigrave{}"),
        ("--- a-b", "-{}-{}- a-b"),
        ("−0.5", "\\ensuremath{-}0.5"),
        ("one\n\n\\par two\r\tthree", "one \\textbackslash{}par two three"),
        ("עברית 肤色 🧑🏿", "עברית 肤色 🧑🏿"),
        ("", ""),
    ],
)
def test_escaping(text: str, expected: str) -> None:
    assert escape(text) == expected
    assert inert(escape(text))


# Control characters are taken out before, when the page is cleaned.
@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))) | st.text("\\{}$%&#_^~ -[]*<a"))
def test_any_text_comes_out_inert(text: str) -> None:
    assert inert(escape(text))
    assert balanced(escape(text))


@given(st.text())
def test_labels_are_plain(text: str) -> None:
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug(text))
    assert len(slug(text)) <= 48


def test_a_table_has_rules_marks_and_their_meaning(study_page: dict[str, Any]) -> None:
    lines = to_latex(study_page).splitlines()
    for line in (
        "\\begin{table}[htbp]",
        "\\caption{Side by side. Means over seeds.}",
        "\\label{tab:side-by-side}",
        "\\begin{tabular}{@{}lrr@{}}",
        "\\toprule",
        "method & accuracy & gap \\\\",
        "\\midrule",
        "LoRA & \\textbf{91.2\\%} & \\textit{12.3}$^\\ddagger$ \\\\",
        "FairLoRA & 90.8\\% & 7.9$^\\dagger$ \\\\",
        "\\bottomrule",
        "\\par\\smallskip{\\footnotesize \\textbf{Bold}: best. \\textit{Italics}$^\\ddagger$: "
        "worst. $^\\dagger$: few cases: read with care.\\par}",
        "\\end{table}",
        "Three seeds are few.\\par}",
    ):
        assert line in lines, line
    assert "XeLaTeX or LuaLaTeX" in to_latex(study_page)
    assert "skin" not in to_latex(study_page)


def test_no_legend_without_marks_and_no_table_without_tables() -> None:
    table = {"title": "t", "columns": [{"name": "a"}], "rows": []}
    text = to_latex({"title": "p", "tables": [table]})  # type: ignore[typeddict-item]
    assert "smallskip" not in text
    assert "{No rows.} \\\\" in text
    alone = to_latex({"title": "p\n\\input{x}"})
    assert all(line.startswith("%") for line in alone.splitlines())


def test_means_with_their_deviation_and_the_best_in_bold(study_page: dict[str, Any]) -> None:
    study_page["tables"][0]["rows"][0]["cells"][1]["text"] = "93.6 ± 0.4"
    text = to_latex(study_page)
    assert "LoRA & \\textbf{93.6 \\ensuremath{\\pm} 0.4} &" in text


def test_labels_are_unique(study_page: dict[str, Any]) -> None:
    study_page["tables"] = study_page["tables"] * 3
    labels = re.findall(r"\\label\{(.*?)\}", to_latex(study_page))
    assert labels == ["tab:side-by-side", "tab:side-by-side--2", "tab:side-by-side--3"]


def test_wide_tables_get_tight_columns_and_headings_in_two_lines() -> None:
    heads = ["group", "worst group accuracy", *"abcdefg"]
    columns = [{"name": head, "align": "right" if i else "left"} for i, head in enumerate(heads)]
    rows = [{"cells": [{"text": "a long name of a group, in many words"}, *[{"text": "1"}] * 8]}]
    page: Any = {"title": "p", "tables": [{"title": "t", "columns": columns, "rows": rows}]}
    text = to_latex(page)
    assert "\\shortstack[r]{worst group\\\\accuracy}" in text
    assert "\\begin{tabular}{@{}p{0.30\\linewidth}rrrrrrrr@{}}" in text
    assert "\\tabcolsep" in text


def test_hostile_names_stay_inside_their_cells(hostile_page: dict[str, Any]) -> None:
    hostile_page["tables"][0]["rows"] *= 2
    text = to_latex(hostile_page)
    text.encode()
    assert balanced(text)
    # Two tables, and the numbers of a scatter.
    found = [line for line in text.splitlines() if line.startswith("\\begin{tabular}")]
    widths = [len(hostile_page["tables"][0]["columns"])] * 2 + [4]
    assert len(found) == len(widths)
    columns = 0
    for line in text.splitlines():
        if line.startswith("%"):
            continue
        if line.startswith("\\begin{tabular}"):
            columns = widths.pop(0)
        rest = ALL.sub("", line)
        assert not SPECIAL.search(rest), line
        # An option after a line's end would be read by the command before it.
        assert not line.startswith(("[", "*"))
        if line.endswith("\\\\"):
            cells = re.sub(r"\\shortstack\[[lr]\]", "", line).replace("\\&", "").count(" & ") + 1
            assert cells == columns


def test_malformed_pages_are_refused() -> None:
    with pytest.raises(ValueError, match=r"page\.notes\[0\]"):
        to_latex({"title": "t", "notes": [1]})  # type: ignore[list-item]
