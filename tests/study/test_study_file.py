"""The study file: what it takes, and what it says of what it does not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlora.errors import InputError
from fairlora.study.runs.plan import plan_study
from fairlora.study.runs.shadow_models import attacked_runs
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import merged, parse_study, read_study, study_schema

EXAMPLES = Path(__file__).parents[2] / "examples" / "studies"


def arms_of(**content: Any) -> list[str]:
    return [arm.name for arm in expand(parse_study(content))]


def test_ranks_and_strengths_multiply_the_methods_that_name_none() -> None:
    names = arms_of(
        data={"name": "people-emoji"}, methods=["lora", "full"], ranks=[0, 2], strengths=[0, 1]
    )
    assert names == [
        "people-emoji, embedded, linear, rank 0, strength 0",
        "people-emoji, embedded, fair linear, rank 0, strength 1",
        "people-emoji, embedded, LoRA, rank 2, strength 0",
        "people-emoji, embedded, FairLoRA, rank 2, strength 1",
        "people-emoji, embedded, full, strength 0",
        "people-emoji, embedded, fair full, strength 1",
    ]


def test_a_method_with_settings_of_its_own_is_not_multiplied() -> None:
    study = parse_study(
        {
            "methods": [
                {"adapter": {"kind": "lora", "rank": 4}, "objective": "erm"},
                {"adapter": "dora", "objective": {"name": "loss-variance"}},
                {"adapter": "full", "objective": {"name": "group-dro", "groups": "skin_tone"}},
                "fairlora",
                {"adapter": "full", "objective": {"name": "loss-gap"}},
            ],
            "ranks": [1, 2],
            "strengths": [0, 0.5],
        }
    )
    found = [(a.method, a.rank, a.strength) for a in expand(study)]
    assert found == [
        ("LoRA", 4, 0.0),
        ("fair DoRA", 1, 0.5),
        ("fair DoRA", 2, 0.5),
        ("full + group DRO", None, None),
        ("FairLoRA", 1, 0.5),
        ("FairLoRA", 2, 0.5),
        ("full + loss gap", None, 0.5),
    ]


def test_an_arm_that_two_methods_lead_to_stands_once() -> None:
    assert len(arms_of(methods=["linear", "lora"], ranks=[0, 8])) == 2
    # The r of OFT is a number of blocks, which is no rank: it trains the same at each.
    assert len(arms_of(methods=["oft", "lora"], ranks=[2, 8])) == 3
    assert len(arms_of(methods=["lora", "fairlora"], strengths=[0, 1])) == 2


def test_a_plan_says_that_the_strengths_leave_no_baseline(tmp_path: Path) -> None:
    def notes(**content: Any) -> list[str]:
        data = {"name": "people-emoji", "groups": ["skin_tone"], "renderers": ["noto"]}
        return plan_study(parse_study({"data": data, "seeds": 1, **content}), tmp_path).notes

    methods = ["lora", "fairlora", "full"]
    (note,) = notes(methods=methods, strengths=[1])
    assert note.startswith("no baseline of LoRA, full: ")
    assert "strengths (1)" in note
    assert notes(methods=methods, strengths=[0, 1]) == []
    assert notes(methods=methods) == []
    assert notes(methods=["fairlora"], strengths=[1]) == []


def test_further_axes_multiply_everything_and_are_named() -> None:
    study = parse_study(
        {
            "methods": "lora",
            "vary": {
                "data.scarcity": {"all": {}, "tenth": {"skin_tone": {"dark": 0.1}}},
                "training.batch_size": [16, 32],
            },
        }
    )
    arms = expand(study)
    assert [tuple(a.varied.values()) for a in arms] == [
        ("all", "16"),
        ("all", "32"),
        ("tenth", "16"),
        ("tenth", "32"),
    ]
    assert arms[2].spec.data.scarcity == {"skin_tone": {"dark": 0.1}}
    assert [a.spec.training.batch_size for a in arms] == [16, 32, 16, 32]


def test_a_methods_settings_lie_over_the_studys() -> None:
    arms = expand(
        parse_study(
            {
                "training": {"epochs": 2, "learning_rate": 1e-3},
                "methods": ["lora", {"adapter": "full", "training": {"learning_rate": 1e-5}}],
                "objective": {"groups": "skin_tone"},
                "strengths": [1],
            }
        )
    )
    assert [a.spec.training.learning_rate for a in arms] == [1e-3, 1e-5]
    assert [a.spec.training.epochs for a in arms] == [2, 2]
    assert {a.spec.objective.groups for a in arms} == {"skin_tone"}


def test_several_data_sets_and_models_have_names_of_their_own() -> None:
    study = parse_study(
        {
            "data": [
                {"name": "people-emoji", "target": "gender"},
                {"name": "people-emoji", "target": "gender", "label": "noto alone"},
            ],
            "models": ["embedded", {"id": "google/vit-base-patch16-224-in21k"}, "other/embedded"],
        }
    )
    arms = expand(study)
    assert list(dict.fromkeys(a.data for a in arms)) == ["people-emoji, gender", "noto alone"]
    assert list(dict.fromkeys(a.model for a in arms)) == [
        "embedded (1)",
        "vit-base-patch16-224-in21k",
        "embedded (2)",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"method": ["lora"]}, ["study: method", "'methods'?"]),
        ({"methods": [{"adapter": {"kindd": "lora"}}]}, ["methods.0.adapter.kindd", "'kind'?"]),
        ({"models": [{"idd": "x"}]}, ["models.0.idd", "'id'?"]),
        ({"seeds": 0}, ["seeds", "at least one seed"]),
        ({"seeds": 10**9}, ["seeds", "at most 10,000"]),
        ({"seeds": list(range(10_001))}, ["seeds", "at most 10,000"]),
        ({"seeds": [1, 1]}, ["seeds", "stands twice"]),
        ({"seeds": "three"}, ["seeds", "'three'"]),
        ({"ranks": [-1]}, ["ranks.0", "-1"]),
        ({"strengths": ["strong"]}, ["strengths.0", "'strong'"]),
        ({"methods": []}, ["methods", "nothing would run"]),
        ({"name": "../elsewhere"}, ["name", "letters"]),
        ({"margins": {"accuracy": 2}}, ["margins.accuracy", "2"]),
        ({"engine": {"kind": "kubernetes"}}, ["engine.kind", "kubernetes"]),
        (
            {"search": {"space": {"training.learn_rate": [1]}}},
            ["search.space", "training.learning_rate"],
        ),
    ],
)
def test_bad_input_is_one_line_with_the_keys_path(
    content: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        parse_study(content)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"methods": ["full"], "ranks": [1, 2]}, ["ranks", "no method takes"]),
        ({"training": {"epoch": 3}}, ["training.epoch", "'epochs'?"]),
        ({"vary": {"training.epoch": [1, 2]}}, ["training.epoch", "'epochs'?"]),
        ({"vary": {"training.epochs": []}}, ["vary.training.epochs", "without values"]),
        (
            {
                "methods": [
                    {"adapter": "lora", "training": {"epochs": 1}},
                    {"adapter": "lora", "training": {"epochs": 2}},
                ]
            },
            ["methods", "label"],
        ),
    ],
)
def test_what_makes_no_grid_is_refused(content: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        expand(parse_study(content))
    for word in words:
        assert word in str(caught.value)


def test_the_smoke_section_lies_over_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        yaml.safe_dump({"seeds": 3, "training": {"epochs": 4}, "smoke": {"seeds": 1}}), "utf-8"
    )
    assert read_study(path).seeds == (0, 1, 2)
    assert read_study(path, smoke=True).seeds == (0,)
    assert read_study(path, ["seeds=2"], smoke=True).seeds == (0, 1)
    assert merged({"a": {"b": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_examples_are_studies(path: Path) -> None:
    expected = {
        "people-emoji": 90,
        # Fifteen runs, and five forms of each.
        "compression-people-emoji": 90,
        "compression-utkface": 90,
        "utkface-age": 18,
        "vlm-people-emoji": 9,
        "winomt-smollm2": 8,
        "dp-people-emoji": 18,
        "dp-redditbias": 18,
        "memorised": 2,
        # Runs of the grid and their shadow models.
        "privacy-leak": 17,
        "privacy-lora-full": 34,
    }
    study = read_study(path)
    arms = expand(study)
    shadows = sum(len(one.extra) for one in attacked_runs(study, arms))
    assert len(arms) * len(study.seeds) + shadows == expected[path.stem]


def test_an_override_reaches_into_a_list() -> None:
    from fairlora.study.spec.run import apply_overrides

    content = {"data": [{"name": "a"}, {"name": "b"}], "seeds": [0, 1]}
    assert apply_overrides(content, ["data.1.path=x", "seeds.0=5"]) == {
        "data": [{"name": "a"}, {"name": "b", "path": "x"}],
        "seeds": [5, 1],
    }
    with pytest.raises(InputError, match="0 to 1"):
        apply_overrides(content, ["data.2.path=x"])


def test_the_schema_names_every_key() -> None:
    schema = study_schema()
    assert {"data", "models", "methods", "ranks", "strengths", "seeds", "search", "engine"} <= set(
        schema["properties"]
    )
    assert schema["additionalProperties"] is False
