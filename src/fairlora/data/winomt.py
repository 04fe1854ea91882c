"""winomt: English sentences with one gendered pronoun, and their Turkish (Stanovsky et al. 2019).

Turkish has one pronoun for everybody: whoever translates into English must choose a gender, or
none. Two kinds of native files, in one folder:

    en.txt  en_pro.txt  en_anti.txt       gender, position, sentence, occupation, with tabs between
    en_tr_general.txt  en_tr_pro.txt  en_tr_anti.txt      English ||| Turkish

The sentences come in scenes: four (two sentences, each with either gender: once as the stereotype
of the occupation has it, once against it), then, of Winogender, twelve (four sentences by three
genders). A scene's sentences are close to each other, and often one Turkish sentence: they stay in
one split, and with them the few scenes that have a Turkish sentence in common. `set` says what is
trained on; the rows to judge are the same for each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.checking import Count, Problem, Reading
from fairlora.data.examples import Examples
from fairlora.data.prompts import in_template, text_lines
from fairlora.data.registry import (
    DataOptions,
    DataSet,
    chosen_groups,
    fingerprint,
    require_path,
)
from fairlora.errors import InputError
from fairlora.predictions import group_column

GENDERS = ("female", "male", "neutral")
SEPARATOR = " ||| "
PAIR, WINOGENDER = 2, 12  # lines of a scene in en_pro.txt and en_anti.txt, and at the end of en.txt
PUBLISHED = {"examples": 3888, "pro-stereotype": 1584, "anti-stereotype": 1584}
TEMPLATE = "Turkish: {source} English:"


class WinoMTOptions(DataOptions):
    set: Literal["balanced", "pro-stereotype", "anti-stereotype"] = Field(
        default="balanced", description="trained on: balanced, pro-stereotype or anti-stereotype"
    )
    template: str = Field(default=TEMPLATE, description="the prompt, with {source} in it")


class Sentence(NamedTuple):
    """A line of en.txt, and what its place in the files says of it."""

    gender: str
    sentence: str
    occupation: str
    case: str  # pro, anti, other
    scene: int


class WinoMT(DataSet):
    name = "winomt"
    summary = "Turkish to English with a pronoun to choose, by the stereotypes of occupations"
    options = WinoMTOptions

    def read(self, options: WinoMTOptions) -> Reading:
        folder = require_path(options, "WinoMT with Turkish", kind="folder")
        sentences, stereotypes = read_sentences(folder)
        pairs = _read_pairs(folder / "en_tr_general.txt")
        rows = _joined(pairs, sentences, folder)
        kinds = np.array([row.case for row in rows])
        wanted = {"pro-stereotype": "pro", "anti-stereotype": "anti"}.get(options.set)
        groups = {
            "stereotype": group_column([stereotypes.get(r.occupation, "none") for r in rows]),
            "case": group_column(kinds),
        }
        examples = Examples(
            name=f"WinoMT, Turkish to English, {options.set}",
            ids=np.array([f"{k + 1}" for k in range(len(rows))]),
            texts=in_template(options.template, "source", (turkish for _, turkish in pairs)),
            answers=[english for english, _ in pairs],
            labels=np.array([GENDERS.index(row.gender) for row in rows], dtype=np.int64),
            classes=GENDERS,
            groups=groups,
            family=_families(pairs, rows),
            fingerprint=fingerprint(
                part
                for (english, turkish), row in zip(pairs, rows, strict=True)
                for part in (english, turkish, row.gender, row.occupation, row.case)
            ),
            notes=_notes(folder, pairs),
            language=True,
            trainable=None if wanted is None else kinds == wanted,
        )
        counts = [Count("examples", len(rows), PUBLISHED["examples"])]
        for name, case in (("pro-stereotype", "pro"), ("anti-stereotype", "anti")):
            counts.append(Count(f"{name} sentences", int((kinds == case).sum()), PUBLISHED[name]))
        return Reading(chosen_groups(examples, options), counts, _problems(rows, folder))


def read_sentences(folder: Path) -> tuple[list[Sentence], dict[str, str]]:
    """The lines of en.txt, and the stereotypical gender of each occupation that has one.

    Raises `InputError` where a file is missing or malformed, or en.txt is not the anti-stereotype
    lines, then the pro-stereotype lines, then those of Winogender.
    """
    everything = _read_english(folder / "en.txt")
    pro, anti = (_read_english(folder / f"en_{kind}.txt") for kind in ("pro", "anti"))
    stereotypes: dict[str, str] = {}
    for k, (gender, _, occupation) in enumerate(pro):
        if stereotypes.setdefault(occupation, gender) != gender:
            raise InputError(
                "an occupation with two stereotypes",
                where=f"{folder / 'en_pro.txt'}, line {k + 1}",
                found=f"{occupation}: {gender}",
                expected=stereotypes[occupation],
            )
    first, second = len(anti), len(anti) + len(pro)
    blocks = {"anti": (anti, everything[:first]), "pro": (pro, everything[first:second])}
    for name, (own, expected) in blocks.items():
        if Counter(own) != Counter(expected) or len(own) % PAIR or len(anti) != len(pro):
            raise InputError(
                f"en.txt does not hold the lines of en_{name}.txt in their place",
                where=folder,
                expected="the anti-stereotype lines, then the pro-stereotype lines, then the rest",
            )
    out = []
    for k, (gender, sentence, occupation) in enumerate(everything):
        if k < second:
            case, scene = ("anti" if k < first else "pro"), (k % first) // PAIR
        else:
            case, scene = "other", first // PAIR + (k - second) // WINOGENDER
        out.append(Sentence(gender, sentence, occupation, case, scene))
    return out, stereotypes


def _lines(path: Path) -> list[str]:
    lines = text_lines(path, "the files of WinoMT")
    if not lines:
        raise InputError("the file has no lines", where=path)
    return lines


def _read_english(path: Path) -> list[tuple[str, str, str]]:
    rows = []
    for k, line in enumerate(_lines(path)):
        parts = line.split("\t")
        if len(parts) != 4 or parts[0] not in GENDERS or not parts[2].strip():
            raise InputError(
                "not a line of WinoMT",
                where=f"{path}, line {k + 1}",
                found=repr(line[:80]),
                expected="gender, position, sentence, occupation with tabs between",
            )
        rows.append((parts[0], parts[2].strip(), parts[3].strip().lower()))
    return rows


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    pairs = []
    for k, line in enumerate(_lines(path)):
        english, separator, turkish = line.partition(SEPARATOR)
        if not separator or not english.strip() or not turkish.strip():
            raise InputError(
                "not a pair of sentences",
                where=f"{path}, line {k + 1}",
                found=repr(line[:80]),
                expected="English ||| Turkish",
            )
        pairs.append((english.strip(), turkish.strip()))
    return pairs


def _joined(
    pairs: list[tuple[str, str]], sentences: list[Sentence], folder: Path
) -> list[Sentence]:
    """Each pair's line of en.txt: the two files differ in the order within a scene."""
    waiting: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences:
        waiting[sentence.sentence].append(sentence)
    rows = []
    for k, (english, _) in enumerate(pairs):
        if not waiting[english]:
            raise InputError(
                "a sentence that en.txt does not have, or not as often",
                where=f"{folder / 'en_tr_general.txt'}, line {k + 1}",
                found=repr(english[:80]),
            )
        rows.append(waiting[english].pop(0))
    return rows


