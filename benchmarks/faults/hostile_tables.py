"""Tables with something broken in them, read again by pandas and counted again by scikit-learn.

A result may differ from that of the whole table, and must be that of the table as it is: pandas
reads the same file, and the numbers are computed again from its rows. Rows that fairlora leaves out
must be as many as it says.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
from forked import fairlora
from mutate import TOKENS, mutate
from outcome import Outcome, keeps_its_word
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from study import Truth

ROWS = 60
CELLS = [token.decode("utf-8", "replace") for token in TOKENS if token not in (b"\xff", b"\0")]
COLUMNS = ["--label", "label", "--pred", "pred", "--group", "sex", "--bootstrap", "0"]
MISSING = ("", "na", "n/a", "nan", "null", "none", "<na>", "#n/a")


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _written(write: Callable[[Any, io.BytesIO], Any]) -> Callable[[pd.DataFrame], bytes]:
    def to_bytes(frame: pd.DataFrame) -> bytes:
        out = io.BytesIO()
        write(frame, out)
        return out.getvalue()

    return to_bytes


def _arrow(frame: pd.DataFrame, out: io.BytesIO) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table)


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": _csv,
    "tsv": lambda frame: frame.to_csv(index=False, sep="\t").encode(),
    "jsonl": lambda frame: frame.to_json(orient="records", lines=True).encode(),
    "json": lambda frame: frame.to_json(orient="records").encode(),
    "parquet": _written(lambda frame, out: frame.to_parquet(out, index=False)),
    "arrow": _written(_arrow),
    "orc": _written(lambda frame, out: pa.orc.write_table(pa.Table.from_pandas(frame), out)),
    "csv.gz": lambda frame: _gzip(_csv(frame)),
}


def _gzip(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0)


def read_again(path: Path, ending: str) -> list[dict[str, Any]]:
    """The rows of a file as other libraries read them; raises what they raise."""
    content = path.read_bytes()
    if ending == "csv.gz":
        import gzip

        content = gzip.decompress(content)
    source = io.BytesIO(content)
    if ending in ("csv", "tsv", "csv.gz"):
        frame = pd.read_csv(
            source, sep="\t" if ending == "tsv" else ",", dtype=str, keep_default_na=False,
            encoding_errors="strict", encoding="utf-8-sig", skip_blank_lines=True,
        )  # fmt: skip
    elif ending == "jsonl":
        lines = content.decode("utf-8-sig").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    elif ending == "json":
        found: list[dict[str, Any]] = json.loads(content.decode("utf-8-sig"))
        return found
    elif ending == "parquet":
        frame = pd.read_parquet(source, columns=_used(pa.parquet.read_schema(source)))
    elif ending == "arrow":
        table = pa.ipc.open_file(source).read_all()
        return table.select(_used(table.schema)).to_pylist()
    else:
        table = pa.orc.read_table(source)
        return table.select(_used(table.schema)).to_pylist()
    return frame.to_dict("records")


def _used(schema: pa.Schema) -> list[str]:
    """What no command asks for may be broken: no number is of it."""
    return [name for name in schema.names if name != "id"]


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """A table of some format, changed cell by cell or byte by byte, through a command."""
    frame = _table(draw)
    ending = draw.choice([*FORMATS, "csv", "csv", "jsonl"])
    told = ""
    if draw.random() < 0.5:
        frame, told = _cells(draw, frame)
    content = FORMATS[ending](frame)
    if not told:
        content, told = mutate(draw, content)
    path = place / f"rows.{ending}"
    path.write_bytes(content)
    name = draw.choice(list(COMMANDS))
    words, judge = COMMANDS[name]
    what = f"{name} {ending}: {told}"
    done = fairlora(*(path if word == "FILE" else word for word in words))
    if keeps_its_word(done):
        return Outcome("refused", what, done.err.strip().splitlines()[-1][:300])
    try:
        found = json.loads(done.out)
        rows = read_again(path, ending)
    except Exception as error:
        seen = f"read, though others do not: {type(error).__name__}: {error}"
        return Outcome("wrong", what, f"{seen}; {done.err[-300:]}")
    seen = judge(found, rows)
    said = " ".join(done.err.split())
    return Outcome("wrong" if seen else "survived", what, seen and f"{seen}; said: {said[-400:]}")


def _table(draw: Random) -> pd.DataFrame:
    labels = [draw.randrange(2) for _ in range(ROWS)]
    return pd.DataFrame(
        {
            "id": [f"r{k}" for k in range(ROWS)],
            "label": labels,
            "pred": [y if draw.random() < 0.7 else 1 - y for y in labels],
            "score": [round(draw.random() + y / 2, 4) for y in labels],
            "sex": [draw.choice(["f", "m"]) for _ in range(ROWS)],
        }
    )


def _cells(draw: Random, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Some cells hold something else, or a column or row is there twice, or not at all."""
    how = draw.choice(["cell", "cell", "cell", "cells", "column", "row", "name"])
    column = draw.choice(list(frame.columns))
    value: Any = draw.choice([*CELLS, None, 2, -1.5, 1e300])
    rows = frame.to_dict("records")
    if how in ("cell", "cells"):
        spots = draw.sample(range(len(rows)), 1 if how == "cell" else 7)
        for spot in spots:
            rows[spot][column] = value if not isinstance(value, str) else value[:60]
        found = pd.DataFrame(rows)
        if len({type(v) for v in found[column]}) > 1:  # Arrow holds one type a column
            texts = [None if v is None or v != v else str(v) for v in found[column]]
            found[column] = pd.Series(texts, dtype=object)
        return found, f"{column} of rows {spots} is {str(value)[:20]!r}"
    if how == "row":
        spot = draw.randrange(len(rows))
        return pd.DataFrame([*rows, rows[spot]]), f"row {spot} twice"
    if how == "column":
        return frame.drop(columns=column), f"no {column}"
    return frame.rename(
        columns={column: str(value)[:60]}
    ), f"{column} is called {str(value)[:20]!r}"


