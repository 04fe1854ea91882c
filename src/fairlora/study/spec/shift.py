"""The ``shift`` section of a study file: how far its data lie from what a model was trained on."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from fairlora.settings import SettingsModel


class ShiftSpec(SettingsModel):
    """Frechet distances between the study's data sets and other sets of pictures.

    Attributes
    ----------
    against : sets as `fairlora probe shift` names them (a folder, a Parquet file, a data set), by
        what the report calls them; none is the study's data sets against each other.
    inception : weights of InceptionV3 (TorchScript): then the distances are FIDs; None is the
        features of the study's models.
    rows : at most so many pictures of each set, drawn at random.
    bootstrap, permutations, seed : as of the command.
    """

    against: dict[str, str] = Field(default_factory=dict)
    inception: Path | None = None
    rows: int | None = Field(default=5000, ge=10)
    bootstrap: int = Field(default=100, ge=0)
    permutations: int = Field(default=100, ge=0)
    seed: int = Field(default=0, ge=0)
