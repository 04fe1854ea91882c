"""The `search` section: what it accepts, what it makes of it, and the one line of an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from fairlora.errors import InputError
from fairlora.metrics.labels import DISPARITY, OVERALL
from fairlora.study.spec.search import SearchObjective, SearchSpec, metric_names, parse_search
from fairlora.study.spec.study import StudySpec, parse_study, study_schema

WHOLE = """
sampler: tpe
space:
  training.learning_rate: [1e-5, 5e-5, 0.0001, 3e-4]
  objective.strength: {low: 1e-2, high: 1e2, log: true}
  adapter.rank: {low: 1, high: 64, log: true, int: true}
  adapter.targets: [[query], [query, value], null]
trials: 12
batch: 4
objectives: [accuracy, {metric: eod, attribute: race}]
per: [data, method]
methods: {full: {space: {adapter.rank: null, training.epochs: [1, 2, 3]}}}
choose: knee
"""


def test_a_whole_section() -> None:
    found = parse_search(yaml.safe_load(WHOLE))
    assert found.space["training.learning_rate"] == (1e-5, 5e-5, 1e-4, 3e-4)
    assert found.space["adapter.targets"] == (["query"], ["query", "value"], None)
    strength: Any = found.space["objective.strength"]
    assert (strength.low, strength.high, strength.log) == (0.01, 100.0, True)
    rank: Any = found.space["adapter.rank"]
    assert rank.whole
    assert [o.name for o in found.objectives] == ["accuracy", "eod of race"]
    assert [o.direction for o in found.objectives] == [+1, -1]
    assert found.size is None


def test_it_reads_back_what_it_writes_without_the_password() -> None:
    found = parse_search(yaml.safe_load(WHOLE))
    assert parse_search(json.loads(found.model_dump_json())) == found
    url = "postgresql://me:se:cret@host:5432/db"
    stored = parse_search({"storage": url})
    assert stored.storage == url
    assert json.loads(stored.model_dump_json())["storage"] == "postgresql://me:***@host:5432/db"
    plain = parse_search({"storage": "sqlite:////a/b@c.db"}).model_dump()
    assert plain["storage"] == "sqlite:////a/b@c.db"


def test_a_study_has_it_and_its_schema_knows_it() -> None:
    study = parse_study({"search": yaml.safe_load(WHOLE)})
    assert isinstance(study.search, SearchSpec)
    assert "SearchSpec" in json.dumps(study_schema())
    assert StudySpec.model_validate(study.model_dump(mode="json")) == study


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"space": {"training.learning_rat": [1]}},
         "search: space.training.learning_rat: unknown key; 'training.learning_rate'"),
        ({"space": {"trainin.epochs": [1]}}, "space.trainin.epochs: unknown key; 'training'"),
        ({"space": {"training.epochs.more": [1]}}, "training.epochs has no keys of its own"),
        ({"space": {"seed": [1, 2]}}, "space.seed: nothing to search.*run_seeds"),
        ({"space": {"name": ["a"]}}, "space.name: nothing to search"),
        ({"space": {"training.epochs": []}}, "space.training.epochs: an empty list of choices"),
        ({"space": {"training.epochs": 3}}, "space.training.epochs: neither a list of choices"),
        ({"space": {"training.epochs": None}}, "space.training.epochs"),
        ({"space": {"training.epochs": [1, 2, 1.0]}}, "training.epochs: the choice 1.0 stands"),
        ({"space": {"training.epochs": [float("nan")]}}, "training.epochs: choices are numbers"),
        ({"space": {"training.epochs": {"low": 1, "high": 2}}}, "a grid takes lists.*tpe or rand"),
        ({"methods": {"full": {"space": {"training.epochs": {"low": 1, "high": 2}}}}},
         "methods.full.space.training.epochs: a grid takes lists"),
        ({"methods": {"full": {"spaces": {}}}}, "methods.full.spaces: unknown key.*'space'"),
        ({"space": {"training": [{}], "training.epochs": [1]}}, "training.epochs is part of train"),
        ({"objectives": ["acuracy"]}, "objectives.0: unknown metric 'acuracy'.*accuracy"),
        ({"objectives": ["eod"]}, "objectives.0: eod is of groups: name their attribute"),
        ({"objectives": [{"metric": "ece", "attribute": "race"}]}, "ece is of all rows"),
        ({"objectives": []}, "objectives: an empty list"),
        ({"objectives": ["accuracy", {"metric": "accuracy"}]}, "objectives: one of them stands"),
        ({"run_seeds": []}, "run_seeds: an empty list"),
        ({"run_seeds": [-1]}, "run_seeds.0"),
        ({"trials": 0}, "trials"),
        ({"batch": 0}, "batch"),
        ({"sampler": "hyperband"}, "sampler"),
        ({"smpler": "grid"}, "smpler: unknown key.*'sampler'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_search(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"low": 2, "high": 1}, "low .2. must be below high .1."),
        ({"low": 0, "high": 1, "log": True}, "begins above 0"),
        ({"low": 1, "high": 8, "log": True, "step": 1}, "log or step"),
        ({"low": 1, "high": 8.5, "int": True}, "whole low, high and step"),
        ({"low": 1}, "high: Field required"),
        ({"low": 1, "high": "many"}, "high: not a number"),
        ({"low": 1, "hihg": 2, "high": 3}, "hihg: unknown key .expected 'high'"),
    ],
)
def test_what_is_wrong_with_a_range_is_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"space.training.epochs: .*{message}") as caught:
        parse_search({"sampler": "random", "space": {"training.epochs": content}})
    assert "\n" not in str(caught.value)


def test_keys_of_a_data_set_and_of_free_sections_may_be_searched() -> None:
    keys = ["data.target", "training.arguments.max_grad_norm", "adapter.fields.init_r",
            "last_layer.penalty", "data.split.validation", "objective"]  # fmt: skip
    assert list(parse_search({"space": {key: [1] for key in keys}}).space) == keys


def test_a_grid_goes_through_its_choices_in_the_order_of_the_file() -> None:
    search = parse_search({"space": {"training.epochs": [4, 2], "adapter.rank": [8, 1]}})
    assert search.size == 4
    assert list(search.settings()) == [
        {"training.epochs": 4, "adapter.rank": 8},
        {"training.epochs": 4, "adapter.rank": 1},
        {"training.epochs": 2, "adapter.rank": 8},
        {"training.epochs": 2, "adapter.rank": 1},
    ]


def test_numbers_of_a_range_are_counted_where_they_can_be() -> None:
    def of(**content: Any) -> SearchSpec:
        return parse_search({"sampler": "random", "space": {"training.warmup": content}})

    steps = of(low=0, high=0.75, step=0.1)
    assert steps.size == 8
    assert [s["training.warmup"] for s in steps.settings()] == [
        0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7
    ]  # fmt: skip
    assert of(low=1, high=64, int=True, log=True).size == 64
    whole = [s["training.warmup"] for s in of(low=1, high=8, int=True, step=3).settings()]
    assert whole == [1, 4, 7]
    assert all(isinstance(number, int) for number in whole)
    assert of(low=0, high=1).size is None
    with pytest.raises(ValueError, match="no end"):
        of(low=0, high=1).settings()


def test_a_method_has_its_own_keys_over_the_shared_ones() -> None:
    search = parse_search(yaml.safe_load(WHOLE))
    full = search.for_method("Full")
    assert full.space["training.epochs"] == (1, 2, 3)
    assert "adapter.rank" not in full.space
    assert "objective.strength" in full.space
    assert full.methods == {}
    assert search.for_method("LoRA").space == search.space
    search.check_methods(["LoRA", "full"])
    with pytest.raises(InputError, match="search.methods.full: no such method.*LoRA, FairLoRA"):
        search.check_methods(["LoRA", "FairLoRA"])


def test_the_most_special_name_of_a_method_wins() -> None:
    own = {"FairLoRA": {"space": {"training.epochs": [8]}},
           "lora": {"space": {"training.epochs": [2, 4], "adapter.rank": [1, 8]}}}  # fmt: skip
    search = parse_search({"space": {"training.epochs": [1]}, "methods": own})
    assert search.for_method("FairLoRA", "lora").space == {
        "training.epochs": (8,),
        "adapter.rank": (1, 8),
    }
    assert search.for_method("LoRA", "lora").space["training.epochs"] == (2, 4)


def test_keys_of_a_method_may_not_be_parts_of_the_shared_ones() -> None:
    search = parse_search(
        {"space": {"training": [{}]}, "methods": {"full": {"space": {"training.epochs": [1]}}}}
    )
    with pytest.raises(InputError, match="search.*training.epochs is part of training"):
        search.for_method("full")


def test_settings_are_never_chosen_on_a_split_that_is_reported() -> None:
    search = parse_search({})
    assert search.seeds_for([3, 1, 2], "fixed") == (3,)
    assert search.seeds_for([3, 1, 2], "papers") == (4,)
    assert parse_search({"run_seeds": [7, 8]}).seeds_for([0], "papers") == (7, 8)


def test_every_metric_that_has_a_direction_can_be_an_objective() -> None:
    overall, disparities = metric_names()
    assert {"accuracy", "f1", "f1_min", "recall_min", "ece", "mean_loss"} <= set(overall)
    assert {"dpd", "eod", "accuracy_gap", "accuracy_worst", "eopp_max", "loss_variance"} <= set(
        disparities
    )
    assert all(name in OVERALL for name in overall)
    assert all(name in DISPARITY for name in disparities)
    assert SearchObjective(metric="mean_loss").direction == -1
    assert SearchObjective(metric="accuracy_worst", attribute="race").direction == +1
