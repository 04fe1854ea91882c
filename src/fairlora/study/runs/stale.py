"""Find stale cells in a study's folder: of an older format, or of data as they were.

Such cells are never touched. Their identity is another, so the study runs what it needs anew; here
that is said.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.runs import content
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.status import list_store

FORMAT = "format"


def left_over(
    root: Path, record: dict[str, Any] | None, inputs: str, known: Collection[str]
) -> list[str]:
    """Lines to say of what lies in a study's folder and is not what would be run now.

    Parameters
    ----------
    record : what ``study.json`` said before (`read_record`).
    inputs : the fingerprint of the data and weights as they are now (`CellMaker.all_inputs`).
    known : names of the study's cells.
    """
    notes = []
    if record is not None and record.get("inputs") not in (None, inputs):
        notes.append(
            "the data or the weights are not those of the study's last run: its cells are left as "
            "they are, and run anew where the change concerns them"
        )
    older = sum(_is_older(root / s.name) for s in list_store(root) if s.name not in known)
    if older:
        notes.append(
            f"{older} cells are of an older format: they are left as they are, and what the study "
            "needs of them is run anew"
        )
    return notes


def _is_older(folder: Path) -> bool:
    try:
        # Cells have said their format since there were two of them to tell apart.
        return RunFolder(folder).environment().get(FORMAT, 1) < content.CELL_VERSION  # type: ignore[no-any-return]
    except InputError:
        return False  # it is "broken" in the listing
