"""Read a set of pictures without labels: a folder, a table, a data set, a run file.

What `fairlora probe shift` compares. A set is named in one word:

    FOLDER                      all pictures below it
    FILE.parquet                its column `image`: bytes of image files
    FILE.yaml                   the `data` section of a run file
    NAME[:key=value[,key=value...]]   a registered data set with its options
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlora.data.examples import Examples
from fairlora.data.registry import fingerprint
from fairlora.errors import InputError
from fairlora.io import parse_yaml

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
COLUMN = "image"
_EXPECTED = "a folder of pictures, a Parquet file, a run file, or a data set (NAME:key=value,...)"


def read_pictures(named: str) -> Examples:
    """The pictures of a set; families, where the data set has them, stay families.

    Raises `InputError` for a set that is not there, holds no picture, or is one of texts.
    """
    path = Path(named).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() == ".parquet":
        return _of_parquet(path)
    is_run_file = path.suffix.lower() in (".yaml", ".yml")
    examples = _of_run_file(path) if is_run_file else _of_data_set(named)
    if examples.kind != "image":
        raise InputError("texts, not pictures", where=named)
    return examples


def limited(examples: Examples, rows: int | None, seed: int) -> Examples:
    """At most so many of the pictures, drawn once.

    Parameters
    ----------
    examples : the set.
    rows : how many to keep, in their order; None is all of them.
    seed : of the draw.
    """
    if rows is None or rows >= len(examples):
        return examples
    chosen = np.random.default_rng([seed, 35]).choice(len(examples), rows, replace=False)
    return examples.take(np.sort(chosen))


def _of_folder(folder: Path) -> Examples:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    sizes = [f"{name}:{path.stat().st_size}" for name, path in zip(names, files, strict=True)]
    return _made(folder.name, names, files, sizes, str(folder))


def _of_parquet(path: Path) -> Examples:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError("not a Parquet file", where=path) from error
    if COLUMN not in table.column_names:
        raise InputError(
            f"no column {COLUMN!r}", where=path, found=", ".join(table.column_names[:10])
        )
    values = table.column(COLUMN).to_pylist()
    # The Hugging Face hub's layout has the bytes in a struct.
    pictures = [value.get("bytes") if isinstance(value, dict) else value for value in values]
    kept: list[bytes] = []
    for row, value in enumerate(pictures):
        if isinstance(value, bytes):
            kept.append(value)
        else:
            raise InputError(
                "no bytes of a picture",
                where=f"{path}, row {row + 1}",
                found=type(value).__name__,
            )
    names = [f"row {k + 1}" for k in range(len(kept))]
    about = [hashlib.blake2b(picture, digest_size=8).hexdigest() for picture in kept]
    return _made(path.stem, names, kept, about, str(path))


def _made(
    name: str, ids: list[str], pictures: Sequence[Path | bytes], about: list[str], where: str
) -> Examples:
    if not pictures:
        raise InputError(
            "no picture", where=where, expected="files that end in " + ", ".join(ENDINGS)
        )
    return Examples(
        name=name,
        ids=np.array(ids),
        images=pictures,
        labels=np.zeros(len(ids), dtype=np.int64),
        classes=("picture",),
        groups={},
        fingerprint=fingerprint(about),
    )


def _of_run_file(path: Path) -> Examples:
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("not a run file", where=path) from error
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or "name" not in data:
        raise InputError("no data section", where=path, expected="data: {name: ...}")
    own = ("name", "split", "intersect", "scarcity", "train_rows", "membership")
    return _loaded(str(data["name"]), {k: v for k, v in data.items() if k not in own})


def _of_data_set(named: str) -> Examples:
    from fairlora.data import DATA_SETS

    name, _, rest = named.partition(":")
    if name not in DATA_SETS:
        raise InputError("no such set of pictures", where=named, expected=_EXPECTED)
    options: dict[str, Any] = {}
    # Commas within brackets are a list's: renderers=[noto,twemoji].
    for part in re.split(r",(?![^\[]*\])", rest) if rest else []:
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise InputError("not an option", where=named, found=repr(part), expected="key=value")
        options[key] = parse_yaml(value, named)
    return _loaded(name, options)


def _loaded(name: str, options: dict[str, Any]) -> Examples:
    from fairlora.data import load_examples

    return load_examples(name, options)
