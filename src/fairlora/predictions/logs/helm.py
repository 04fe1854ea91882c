"""HELM: a run's folder, with `per_instance_stats.json`, and `instances.json` once summarised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.predictions.logs.log import Log, check_ids, chosen_filter, flat, loads, table_of

FORMAT = "HELM per-instance statistics"
STATS, INSTANCES, STATE = "per_instance_stats.json", "instances.json", "scenario_state.json"
_ORIGINAL = "original"


def is_helm(path: Path, head: bytes) -> bool:
    """Whether this is a run's folder, or the file of its statistics."""
    if path.is_dir():
        return (path / STATS).is_file()
    return path.name == STATS or (b'"instance_id"' in head and b'"train_trial_index"' in head)


def read_helm(path: Path, filter_: str | None) -> Log:
    """Read a run's statistics by instance, with the instances' fields.

    Parameters
    ----------
    path : the run's folder, or its `per_instance_stats.json`.
    filter_ : the perturbation whose rows to take ("original" for none); None takes the only one.

    Raises
    ------
    InputError : a file is not there or damaged, or several perturbations and none is named.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / STATS if path.is_dir() else path
    entries = _list(file)
    instances = {(str(one.get("id")), _perturbation(one)): one for one in _instances(folder)}
    notes = []
    if not instances:
        notes.append(f"no {INSTANCES} and no {STATE} beside {file.name}: no fields of instances")
    kinds = list(dict.fromkeys(_perturbation(entry) for entry in entries))
    chosen = chosen_filter(kinds, filter_, file)
    rows: list[dict[str, Any]] = []
    scores: dict[str, None] = {}
    for entry in entries:
        if _perturbation(entry) != chosen:
            continue
        name, trial = str(entry.get("instance_id")), entry.get("train_trial_index", 0)
        values = {}
        for stat in entry.get("stats") or []:
            count, total = stat.get("count", 0), stat.get("sum")
            if count and total is not None:
                values[str(stat["name"]["name"])] = total / count
        scores |= dict.fromkeys(values)
        instance = instances.get((name, chosen), instances.get((name, _ORIGINAL), {}))
        fields = {key: v for key, v in instance.items() if key not in ("references", "id", "input")}
        rows.append(
            {"id": f"{name}/{trial}", "instance": name, "trial": trial, **values}
            | flat(fields, "instance.")
        )
    check_ids((row["id"] for row in rows), file)
    if len(kinds) > 1:
        notes.append(f"perturbation {chosen!r} alone, of {', '.join(kinds)}")
    trials = {row["trial"] for row in rows}
    if len(trials) > 1:
        notes.append(f"{len(trials)} trials: the rows of one instance count as drawn together")
    cluster = "instance" if len(trials) > 1 else None
    return Log(file, FORMAT, table_of(rows, file), tuple(scores), "id", cluster, (), tuple(notes))


def _instances(folder: Path) -> list[dict[str, Any]]:
    """The instances as `helm-summarize` writes them, else as the requests of the run have them."""
    if (folder / INSTANCES).is_file():
        return _list(folder / INSTANCES)
    if not (folder / STATE).is_file():
        return []
    state = loads((folder / STATE).read_bytes(), folder / STATE)
    requests = state.get("request_states") if isinstance(state, dict) else None
    if not isinstance(requests, list):
        raise InputError("not a file of HELM", where=folder / STATE, expected="request_states")
    return [one["instance"] for one in requests if isinstance(one.get("instance"), dict)]


def _list(path: Path) -> list[dict[str, Any]]:
    found = loads(path.read_bytes(), path)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError("not a file of HELM", where=path, expected="a list of objects")
    return found


def _perturbation(entry: dict[str, Any]) -> str:
    return str((entry.get("perturbation") or {}).get("name", _ORIGINAL))
