"""yelp-md-gender: reviews whose author's gender is not clear (Dinan et al. 2020, yelp_inferred).

The hub's Parquet files of ``facebook/md_gender_bias``, configuration ``yelp_inferred``: columns
``text``, ``binary_label`` and ``binary_score``, a classifier's confidence in the label. Kept are
the rows whose score is within `unclear` of one half; of them a seeded sample. The hub's table has
no rating; where a copy has a column ``rating`` or ``stars``, rows of `rating` alone are kept.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.checking import Count, Reading
from fairlora.data.examples import Examples
from fairlora.data.registry import DataOptions, DataSet, fingerprint, require_path
from fairlora.data.tables import Table, need_columns, read_strings
from fairlora.errors import InputError

COLUMNS = ("text", "binary_label", "binary_score")
RATINGS = ("rating", "stars")
SAMPLE = 50_000
# Which rows are sampled is a property of the data set: no run's seed moves it.
SAMPLE_SEED = 0


class YelpMDGenderOptions(DataOptions):
    sample: int = Field(default=SAMPLE, ge=2, description="how many reviews are drawn")
    sample_seed: int = Field(default=SAMPLE_SEED, ge=0, description="of the draw")
    unclear: float = Field(
        default=0.1, gt=0, le=0.5, description="how far the gender score may be from one half"
    )
    rating: int = Field(default=3, ge=1, le=5, description="kept, where the table has ratings")


class YelpMDGender(DataSet):
    name = "yelp-md-gender"
    summary = "Yelp reviews of unclear gender for a language model (md_gender_bias, Parquet)"
    options = YelpMDGenderOptions

    def read(self, options: YelpMDGenderOptions) -> Reading:
        path = require_path(options, "yelp_inferred of md_gender_bias", kind="file or folder")
        table, places = _read(path)
        notes: list[str] = []
        keep = _unclear(table["binary_score"], places, options.unclear)
        rated = next((name for name in RATINGS if name in table), None)
        if rated is None:
            notes.append("the table has no rating: reviews of every rating may be among them")
        else:
            keep &= np.array([_number(v) == options.rating for v in table[rated]])
        # A text that stands twice could be trained on and judged on.
        texts = ["" if text is None else str(text).strip() for text in table["text"]]
        first: dict[str, int] = {}
        for row in np.flatnonzero(keep).tolist():
            if texts[row]:
                first.setdefault(texts[row], row)
        rows = np.array(list(first.values()), dtype=np.int64)
        empty = int(sum(not texts[row] for row in np.flatnonzero(keep).tolist()))
        if empty:
            notes.append(f"{empty:,} empty reviews are left out")
        if len(rows) < 2:
            raise InputError(
                "no review is left",
                where=path,
                found=f"{int(keep.sum())} of {len(texts):,} within {options.unclear:g} of 0.5",
                expected="a larger data.unclear, or another copy",
            )
        if len(rows) > options.sample:
            generator = np.random.default_rng(options.sample_seed)
            rows = np.sort(generator.choice(rows, options.sample, replace=False))
        elif len(rows) < options.sample:
            notes.append(f"{len(rows):,} such reviews, fewer than the {options.sample:,} asked for")
        chosen = [texts[row] for row in rows]
        examples = Examples(
            name="Yelp reviews of unclear gender",
            ids=np.array([str(row + 1) for row in rows]),
            texts=chosen,
            labels=np.zeros(len(rows), dtype=np.int64),
            classes=("review",),
            groups={},
            fingerprint=fingerprint(chosen),
            notes=tuple(notes),
            language=True,
        )
        return Reading(examples, [Count("examples", len(rows), SAMPLE, part=True)])


def _read(path: Path) -> tuple[Table, list[str]]:
    files = [path]
    if path.is_dir():
        files = sorted(path.rglob("*.parquet")) or sorted(path.rglob("*.csv"))
        # The hub keeps one file a split; the papers drew from the training split.
        train = [file for file in files if "train" in file.as_posix().removeprefix(str(path))]
        files = train or files
        if not files:
            raise InputError("no table in the folder", where=path, expected="Parquet or CSV files")
    joined: Table = {}
    places: list[str] = []
    for file in files:
        table = read_strings(file, lambda name: name in (*COLUMNS, *RATINGS))
        need_columns(table, (*COLUMNS, *joined), file)
        for name, values in table.items():
            joined.setdefault(name, []).extend(values)
        places += [f"{file}, row {k + 1}" for k in range(len(table["text"]))]
    return joined, places


def _unclear(scores: list[Any], places: list[str], width: float) -> NDArray[np.bool_]:
    numbers = np.array([_number(value) for value in scores])
    bad = np.flatnonzero(~((numbers >= 0) & (numbers <= 1)))
    if len(bad):
        raise InputError(
            "binary_score is no share",
            where=places[int(bad[0])],
            found=repr(scores[int(bad[0])]),
            expected="0 to 1",
        )
    # One half is written in float32 here and there.
    return np.asarray(np.abs(numbers - 0.5) <= width + 1e-6, dtype=np.bool_)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
