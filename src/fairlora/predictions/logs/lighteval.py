"""lighteval: `details_TASK_TIME.parquet`, a row a document."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fairlora.errors import InputError
from fairlora.predictions.logs.log import Log, check_ids, flat, table_of

FORMAT = "lighteval details"
_COLUMNS = {"doc", "metric", "model_response"}
# Of a document: what is long, or the same for all.
_LONG = {"query", "instruction", "fewshot_samples", "original_query", "images", "tools"}


def is_lighteval(path: Path) -> bool:
    """Whether a Parquet file has the columns of lighteval's details."""
    try:
        return set(pq.read_schema(path).names) >= _COLUMNS
    except (pa.ArrowInvalid, OSError):
        return False


def read_lighteval(path: Path) -> Log:
    """Read a file of details.

    Raises `InputError` for a file that is damaged or has no metrics.
    """
    try:
        table = pq.read_table(path, columns=["doc", "metric"])
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            "the log is cut short", where=path, found=str(error).split("\n")[0][:120]
        ) from error
    rows, metrics = [], set()
    for place, line in enumerate(table.to_pylist()):
        doc, metric = line["doc"] or {}, line["metric"] or {}
        numbers = {key: v for key, v in metric.items() if isinstance(v, int | float)}
        metrics |= set(numbers)
        named = doc.get("id")
        short = {key: v for key, v in doc.items() if key not in _LONG}
        name = f"{place}:{doc.get('query') or ''}" if named in (None, "") else str(named)
        rows.append({"id": name, **numbers, **flat(short, "doc.")})
    odd = sorted(
        {field.name for field in table.schema.field("metric").type} - metrics
        if pa.types.is_struct(table.schema.field("metric").type)
        else set()
    )
    notes = [f"not one number a sample, so no score: {', '.join(odd)}"] if odd else []
    check_ids((row["id"] for row in rows), path)
    names = tuple(name for name in _in_order(table) if name in metrics)
    return Log(path, FORMAT, table_of(rows, path), names, "id", notes=tuple(notes))


def _in_order(table: pa.Table) -> list[str]:
    kind = table.schema.field("metric").type
    return [field.name for field in kind] if pa.types.is_struct(kind) else []
