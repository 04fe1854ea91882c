"""Precision by measurement: what "auto" stands for, and what is said of a slow choice."""

from pathlib import Path

import pytest

from fairlora.errors import InputError
from fairlora.study.runs import precision
from fairlora.study.runs.cells import CellMaker
from fairlora.study.runs.folder import result_settings
from fairlora.study.runs.precision import Precision, measure, measure_aside, settle, shape_of
from fairlora.study.runs.sizes import answer
from fairlora.study.spec.run import RunSpec, parse_spec

FAST = Precision(used="bfloat16", float32=1e12, bfloat16=4e12, device="a GPU")
SLOW = Precision(used="float32", float32=1e11, bfloat16=4e9, device="cpu")


def test_the_older_name_is_read_as_the_newer_one() -> None:
    assert parse_spec({"training": {"bf16": True}}).training.precision == "bfloat16"
    assert parse_spec({"training": {"bf16": False}}).training.precision == "float32"
    assert RunSpec().training.precision == "auto"
    with pytest.raises(InputError, match="say different things"):
        parse_spec({"training": {"bf16": True, "precision": "float32"}})
    with pytest.raises(InputError, match="bf16 is true or false"):
        parse_spec({"training": {"bf16": "yes"}})


def test_a_run_is_known_by_the_precision_that_it_used() -> None:
    plain, named = RunSpec(), parse_spec({"training": {"precision": "float32"}})
    assert result_settings(plain) == result_settings(named) == {}
    assert result_settings(SLOW.resolve(plain)) == {}
    # As the setting was called before it could be measured: older runs stay what they are.
    assert result_settings(FAST.resolve(plain)) == {"training": {"bf16": True}}
    assert FAST.resolve(named) == named


def test_a_slow_choice_is_said_with_its_ratio() -> None:
    half = parse_spec({"training": {"bf16": True}})
    full = parse_spec({"training": {"precision": "float32"}})
    assert "25.0 times as fast in float32 here (cpu)" in str(SLOW.advice([half, RunSpec()]))
    assert "4.0 times as fast in bfloat16 here (a GPU)" in str(FAST.advice([full]))
    assert SLOW.advice([full, RunSpec()]) is None
    assert FAST.advice([half]) is None


@pytest.mark.parametrize(("gain", "used"), [(0.04, "float32"), (1.1, "float32"), (2, "bfloat16")])
def test_the_faster_one_is_used_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, gain: float, used: str
) -> None:
    import torch

    seconds = {torch.float32: 0.01, torch.bfloat16: 0.01 / gain}
    monkeypatch.setattr(precision, "_seconds", lambda shape, dtype, device: seconds[dtype])
    found = measure([(4096, 192, 768), (10, 192, 768)], threads=1)
    assert found.used == used
    assert found.bfloat16 / found.float32 == pytest.approx(gain)
    # Of a large batch some rows are enough; work and seconds are summed over the shapes.
    assert found.shapes == ((1017, 192, 768), (16, 192, 768))
    assert found.float32 == pytest.approx(2 * (1017 + 16) * 192 * 768 / 0.02)


def test_a_real_measurement_leaves_the_threads_as_they_were() -> None:
    import torch

    before = torch.get_num_threads()
    # Another process sends its shapes as JSON, in which they are lists.
    found = Precision(**answer({"precision": {"shapes": [[64, 64, 64]], "threads": 1}})["value"])
    assert torch.get_num_threads() == before
    assert min(found.float32, found.bfloat16) > 0
    assert (found.device, found.threads) == ("cpu", 1)


def test_shapes_are_the_models_own(tmp_path: Path) -> None:
    assert shape_of(RunSpec()) == (64 * 32, 192, 768)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(
        '{"vision_config": {"hidden_size": 96, "patch_size": 16, "image_size": 64}}'
    )
    vision = parse_spec({"model": {"id": str(model)}, "training": {"batch_size": 2}})
    assert shape_of(vision) == (2 * 16, 96, 384)
    (model / "config.json").write_text("[" * 5000)
    # What is wrong with a model is for its loading to say.
    assert shape_of(vision) == (2 * 128, 768, 3072)


def test_a_study_settles_it_once(tmp_path: Path) -> None:
    asked = []

    def measured(shapes: object) -> Precision:
        asked.append(shapes)
        return FAST

    assert settle(tmp_path / "new", [RunSpec()], measured) == FAST
    assert settle(tmp_path / "new", [RunSpec()], lambda _: SLOW) == FAST
    assert asked == [[shape_of(RunSpec())]]
    assert CellMaker(tmp_path / "new").precision == FAST
    # Runs from before there was a measurement: theirs is float32, and stays so.
    (tmp_path / "study.json").write_text("{}")
    assert settle(tmp_path, [RunSpec()], measured) is None
    (tmp_path / "new" / "precision.json").write_text('{"used": "float8"}')
    with pytest.raises(InputError, match=r"precision\.json: used"):
        CellMaker(tmp_path / "new")


def test_a_measurement_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(precision.sys.modules, "torch", raising=False)
    monkeypatch.setattr(precision.sys, "executable", "/nowhere/python")
    assert measure_aside([(16, 16, 16)], 1) is None


def test_a_build_for_gpus_on_a_machine_without_one_computes_on_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from fairlora.models.device import best_device

    # As a CUDA build does where there is no driver.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert best_device() == torch.device("cpu")
    assert measure([(64, 64, 64)], threads=1).device == "cpu"
