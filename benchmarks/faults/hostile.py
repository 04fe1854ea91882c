"""Hostile files: valid inputs with something broken in them, through a command that reads them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import hostile_models
import hostile_tables
import hostile_yaml
from outcome import Outcome

from study import Truth


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """A table, six times of ten, an adapter or its base, or a study file."""
    kind = draw.choices([hostile_tables.one, hostile_models.one, hostile_yaml.one], [6, 2, 2])[0]
    return kind(draw, place, truth)
