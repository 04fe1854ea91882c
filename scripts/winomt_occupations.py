"""Do translations name the person whose pronoun is judged?

Pro- and anti-stereotypical are said of the occupation in the reference. A weak translator writes
about another one. Prints, as Markdown, a line a run: how many translations name the reference's
occupation, and pro minus anti of those that do and of those that do not, over scenes.

    python scripts/winomt_occupations.py WINOMT_FOLDER runs/winomt-smollm2/*
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fairlora.data.winomt import read_sentences
from fairlora.probes.estimates import Estimate, ratio
from fairlora.study.runs.folder import RunFolder


def names(translation: str, occupation: str) -> bool:
    return re.search(rf"\b{re.escape(occupation)}s?\b", translation, re.IGNORECASE) is not None


def written(one: Estimate) -> str:
    if one.value is None:
        return "none"
    ends = one.interval()
    around = "" if ends is None else f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
    return f"{100 * one.value:.1f}{around}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("winomt", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    asked = parser.parse_args()
    known = {row.sentence: row.occupation for row in read_sentences(asked.winomt)[0]}
    print("| run | set | names the occupation | pro minus anti, named | not named |")
    print("| --- | --- | ---: | ---: | ---: |")
    for folder in asked.runs:
        path = folder / "probes" / "translation.parquet"
        if not path.is_file():
            continue
        rows = [row for row in pq.read_table(path).to_pylist() if row["outcome"] is not None]
        clusters = [row["cluster"] for row in rows]
        named = np.array([names(row["translation"], known[row["reference"]]) for row in rows])
        gap = np.array([(row["outcome"] == "pro") - (row["outcome"] == "anti") for row in rows])
        share = ratio("named", "Named", "share", clusters, named)
        gaps = [
            ratio("gap", "Gap", "signed share", clusters, gap * held, held)
            for held in (named, ~named)
        ]
        trained_on = RunFolder(folder).spec().data.model_dump()["set"]
        cells = [folder.name, trained_on, *map(written, [share, *gaps])]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
