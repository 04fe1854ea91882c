"""The accelerate configs of examples/: accelerate itself reads every key, as what its name says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIGS = Path(__file__).parents[2] / "examples" / "accelerate"
STAGES = {"fsdp2": ("fsdp_version", 2), "zero2": ("zero_stage", 2), "zero3": ("zero_stage", 3)}


def test_every_config_is_tested() -> None:
    assert {path.stem for path in CONFIGS.iterdir()} == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_accelerate_launch_takes_a_config(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.commands import launch
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    for key in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"):
        monkeypatch.delenv(key, raising=False)
    path = CONFIGS / f"{name}.yaml"
    seen: list[argparse.Namespace] = []
    for launcher in ("deepspeed_launcher", "multi_gpu_launcher"):
        monkeypatch.setattr(launch, launcher, seen.append)
    launch.launch_command(
        launch.launch_command_parser().parse_args(["--config_file", str(path), "fair.py"])
    )
    (args,) = seen
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    section = content["fsdp_config" if name == "fsdp2" else "deepspeed_config"]
    for key, value in section.items():
        # Each key arrives as an option of the command: none is misspelt and dropped.
        assert str(getattr(args, key)) == str(value), key
    key, stage = STAGES[name]
    assert getattr(args, key) == stage
    assert args.num_processes == content["num_processes"]
    if name == "fsdp2":
        environment = prepare_multi_gpu_env(args)
        used, stated = "ACCELERATE_USE_FSDP", "FSDP_VERSION"
    else:
        _, environment = prepare_deepspeed_cmd_env(args)
        used, stated = "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_DEEPSPEED_ZERO_STAGE"
    assert environment[used] == "true"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"
    assert environment[stated] == str(stage)
