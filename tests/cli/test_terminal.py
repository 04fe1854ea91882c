"""No control or hidden character of a file or a name reaches the terminal; JSON keeps the data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import FairloraError, InputError, WorkError, clean, escape_json

HOSTILE = "\x1b[31mred\x07\x9b2J\u202etxt.exe\u200b"
SHOWN = "\ufffd[31mred\ufffd\ufffd2Jtxt.exe\ufffd"
# What a terminal would obey, or not show. The line feed is what print itself ends a line with.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
COLUMNS = ("--label", "y", "--pred", "h", "--min-group", 1, "--bootstrap", 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Predictions whose file, column, groups and classes have hostile names."""
    path = tmp_path / f"{HOSTILE}.csv"
    rows = "".join(f"a{HOSTILE},a{HOSTILE},g{HOSTILE}\nb,a{HOSTILE},other\n" for _ in range(12))
    path.write_text(f"y,h,c{HOSTILE}\n{rows}", encoding="utf-8")
    return path


def test_a_page_on_the_terminal_is_safe(fairlora: Callable[..., Any], file: Path) -> None:
    out = file.with_suffix(".html")
    done = fairlora("audit", file, *COLUMNS, "--group", f"c{HOSTILE}", "--out", out)
    assert done.code == 0, done.err
    assert not UNSAFE.search(done.out + done.err)
    for text in (f"c{SHOWN}", f"g{SHOWN}", f"a{SHOWN}"):
        assert text in " ".join(done.out.split())
    assert f"Written: {clean(str(out))}" in done.out
    assert not UNSAFE.search(out.read_text(encoding="utf-8").replace("\t", ""))


def test_json_keeps_the_data_and_is_safe_to_print(fairlora: Callable[..., Any], file: Path) -> None:
    done = fairlora("audit", file, *COLUMNS, "--group", f"c{HOSTILE}", "--json")
    assert not UNSAFE.search(done.out)
    content = json.loads(done.out)
    assert set(content["by_group"][f"c{HOSTILE}"]) == {f"g{HOSTILE}", "other"}


@pytest.mark.parametrize("suffix", [".md", ".tex", ".csv.json", ".html"])
def test_files_that_are_laid_out_hold_clean_text(
    fairlora: Callable[..., Any], file: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"audit{suffix}"
    options = ("--group", f"c{HOSTILE}", "--title", HOSTILE, "--out", out)
    assert fairlora("audit", file, *COLUMNS, *options).code == 0
    text = out.read_text(encoding="utf-8")
    if suffix.endswith(".json"):
        assert f"c{HOSTILE}" in json.loads(text)["by_group"]
    else:
        assert not UNSAFE.search(text.replace("\t", ""))


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", f"none{HOSTILE}.csv"),
        ("audit", "FILE", "--label", HOSTILE, "--pred", "h"),
        ("audit", "FILE", "--label", "y", "--pred", "h", "--group", HOSTILE),
        ("audit", "FILE", *COLUMNS, "--group", "h", "--positive", HOSTILE),
        ("audit", "FILE", *COLUMNS, "--group", "h", "--out", f"{HOSTILE}.docx"),
        ("audit", "FILE", *COLUMNS, "--group", "h", "--out", f"FILE/{HOSTILE}.html"),
        ("audit", "FILE", *COLUMNS, "--group", "h", "--bins", HOSTILE),
        ("compare", HOSTILE),
        ("train", f"{HOSTILE}.yaml"),
        ("data", "check", HOSTILE),
        ("data", "check", "utkface", "--set", f"data.path={HOSTILE}"),
        ("attack", "--scores", HOSTILE),
        ("study", "plan", HOSTILE),
        (HOSTILE,),
    ],
    ids=str,
)
def test_errors_are_safe_to_print(
    fairlora: Callable[..., Any], file: Path, arguments: tuple[object, ...]
) -> None:
    done = fairlora(*(str(one).replace("FILE", str(file)) for one in arguments))
    assert done.code == 2
    assert done.err
    assert not UNSAFE.search(done.err + done.out)


@pytest.mark.parametrize("kind", [FairloraError, InputError, WorkError])
def test_a_message_is_one_clean_line_wherever_it_is_shown(kind: type[FairloraError]) -> None:
    assert str(kind(f"{HOSTILE}\r\nsecond")) == f"{SHOWN} second"


def test_a_traceback_is_safe_to_print() -> None:
    code = (
        "import sys\nfrom fairlora import cli\n"
        "def fail(): raise RuntimeError(sys.argv[1])\ncli.app = fail\ncli.main()"
    )
    command = [sys.executable, "-c", code, HOSTILE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("Traceback")
    assert done.stderr.splitlines()[-1] == f"RuntimeError: {SHOWN}"


def test_progress_and_states_are_safe_to_print(capsys: pytest.CaptureFixture[str]) -> None:
    from fairlora.cli.common import RunBar, make_console, note
    from fairlora.study.runs.progress import Progress

    with RunBar(HOSTILE) as bar:
        bar(Progress(HOSTILE, 1, 2, HOSTILE))
    note(HOSTILE)
    make_console().print(f"[red]{HOSTILE}[/red]")
    said = capsys.readouterr()
    assert not UNSAFE.search(said.out + said.err)
    assert said.err.count(SHOWN) == 5
    assert said.out == f"[red]{SHOWN}[/red]\n"


def test_letters_of_any_script_and_emoji_stay() -> None:
    for text in ("👩🏽\u200d🚀", "\u05e2\u05d1\u05e8\u05d9\u05ea", "می\u200cخواهم", "日本", "ünï"):
        assert clean(text) == text
        assert escape_json(text) == text
