"""Every metric that a page shows is defined, and the docs define it in the same words."""

from __future__ import annotations

from pathlib import Path

from fairlora.metrics.labels import DISPARITY
from fairlora.metrics.terms import TERMS, terms_of

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def test_the_docs_have_every_definition() -> None:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    assert {f"| {name} | {text} |" for name, text in TERMS.items()} <= set(lines)


def test_every_disparity_of_classes_is_defined() -> None:
    undefined = [name for key, name in DISPARITY.items() if key.startswith(("acc", "eo", "dp"))]
    assert set(undefined) <= set(TERMS)


def test_a_page_has_the_words_of_its_tables_alone() -> None:
    rows = [{"cells": [{"text": "AUC gap (best - worst)"}]}, {"cells": [{"text": "Age"}]}]
    found = terms_of([{"columns": [{"name": "Metric"}, {"name": "FPR"}], "rows": rows}])
    assert [one["name"] for one in found] == ["FPR", "AUC gap (best - worst)"]
