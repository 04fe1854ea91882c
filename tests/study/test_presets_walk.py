"""Every preset in smoke form, the whole way: search, all cells, verdicts, tables, figures, page."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlora.study.engines.inline import InlineEngine
from fairlora.study.report.from_disk import report_study
from fairlora.study.runs.runner import StudyRunner
from fairlora.study.spec.presets import preset_path, presets
from fairlora.study.spec.smoke import smoke_study
from fairlora.study.spec.study import read_study


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("presets")


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_goes_the_whole_way(name: str, place: Path) -> None:
    # Presets that reuse others' cells find them here, if those ran before.
    spec = read_study(preset_path(name), ["report.formats=[svg]"], smoke=True)
    study = smoke_study(spec, place / "inputs")
    root = place / "runs" / study.name
    if not study.train:
        page = report_study(study, root)
        wanted = "Parameters" if study.shift is None else "Frechet distance"
        assert wanted in page.read_text(encoding="utf-8")
        return
    outcome = StudyRunner(study, root, InlineEngine()).run()
    assert outcome.reasons == {}
    assert outcome.ran + outcome.kept > 0
    page = report_study(study, root, outcome)
    text = page.read_text(encoding="utf-8")
    assert "Is the first less fair than the second?" in text
    tables = {path.name for path in (page.parent / "tables").iterdir()}
    assert {"runs.csv", "measures.csv", "verdicts.csv", "parameters.tex"} <= tables
    assert any((page.parent / "figures").iterdir())
    if study.privacy is not None:
        assert "membership-inference.csv" in tables
        assert "is not attacked" not in text
    if name.startswith("waterbirds"):
        assert "As the group suggests" in text
    again = StudyRunner(study, root, InlineEngine()).run()
    assert again.ran == 0
