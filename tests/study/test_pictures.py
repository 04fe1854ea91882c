"""Pictures decoded once for all runs: the same results to the bit, whatever becomes of files."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.training import ImageDataset, activations
from fairlora.training.activations import Activations, Asked

Settings = Callable[..., dict[str, Any]]
# Opened besides: for the proofs of the frozen part, of the kept pictures and of the run's folder.
PROOFS = 4 + 1 + 8


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the pictures that were decoded."""
    ids: list[str] = []
    plain = ImageDataset.decoded

    def counting(self: ImageDataset, row: int) -> Any:
        ids.append(str(self.examples.ids[row]))
        return plain(self, row)

    monkeypatch.setattr(ImageDataset, "decoded", counting)
    return ids


@pytest.fixture(scope="module")
def run(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """A run of a full fine-tuning, in a folder of this name."""
    root = tmp_path_factory.mktemp("runs")

    def make(name: str, kept: Path | None, **sections: Any) -> RunFolder:
        content = settings(adapter={"kind": "full"}, queries=["flip"], **sections)
        content["training"] |= {"epochs": 2, **sections.get("training", {})}
        folder = RunFolder(root / name)
        assert run_cell(prepare(parse_spec(content)), folder, kept=kept)
        return folder

    return make


@pytest.fixture(scope="module")
def whole(run: Callable[..., RunFolder]) -> RunFolder:
    """The run where nothing is kept."""
    return run("whole", None)


def check_same(one: RunFolder, other: RunFolder) -> None:
    for name in ("predictions.parquet", "predictions-flip.parquet"):
        ours, theirs = read_predictions(one.path / name), read_predictions(other.path / name)
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.probs is not None
        assert theirs.probs is not None
        assert np.array_equal(ours.probs, theirs.probs)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_pictures_are_decoded_once_and_results_are_the_same_to_the_bit(
    run: Callable[..., RunFolder], whole: RunFolder, decoded: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    rows = sum(whole.metrics()["rows"].values())
    decoded.clear()
    first = run("first", kept)
    assert len(decoded) == rows + PROOFS
    decoded.clear()
    second = run("second", kept, training={"workers": 1})
    assert len(decoded) == PROOFS
    check_same(first, whole)
    check_same(second, whole)
    assert first.metrics()["notes"] == whole.metrics()["notes"]
    # Pictures of another size are others.
    decoded.clear()
    run("size", kept, model={"image_size": 48})
    assert len(decoded) == rows + PROOFS
    for file in kept.glob("*/*.safetensors"):
        _cut(file)
    healed = run("healed", kept)
    check_same(healed, whole)
    note = healed.metrics()["notes"][-1]
    assert note.startswith("kept decoded pictures are made again: ")


def test_where_nothing_can_be_kept_the_memory_will_do_or_each_is_decoded_again(
    run: Callable[..., RunFolder],
    whole: RunFolder,
    decoded: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = sum(whole.metrics()["rows"].values())
    (tmp_path / "file").write_text("")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def check(folder: RunFolder, most: int, said: str) -> None:
        check_same(folder, whole)
        assert len(decoded) <= most + PROOFS
        (note,) = (n for n in folder.metrics()["notes"] if "decoded" in n)
        assert said in note
        decoded.clear()

    decoded.clear()
    check(run("nowhere", tmp_path / "file"), rows, "decoded pictures are kept in memory alone")
    monkeypatch.setattr(activations, "save_file", full)
    check(run("full", tmp_path / "disk"), rows, "the disk is full")
    monkeypatch.setattr(activations, "MEMORY_BYTES", 10)
    again = run("memory", tmp_path / "file")
    check_same(again, whole)
    assert any("decoded in every epoch" in note for note in again.metrics()["notes"])


def test_other_pictures_in_their_place_are_noticed(
    run: Callable[..., RunFolder],
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = ImageDataset.decoded
    with monkeypatch.context() as patch:
        patch.setattr(ImageDataset, "decoded", lambda self, row: plain(self, row) ^ 1)
        run("other", tmp_path / "kept")
    told = run("told", tmp_path / "kept")
    check_same(told, whole)
    assert any("others are kept in" in note for note in told.metrics()["notes"])


def test_a_loaders_process_maps_the_files_itself(tmp_path: Path) -> None:
    kept = Activations(tmp_path, "key")
    kept.fill([Asked("a", False)], lambda some: torch.ones(len(some), 1000, dtype=torch.uint8))
    sent = pickle.dumps(kept)
    assert len(sent) < 1000
    assert torch.equal(pickle.loads(sent)[Asked("a", False)], torch.ones(1000, dtype=torch.uint8))
