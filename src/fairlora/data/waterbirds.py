"""Waterbirds (Sagawa et al. 2019): birds cut out of CUB and pasted onto places.

The folder ``waterbird_complete95_forest2water2`` as published with group DRO: ``metadata.csv`` with
img_id, img_filename, y (0 landbird, 1 waterbird), split (0 train, 1 validation, 2 test), place (0
land, 1 water) and place_filename; the pictures lie at img_filename. The group column is the place;
bird and place together are an intersection of the audit (``--intersect``), not a column.

The official splits have 4,795 / 1,199 / 5,794 rows; the FairLoRA paper prints other sizes. In
training 3,498 landbirds are on land and 184 on water, 56 waterbirds on land and 1,057 on water;
validation and test have each bird half on land and half on water.
"""

from __future__ import annotations

import numpy as np

from fairlora.data.checking import Count, Reading, absent_splits
from fairlora.data.examples import Examples, check_labels
from fairlora.data.pictures import inside, sizes_of
from fairlora.data.registry import DataOptions, DataSet, chosen_groups, fingerprint, require_path
from fairlora.data.tables import codes, need_columns, read_strings
from fairlora.errors import InputError
from fairlora.predictions import group_column

BIRDS = ("landbird", "waterbird")
PLACES = ("land", "water")
ROWS = {"train": 4795, "validation": 1199, "test": 5794}
TRAINING_CELLS = {
    ("landbird", "land"): 3498,
    ("landbird", "water"): 184,
    ("waterbird", "land"): 56,
    ("waterbird", "water"): 1057,
}
COLUMNS = ("img_id", "img_filename", "y", "split", "place")


class WaterbirdsOptions(DataOptions):
    pass


class Waterbirds(DataSet):
    name = "waterbirds"
    summary = "landbirds and waterbirds on land and water (folder with metadata.csv)"
    options = WaterbirdsOptions

    def read(self, options: WaterbirdsOptions) -> Reading:
        folder = require_path(options, "Waterbirds", kind="folder")
        path = folder / "metadata.csv"
        if not path.is_file():
            raise InputError("no metadata.csv", where=folder, expected="the Waterbirds folder")
        table = read_strings(path)
        need_columns(table, COLUMNS, path)
        birds = codes(table["y"], {str(k): name for k, name in enumerate(BIRDS)}, path, "y")
        places = codes(
            table["place"], {str(k): name for k, name in enumerate(PLACES)}, path, "place"
        )
        own = codes(table["split"], {str(k): name for k, name in enumerate(ROWS)}, path, "split")
        images = [
            inside(folder, name, where=f"{path}, row {row + 1}")
            for row, name in enumerate(table["img_filename"])
        ]
        sizes, problems = sizes_of(images, lambda k: f"{path}, row {k + 1}")
        labels = np.array([BIRDS.index(bird) for bird in birds], dtype=np.int64)
        check_labels(labels, BIRDS, where=f"{path}, column y")
        examples = Examples(
            name="Waterbirds",
            ids=np.array([str(i) for i in table["img_id"]]),
            images=images,
            labels=labels,
            classes=BIRDS,
            groups={"place": group_column(places)},
            split=own,
            fingerprint=fingerprint(
                [f"{k}={v}" for k in COLUMNS for v in table[k]] + [str(size) for size in sizes]
            ),
        )
        counts = [Count("examples", len(examples), sum(ROWS.values()))]
        counts += [Count(f"split {k}", int((own == k).sum()), n) for k, n in ROWS.items()]
        for (bird, background), published in TRAINING_CELLS.items():
            rows = int(((birds == bird) & (places == background) & (own == "train")).sum())
            counts.append(Count(f"training {bird}s on {background}", rows, published))
        return Reading(
            chosen_groups(examples, options), counts, [*absent_splits(own, str(path)), *problems]
        )
