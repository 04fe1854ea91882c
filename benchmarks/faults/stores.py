"""Edited stores: a finished study in which somebody cut, swapped, edited or copied something."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from forked import fairlora
from outcome import Outcome, keeps_its_word

from study import Truth, differences, named, numbers


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """Edit a copy of the store once or twice, read it by every command, and run the study again."""
    store = truth.copy(place)
    what = "; ".join(_edit(draw, store, truth) for _ in range(draw.choice([1, 1, 1, 2])))
    study = [truth.file, "--out", store.parent]
    keeps_its_word(fairlora("study", "status", *study, "--json"))
    kind = "survived"
    if seen := _other_readers(draw, store, truth, place):
        return Outcome("wrong", what, seen)
    verify = draw.choice([[], [], ["--verify"], ["--again"]])
    done = fairlora("study", "report", *study, *verify)
    if keeps_its_word(done):
        kind = "refused"
    elif done.code:
        return Outcome("broken", what, f"report: exit code {done.code}: {done.err[-300:]}")
    else:
        left_out = named(store)
        expected, found = truth.without(left_out), numbers(store)
        for part, content in expected.items():
            if found[part] != content:
                seen = f"report without {sorted(left_out)} has other {part}: {found[part]}"
                return Outcome("wrong", what, seen[:900])
        kind = "refused" if left_out else "survived"
    done = fairlora("study", "run", *study)
    if keeps_its_word(done) and "Is a directory" in done.err and "folder" in what:
        return Outcome("refused", what)  # nobody's folder is removed
    if done.code:
        return Outcome("broken", what, f"run again: {done.code}: {done.err[-400:]}")
    seen = differences(store, truth)
    return Outcome("wrong" if seen else kind, what, seen and f"run again: {seen}")


def _other_readers(draw: Random, store: Path, truth: Truth, place: Path) -> str:
    """Compare and predict refuse, or answer as on the store that nobody edited."""
    cells = draw.sample(truth.cells, 2)
    for words in (
        ["compare", *cells, "--json"],
        ["predict", cells[0], "--out", "OUT.parquet"],
        ["audit", f"{cells[0]}/predictions.parquet", "--bootstrap", "0", "--json"],
    ):
        if words[0] != "compare" and draw.random() < 0.7:
            continue
        answers = []
        for root in (store, truth.store):
            out = place / f"out-{root == store}.parquet"
            paths = [root / w if str(w).split("/")[0] in cells else w for w in words]
            done = fairlora(*(out if word == "OUT.parquet" else word for word in paths))
            keeps_its_word(done)
            if done.code or "left out" in done.err:
                break  # the edit was seen
            answers.append(pq.read_table(out) if words[0] == "predict" else done.out)
        if len(answers) == 2 and words[0] == "audit":
            continue  # a table that is whole may say anything: no store is asked
        if len(answers) == 2 and answers[0] != answers[1]:
            return f"{' '.join(words)} answers otherwise"
    return ""


def _edit(draw: Random, store: Path, truth: Truth) -> str:
    files = sorted(path for path in store.rglob("*") if path.is_file() and not path.is_symlink())
    cells = [store / cell for cell in truth.cells if (store / cell).is_dir()]
    path = draw.choice(files)
    if draw.random() < 0.4:  # what decides most, and is few among many
        names = ("metrics.json", "status.json", "predictions.parquet", "spec.yaml")
        chosen = draw.choice(cells) / draw.choice(names)
        path = chosen if chosen.is_file() else path
    edit = draw.choice(_EDITS if path.suffix != ".json" else [*_EDITS, _value, _value, _nested])
    if path.suffix == ".parquet":
        edit = draw.choice([edit, _labels])
    if draw.random() < 0.1:
        return _swap_folders(draw, cells)
    told = edit(draw, path, cells)
    return f"{edit.__name__[1:]} {path.relative_to(store)} {told}".strip()


def _truncated(draw: Random, path: Path, cells: list[Path]) -> str:
    kept = draw.randrange(path.stat().st_size + 1)
    path.write_bytes(path.read_bytes()[:kept])
    return f"to {kept} bytes"


def _flipped(draw: Random, path: Path, cells: list[Path]) -> str:
    content = bytearray(path.read_bytes())
    told = []
    for _ in range(draw.randint(1, 3) if content else 0):
        spot = draw.randrange(len(content))
        content[spot] ^= 1 << draw.randrange(8)
        told.append(str(spot))
    path.write_bytes(content)
    return f"at {', '.join(told)}"


def _removed(draw: Random, path: Path, cells: list[Path]) -> str:
    path.unlink()
    return ""


def _appended(draw: Random, path: Path, cells: list[Path]) -> str:
    with path.open("ab") as file:
        file.write(draw.choice([b"\n", b" ", b"x", b"{}", b"\0"]))
    return ""


def _of_another_cell(draw: Random, path: Path, cells: list[Path]) -> str:
    """The file of the same name of another cell in its place: swapped, copied or linked."""
    others = [c for c in cells if not path.is_relative_to(c) and (c / path.name).is_file()]
    if not others:
        return "(nothing)"
    other = draw.choice(others) / path.name
    how = draw.choice(["swapped", "copied", "linked"])
    if how == "swapped":
        aside = path.with_name("aside")
        os.rename(path, aside)
        os.rename(other, path)
        os.rename(aside, other)
    else:
        path.unlink()
        if how == "copied":
            shutil.copy(other, path)
        else:
            path.symlink_to(other)
    return f"{how} with that of {other.parent.name}"


def _folder(draw: Random, path: Path, cells: list[Path]) -> str:
    path.unlink()
    path.mkdir()
    return ""


def _labels(draw: Random, path: Path, cells: list[Path]) -> str:
    """One value of a column of a table is another row's."""
    table = pq.read_table(path)
    name = draw.choice(table.column_names)
    values = table[name].to_pylist()
    one, other = draw.randrange(len(values)), draw.randrange(len(values))
    values[one] = values[other]
    column = pa.array(values, table.schema.field(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)
    return f"{name} of row {one} as of {other}"


def _value(draw: Random, path: Path, cells: list[Path]) -> str:
    """One value anywhere in a JSON file is another; versions are drawn like any other."""
    content = json.loads(path.read_text())
    spots = list(_leaves(content))
    if not spots:
        return "(nothing)"
    holder, key, where = draw.choice(spots)
    old = holder[key]
    new: list[Any] = [None, "other", -1, 10**400, [], {}, True, float("nan")]
    if isinstance(old, int | float):
        new += [old + 1, old * 1.01, old + 1, old * 1.01]
    holder[key] = draw.choice(new)
    path.write_text(json.dumps(content))
    return f"{where}: {str(old)[:20]} is {str(holder[key])[:20]}"


def _leaves(value: Any, where: str = "") -> list[tuple[Any, Any, str]]:
    found = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, dict | list) and inner:
            found += _leaves(inner, f"{where}.{key}")
        else:
            found.append((value, key, f"{where}.{key}"))
    return found


def _nested(draw: Random, path: Path, cells: list[Path]) -> str:
    path.write_text(draw.choice(["[", '{"a":']) * 100_000)
    return ""


def _swap_folders(draw: Random, cells: list[Path]) -> str:
    one, other = draw.sample(cells, 2)
    aside = one.with_name("aside")
    if draw.random() < 0.5:
        shutil.rmtree(one)
        shutil.copytree(other, one)
        return f"{other.name} copied to {one.name}"
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)
    return f"{one.name} and {other.name} swapped"


_EDITS: list[Callable[[Random, Path, list[Path]], str]] = [
    _truncated, _flipped, _flipped, _removed, _appended, _of_another_cell, _folder,
]  # fmt: skip
