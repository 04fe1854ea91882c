"""Tiny synthetic copies of data sets in their native layouts, for tests and smoke runs.

`write_tiny` writes one and returns the options to read it with. Everything in it is made up and
hangs on the seed alone: pictures of 64 x 64 whose colour says the class and whose stripe says the
group, texts whose words say the class. So a model learns them in a few steps, while reader, splits,
training and audit do what they do with the real files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.data import dlab_hatespeech, fgvc_aircraft, geode, utkface, waterbirds
from fairlora.data.hf_loading import library
from fairlora.data.tiny_language import write_plain_text, write_winomt, write_yelp
from fairlora.errors import InputError

SIDE = 64
WORDS = {
    0: ("calm", "garden", "morning", "kind", "river", "thanks", "bread", "music"),
    1: ("angry", "thunder", "against", "bitter", "smoke", "never", "broken", "shout"),
}
FILLERS = ("the", "a", "of", "and", "today", "people", "about", "with", "some", "here")


class _Maker(NamedTuple):
    rows: int  # by default
    write: Callable[[Path, int, np.random.Generator], dict[str, Any]]


def write_tiny(name: str, folder: Path, rows: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Write a tiny copy of a data set and return the options (``data.*``) that read it.

    Parameters
    ----------
    folder : made if it is not there; files in it are overwritten.
    rows : how many pictures or texts, at least 24. The default is enough for every class and group
        to occur; so are fewer, except in the data sets of many classes (geode, fgvc-aircraft).

    people-emoji needs no copy: it is embedded.
    """
    if name == "people-emoji":
        return {}
    if name not in _MAKERS:
        raise InputError(
            "no tiny copy of this data set", found=repr(name), expected="one of " + ", ".join(TINY)
        )
    maker = _MAKERS[name]
    number = maker.rows if rows is None else rows
    if number < 24:
        raise InputError("too few rows for a tiny copy", found=number, expected=">= 24")
    folder.mkdir(parents=True, exist_ok=True)
    return maker.write(folder, number, np.random.default_rng(seed))


