"""The presets of language models: their axes, their probes, and whose cells they share."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from fairlora.data import parse_options
from fairlora.probes.settings import parse_probe
from fairlora.study.runs.folder import result_settings
from fairlora.study.spec.expand import expand
from fairlora.study.spec.presets import preset_path
from fairlora.study.spec.study import read_study

RANKS = (1, 4, 16, 64, 256, 1024, 4096)
LLAMA_MISTRAL = ("Llama-2 7B", "Mistral 7B")
CHAT = (*LLAMA_MISTRAL, "Llama-2 7B chat", "Mistral 7B instruct")


class Grid(NamedTuple):
    """What a preset's file must come to."""

    data: str
    models: tuple[str, ...]
    ranks: tuple[int, ...]
    sets: int
    shown: tuple[str, ...] | None
    arms: int


GRIDS = {
    "translation": Grid("winomt", LLAMA_MISTRAL, (8,), 2, None, 12),
    "rank-translation": Grid("winomt", ("Mistral 7B",), RANKS, 2, None, 18),
    "yelp-cloze": Grid("yelp-md-gender", CHAT, (8,), 1, ("cloze",), 12),
    "yelp-choice": Grid("yelp-md-gender", CHAT, (8,), 1, ("choice",), 12),
    "token-bias": Grid("yelp-md-gender", CHAT, (8,), 1, ("token-bias",), 12),
    "rank-yelp": Grid("yelp-md-gender", ("Mistral 7B",), RANKS, 1, None, 9),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_preset_has_the_axes_of_its_experiment(name: str) -> None:
    grid, study = GRIDS[name], read_study(preset_path(name))
    arms = expand(study)
    assert len(arms) == grid.arms
    assert {arm.spec.data.name for arm in arms} == {grid.data}
    assert {arm.model for arm in arms} == set(grid.models)
    assert {arm.method for arm in arms} == {"base", "LoRA", "full"}
    assert {arm.rank for arm in arms if arm.rank is not None} == set(grid.ranks)
    assert len({arm.varied.get("data.set") for arm in arms}) == grid.sets
    assert study.report.probes == grid.shown
    for arm in arms:
        spec = arm.spec
        parse_options(spec.data.name, spec.data.options)
        assert (spec.training.batch_size, spec.training.schedule) == (32, "cosine")
        assert spec.training.weight_decay == 0.001
        assert spec.model.chat == ("chat" in arm.model or "instruct" in arm.model)
        assert spec.probes
        for probe, values in spec.probes.items():
            settings = parse_probe(probe, values)
            assert settings.split == ("test" if probe == "translation" else "train")


def test_the_studies_on_reviews_share_their_cells() -> None:
    studies = [read_study(preset_path(n)) for n in ("yelp-cloze", "yelp-choice", "token-bias")]
    cells = [[result_settings(arm.spec) for arm in expand(study)] for study in studies]
    assert cells[0] == cells[1] == cells[2]
    for study in studies:
        assert set(study.reuse) == {other.name for other in studies} - {study.name}
