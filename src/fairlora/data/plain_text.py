"""plain-text: anybody's texts for a language model, in a text file or a table.

A text file (.txt) holds one text a paragraph (blank lines between) or, with ``by: line``, one a
line. A CSV or Parquet table has a column with the text; with an `answer` column the text is a
prompt, and the loss is taken on the answer alone. Of a table, `groups`, `family`, `id` and `split`
are as for ``text-table``; of a text file there are none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from fairlora.data.checking import Problem, Reading, some
from fairlora.data.examples import Examples
from fairlora.data.prompts import in_template, text_lines
from fairlora.data.registry import DataOptions, DataSet, fingerprint, require_path
from fairlora.data.tables import (
    filled,
    named_groups,
    need_columns,
    read_strings,
    split_column,
)
from fairlora.data.text_table import empty_texts
from fairlora.errors import InputError

TABLES = (".csv", ".parquet", ".pq")
CLASSES = ("text",)


class PlainTextOptions(DataOptions):
    by: Literal["paragraph", "line"] = Field(
        default="paragraph", description="of a text file: what one text is, paragraph or line"
    )
    text: str = Field(default="text", description="of a table: column with the text or prompt")
    answer: str | None = Field(
        default=None, description="of a table: column with the answer; the loss is on it alone"
    )
    template: str = Field(
        default="{text}", description="the prompt around the text, with {text} in it"
    )
    id: str | None = Field(default=None, description="column with a unique id")
    family: str | None = Field(default=None, description="column whose values stay in one split")
    split: str | None = Field(default=None, description="column with train, validation, test")
    separator: str | None = Field(
        default=None, min_length=1, description="parts the groups in a cell, as in black|women"
    )


class PlainText(DataSet):
    name = "plain-text"
    summary = "texts for a language model: a text file, or a table with prompts and answers"
    options = PlainTextOptions

    def read(self, options: PlainTextOptions) -> Reading:
        path = require_path(options, "a text file, CSV or Parquet table", kind="file")
        if path.suffix.lower() in TABLES:
            return _read_table(options, path)
        for key in ("answer", "id", "family", "split", "separator", "groups"):
            if getattr(options, key):
                raise InputError(
                    "a text file has no columns",
                    where=f"data.{key}",
                    found=path.name,
                    expected="a CSV or Parquet table",
                )
        texts = _read_texts(path, options.by)
        examples = Examples(
            name=path.name,
            ids=np.array([str(k + 1) for k in range(len(texts))]),
            texts=in_template(options.template, "text", texts),
            labels=np.zeros(len(texts), dtype=np.int64),
            classes=CLASSES,
            groups={},
            fingerprint=fingerprint((options.template, *texts)),
            language=True,
        )
        return Reading(examples)


def _read_texts(path: Path, by: str) -> list[str]:
    lines = text_lines(path, "a text file")
    if by == "line":
        texts = [line.strip() for line in lines]
    else:
        # A line of blanks parts paragraphs as an empty one does.
        joined = "\n".join(line.rstrip() for line in lines)
        texts = [part.strip() for part in joined.split("\n\n")]
    texts = [text for text in texts if text]
    if not texts:
        raise InputError("the file has no text", where=path)
    return texts


def _read_table(options: PlainTextOptions, path: Path) -> Reading:
    table = read_strings(path)
    groups = options.groups or ()
    named = [options.text, *groups]
    optional = (options.answer, options.id, options.family, options.split)
    named += [column for column in optional if column is not None]
    need_columns(table, named, path)
    texts = ["" if text is None else str(text) for text in table[options.text]]
    answers = None
    if options.answer is not None:
        answers = ["" if text is None else str(text) for text in table[options.answer]]
    ids = range(1, len(texts) + 1) if options.id is None else table[options.id]
    split, notes = split_column(table, options.split, path)

    def place(row: int) -> str:
        return f"{path}, row {row + 1}"

    problems = empty_texts(texts, place)
    if answers is not None:
        without = [place(k) for k, text in enumerate(answers) if not text.strip()]
        if without:
            error = InputError("empty answer", where=without[0])
            problems.append(Problem("empty answers", f"{len(without):,}: {some(without)}", error))
    examples = Examples(
        name=path.name,
        ids=np.array([str(i) for i in ids]),
        texts=in_template(options.template, "text", texts),
        answers=answers,
        labels=np.zeros(len(texts), dtype=np.int64),
        classes=CLASSES,
        groups=named_groups(table, groups, options.separator),
        family=None if options.family is None else filled(table[options.family]),
        split=split,
        fingerprint=fingerprint(
            (options.template, *(f"{k}={v}" for k in sorted(set(named)) for v in table[k]))
        ),
        notes=notes,
        language=True,
    )
    return Reading(examples, problems=problems)
