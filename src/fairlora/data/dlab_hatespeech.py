"""Measuring Hate Speech (Kennedy et al. 2020, Berkeley D-Lab): comments with a hate speech score.

The table of the hub's ``ucberkeley-dlab/measuring-hate-speech`` as Parquet or CSV (a file, or a
folder with such files), one row an annotation: comment_id, text, hate_speech_score, and for each
kind of target a column ``target_gender`` and columns ``target_gender_women``, ... Ding et al. 2024
make four subsets of it, and so does this: the first row of each text is kept; of these, the rows
whose ``target_<subset>`` is true; hateful means a score above 0.5.

The group column has the subset's name. Its groups are the subset's targets, and overlap: a comment
may target several. A row with none of them (only ``target_<subset>`` itself is true) has an empty
list: it counts in the whole and in no group; a note says how many there are.

Published sizes: gender 13,976, race 11,670, religion 6,081, sexuality 7,297.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.checking import Count, Reading
from fairlora.data.examples import Examples, check_labels
from fairlora.data.registry import DataOptions, DataSet, chosen_groups, fingerprint, require_path
from fairlora.data.tables import Table, need_columns, read_strings
from fairlora.data.text_table import empty_texts
from fairlora.errors import InputError
from fairlora.predictions import group_column

CLASSES = ("not hateful", "hateful")
ROWS = {"gender": 13_976, "race": 11_670, "religion": 6_081, "sexuality": 7_297}
THRESHOLD = 0.5
COLUMNS = ("comment_id", "text", "hate_speech_score")
_TARGETS = tuple(f"target_{subset}" for subset in ROWS)
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class DLabHateSpeechOptions(DataOptions):
    subset: Literal["gender", "race", "religion", "sexuality"] = Field(
        default="gender", description="which targets: gender, race, religion or sexuality"
    )


class DLabHateSpeech(DataSet):
    name = "dlab-hatespeech"
    summary = "comments by hate speech score and targeted groups, which overlap (Parquet or CSV)"
    options = DLabHateSpeechOptions

    def read(self, options: DLabHateSpeechOptions) -> Reading:
        path = require_path(options, "the measuring-hate-speech table", kind="file or folder")
        whole = f"target_{options.subset}"
        table, places = _read(path)
        need_columns(table, (whole,), path)
        targets = sorted(c for c in table if c.startswith(whole + "_"))
        if not targets:
            raise InputError("no columns of targets", where=path, expected=f"{whole}_... columns")
        first = _first_of_each(table["text"])
        about = _truths(table[whole], first, whole, places)
        rows = first[about]
        if not len(rows):
            raise InputError(f"no row with {whole} true", where=path)
        texts = ["" if table["text"][k] is None else str(table["text"][k]) for k in rows]
        scores = _scores(table["hate_speech_score"], rows, places)
        labels = (scores > THRESHOLD).astype(np.int64)
        check_labels(labels, CLASSES, where=f"{path} ({options.subset})")
        hit = {c.removeprefix(whole + "_"): _truths(table[c], rows, c, places) for c in targets}
        lists = [[name for name, mask in hit.items() if mask[k]] for k in range(len(rows))]
        alone = sum(not names for names in lists)
        examples = Examples(
            name=f"Measuring Hate Speech, {options.subset}",
            ids=np.array([str(table["comment_id"][k]) for k in rows]),
            texts=texts,
            labels=labels,
            classes=CLASSES,
            groups={options.subset: group_column(lists)},
            # Of all subsets: a comment that one of them trained on is known in another.
            fingerprint=fingerprint(
                f"{name}={_plain(values[k])}"
                for name, values in sorted(table.items())
                for k in first
            ),
            notes=(f"{alone:,} rows are in no group of {options.subset}",) if alone else (),
        )
        counts = [Count("examples", len(examples), ROWS[options.subset])]
        problems = empty_texts(texts, lambda k: places[int(rows[k])])
        return Reading(chosen_groups(examples, options), counts, problems)


def _read(path: Path) -> tuple[Table, list[str]]:
    """The columns that the subsets need, of all files; and where each row stands."""
    files = [path]
    if path.is_dir():
        files = sorted(path.rglob("*.parquet")) or sorted(path.rglob("*.csv"))
        if not files:
            raise InputError("no table in the folder", where=path, expected="Parquet or CSV files")
    joined: Table = {}
    places: list[str] = []
    for file in files:
        table = read_strings(file, lambda name: name in COLUMNS or name.startswith(_TARGETS))
        need_columns(table, (*COLUMNS, *joined), file)
        for name, values in table.items():
            joined.setdefault(name, [None] * len(places)).extend(values)
        places += [f"{file}, row {k + 1}" for k in range(len(table["text"]))]
    return joined, places


def _plain(value: Any) -> str:
    """The same for a value of a CSV file and of a Parquet file."""
    text = str(value)
    truth = _TRUTH.get(text.lower())
    if truth is not None:
        return str(truth)
    try:
        return str(float(text))
    except ValueError:
        return text


def _first_of_each(texts: list[Any]) -> NDArray[np.int64]:
    first: dict[Any, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
    return np.array(list(first.values()), dtype=np.int64)


def _truths(
    values: list[Any], rows: NDArray[np.int64], column: str, places: list[str]
) -> NDArray[np.bool_]:
    truths = np.empty(len(rows), dtype=np.bool_)
    for k, row in enumerate(rows.tolist()):
        value = _TRUTH.get(str(values[row]).strip().lower())
        if value is None:
            raise InputError(
                f"{column} is not true or false", where=places[row], found=repr(values[row])
            )
        truths[k] = value
    return truths


def _scores(values: list[Any], rows: NDArray[np.int64], places: list[str]) -> NDArray[np.float64]:
    scores = np.empty(len(rows))
    for k, row in enumerate(rows.tolist()):
        try:
            score = float(values[row])
        except (TypeError, ValueError):
            score = math.nan
        if math.isnan(score):
            raise InputError(
                "hate_speech_score is not a number", where=places[row], found=repr(values[row])
            )
        scores[k] = score
    return scores
