"""text-table: anybody's texts, in a CSV or Parquet file.

One row a text: a column with the text, a label column, and columns of sensitive attributes. A list
column of a Parquet file holds overlapping groups; so does, with `separator`, a cell such as
``black|women`` of a CSV file. Optional: an id column (default: the row's number), a family column
(rows that must stay in one split, such as the variants of one template), a split column with train,
validation and test (without validation rows, these are drawn from the training rows).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from fairlora.data.checking import Problem, Reading, some
from fairlora.data.registry import DataSet
from fairlora.data.tables import TableOptions, examples_of, open_table
from fairlora.errors import InputError


class TextTableOptions(TableOptions):
    text: str = Field(default="text", description="column with the text")
    id: str | None = Field(
        default=None, description="column with a unique id; default: the row's number"
    )


class TextTable(DataSet):
    name = "text-table"
    summary = "your own texts: a CSV or Parquet of text, label and group columns"
    options = TextTableOptions

    def read(self, options: TextTableOptions) -> Reading:
        path, table, named = open_table(options, options.text)
        texts = ["" if text is None else str(text) for text in table[options.text]]
        ids = range(1, len(texts) + 1) if options.id is None else table[options.id]
        printed = (f"{k}={v}" for k in sorted(set(named)) for v in table[k])
        examples = examples_of(path, table, options, ids, printed, texts=texts)
        return Reading(examples, problems=empty_texts(texts, lambda k: f"{path}, row {k + 1}"))


def empty_texts(texts: Sequence[str], place: Callable[[int], str]) -> list[Problem]:
    """A problem if any text is empty: a model would be asked to learn from nothing.

    `place` says where the k-th text stands.
    """
    places = [place(k) for k, text in enumerate(texts) if not text.strip()]
    if not places:
        return []
    error = InputError("empty text", where=places[0])
    return [Problem("empty texts", f"{len(places):,}: {some(places)}", error)]
