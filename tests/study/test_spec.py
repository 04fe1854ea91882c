"""The run file: keys, types, overrides, and the one line that an error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlora.errors import InputError
from fairlora.study.demo import demo_specs
from fairlora.study.spec import RunSpec, parse_spec, read_spec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("adaptr.kind=full", "adaptr: unknown key.*'adapter'"),
        ("training.epoch=3", "training.epoch: unknown key.*'epochs'"),
        ("training.epochs=many", "training.epochs"),
        ("objective.strength=-1", "objective.strength.*-1"),
        ("objective.strength=.nan", "objective.strength"),
        ("adapter.rank=-2", "adapter.rank"),
        ("data.train_rows=0", "data.train_rows"),
        ("seed=-1", "seed"),
        ("seed", "not an override"),
        ("seed.deeper=1", "not a section"),
    ],
)
def test_what_is_wrong_is_named(override: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: test\nseed: 0\n")
    with pytest.raises(InputError, match=message) as caught:
        read_spec(file, [override])
    assert "\n" not in str(caught.value)


def test_overrides_are_yaml_and_know_exponents() -> None:
    spec = parse_spec(
        {}, ["training.learning_rate=3e-4", "data.groups=[a, b]", "audit.positive=null", "seed=7"]
    )
    assert spec.training.learning_rate == 3e-4
    assert spec.data.options == {"groups": ["a", "b"]}
    assert spec.audit.positive is None
    assert spec.seed == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "not valid YAML"), ("- 1\n- 2\n", "not a mapping"), ("\x00", "not valid YAML")],
)
def test_a_file_that_is_no_run_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_spec(file)
    with pytest.raises(InputError, match="no such file"):
        read_spec(tmp_path / "absent.yaml")


def test_a_spec_reads_back_what_it_writes(tmp_path: Path) -> None:
    spec = parse_spec({"data": {"name": "utkface", "target": "age"}, "seed": 3})
    file = tmp_path / "spec.yaml"
    file.write_text(spec.to_yaml())
    assert read_spec(file) == spec


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_is_a_run_file(path: Path) -> None:
    assert isinstance(read_spec(path), RunSpec)


@pytest.mark.parametrize(
    ("sections", "method"),
    [
        ({}, "LoRA"),
        ({"objective": {"name": "loss-variance"}}, "FairLoRA"),
        ({"objective": {"name": "loss-variance", "strength": 0}}, "LoRA"),
        ({"adapter": {"kind": "full"}}, "full"),
        ({"adapter": {"kind": "full"}, "objective": {"name": "loss-variance"}}, "fair full"),
        ({"adapter": {"kind": "linear"}}, "linear"),
        ({"adapter": {"kind": "lora", "rank": 0}}, "linear"),
    ],
)
def test_methods_have_their_names(sections: dict[str, object], method: str) -> None:
    assert parse_spec(sections).method == method


def test_the_demo_is_four_methods_on_each_seed() -> None:
    specs = demo_specs(seeds=2)
    assert [s.method for s in specs] == ["LoRA", "FairLoRA", "full", "fair full"] * 2
    assert [s.seed for s in specs] == [0] * 4 + [1] * 4
    assert len({s.model_dump_json() for s in specs}) == 8
