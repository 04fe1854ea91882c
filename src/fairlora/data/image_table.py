"""image-table: anybody's pictures, listed in a CSV or Parquet file.

One row a picture: a column with the path of the image file (relative paths start at `root`, by
default the table's own folder), a label column, and columns of sensitive attributes. Optional: an
id column, a family column (rows that must stay in one split), a split column with train,
validation and test (without validation rows, these are drawn from the training rows).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from fairlora.data.checking import Reading
from fairlora.data.pictures import sizes_of
from fairlora.data.registry import DataSet
from fairlora.data.tables import TableOptions, examples_of, open_table
from fairlora.errors import InputError


class ImageTableOptions(TableOptions):
    image: str = Field(default="image", description="column with the image files' paths")
    root: Path | None = Field(default=None, description="where relative image paths start")
    id: str | None = Field(default=None, description="column with a unique id; default: the path")


class ImageTable(DataSet):
    name = "image-table"
    summary = "your own pictures: a CSV or Parquet of image path, label and group columns"
    options = ImageTableOptions

    def read(self, options: ImageTableOptions) -> Reading:
        path, table, named = open_table(options, options.image)
        root = options.root.expanduser() if options.root else path.parent
        images = []
        for row, name in enumerate(table[options.image]):
            if name is None:
                raise InputError("missing image path", where=f"{path}, row {row + 1}")
            # The user's own table may name pictures anywhere.
            images.append(root / str(name))
        sizes, problems = sizes_of(images, lambda k: f"{path}, row {k + 1}")
        printed = [f"{k}={v}" for k in sorted(set(named)) for v in table[k]]
        printed += [f"{p.name}:{size}" for p, size in zip(images, sizes, strict=True)]
        ids = table[options.id or options.image]
        examples = examples_of(path, table, options, ids, printed, images=images)
        return Reading(examples, problems=problems)