def _families(pairs: list[tuple[str, str]], rows: list[Sentence]) -> NDArray[np.str_]:
    """The scenes, those that have a Turkish sentence in common as one: it is one prompt."""
    first: dict[str, int] = {}
    home: dict[int, int] = {}

    def root(scene: int) -> int:
        while home.get(scene, scene) != scene:
            scene = home[scene]
        return scene

    for (_, turkish), row in zip(pairs, rows, strict=True):
        left, right = root(first.setdefault(turkish, row.scene)), root(row.scene)
        home[max(left, right)] = min(left, right)
    return np.array([f"scene {root(row.scene)}" for row in rows])


def _notes(folder: Path, pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    """Where the sets' own files translate a sentence otherwise than the whole does."""
    general = set(pairs)
    other = 0
    for kind in ("pro", "anti"):
        path = folder / f"en_tr_{kind}.txt"
        if path.is_file():
            other += sum(pair not in general for pair in _read_pairs(path))
    if not other:
        return ()
    return (
        f"{other:,} sentences of en_tr_pro.txt and en_tr_anti.txt have another Turkish wording "
        "than in en_tr_general.txt, which is the one that is read",
    )


def _problems(rows: list[Sentence], folder: Path) -> list[Problem]:
    """Scenes that are torn: lines were added or lost, and the places of all others moved."""
    sizes = Counter(row.scene for row in rows)
    cases = {row.scene: row.case for row in rows}
    torn = [s for s, n in sizes.items() if n != (WINOGENDER if cases[s] == "other" else 2 * PAIR)]
    if not torn:
        return []
    error = InputError(
        "scenes that are not whole", where=folder, found=f"{len(torn)}", expected="4 or 12 lines"
    )
    return [Problem("scenes", f"{len(torn):,} of {len(sizes):,} are not whole", error)]
