"""A study file with something broken in it: its plan must be of what PyYAML reads in it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml
from forked import fairlora
from mutate import mutate
from outcome import Outcome, keeps_its_word

from study import Truth


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """The study's file changed byte by byte, or a value of it, and planned."""
    path = place / "study.yaml"
    if draw.random() < 0.5:
        content, told = mutate(draw, truth.file.read_bytes())
        path.write_bytes(content)
    else:
        told = _value(draw, truth, path)
    done = fairlora("study", "plan", path, "--out", place, "--json", "--no-count")
    if keeps_its_word(done):
        return Outcome("refused", f"study.yaml: {told}", done.err.strip().splitlines()[-1][:300])
    plan = json.loads(done.out)
    seen = ""
    try:
        said = yaml.safe_load(path.read_bytes())
    except Exception as error:
        return Outcome("wrong", f"study.yaml: {told}", f"planned, though no YAML: {error}"[:300])
    seeds = said.get("seeds", 1)
    number = seeds if isinstance(seeds, int) else len(seeds)
    if (plan["name"], plan["seeds"]) != (said["name"], number):
        seen = f"{plan['name']} with {plan['seeds']} seeds, by PyYAML {said['name']} with {number}"
    rows = sum(row["cells"] for row in plan["rows"])
    methods = said.get("methods", ["lora"])
    ranks = said.get("ranks", [8])
    if rows != number * sum(len(ranks) if method == "lora" else 1 for method in methods):
        seen = f"{rows} cells of methods {methods}, ranks {ranks} and {number} seeds"
    return Outcome("wrong" if seen else "survived", f"study.yaml: {told}", seen)


def _value(draw: Random, truth: Truth, path: Path) -> str:
    content = yaml.safe_load(truth.file.read_text())
    spots: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            spots.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(content)
    holder, key = draw.choice(spots)
    values = [None, "", -1, 0, 1e400, "x" * 5000, [], {}, True, [1, 1], {"a": 1}, 10**30, "../../x"]
    holder[key] = draw.choice(values)
    path.write_text(yaml.safe_dump(content))
    return f"{key} is {str(holder[key])[:20]}"
