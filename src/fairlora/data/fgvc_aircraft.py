"""FGVC-Aircraft (Maji et al. 2013): photographs of aircraft by variant, family and manufacturer.

The archive ``fgvc-aircraft-2013b`` (or its folder ``data``): ``images/<id>.jpg`` and, for each of
variant, family and manufacturer and each of train, val and test, a list such as
``images_variant_train.txt`` with lines "0034309 Boeing 707-320". Targets: variant (100), family
(70), manufacturer (30). Groups: manufacturer and family.

The official splits have 3,334 / 3,333 / 3,333 pictures. The FairLoRA paper trains on the first two
together (6,667): ``validation: ours`` does that, and draws validation from them by the run's seed.
The strip with the photographer's name at the bottom of every picture is left where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from fairlora.data.checking import Count, Problem, Reading
from fairlora.data.examples import MISSING, REST, Examples
from fairlora.data.pictures import inside, sizes_of
from fairlora.data.registry import DataOptions, DataSet, chosen_groups, fingerprint, require_path
from fairlora.data.tables import label_classes
from fairlora.errors import InputError
from fairlora.predictions import group_column

CLASSES = {"variant": 100, "family": 70, "manufacturer": 30}
ROWS = {"train": 3334, "validation": 3333, "test": 3333}
GROUPS = ("manufacturer", "family")
_LISTS = {"train": "train", "validation": "val", "test": "test"}


class FGVCAircraftOptions(DataOptions):
    target: Literal["variant", "family", "manufacturer"] = Field(
        default="variant", description="what to predict"
    )
    validation: Literal["official", "ours"] = Field(
        default="official",
        description="ours: divide the official training and validation rows by the seed",
    )


class FGVCAircraft(DataSet):
    name = "fgvc-aircraft"
    summary = "aircraft by variant, family and manufacturer (folder with images_*_*.txt lists)"
    options = FGVCAircraftOptions

    def read(self, options: FGVCAircraftOptions) -> Reading:
        folder = require_path(options, "FGVC-Aircraft", kind="folder")
        if not any(folder.glob("images_*_*.txt")) and (folder / "data").is_dir():
            folder = folder / "data"
        lists, problems = _read_lists(folder)
        rows = [
            (picture, label, split, where)
            for split in _LISTS
            for picture, label, where in lists.get((options.target, split), [])
        ]
        if not rows:
            raise InputError(
                "no lists of pictures",
                where=folder,
                expected=f"images_{options.target}_train.txt and its like",
            )
        ids = [row[0] for row in rows]
        path = folder / f"images_{options.target}_*.txt"
        labels, classes = label_classes([row[1] for row in rows], path, options.target)
        own = np.array([row[2] for row in rows])
        split = own if options.validation == "official" else np.where(own == "test", own, REST)
        images = [inside(folder / "images", f"{i}.jpg", where=where) for i, _, _, where in rows]
        sizes, absent = sizes_of(images, lambda k: rows[k][3])
        columns = {}
        for level in GROUPS:
            known = {i: name for (of, _), lines in lists.items() if of == level
                     for i, name, _ in lines}  # fmt: skip
            columns[level] = [known.get(i, MISSING) for i in ids]
        examples = Examples(
            name="FGVC-Aircraft",
            ids=np.array(ids),
            images=images,
            labels=labels,
            classes=classes,
            groups={level: group_column(values) for level, values in columns.items()},
            split=split,
            # Of all levels: it is the same copy, whatever is predicted.
            fingerprint=fingerprint(
                [f"{key} {i} {name}" for key in sorted(lists) for i, name, _ in lists[key]]
                + [str(size) for size in sizes]
            ),
        )
        counts = [Count("examples", len(rows), sum(ROWS.values()))]
        counts += [
            Count(f"split {name}" if options.validation == "official" else f"official {name}",
                  int((own == name).sum()), published)
            for name, published in ROWS.items()
        ]  # fmt: skip
        counts.append(Count("classes", len(classes), CLASSES[options.target]))
        return Reading(chosen_groups(examples, options), counts, [*problems, *absent])


Lists = dict[tuple[str, str], list[tuple[str, str, str]]]


def _read_lists(folder: Path) -> tuple[Lists, list[Problem]]:
    """(level, split) -> (picture, name, file and line); and a problem for each absent list."""
    lists: Lists = {}
    problems = []
    for level in CLASSES:
        for split, suffix in _LISTS.items():
            path = folder / f"images_{level}_{suffix}.txt"
            lists[level, split] = _read_list(path) if path.is_file() else []
            if not lists[level, split]:
                what = "the list is empty" if path.is_file() else "no such file"
                error = InputError(what, where=path, expected="a list of FGVC-Aircraft")
                problems.append(Problem("missing list", path.name, error))
    return lists, problems


def _read_list(path: Path) -> list[tuple[str, str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("unreadable list", where=path, found=type(error).__name__) from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        picture, _, name = line.strip().partition(" ")
        where = f"{path}, line {number}"
        if not name.strip():
            raise InputError(
                "no name after the picture", where=where, found=repr(line), expected="'ID NAME'"
            )
        rows.append((picture, name.strip(), where))
    return rows
