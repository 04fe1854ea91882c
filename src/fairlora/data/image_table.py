"""image-table: anybody's pictures, listed in a CSV or Parquet file.

One row a picture: a column with the path of the image file (relative paths start at `root`, by
default the table's own folder), a label column, and columns of sensitive attributes. Optional: an
id column, a family column (rows that must stay in one split), a split column with train,
validation and test.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.examples import MISSING, SPLITS, Examples, check_labels
from fairlora.data.registry import DataOptions, DataSet, fingerprint, require_path
from fairlora.errors import InputError
from fairlora.predictions import group_column


class ImageTableOptions(DataOptions):
    image: str = Field(default="image", description="column with the image files' paths")
    target: str = Field(default="label", description="column with the label")
    root: Path | None = Field(default=None, description="where relative image paths start")
    id: str | None = Field(default=None, description="column with a unique id; default: the path")
    family: str | None = Field(default=None, description="column whose values stay in one split")
    split: str | None = Field(default=None, description="column with train, validation, test")


class ImageTable(DataSet):
    name = "image-table"
    summary = "your own pictures: a CSV or Parquet of image path, label and group columns"
    options = ImageTableOptions

    def load(self, options: ImageTableOptions) -> Examples:
        path = require_path(options, "a CSV or Parquet table", kind="file")
        table = read_strings(path)
        if options.groups is None:
            raise InputError(
                "no group columns named",
                where="data.groups",
                expected="some of " + ", ".join(table),
            )
        named = [options.image, options.target, *options.groups]
        named += [c for c in (options.id, options.family, options.split) if c is not None]
        for column in named:
            if column not in table:
                raise InputError(
                    f"no column {column!r}", where=path, expected="one of " + ", ".join(table)
                )
        labels = table[options.target]
        for row, label in enumerate(labels):
            if label is None:
                raise InputError("missing label", where=f"{path}, row {row + 1}")
        classes = tuple(sorted({str(label) for label in labels}, key=_numbers_first))
        index = {name: k for k, name in enumerate(classes)}
        numbers = np.array([index[str(label)] for label in labels], dtype=np.int64)
        check_labels(numbers, classes, where=f"{path}, column {options.target}")
        root = options.root.expanduser() if options.root else path.parent
        images = [
            _image_path(root, name, path, row) for row, name in enumerate(table[options.image])
        ]
        ids = table[options.id or options.image]
        return Examples(
            name=path.name,
            ids=np.array([str(i) for i in ids]),
            images=images,
            labels=numbers,
            classes=classes,
            groups={g: group_column(table[g]) for g in options.groups},
            family=None if options.family is None else _filled(table[options.family]),
            split=None if options.split is None else _splits(table[options.split], path),
            fingerprint=fingerprint(
                [f"{k}={v}" for k in sorted(set(named)) for v in table[k]]
                + [f"{p.name}:{p.stat().st_size}" for p in images]
            ),
        )


def read_strings(path: Path) -> dict[str, list[Any]]:
    """All columns of a CSV or Parquet file as Python values; an empty CSV cell is None."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pq.read_table(path)
        else:
            # Everything as text: "01" is a group name, not the number 1.
            names = pa_csv.open_csv(path).schema.names
            table = pa_csv.read_csv(
                path,
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).split("\n")[0][:120]
        raise InputError(
            "not a readable table", where=path, found=reason, expected="CSV or Parquet"
        ) from error
    if table.num_rows == 0:
        raise InputError("the table has no rows", where=path)
    return {name: table[name].to_pylist() for name in table.column_names}


def _numbers_first(name: str) -> tuple[int, float, str]:
    """Sort key: "2" before "10", and numbers before words."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    # "nan" and "inf" read as numbers, and are words to everybody who writes them in a label column.
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)


def _image_path(root: Path, name: object, table: Path, row: int) -> Path:
    if name is None:
        raise InputError("missing image path", where=f"{table}, row {row + 1}")
    path = root / str(name)
    if not path.is_file():
        raise InputError("no such picture", where=f"{table}, row {row + 1}", found=path)
    return path


def _filled(values: list[Any]) -> NDArray[np.str_]:
    return np.array([MISSING if value is None else str(value) for value in values])


def _splits(values: list[Any], path: Path) -> NDArray[np.str_]:
    names = {"val": "validation", "valid": "validation", "dev": "validation"}
    split = [names.get(str(v).lower(), str(v).lower()) for v in values]
    for row, value in enumerate(split):
        if value not in SPLITS:
            raise InputError(
                "unknown split",
                where=f"{path}, row {row + 1}",
                found=repr(values[row]),
                expected=", ".join(SPLITS),
            )
    if missing := [s for s in SPLITS if s not in split]:
        raise InputError(f"no row of split {missing[0]!r}", where=path, expected=", ".join(SPLITS))
    return np.array(split)
