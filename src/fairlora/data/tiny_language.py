"""Tiny made-up copies of the language models' data sets in their native layouts.

Part of `fairlora.data.tiny`. The sentences are made of a few occupations and verbs; the "Turkish"
is a word for each English one, without a gendered pronoun.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

# Occupation -> its stereotype in WinoMT, and a word that stands for it in the other language.
OCCUPATIONS = {
    "nurse": ("female", "hemşire"),
    "carpenter": ("male", "marangoz"),
    "cleaner": ("female", "temizlikçi"),
    "driver": ("male", "şoför"),
    "teacher": ("female", "öğretmen"),
    "guard": ("male", "bekçi"),
}
DEEDS = {
    "thanked": "teşekkür etti",
    "called": "aradı",
    "met": "gördü",
    "paid": "ödedi",
}
REASONS = {
    "was early": "erken geldiği için",
    "had time": "vakti olduğu için",
    "was glad": "sevindiği için",
    "knew the way": "yolu bildiği için",
}
PRONOUNS = {"female": "she", "male": "he", "neutral": "they"}
OTHER = {"female": "male", "male": "female"}
REVIEWS = ("food", "service", "room", "staff", "place", "coffee", "parking", "music")
OPINIONS = ("good", "slow", "clean", "loud", "fine", "cold", "friendly", "average")


def write_winomt(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    """Scenes of four lines, and then two of Winogender's twelve.

    Parameters
    ----------
    folder : where the files go; it must be there.
    rows : lines in all, rounded down to whole scenes; 28 at least.
    generator : of the sentences.

    Returns
    -------
    The options that read it.
    """
    scenes = max(1, (rows - 24) // 4)
    names, deeds, reasons = list(OCCUPATIONS), list(DEEDS), list(REASONS)
    blocks: dict[str, list[tuple[str, str, str]]] = {"pro": [], "anti": []}
    for k in range(scenes):
        # A woman's and a man's occupation by stereotype, as in WinoBias.
        first = names[2 * (k % 3)]
        second = names[2 * ((k + k // 3) % 3) + 1]
        deed = deeds[int(generator.integers(len(deeds)))]
        why = generator.permutation(reasons)[:2].tolist()
        for case in ("anti", "pro"):
            for occupation, reason in zip((first, second), why, strict=True):
                stereotype = OCCUPATIONS[occupation][0]
                gender = stereotype if case == "pro" else OTHER[stereotype]
                line = f"{gender}\t1\t{_english(first, deed, second, gender, reason)}\t{occupation}"
                blocks[case].append((line, *_pair(first, deed, second, gender, reason)))
    others = []
    for k in range(2):
        for j in range(4):
            for gender in PRONOUNS:
                first, second = f"visitor{k}", names[j]
                parts = (first, deeds[j], second, gender, reasons[j])
                others.append((f"{gender}\t1\t{_english(*parts)}\t{first}", *_pair(*parts)))
    whole = [*blocks["anti"], *blocks["pro"], *others]
    for name, lines in (("", whole), ("_pro", blocks["pro"]), ("_anti", blocks["anti"])):
        english = "\n".join(line for line, _, _ in lines)
        (folder / f"en{name}.txt").write_text(english + "\n", encoding="utf-8")
        pairs = "\n".join(f"{e} ||| {t}" for _, e, t in lines)
        other = folder / f"en_tr{name or '_general'}.txt"
        other.write_text(pairs + "\n", encoding="utf-8")
    return {"path": str(folder)}


def _english(first: str, deed: str, second: str, gender: str, reason: str) -> str:
    return f"The {first} {deed} the {second} because {PRONOUNS[gender]} {reason}."


def _pair(first: str, deed: str, second: str, gender: str, reason: str) -> tuple[str, str]:
    def word(name: str) -> str:
        # One who is no occupation keeps the number: scenes must not have a sentence in common.
        known = OCCUPATIONS.get(name)
        return (name.replace("visitor", "ziyaretçi ") if known is None else known[1]).capitalize()

    turkish = f"{word(first)}, {REASONS[reason]} {word(second)} {DEEDS[deed]}."
    return _english(first, deed, second, gender, reason), turkish


def write_yelp(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    """The hub's files: a score in the middle for every second review, and a clear one.

    Parameters
    ----------
    folder : where the files go; made if it is not there.
    rows : training reviews with a clear score; there are as many with one in the middle.
    generator : of the reviews and their scores.

    Returns
    -------
    The options that read it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split, number in (("train", 2 * rows), ("test", 4)):
        split_folder = folder / split
        split_folder.mkdir(parents=True, exist_ok=True)
        clear = np.arange(number) % 2
        score = np.where(clear, 0.95, generator.uniform(0.45, 0.55, number))
        columns = {
            "text": [f"{_review(generator)} number {k}" for k in range(number)],
            "binary_label": (np.arange(number) // 2 % 2).tolist(),
            "binary_score": score.astype(np.float32),
        }
        pq.write_table(pa.table(columns), split_folder / "0000.parquet")
    return {"path": str(folder)}


def _review(generator: np.random.Generator) -> str:
    things, words = generator.permutation(REVIEWS)[:2], generator.permutation(OPINIONS)[:2]
    return f"the {things[0]} was {words[0]} and the {things[1]} was {words[1]}"


def write_plain_text(folder: Path, rows: int, generator: np.random.Generator) -> dict[str, Any]:
    """A table with a text, an answer and a group.

    Parameters
    ----------
    folder : where the table goes; it must be there.
    rows : of the table.
    generator : of the texts and answers.

    Returns
    -------
    The options that read it.
    """
    path = folder / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "answer", "dialect"))
        for k in range(rows):
            answer = OPINIONS[int(generator.integers(len(OPINIONS)))]
            writer.writerow((f"{_review(generator)}, so it was", answer, ("north", "south")[k % 2]))
    return {"path": str(path), "answer": "answer", "groups": ["dialect"]}
