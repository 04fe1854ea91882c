"""docs/compatibility.md is what scripts/compatibility.py prints: its way, with today's libraries.

The environments of other versions are made on demand; what they wrote once is read in
tests/models/test_old_adapters.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import compatibility

    return compatibility


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import compatibility_library

    return compatibility_library


def test_what_todays_libraries_write_is_read_as_it_is(
    script: ModuleType, library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = ("ViT, DINO", "BERT, MiniLM", "Mistral")
    monkeypatch.setattr(
        library, "ARCHITECTURES", {name: library.ARCHITECTURES[name] for name in some}
    )
    monkeypatch.setattr(library, "METHODS", {n: library.METHODS[n] for n in ("full", "DoRA")})
    inputs = script.write_inputs(tmp_path / "inputs")
    folder = tmp_path / "written"
    found = library.write_models(inputs, folder)
    (folder / "expected.json").write_text(json.dumps(found))
    read = script.models_read(folder, inputs)
    assert set(read.values()) == {"exact"}
    assert len(read) == 6
    (folder / "data").mkdir()
    said = library.write_data(inputs, folder / "data")
    (folder / "data" / "expected.json").write_text(json.dumps(said))
    data = script.data_read(folder / "data")
    assert set(data.values()) == {"exact"}
    page = script.render([script.TODAY], [read], [data], [{"ViT, DINO/lora": "off 0.21"}])
    assert "| Mistral | exact | exact |" in page
    assert "| ViT, DINO | **other** (0.21) |" in page


def test_another_answer_is_seen(script: ModuleType) -> None:
    assert script.judged({"logits": [[1.0, 2.0]]}, [[1.0, 2.00001]]) == "exact"
    assert script.judged({"logits": [[1.0, 2.0]]}, [[1.0, 2.5]]) == "off 0.5"
    assert script.judged({"logits": [[1.0]]}, [[1.0, 2.5]]).startswith("error other shapes")
    assert script.judged({"error": "KeyError: 'BOFT'"}, []) == "error KeyError: 'BOFT'"


def test_the_page_is_of_todays_versions_and_reads_nothing_otherwise(script: ModuleType) -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for version in (*script.VERSIONS, script.TODAY):
        assert f"### Written by {script.named(version)}" in PAGE
    assert all(f"{name}=={version}" in pinned for name, version in script.TODAY.items())
    reads, writes = PAGE.split("## What fairlora writes")
    assert "**other**" not in reads.split("### Written by", 1)[1]
    assert "**other**" in writes
