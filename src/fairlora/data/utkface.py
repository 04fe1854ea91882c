"""UTKFace (Zhang, Song and Qi 2017): faces named ``[age]_[gender]_[race]_[date&time].jpg.chip.jpg``

Targets: ``gender`` (2) or ``age`` in the nine bins of Ding et al. 2024: (0,10], (10,20], ...,
(70,80], over 80. Groups: race, gender, age_bin. Five files of the full set break the naming rule:
three lack the race and are left out; two carry every label and only slip in the suffix, and are
kept. Both kinds are named in one warning. The full set of aligned and cropped faces has 23,708
files; there is no list of them, so a smaller folder is a part of it, not a broken copy.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from fairlora.data.checking import Count, Reading, some
from fairlora.data.examples import Examples, check_labels
from fairlora.data.registry import DataOptions, DataSet, chosen_groups, fingerprint, require_path
from fairlora.errors import InputError

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
FILES = 23_708  # of the full set, the five misnamed ones among them
AGE_BINS = ("1-10", "11-20", "21-30", "31-40", "41-50", "51-60", "61-70", "71-80", "over 80")
# Lower case, without the regular suffix: what is left must be four fields.
_LABELS = re.compile(r"(\d{1,3})_([01])_([0-4])_")
_REGULAR = re.compile(r"\d{1,3}_[01]_[0-4]_\d+\.jpg\.chip\.jpg\Z")
_PICTURE = re.compile(r"\.(jpe?g|png)\Z", re.IGNORECASE)


def age_bin(age: int) -> int:
    """Index into `AGE_BINS`; the bins are closed on the right.

    >>> [AGE_BINS[age_bin(a)] for a in (1, 10, 11, 80, 81, 116)]
    ['1-10', '1-10', '11-20', '71-80', 'over 80', 'over 80']
    """
    return min(max(age - 1, 0) // 10, 8)


class UTKFaceOptions(DataOptions):
    target: Literal["gender", "age"] = Field(default="gender", description="what to predict")


class UTKFace(DataSet):
    name = "utkface"
    summary = "faces with gender, age and race (aligned and cropped JPEGs in their native names)"
    options = UTKFaceOptions

    def read(self, options: UTKFaceOptions) -> Reading:
        folder = require_path(options, "the UTKFace pictures", kind="folder")
        pictures = _pictures(folder)
        rows: list[tuple[str, Path, int, int, int]] = []
        skipped: list[str] = []
        mended: list[str] = []
        sizes: list[str] = []
        for path, size in pictures:
            match = _LABELS.match(path.name)
            if match is None:
                skipped.append(path.name)
                continue
            if not _REGULAR.match(path.name):
                mended.append(path.name)
            identity = path.relative_to(folder).as_posix()
            rows.append((identity, path, *(int(g) for g in match.groups())))  # type: ignore[arg-type]
            sizes.append(f"{identity}:{size}")
        if not rows:
            raise InputError(
                "no UTKFace pictures",
                where=folder,
                found=f"{len(pictures)} pictures",
                expected="names like 25_1_2_20170104022131102.jpg.chip.jpg",
            )
        age = np.array([r[2] for r in rows])
        gender = np.array([r[3] for r in rows])
        race = np.array([r[4] for r in rows])
        bins = np.array([age_bin(int(a)) for a in age])
        labels = gender if options.target == "gender" else bins
        classes = GENDERS if options.target == "gender" else AGE_BINS
        check_labels(labels, classes, where=f"{folder} ({options.target})")
        examples = Examples(
            name="UTKFace",
            ids=np.array([r[0] for r in rows]),
            images=[r[1] for r in rows],
            labels=labels.astype(np.int64),
            classes=classes,
            groups={
                "race": np.array(RACES)[race],
                "gender": np.array(GENDERS)[gender],
                "age_bin": np.array(AGE_BINS)[bins],
            },
            fingerprint=fingerprint(sizes),
            notes=_misnamed(skipped, mended),
        )
        counts = [Count("files", len(pictures), FILES, part=True)]
        return Reading(chosen_groups(examples, options), counts)


def _pictures(folder: Path) -> list[tuple[Path, int]]:
    """All pictures under the folder with their sizes, in the order of their names."""
    found = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            if _PICTURE.search(name):
                path = Path(root) / name
                found.append((path, path.stat().st_size))
    return sorted(found)


def _misnamed(skipped: list[str], mended: list[str]) -> tuple[str, ...]:
    """The one warning about names that break the rule."""
    if not skipped and not mended:
        return ()

    parts = []
    if skipped:
        parts.append(f"{len(skipped)} left out, a label is missing ({some(skipped)})")
    if mended:
        parts.append(f"{len(mended)} kept, all labels there and the suffix odd ({some(mended)})")
    return (f"{len(skipped) + len(mended)} files break the naming rule: " + "; ".join(parts),)