def _utkface(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    for k in range(rows):
        # The first rows hold every gender, race and age; then these are crossed.
        gender, race, years = (k + k // 10) % 2, k % len(utkface.RACES), k % len(utkface.AGE_BINS)
        age = 10 * years + 1 + int(generator.integers(0, 10))
        name = f"{age}_{gender}_{race}_{20170101000000000 + k}.jpg.chip.jpg"
        _picture(folder / name, gender, race, generator, shade=years / 9)
    return {"path": str(folder)}


def _waterbirds(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    lines = []
    for k in range(rows):
        split = (0, 0, 1, 2)[k // 4 % 4]
        bird, background = k % 2, k // 2 % 2
        if split == 0 and k >= 16 and generator.random() < 0.8:
            background = bird  # in training a bird is mostly where it belongs
        name = f"{k:03d}.{waterbirds.BIRDS[bird]}/{waterbirds.BIRDS[bird]}_{k}.jpg"
        _picture(folder / name, bird, background, generator)
        where = waterbirds.PLACES[background]
        lines.append((k + 1, name, bird, split, background, f"/{where}/{k}.jpg"))
    header = ("img_id", "img_filename", "y", "split", "place", "place_filename")
    _table(folder / "metadata.csv", header, lines)
    return {"path": str(folder)}


def _geode(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    lines = []
    for k in range(rows):
        thing, region = k % geode.OBJECTS, geode.REGIONS[(k + k // geode.OBJECTS) % 6]
        name = f"{thing}.object_{thing}/{region}_{k}.jpg"
        _picture(folder / "images" / name, thing, geode.REGIONS.index(region), generator)
        lines.append((name, f"object_{thing:02d}", region, f"{region} {k % 2 + 1}"))
    _table(folder / "index.csv", ("file_path", "object", "region", "ip_country"), lines)
    return {"path": str(folder)}


def _fgvc_aircraft(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    data = folder / "data"
    splits = ("train", "val", "test")
    variants = min(fgvc_aircraft.CLASSES["variant"], rows // len(splits))
    lists: dict[tuple[str, str], list[str]] = {}
    for k in range(rows):
        variant, split = k // len(splits) % variants, splits[k % len(splits)]
        family = variant * 7 // 10
        manufacturer = family * 3 // 7
        _picture(data / "images" / f"{k:07d}.jpg", variant, manufacturer, generator)
        names = {
            "variant": f"Maker {manufacturer} Model {variant}/{family}",
            "family": f"Maker {manufacturer} Model {family}",
            "manufacturer": f"Maker {manufacturer}",
        }
        for level, name in names.items():
            lists.setdefault((level, split), []).append(f"{k:07d} {name}")
    for (level, split), lines in lists.items():
        (data / f"images_{level}_{split}.txt").write_text("\n".join(lines) + "\n")
    return {"path": str(folder)}


def _dlab_hatespeech(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {"comment_id": [], "text": [], "hate_speech_score": []}
    for k in range(rows):
        label = k % 2
        text = f"{_text(label, generator)} {k}"
        score = float(generator.uniform(0.6, 3) if label else generator.uniform(-4, 0.4))
        # Every text in two of the four subsets, and in one or two of a subset's groups.
        about = {(k // 2) % 4, (k // 2 + 1) % 4}
        targets: dict[str, bool] = {}
        for s, (subset, names) in enumerate(TARGETS.items()):
            hit = (
                {k // 8 % len(names), int(generator.integers(len(names)))} if s in about else set()
            )
            targets[f"target_{subset}"] = bool(hit)
            for t, name in enumerate(names):
                targets[f"target_{subset}_{name}"] = t in hit
        for _ in range(1 + k % 3):  # a row an annotator
            for column, value in {
                "comment_id": k, "text": text, "hate_speech_score": score, **targets
            }.items():  # fmt: skip
                columns.setdefault(column, []).append(value)
    path = folder / "measuring-hate-speech.parquet"
    pq.write_table(pa.table(columns), path)
    return {"path": str(path)}


def _image_table(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    lines = []
    for k in range(rows):
        label, region = k % 3, k // 3 % 2
        _picture(folder / "pictures" / f"{k}.jpg", label, region, generator)
        lines.append(
            (f"pictures/{k}.jpg", ("cat", "dog", "owl")[label], ("north", "south")[region])
        )
    _table(folder / "pictures.csv", ("image", "label", "region"), lines)
    return {"path": str(folder / "pictures.csv"), "groups": ["region"]}


def _text_table(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    lines = []
    for k in range(rows):
        label, group = k % 2, k // 2 % 3
        groups = ("women", "elders", "women|elders")[group]
        lines.append((_text(label, generator), ("friendly", "hostile")[label], groups))
    _table(folder / "texts.csv", ("text", "label", "about"), lines)
    return {"path": str(folder / "texts.csv"), "groups": ["about"], "separator": "|"}


def _hf_dataset(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    datasets = library()
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["circle", "square"]),
            "ink": datasets.Value("string"),
        }
    )
    parts: dict[str, dict[str, list[Any]]] = {}
    for k in range(rows):
        part = parts.setdefault("test" if k // 4 % 4 == 3 else "train", {})
        label, ink = k % 2, k // 2 % 2
        picture = _encoded(_pixels(label, ink, generator, 0.5))
        row = {"image": {"bytes": picture, "path": None}, "label": label,
               "ink": ("blue", "black")[ink]}  # fmt: skip
        for column, value in row.items():
            part.setdefault(column, []).append(value)
    saved = datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(part, features=features) for name, part in parts.items()}
    )
    saved.save_to_disk(str(folder / "saved"))
    return {"path": str(folder / "saved"), "groups": ["ink"]}


def _text(label: int, generator: np.random.Generator) -> str:
    words = [*generator.choice(WORDS[label], 3), *generator.choice(FILLERS, 4)]
    return " ".join(generator.permutation(words).tolist())


def _pixels(
    label: int, group: int, generator: np.random.Generator, shade: float
) -> NDArray[np.uint8]:
    """A plane of the label's colour with a stripe at the group's height, and noise."""
    hue = 2 * np.pi * (label * 0.381966 + np.array([0, 1 / 3, 2 / 3]))
    pixels = np.empty((SIDE, SIDE, 3))
    pixels[:] = 128 + 90 * np.cos(hue) + 60 * (shade - 0.5)
    top = 4 + 5 * (group % 11)
    pixels[top : top + 4] = 255 - pixels[top : top + 4]
    pixels += generator.normal(0, 8, (SIDE, SIDE, 1))
    return np.asarray(pixels.clip(0, 255), dtype=np.uint8)


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _picture(
    path: Path, label: int, group: int, generator: np.random.Generator, shade: float = 0.5
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(_pixels(label, group, generator, shade)))


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


# The groups of each subset in the published table.
TARGETS = {
    "gender": ("men", "non_binary", "transgender_men", "transgender_unspecified",
               "transgender_women", "women", "other"),
    "race": ("asian", "black", "latinx", "middle_eastern", "native_american", "pacific_islander",
             "white", "other"),
    "religion": ("atheist", "buddhist", "christian", "hindu", "jewish", "mormon", "muslim",
                 "other"),
    "sexuality": ("bisexual", "gay", "lesbian", "straight", "other"),
}  # fmt: skip
assert set(TARGETS) == set(dlab_hatespeech.ROWS)

_MAKERS = {
    "utkface": _Maker(180, _utkface),
    "waterbirds": _Maker(96, _waterbirds),
    "geode": _Maker(240, _geode),
    "fgvc-aircraft": _Maker(300, _fgvc_aircraft),
    "dlab-hatespeech": _Maker(160, _dlab_hatespeech),
    "image-table": _Maker(96, _image_table),
    "text-table": _Maker(96, _text_table),
    "hf-dataset": _Maker(96, _hf_dataset),
    "winomt": _Maker(120, write_winomt),
    "yelp-md-gender": _Maker(96, write_yelp),
    "plain-text": _Maker(96, write_plain_text),
}
TINY = ("people-emoji", *_MAKERS)