def plain(value: Any) -> str | None:
    """A value as a text to compare by: 1, 1.0, "1" and True are one label; None where missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(int(value))
    text = str(value).strip()
    if text.lower() in MISSING:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _group(value: Any) -> str:
    return plain(value) or "(missing)"


def _compared(pairs: Sequence[tuple[str, Any, Any]]) -> str:
    for name, found, expected in pairs:
        missing = expected is None or expected != expected
        if missing != (found is None) or (
            not missing and not math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
        ):
            return f"{name} is {found}, by others {expected}"
    return ""


def _left_out(found: dict[str, Any], total: int, used: int) -> str:
    """Rows that were not used must be counted aloud."""
    counted = sum(found.get("left_out", {}).values())
    if found["n"] != used or found["n"] + counted != total:
        return f"{found['n']} rows and {counted} left out, by others {used} of {total}"
    return ""


def _of_audit(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    used = [r for r in rows if plain(r["label"]) is not None and plain(r["pred"]) is not None]
    if seen := _left_out(found, len(rows), len(used)):
        return seen

    def accuracy(part: list[dict[str, Any]]) -> float:
        return float(
            accuracy_score([plain(r["label"]) for r in part], [plain(r["pred"]) for r in part])
        )

    pairs = [("accuracy", found["overall"]["accuracy"]["value"], accuracy(used))]
    groups = {_group(r["sex"]) for r in used}
    if set(found["by_group"]["sex"]) != groups:
        return f"groups {sorted(found['by_group']['sex'])}, by others {sorted(groups)}"
    for name in groups:
        part = [r for r in used if _group(r["sex"]) == name]
        there = found["by_group"]["sex"][name]
        pairs.append((f"n of {name!r}", there["n"], len(part)))
        pairs.append((f"accuracy of {name!r}", there["accuracy"]["value"], accuracy(part)))
    return _compared(pairs)


def _of_score(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    used = [r for r in rows if plain(r["score"]) is not None]
    if seen := _left_out(found, len(rows), len(used)):
        return seen
    values = [float(plain(r["score"]) or "nan") for r in used]
    return _compared([("mean", found["overall"]["score"]["value"], sum(values) / len(values))])


def _of_numeric(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    used = [r for r in rows if plain(r["label"]) is not None and plain(r["score"]) is not None]
    if seen := _left_out(found, len(rows), len(used)):
        return seen
    labels = [float(plain(r["label"]) or "nan") for r in used]
    scores = [float(plain(r["score"]) or "nan") for r in used]
    error = mean_absolute_error(labels, scores)
    return _compared([("MAE", found["overall"]["mae"]["value"], error)])


def _of_attack(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    values = [float(plain(r["score"]) or "nan") for r in rows]
    members = [plain(r["label"]) for r in rows]
    auc = roc_auc_score([one == "1" for one in members], values)
    return _compared([("AUC", found["attacks"]["score"]["overall"]["auc"]["value"], auc)])


Judge = Callable[[dict[str, Any], list[dict[str, Any]]], str]
_SAID: list[object] = ["--group", "sex", "--json"]
_NUMBERS: list[object] = ["--label", "label", "--pred", "score", "--bootstrap", 0, *_SAID]
COMMANDS: dict[str, tuple[list[object], Judge]] = {
    "audit": (["audit", "FILE", *COLUMNS, "--json"], _of_audit),
    "audit again": (["audit", "FILE", *COLUMNS, "--json"], _of_audit),
    "score": (["audit", "FILE", "--score", "score", "--bootstrap", 0, *_SAID], _of_score),
    "numeric": (["audit", "FILE", "--numeric", *_NUMBERS], _of_numeric),
    "attack": (
        ["attack", "--scores", "FILE", "--member", "label", "--permutations", 0, *_SAID],
        _of_attack,
    ),
}
