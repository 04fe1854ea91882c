"""The presets: study files that come with fairlora: the demo, and the experiments of the papers.

They lie in ``studies/`` of the repository, and beside the package's modules where it is installed.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from fairlora.errors import InputError
from fairlora.study.spec.study import StudySpec, read_study

_PACKAGE = Path(__file__).resolve().parents[2]
_ENDINGS = (".yaml", ".yml")


def preset_path(name: str) -> Path:
    """The study file that a user means: a file of theirs, or a preset by its name.

    A file that is there wins over a preset; a preset may be named with or without ``.yaml``.

    Raises `InputError` for what is neither, with the presets there are.
    """
    given = Path(name).expanduser()
    if given.is_file():
        return given
    folder = _folder()
    word = given.name
    for ending in _ENDINGS:
        word = word.removesuffix(ending)
    known = _names(folder)
    # A path that leads to another place is no preset's name, though it may end like one.
    if word in known and given.name == name:
        return folder / f"{word}.yaml"
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    expected = "a study file, or a preset: "
    expected += f"{close[0]!r}? There are " if close else "one of "
    raise InputError(
        "a folder, not a study file" if given.is_dir() else "no such study file or preset",
        where=name,
        expected=expected + ", ".join(known),
    )


def read_preset(name: str, overrides: Sequence[str] = ()) -> StudySpec:
    """A preset by its name alone: a user's file of that name is not looked for."""
    return read_study(_folder() / f"{name}.yaml", overrides)


def presets() -> dict[str, str]:
    """Every preset's name with the first line of its file, which says what it repeats.

    >>> presets()["parameters"]
    'How many parameters LoRA trains at each rank, by arithmetic (Sukumaran et al. 2024, Table 5)'
    """
    folder = _folder()
    titles = {}
    for name in _names(folder):
        with (folder / f"{name}.yaml").open(encoding="utf-8") as file:
            titles[name] = file.readline().lstrip("#").strip()
    return titles


def _folder() -> Path:
    installed = _PACKAGE / "studies"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "studies"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))
