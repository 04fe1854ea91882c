"""Sizes of models, asked here and in a process aside: the same answers, whatever becomes of it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from fairlora.errors import InputError
from fairlora.models.adapter_spec import Adapter
from fairlora.models.counting import count_of
from fairlora.study.runs.sizes import Question, Sizing

LORA = json.dumps({"kind": "lora", "rank": 3})


def test_a_process_aside_gives_this_process_s_answers(tiny_vit: Path) -> None:
    wanted = count_of(str(tiny_vit), 4, kind="image", adapter=Adapter(kind="lora", rank=3))
    with closing(Sizing(aside=True)) as aside:
        found = aside.count(Question(str(tiny_vit), LORA, "image", 4))
        with pytest.raises(InputError) as raised:
            aside.count(Question(str(tiny_vit / "none"), LORA, "image", 4))
        assert aside.flops(False, 1) > 1e8
    assert (found.trainable, found.total) == (
        wanted.parameters.trainable,
        wanted.parameters.total,
    )
    assert (found.encoder, found.tokens) == (wanted.encoder, wanted.tokens)
    with pytest.raises(InputError) as here:
        Sizing(aside=False).count(Question(str(tiny_vit / "none"), LORA, "image", 4))
    assert str(raised.value) == str(here.value)


def test_a_process_that_dies_is_answered_for_here(tiny_vit: Path) -> None:
    with closing(Sizing(aside=True)) as aside:
        assert aside._process is not None
        aside._process.kill()
        aside._process.wait()
        assert aside.count(Question(str(tiny_vit), LORA, "image", 4)).tokens == 17
        assert aside._process is None


def test_targets_named_in_a_file_are_counted(tiny_vit: Path) -> None:
    named = json.dumps({"kind": "lora", "rank": 3, "targets": ["q_proj", "v_proj"]})
    here = Sizing(aside=False)
    found = here.count(Question(str(tiny_vit), named, "image", 4))
    # The query and value matrices are what LoRA takes where none are named.
    assert found == here.count(Question(str(tiny_vit), LORA, "image", 4))
