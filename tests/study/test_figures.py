"""Which arms a figure shows, and what they are called."""

from __future__ import annotations

from fairlora.study.report.figures import few_arms
from fairlora.study.report.results import ArmResult, Axes, Setting
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import parse_study


def setting(**keys: object) -> Setting:
    """The first setting of a study, nothing of which has run."""
    study = parse_study(
        {
            "name": "figures",
            "data": {"name": "people-emoji", "target": "gender", "groups": ["skin_tone"]},
            "methods": ["lora", "full"],
            "seeds": 1,
            **keys,
        }
    )
    arms = expand(study)
    members = [ArmResult(a, ()) for a in arms if a.varied == arms[0].varied]
    return Setting("", members, Axes.of(arms), ())


def names(shown: Setting, most: int) -> list[str]:
    return [shown.axes.name_within(one.arm) for one in few_arms(shown, most)]


def test_few_arms_are_each_method_s_middle_and_then_those_beside() -> None:
    shown = setting(ranks=[0, 2, 8, 32], strengths=[0, 1, 10])
    assert names(shown, 6) == [
        "linear",
        "fair linear, strength 1",
        "LoRA, rank 8",
        "FairLoRA, rank 8, strength 1",
        "full",
        "fair full, strength 1",
    ]
    assert {"LoRA, rank 2", "LoRA, rank 32"} < set(names(shown, 8))
    assert len(names(shown, 99)) == 15


def test_a_setting_s_own_values_are_not_repeated_in_its_names() -> None:
    shown = setting(ranks=[8], vary={"training.epochs": [1, 2]})
    assert names(shown, 8) == ["LoRA", "full"]
    assert shown.axes.name(shown.members[0].arm) == "LoRA, epochs 1"
