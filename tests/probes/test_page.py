"""Answers side by side: who is compared, and a page of every kind of probe."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlora.data import Examples, assign_splits, load_examples
from fairlora.data.tiny import write_tiny
from fairlora.errors import InputError
from fairlora.models import LanguageModel
from fairlora.probes.answers import Answers, pairs_of, verdicts
from fairlora.probes.estimates import MeasureVerdict
from fairlora.probes.page import probe_page
from fairlora.probes.rows import Asked, read_probe
from fairlora.probes.run import run_probe
from fairlora.probes.settings import parse_probe
from fairlora.probes.tables import answer, number
from fairlora.report import chart_figure
from fairlora.report.html import to_html
from fairlora.report.page import check_page

pytest.importorskip("sacrebleu")
QUICK: dict[str, dict[str, Any]] = {
    "translation": {"max_new_tokens": 3},
    "cloze": {"rows": 3},
    "choice": {"rows": 2, "symbols": ["letters"], "neutral": True},
    "token-bias": {"rows": 3, "symbols": ["letters"]},
}


@pytest.fixture(scope="module")
def winomt(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    options = write_tiny("winomt", tmp_path_factory.mktemp("winomt"), rows=60)
    return assign_splits(load_examples("winomt", options), 0)


@pytest.fixture(scope="module")
def asked(
    tiny_language: LanguageModel,
    tiny_mistral: LanguageModel,
    winomt: Examples,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Asked, Asked]]:
    """Every probe of two models."""
    root = tmp_path_factory.mktemp("asked")
    out: dict[str, tuple[Asked, Asked]] = {}
    for name, values in QUICK.items():
        found = []
        for k, language in enumerate((tiny_language, tiny_mistral)):
            folder = root / str(k)
            run_probe(name, language, winomt, parse_probe(name, values), folder)
            found.append(read_probe(folder, name))
        assert found[0] is not None
        assert found[1] is not None
        out[name] = (found[0], found[1])
    return out


@pytest.mark.parametrize("name", QUICK)
def test_a_page_of_several_models_can_be_shown(
    asked: dict[str, tuple[Asked, Asked]], name: str, tmp_path: Path
) -> None:
    one, other = asked[name]
    answers = [
        Answers("base", (one,), "base"),
        Answers("LoRA rank 2", (other, one), "adapter", 2, (0, 1)),
        Answers("LoRA rank 4", (other,), "adapter", 4, (0,)),
        Answers("full", (other,), "full", None, (0,)),
    ]
    page = check_page(probe_page(name, answers, {"Data": "tiny"}))
    titles = [table["title"] for table in page["tables"]]
    assert titles[0].startswith("Is the first less fair than the second?")
    # "full" and "LoRA rank 4" are one model, and nothing of them may be said to differ.
    own = [row["cells"] for row in page["tables"][0]["rows"]
           if row["cells"][0]["text"] == "LoRA rank 4 against full"]  # fmt: skip
    assert own
    assert {cells[4]["text"] for cells in own} <= {"the same", "equivalent (within 2.0)"}
    assert "base" in to_html(page)
    for chart in page["charts"]:
        assert chart["series"]
    along = [chart for chart in page["charts"] if "against rank" in chart["title"]]
    assert len(along) == {"translation": 2, "cloze": 1}.get(name, 0)
    for chart in along:
        assert [p["x"] for p in chart["series"][0]["points"]] == [2.0, 4.0]
        assert {r["name"] for r in chart["references"]} == {"base", "full"}
    chart_figure(page["charts"][0], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


@pytest.mark.parametrize("name", QUICK)
def test_a_model_differs_from_itself_in_nothing(
    asked: dict[str, tuple[Asked, Asked]], name: str
) -> None:
    one, _ = asked[name]
    rows, notes = verdicts([Answers("a", (one,), "base"), Answers("b", (one,), "full")])
    assert notes == []
    for row in rows:
        assert row.value == 0
        assert row.answer in ("equivalent", "inconclusive")


def test_who_is_compared_with_whom() -> None:
    def made(name: str, role: Any) -> Answers:
        return Answers(name, (), role)

    def names(*answers: Answers) -> list[tuple[str, str]]:
        return [(a.name, b.name) for a, b in pairs_of(answers)]

    base, lora, full = made("base", "base"), made("lora", "adapter"), made("full", "full")
    assert names(base, lora, full) == [("lora", "base"), ("lora", "full"), ("full", "base")]
    assert names(lora, made("dora", "adapter")) == [("lora", "dora")]
    assert names(base) == []
    assert names(base, made("other base", "base")) == [("base", "other base")]


def test_models_that_were_asked_otherwise_are_not_compared(
    asked: dict[str, tuple[Asked, Asked]],
) -> None:
    one, other = asked["cloze"]
    changed = {**other.summary, "settings": {**other.summary["settings"], "neutral": True}}
    answers = [
        Answers("base", (one,), "base"),
        Answers("full", (replace(other, summary=changed),), "full"),
    ]
    with pytest.raises(InputError, match="full: not asked the same cloze probe: neutral differs"):
        probe_page("cloze", answers, {})


def test_runs_without_a_common_seed_are_not_compared(
    asked: dict[str, tuple[Asked, Asked]],
) -> None:
    one, other = asked["cloze"]
    answers = [
        Answers("LoRA", (one, other), "adapter", 2, (0, 1)),
        Answers("full", (one, other), "full", None, (2, 3)),
    ]
    rows, notes = verdicts(answers)
    assert rows == []
    assert notes == ["LoRA and full share no seed: they are not compared"]


def test_models_asked_by_other_templates_are_not_compared(
    asked: dict[str, tuple[Asked, Asked]],
) -> None:
    """A file of templates may be written anew under its old name."""
    one, other = asked["cloze"]
    assert one.summary["questions"] == other.summary["questions"]
    changed = replace(other, summary={**other.summary, "questions": "others"})
    with pytest.raises(InputError, match="full: not asked the same cloze probe: questions differs"):
        probe_page(
            "cloze", [Answers("base", (one,), "base"), Answers("full", (changed,), "full")], {}
        )


def test_small_differences_are_shown_with_more_digits() -> None:
    narrow = {"value": -0.0042, "low": -0.0071, "high": -0.0013}
    assert number(narrow, "log odds") == "-0.004 [-0.007, -0.001]"
    assert number(narrow, "share") == "-0.4 [-0.7, -0.1]"
    narrower = {"value": -0.0004, "low": -0.0007, "high": -0.0001}
    assert number(narrower, "share") == "-0.04 [-0.07, -0.01]"
    assert number({"value": 0.5, "low": 0.5, "high": 0.5}, "share") == "50.0 [50.0, 50.0]"
    assert number({"value": 0.5, "low": None, "high": None}, "share") == "50.0"


def test_reading_what_was_asked_loads_no_torch() -> None:
    """Reports are made of files: `study report` and `compare` must start at once."""
    code = (
        "import sys, fairlora.probes.page, fairlora.probes.rows; "
        "print({'torch', 'transformers', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_difference_that_could_be_found_is_never_shown_as_none() -> None:
    fields = {k: None for k, f in MeasureVerdict.model_fields.items() if f.is_required()}
    said = {"answer": "inconclusive", "verdict": "inconclusive", "kind": "log odds"}
    numbers = {"value": 1e-3, "low": -1e-3, "high": 3e-3}
    row = MeasureVerdict(
        **{**fields, "name": "a", "title": "A", "primary": True, **said, **numbers}
    )
    for detectable, text in ((0.0014, "0.001"), (0.25, "0.25"), (0.0, "0.00")):
        could = row.model_copy(update={"detectable": detectable})
        assert answer(could) == f"not shown ({text})"
