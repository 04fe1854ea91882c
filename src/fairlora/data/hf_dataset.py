"""hf-dataset: a data set of the Hugging Face hub, or on disk in its formats.

`id` names one on the hub (with `config` and `revision` if need be); `path` is a folder written by
``save_to_disk``, or a folder or file of Parquet, CSV or JSON that ``load_dataset`` reads. Whether
the examples are pictures or texts, the input column's type says; pictures stay in the data set's
own file until they are opened. No code of a data set's repository is ever run.

Splits: of several, those called train, validation (val, valid, dev) and test are used, or those
that `splits` names; an absent validation or test split is drawn from the training rows. A data set
of one split is divided as any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.checking import Problem, Reading
from fairlora.data.examples import Examples, check_labels
from fairlora.data.hf_columns import StoredPictures, StoredRows
from fairlora.data.hf_loading import load_splits
from fairlora.data.registry import DataOptions, DataSet, fingerprint
from fairlora.data.splits import complete_split
from fairlora.data.tables import filled, label_classes
from fairlora.data.text_table import empty_texts
from fairlora.errors import InputError
from fairlora.predictions import group_column

_KNOWN = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


class HFDatasetOptions(DataOptions):
    path: Path | None = Field(
        default=None, description="a save_to_disk folder, or Parquet, CSV or JSON; or:"
    )
    id: str | None = Field(default=None, description="name on the hub, as in owner/name")
    config: str | None = Field(default=None, description="the hub data set's configuration")
    revision: str | None = Field(default=None, description="the hub data set's commit or tag")
    input: str | None = Field(
        default=None, description="column with pictures or texts; default: image, img or text"
    )
    target: str = Field(default="label", description="column with the label")
    id_column: str | None = Field(
        default=None, description="column with a unique id; default: split and row"
    )
    family: str | None = Field(default=None, description="column whose values stay in one split")
    splits: dict[str, Literal["train", "validation", "test"]] | None = Field(
        default=None, description="its splits to use, as in {train: train, eval: test}"
    )


class HFDataset(DataSet):
    name = "hf-dataset"
    summary = "a Hugging Face data set of pictures or texts, from the hub or from disk"
    options = HFDatasetOptions

    def read(self, options: HFDatasetOptions) -> Reading:
        source, splits = load_splits(options.id, options.path, options.config, options.revision)
        chosen, notes = _chosen(options, list(splits), source)
        stored = StoredRows(source, {name: splits[name] for name in chosen})
        if options.groups is None:
            raise InputError(
                "no group columns named",
                where="data.groups",
                expected="some of " + ", ".join(stored.columns),
            )
        column = options.input or next(
            (c for c in ("image", "img", "text") if c in stored.columns), "image"
        )
        used = [column, options.target, *options.groups]
        used += [c for c in (options.id_column, options.family) if c is not None]
        stored.need(used)
        labels, classes = _labels(stored, options.target)
        ids = stored.places if options.id_column is None else stored.values(options.id_column)
        images: StoredPictures | None = None
        texts: list[str] | None = None
        problems: list[Problem] = []
        if stored.kind(column) == "image":
            images = StoredPictures(stored.pictures(column), stored.roots(options.path))
            sizes, problems = images.sizes(stored.place)
            content = [str(size) for size in sizes]
        else:
            texts = ["" if text is None else str(text) for text in stored.values(column)]
            problems = empty_texts(texts, stored.place)
            content = texts
        groups = {name: stored.groups(name) for name in options.groups}
        family = None if options.family is None else filled(stored.values(options.family))
        split, drawn = _splits(stored, chosen, source)
        examples = Examples(
            name=source,
            ids=np.array([str(i) for i in ids]),
            images=images,
            texts=texts,
            labels=labels,
            classes=classes,
            groups={name: group_column(values) for name, values in groups.items()},
            family=family,
            split=split,
            fingerprint=fingerprint(
                [*stored.places, *content, *(classes[k] for k in labels)]
                + [f"{name}={value}" for name, values in groups.items() for value in values]
                + [f"{i}" for i in ids]
                + ([] if family is None else family.tolist())
            ),
            notes=(*notes, *drawn),
        )
        return Reading(examples, problems=problems)


def _chosen(
    options: HFDatasetOptions, names: list[str], source: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Their splits to read -> what each is to us; and a note on those left out."""
    if options.splits is not None:
        for name in options.splits:
            if name not in names:
                raise InputError(
                    f"{source} has no split {name!r}",
                    where="data.splits",
                    expected="some of " + ", ".join(names),
                )
        chosen: dict[str, str] = dict(options.splits)
    elif len(names) == 1:
        chosen = {names[0]: "train"}
    else:
        chosen = {name: _KNOWN[name.lower()] for name in names if name.lower() in _KNOWN}
    if not chosen:
        raise InputError(
            "no split of a known name",
            where="data.splits",
            found=", ".join(names),
            expected="which of them are train, validation and test",
        )
    left = [name for name in names if name not in chosen]
    return chosen, (f"not used: the splits {', '.join(left)}",) if left else ()


def _splits(
    stored: StoredRows, chosen: dict[str, str], source: str
) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    if len(set(chosen.values())) == 1:
        return None, ()
    own = np.array([chosen[name] for name in stored.split_of_row])
    return complete_split(own, where=source)


def _labels(stored: StoredRows, target: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    names = stored.class_names(target)
    values = stored.values(target)
    if names is None:
        stored.need_single(target)
        return label_classes(values, stored.source, target)
    for row, value in enumerate(values):
        # -1 is the hub's sign for a label that is kept secret.
        if value is None or not 0 <= value < len(names):
            raise InputError("missing label", where=stored.place(row), found=value)
    labels = np.array(values, dtype=np.int64)
    check_labels(labels, names, where=f"{stored.source}, column {target}")
    return labels, names
