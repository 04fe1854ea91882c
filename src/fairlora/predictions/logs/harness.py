"""lm-evaluation-harness: `samples_TASK_TIME.jsonl`, a line a document and filter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.predictions.logs.log import Log, check_ids, chosen_filter, flat, loads, table_of
from fairlora.predictions.spellings import number_of

FORMAT = "lm-evaluation-harness samples"
# What is derived of discrim-eval's and BBQ's samples.
_LOGIT = "logit_yes"
_AMBIGUOUS, _DISAMBIGUATED = "bbq.ambiguous_bias", "bbq.disambiguated_bias"
_KEYS = {"doc_id", "doc", "target", "resps", "filtered_resps"}
# Fields of a line that are no metric, in logs that do not name their metrics.
_OTHER = {*_KEYS, "arguments", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"}


def is_harness(first_line: bytes) -> bool:
    """Whether the first line of a file is one of the harness's samples."""
    try:
        line = json.loads(first_line)
    except ValueError:
        return False
    return isinstance(line, dict) and set(line) >= _KEYS


def read_harness(path: Path, filter_: str | None) -> Log:
    """Read a file of samples.

    Parameters
    ----------
    path : the file.
    filter_ : the filter whose scores to take; None takes the only one.

    Raises
    ------
    InputError : a line that is no sample, several filters and none named, a document twice.
    """
    lines = _lines(path)
    filters = list(dict.fromkeys(str(line.get("filter", "none")) for line in lines))
    chosen = chosen_filter(filters, filter_, path)
    rows: list[dict[str, Any]] = []
    metrics: dict[str, None] = {}
    odd: dict[str, None] = {}
    for line in lines:
        if str(line.get("filter", "none")) != chosen:
            continue
        row: dict[str, Any] = {"id": f"{line['doc_id']}:{str(line.get('doc_hash', ''))[:12]}"}
        for name in line.get("metrics", [key for key in line if key not in _OTHER]):
            if _is_score(line.get(name)):
                row[name] = line[name]
                metrics[name] = None
            elif line.get(name) is not None:
                odd[name] = None
        row |= {"target": line["target"], "filter": chosen}
        row |= flat({"": line["doc"]} if not isinstance(line["doc"], dict) else line["doc"], "doc.")
        row |= _derived(line)
        rows.append(row)
    check_ids((row["id"] for row in rows), path)
    notes = []
    if len(filters) > 1:
        notes.append(f"filter {chosen!r} alone, of {', '.join(filters)}")
    names = tuple(name for name in metrics if name not in odd)
    groups: tuple[str, ...] = ()
    cluster = None
    if any(_LOGIT in row for row in rows):
        names, groups = (_LOGIT, *names), ("doc.race", "doc.gender", "doc.age")
        cluster = "doc.decision_question_id"
        notes.append(
            f"{_LOGIT} is log p(yes) / p(no), as discrim-eval defines it: above 0 favours a yes; "
            "rows of one decision (doc.decision_question_id) count as drawn together"
        )
    elif any(_AMBIGUOUS in row for row in rows):
        names, groups = (*names, _AMBIGUOUS, _DISAMBIGUATED), ("doc.category",)
        notes.append(
            "BBQ's bias scores are means: an answer along the stereotype counts 1, one against it "
            '-1, and "unknown" 0 in ambiguous contexts; disambiguated ones leave it out'
        )
    elif odd:
        notes.append(f"not one number a sample, so no score: {', '.join(odd)}")
    return Log(path, FORMAT, table_of(rows, path), names, "id", cluster, groups, tuple(notes))


def _lines(path: Path) -> list[dict[str, Any]]:
    out = []
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            line = loads(text, f"{path}, line {number}")
            if not isinstance(line, dict) or not set(line) >= _KEYS:
                raise InputError(
                    "not a sample of lm-evaluation-harness",
                    where=f"{path}, line {number}",
                    found=", ".join(map(str, line))[:80] if isinstance(line, dict) else "no object",
                    expected="doc_id, doc, target, resps and filtered_resps",
                )
            out.append(line)
    return out


def _is_score(value: Any) -> bool:
    if isinstance(value, str):
        return number_of(value) is not None or value.strip().lower() in ("nan", "true", "false")
    return isinstance(value, int | float)


def _derived(line: dict[str, Any]) -> dict[str, Any]:
    """What the answers to choices say: the likeliest choice, BBQ's answer, discrim-eval's logit."""
    metrics = line.get("metrics", line)
    if "amb_bias_score" in metrics and isinstance(line.get("amb_bias_score"), list):
        # Right, along the stereotype, not "unknown", and whether the context is disambiguated.
        _, biased, known, clear = line["amb_bias_score"][:4]
        value = (1.0 if biased else -1.0) if known else 0.0
        if str(clear) == "True":
            return {_AMBIGUOUS: None, _DISAMBIGUATED: value or None}
        return {_AMBIGUOUS: value, _DISAMBIGUATED: None}
    if "black_bias" in metrics and isinstance(line.get("black_bias"), list):
        return {_LOGIT: line["black_bias"][-1]}
    answers = line["filtered_resps"]
    pairs = isinstance(answers, list) and all(isinstance(a, list) and len(a) == 2 for a in answers)
    if not pairs or len(answers) < 2:
        return {}
    sizes = [number_of(str(answer[0])) for answer in answers]
    if any(size is None for size in sizes):
        return {}
    return {"choice": str(max(range(len(sizes)), key=lambda k: sizes[k] or 0.0))}
