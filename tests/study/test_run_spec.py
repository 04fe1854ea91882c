"""The run file: keys, types, overrides, and the one line that an error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlora.errors import InputError
from fairlora.study.runs.folder import cell_name
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import RunSpec, parse_spec, read_spec

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


def test_a_strength_belongs_to_two_objectives() -> None:
    gap = parse_spec({"objective": {"name": "loss-gap", "strength": 0.5}})
    assert gap.method == "LoRA + loss gap"
    assert gap.objective.settings == {"strength": 0.5}
    assert cell_name(gap, "0123456789abcdef") == "lora-loss-gap-r8-s0.5-seed0-0123456789"
    assert not parse_spec({"objective": {"name": "loss-gap", "strength": 0}}).objective.fair
    with pytest.raises(InputError, match="loss-gap has no reduction"):
        parse_spec({"objective": {"name": "loss-gap", "reduction": "mean"}})
    with pytest.raises(InputError, match="reweight has no strength"):
        parse_spec({"objective": {"name": "reweight", "strength": 2}})


def test_an_objective_that_is_added_has_its_own_name_in_reports_and_folders() -> None:
    """As CONTRIBUTING adds one: a class, and its name in `ObjectiveSpec.name`."""
    spec = RunSpec()
    added = spec.objective.model_copy(update={"name": "worst-group", "groups": "tone"})
    spec = spec.model_copy(update={"objective": added})
    assert spec.method == "LoRA + worst-group"
    assert cell_name(spec, "0123456789abcdef") == "lora-worst-group-r8-seed0-0123456789"
    others = {parse_spec({"objective": {"name": n}}).method for n in ("group-dro", "reweight")}
    assert others == {"LoRA + group DRO", "LoRA + reweighting"}


def test_a_split_is_shares_or_the_column_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"text {k},{k % 2},g{k % 3},{('train', 'dev', 'test')[k // 8]}" for k in range(24)]
    table.write_text("\n".join(["text,label,group,fold", *rows]) + "\n")
    spec = parse_spec(
        {"data": {"name": "text-table", "path": str(table), "groups": ["group"], "split": "fold"}}
    )
    assert spec.data.options["split"] == "fold"
    assert spec.data.shares.test == 0.2
    (tmp_path / "spec.yaml").write_text(spec.to_yaml())
    assert read_spec(tmp_path / "spec.yaml") == spec
    split = prepare(spec).examples.split
    assert split is not None
    assert split.tolist() == ["train"] * 8 + ["validation"] * 8 + ["test"] * 8
    shares = parse_spec({}, ["data.split.test=0.3"]).data
    assert (shares.shares.test, shares.options) == (0.3, {})


def test_a_data_set_without_such_a_column_says_what_it_has() -> None:
    with pytest.raises(InputError, match=r"data\.split: .*unknown key"):
        prepare(parse_spec({"data": {"split": "fold"}}))
