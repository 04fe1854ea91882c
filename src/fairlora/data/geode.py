"""GeoDE (Ramaswamy et al. 2023): 40 everyday objects photographed in six regions of the world.

The published folder: ``index.csv`` with ``file_path``, ``object``, ``region`` and ``ip_country``
among its columns, and the pictures at ``images/<file_path>`` (a path from the folder itself is
taken too). The label is the object, the group the region: Africa, Americas, EastAsia, Europe,
SouthEastAsia, WestAsia. 61,940 pictures are published. There is no official split: ours sets 20 %
aside for testing, as the FairLoRA paper did.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from fairlora.data.checking import Count, Reading
from fairlora.data.examples import Examples
from fairlora.data.pictures import inside, sizes_of
from fairlora.data.registry import DataOptions, DataSet, chosen_groups, fingerprint, require_path
from fairlora.data.tables import filled, label_classes, need_columns, read_strings
from fairlora.errors import InputError
from fairlora.predictions import group_column

REGIONS = ("Africa", "Americas", "EastAsia", "Europe", "SouthEastAsia", "WestAsia")
PICTURES, OBJECTS = 61_940, 40
# Releases and copies name the path's column differently.
PATH_COLUMNS = ("file_path", "filepath", "image_path", "path", "file_name")


class GeoDEOptions(DataOptions):
    country: bool = Field(default=False, description="the country (ip_country) as a group too")


class GeoDE(DataSet):
    name = "geode"
    summary = "40 everyday objects in six regions of the world (folder with index.csv)"
    options = GeoDEOptions

    def read(self, options: GeoDEOptions) -> Reading:
        folder = require_path(options, "GeoDE", kind="folder")
        path = folder / "index.csv"
        if not path.is_file():
            raise InputError("no index.csv", where=folder, expected="the GeoDE folder")
        table = read_strings(path)
        named = [next((c for c in PATH_COLUMNS if c in table), PATH_COLUMNS[0])]
        named += ["object", "region"] + (["ip_country"] if options.country else [])
        need_columns(table, named, path)
        labels, classes = label_classes(table["object"], path, "object")
        base = folder / "images" if (folder / "images").is_dir() else folder
        images = []
        for row, name in enumerate(table[named[0]]):
            root = folder if str(name).startswith("images/") else base
            images.append(inside(root, name, where=f"{path}, row {row + 1}"))
        sizes, problems = sizes_of(images, lambda k: f"{path}, row {k + 1}")
        region = filled(table["region"])
        # With the country whether it is asked for or not: it is the same copy.
        columns = [c for c in (named[0], "object", "region", "ip_country") if c in table]
        groups = {"region": group_column(region)}
        if options.country:
            groups["country"] = group_column(filled(table["ip_country"]))
        examples = Examples(
            name="GeoDE",
            ids=np.array([str(i) for i in table[named[0]]]),
            images=images,
            labels=labels,
            classes=classes,
            groups=groups,
            fingerprint=fingerprint(
                [f"{k}={v}" for k in columns for v in table[k]] + [str(size) for size in sizes]
            ),
        )
        counts = [
            Count("examples", len(examples), PICTURES),
            Count("classes", len(classes), OBJECTS),
            Count("regions", len(set(region.tolist())), len(REGIONS)),
        ]
        return Reading(chosen_groups(examples, options), counts, problems)
