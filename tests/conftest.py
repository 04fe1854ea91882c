"""What all tests share: no hub, one thread, tiny models, finished runs, a way into the command."""

from __future__ import annotations

import copy
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

# Every run draws the same examples, and none fails since the machine was busy.
settings.register_profile("fairlora", deadline=None, derandomize=True)
settings.load_profile("fairlora")
torch.set_num_threads(1)
SHARED = Path(__file__).resolve().parents[2] / "shared"
TINY = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}

MakeSettings = Callable[..., dict[str, Any]]
# Of many processes each takes a file at a time. The long ones go first, so that none is last alone;
# those that start processes of their own, or wait for others, go between them.
LONG, APART = ("study", "cli", "training", "models"), "study/engines"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests' files by their folders."""
    here = Path(__file__).parent
    files = dict.fromkeys(item.path for item in items)
    folders = {
        file: file.parent.relative_to(here).as_posix() if here in file.parents else ""
        for file in files
    }
    order = sorted(
        (file for file in files if folders[file] != APART),
        key=lambda file: LONG.index(folders[file]) if folders[file] in LONG else len(LONG),
    )
    for k, file in enumerate(file for file in files if folders[file] == APART):
        order.insert(6 * k, file)
    place = {file: k for k, file in enumerate(order)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache."""
    os.environ["FAIRLORA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights that are not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' with real data is not beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of some thousand parameters for pictures of 64 x 64, without a head of its own."""
    from transformers import ViTConfig, ViTModel

    folder = tmp_path_factory.mktemp("tiny-vit")
    torch.manual_seed(0)
    ViTModel(ViTConfig(**TINY)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP image tower of the same size, stored in float16 as the real one is."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("tiny-clip")
    torch.manual_seed(0)
    config = CLIPVisionConfig(**TINY, projection_dim=8)
    CLIPVisionModelWithProjection(config).half().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def settings(tiny_vit: Path) -> MakeSettings:
    """A run's settings on people-emoji and the tiny model; sections can be added to."""

    def make(**sections: Any) -> dict[str, Any]:
        base: dict[str, Any] = {
            "name": "test",
            "data": {
                "name": "people-emoji",
                "target": "gender",
                "groups": ["skin_tone", "renderer"],
                "renderers": ["noto"],
                "train_rows": 96,
            },
            "model": {"id": str(tiny_vit)},
            "audit": {"positive": "male"},
            "training": {"epochs": 1, "learning_rate": 0.01},
        }
        base = copy.deepcopy(base)
        for name, values in sections.items():
            base[name] = {**base.get(name, {}), **values} if isinstance(values, dict) else values
        return base

    return make


@pytest.fixture(scope="session")
def finished(settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four finished runs to look at (never to write in): two methods, two seeds each."""
    from fairlora.study import RunFolder, parse_spec
    from fairlora.study.runs.cell import run_cell
    from fairlora.study.runs.prepare import prepare

    root = tmp_path_factory.mktemp("finished")
    methods = {
        "lora": {"adapter": {"kind": "lora", "rank": 2}},
        "full": {
            "adapter": {"kind": "full"},
            "objective": {"name": "loss-variance", "groups": "skin_tone"},
        },
    }
    folders = {}
    for name, method in methods.items():
        for seed in (0, 1):
            folder = root / f"{name}-{seed}"
            spec = parse_spec(settings(**method, seed=seed))
            assert run_cell(prepare(spec), RunFolder(folder))
            folders[f"{name}-{seed}"] = folder
    return folders


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes small JPEG files of random colours under the given names."""

    def make(names: list[str], folder: Path = tmp_path / "pictures", side: int = 8) -> list[Path]:
        generator = np.random.default_rng(0)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name in names:
            pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name, format="JPEG")
            paths.append(folder / name)
        return paths

    return make


@pytest.fixture
def replaced() -> Callable[..., list[Any]]:
    """Options of a command with some given otherwise: each may stand there once."""

    def replace(options: list[Any], change: list[Any]) -> list[Any]:
        pairs = zip(options[::2], options[1::2], strict=True)
        kept = [part for pair in pairs if pair[0] not in change for part in pair]
        return [*kept, *change]

    return replace


class Done(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def fairlora(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs `fairlora ARGUMENTS` in this process, as the console script does."""
    from fairlora.cli import main

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["fairlora", *(str(a) for a in arguments)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        return Done(int(code), printed.out, printed.err)

    return run
