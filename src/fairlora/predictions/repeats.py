"""Say where a column of ids repeats: rows that belong together and would count as independent."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fairlora.predictions.opened import Opened

# What tables and logs call the question, picture or person that a row is of.
ID_NAMES = ("id", "doc_id", "sample_id", "example_id", "question_id", "item_id", "uid")


def repeat_notes(opened: Opened, cluster: str | None) -> list[str]:
    """A note for the first column of ids whose values repeat; none where rows have clusters.

    Epochs or filters of one question, read as independent rows, make intervals too narrow.

    Parameters
    ----------
    opened : a table that is read into memory.
    cluster : the column of clusters, if one is named.

    >>> from fairlora.predictions.opened_any import table_in_memory
    >>> from fairlora.predictions.tabular import Asked
    >>> table = table_in_memory({"id": ["a", "b", "a"], "y": [1, 0, 1]}, Asked())
    >>> repeat_notes(table, None)[0][:40]
    'column id has 2 values in 3 rows: where '
    """
    if cluster is not None:
        return []
    for name in opened.schema.names:
        if name.lower() not in ID_NAMES:
            continue
        values = opened.whole([name])[name]
        try:
            distinct = pc.count_distinct(values).as_py()
        except pa.ArrowNotImplementedError:  # lists and structs
            continue
        rows = len(values) - values.null_count
        if distinct < rows:
            return [
                f"column {name} has {distinct:,} values in {rows:,} rows: where the rows of one "
                f"belong together (epochs, filters, crops), intervals need --cluster {name}"
            ]
    return []
