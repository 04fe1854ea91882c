"""The documentation as a site, and the pages of it that say what the code has."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import fairlora
from fairlora import errors
from fairlora.cli.schema import _Kind
from fairlora.study.spec.presets import presets

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
PARTS = ("docs", "scripts", "examples", "benchmarks/README.md", "mkdocs.yml", "NOTICE",
         "src/fairlora/probes/templates")  # fmt: skip


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """`mkdocs build` of a checkout; its hook takes the checkout that it lies in.

    Not with --quiet: then mkdocs 1.6.1 counts no warnings, and strict builds anything.
    """
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", root / "mkdocs.yml", "-d", out],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed (extra docs)")
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


def test_the_site_asks_nothing_of_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))
    elsewhere = r"[\"']?(?:https?:)?//"
    loaded = re.compile(
        rf"<(?:script|img|iframe|source)[^>]+src={elsewhere}"
        rf"|<link[^>]+rel=[\"']?(?:stylesheet|pre\w+)[^>]+href={elsewhere}"
    )
    for page in pages:
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any(found["location"].startswith("audit.html") for found in index["docs"])


def test_pages_of_the_repository_are_pages_of_the_site(site: Path) -> None:
    first = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="audit.html"' in first
    assert 'href="project/ARCHITECTURE.html"' in first
    training = (site / "training.html").read_text(encoding="utf-8")
    assert 'href="project/examples/huggingface/fair.py"' in training
    assert (site / "project/examples/huggingface/fair.py").is_file()


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed (extra docs)")
    root = tmp_path / "checkout"
    for name in PARTS:
        source = ROOT / name
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, root)
    with (root / "docs" / "limits.md").open("a") as page:
        page.write("\n[a](audit.md#no-such-place) [b](nothing.md) [c](../neither.md)\n")
    done = build(root, tmp_path / "site")
    assert done.returncode == 1
    assert all(link in done.stderr for link in ("#no-such-place", "nothing.md", "neither.md"))


def test_every_page_stands_in_the_contents() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": ([\w./-]+\.md)$", text, re.MULTILINE))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages <= named


def test_the_commands_are_those_of_the_code() -> None:
    path = ROOT / "scripts" / "commands_page.py"
    spec = importlib.util.spec_from_file_location("commands_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (DOCS / "commands.md").read_text(encoding="utf-8")


def test_every_preset_stands_beside_a_table_or_figure() -> None:
    page = (DOCS / "papers.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`fairlora study (?:run|plan) ([\w-]+)`", page))
    named |= set(re.findall(r"`(dlab-\w+)`", page))
    assert named == set(presets())


def test_exit_codes_and_schemas_are_those_of_the_code() -> None:
    page = (DOCS / "programs.md").read_text(encoding="utf-8")
    codes = set(map(int, re.findall(r"^\| (\d+) \|", page, re.MULTILINE)))
    kinds = [one for one in vars(errors).values()
             if isinstance(one, type) and issubclass(one, errors.FairloraError)]  # fmt: skip
    from fairlora.cli import INTERRUPTED
    from fairlora.metrics.gate.judge import EXIT

    terminated = 128 + signal.SIGTERM
    own = {0, INTERRUPTED, terminated, *EXIT.values()}
    assert codes == {*own, *(kind.exit_code for kind in kinds)}
    assert set(re.findall(r"\| `([\w-]+)` \|$", page, re.MULTILINE)) == set(_Kind)


@pytest.mark.parametrize(
    ("words", "place", "found"),
    [
        ("fairlora st", 1, ["study"]),
        ("fairlora audit --marg", 2, ["--margin"]),
        ("fairlora schema attack-", 2, ["attack-comparison"]),
    ],
)
def test_bash_completes(words: str, place: int, found: list[str]) -> None:
    code = "import sys; sys.argv[0] = 'fairlora'; from fairlora.cli import main; main()"
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(place), "_FAIRLORA_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert (done.stdout.split(), done.stderr) == (found, "")


def test_the_changelog_and_the_citation_are_of_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == fairlora.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"] == fairlora.__version__
    assert citation["license"] == project["license"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for reference in citation["references"]:
        assert reference["title"] in readme
        assert reference.get("url", "") in readme


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_as_it_stands(
    path: Path, fairlora: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python is run, a YAML block is the file that its first line names, fairlora is called."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert {language for language, _ in blocks} <= {"python", "bash", "yaml"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, path.name, "exec"), names)
        elif language == "yaml":
            Path(block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
        else:
            for line in block.splitlines():
                command, _, wanted = line.partition("  # exit code ")
                called, *arguments = command.split()
                if called == "pip":
                    continue
                assert called == "fairlora"
                done = fairlora(*arguments)
                assert done.code == int(wanted or 0), (line, done.err)
