"""Columns of a Hugging Face data set: plain values in memory, pictures left in their file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.data.checking import Problem, some
from fairlora.data.pictures import inside, sizes_of
from fairlora.errors import InputError


class StoredRows:
    """The rows of several splits, one after another.

    Attributes
    ----------
    split_of_row, places : of each row its split's name, and the split with the row's number in it.
    """

    def __init__(self, source: str, splits: Mapping[str, Any]) -> None:
        self.source = source
        self.splits = dict(splits)
        self.features = next(iter(self.splits.values())).features
        self.columns = list(self.features)
        self.split_of_row = [name for name, rows in self.splits.items() for _ in range(len(rows))]
        self.places = [
            f"{name}/{k}" for name, rows in self.splits.items() for k in range(len(rows))
        ]
        if not self.places:
            raise InputError("the data set has no rows", where=source)

    def place(self, row: int) -> str:
        """Where a row stands, for a message."""
        return f"{self.source}, {self.places[row]}"

    def need(self, columns: Sequence[str]) -> None:
        """Raise `InputError` for a column that is absent, or of another type in another split."""
        for name, rows in self.splits.items():
            for column in columns:
                if column not in rows.features:
                    raise InputError(
                        f"no column {column!r}",
                        where=f"{self.source}, split {name}",
                        expected="one of " + ", ".join(rows.features),
                    )
                if rows.features[column] != self.features[column]:
                    raise InputError(
                        f"column {column!r} has another type than in the other splits",
                        where=f"{self.source}, split {name}",
                        found=rows.features[column],
                        expected=self.features[column],
                    )

    def need_single(self, column: str) -> None:
        """Raise `InputError` unless the column holds words, whole numbers or booleans."""
        kind = str(getattr(self.features[column], "dtype", "list"))
        if not kind.startswith(("string", "large_string", "int", "uint", "bool")):
            raise InputError(
                f"column {column!r} cannot be a label",
                where=self.source,
                found=kind,
                expected="class labels, strings, whole numbers or booleans",
            )

    def values(self, column: str) -> list[Any]:
        """A column as plain values, class labels as their numbers."""
        found: list[Any] = []
        for rows in self.splits.values():
            table = rows.select_columns([column]).with_format("arrow")[:]
            found += table[column].to_pylist()
        return found

    def kind(self, column: str) -> Literal["image", "text"]:
        """What the examples in a column are."""
        feature = self.features[column]
        if type(feature).__name__ == "Image":
            return "image"
        if str(getattr(feature, "dtype", "")) in ("string", "large_string"):
            return "text"
        raise InputError(
            f"column {column!r} holds neither pictures nor texts",
            where=self.source,
            found=getattr(feature, "dtype", None) or type(feature).__name__,
            expected="data.input: a column of pictures or of strings",
        )

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """The names of class labels; None for a column of another type."""
        names = getattr(self.features[column], "names", None)
        return None if names is None else tuple(str(name) for name in names)

    def groups(self, column: str) -> list[Any]:
        """A group's name a row, or a list of them where they overlap; None for a missing one."""
        feature = self.features[column]
        inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
        if not hasattr(inner or feature, "dtype") or type(feature).__name__ == "Image":
            raise InputError(
                f"column {column!r} cannot be a group",
                where=self.source,
                found=type(feature).__name__,
                expected="class labels, strings, numbers, or lists of them",
            )
        names = getattr(inner or feature, "names", None)
        values = self.values(column)
        if names is None:
            return values

        def name_of(code: int | None) -> str | None:
            return str(names[code]) if code is not None and 0 <= code < len(names) else None

        if inner is None:
            return [name_of(value) for value in values]
        return [None if value is None else [name_of(v) for v in value] for value in values]

    def pictures(self, column: str) -> list[Any]:
        """Each split's pictures, undecoded."""
        from datasets import Image

        return [
            rows.select_columns([column]).cast_column(column, Image(decode=False))
            for rows in self.splits.values()
        ]

    def roots(self, path: Path | None) -> tuple[Path, ...]:
        """The folders in which picture files of this data set may lie."""
        if path is not None:
            folder = path.expanduser().absolute()
            return (folder if folder.is_dir() else folder.parent,)
        from datasets import config

        names = ("HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH", "HF_CACHE_HOME")
        return tuple(Path(str(getattr(config, n))) for n in names if hasattr(config, n))


class StoredPictures(Sequence[Any]):
    """Pictures in Arrow files, read one by one when asked for.

    A picture is bytes, or a path where the data set holds the path of a file alone; such a file
    must lie in one of the `roots`.
    """

    def __init__(
        self, parts: Sequence[Any], roots: Sequence[Path], rows: NDArray[np.int64] | None = None
    ) -> None:
        self._parts = list(parts)
        self._column = self._parts[0].column_names[0]
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])
        self._roots = tuple(roots)
        self._rows = np.arange(self._starts[-1]) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        place = int(self._rows[row])
        part = int(np.searchsorted(self._starts, place, side="right")) - 1
        found = self._parts[part][place - int(self._starts[part])][self._column]
        if found is None:
            raise InputError("no picture", where=f"row {row}")
        data = found["bytes"]
        return data if data is not None else self._path(found["path"], f"row {row}")

    def take(self, rows: NDArray[np.int64]) -> StoredPictures:
        """The given rows, in the given order."""
        return StoredPictures(self._parts, self._roots, self._rows[rows])

    def sizes(self, where: Callable[[int], str]) -> tuple[list[int | None], list[Problem]]:
        """Bytes of every picture without reading them; and problems for those not there."""
        import pyarrow.compute as pc

        sizes: list[int | None] = []
        names: list[str | None] = []
        for part in self._parts:
            column = part.with_format("arrow")[:][self._column]
            sizes += pc.binary_length(pc.struct_field(column, "bytes")).to_pylist()
            names += pc.struct_field(column, "path").to_pylist()
        empty = [k for k, size in enumerate(sizes) if size is None and names[k] is None]
        if empty:
            text = f"{len(empty):,} rows have none: {some([where(k) for k in empty])}"
            error = InputError("no picture", where=where(empty[0]))
            return sizes, [Problem("missing pictures", text, error)]
        files = [k for k, size in enumerate(sizes) if size is None]
        paths = [self._path(names[k], where(k)) for k in files]
        on_disk, problems = sizes_of(paths, lambda k: where(files[k]))
        for k, size in zip(files, on_disk, strict=True):
            sizes[k] = size
        return sizes, problems

    def _path(self, name: str | None, where: str) -> Path:
        path = Path(name or "")
        if not path.is_absolute():
            return inside(self._roots[0], name, where=where)
        if ".." in path.parts or not any(path.is_relative_to(root) for root in self._roots):
            raise InputError("a path that leaves the data set", where=where, found=repr(name))
        return path
