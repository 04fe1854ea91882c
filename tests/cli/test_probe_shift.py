"""`fairlora probe shift`: any picture sets, any vision model; FID only of InceptionV3."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from fairlora.data.picture_set import read_pictures
from fairlora.errors import InputError
from fairlora.probes.inception import Inception, clean_resized

Run = Callable[..., Any]
NOTO, TWEMOJI = "people-emoji:renderers=[noto]", "people-emoji:renderers=[twemoji]"


@pytest.fixture
def folder(pictures: Callable[..., list[Path]], tmp_path: Path) -> Path:
    pictures([f"p{k}.jpg" for k in range(12)], folder=tmp_path / "photos" / "deep")
    return tmp_path / "photos"


def test_sets_are_compared_pairwise(
    folder: Path, tiny_vit: Path, fairlora: Run, tmp_path: Path
) -> None:
    done = fairlora(
        *("probe", "shift", NOTO, TWEMOJI, folder, "--model", tiny_vit, "--rows", 60),
        *("--name", "noto", "--name", "twemoji", "--name", "noise", "--permutations", 19),
        *("--out", tmp_path / "shift.html", "--out", tmp_path / "shift.json"),
    )
    assert done.code == 0, done.err
    assert "no FID" in done.out.replace("\n  ", " ")
    assert "Frechet distance" in (tmp_path / "shift.html").read_text(encoding="utf-8")
    content = json.loads((tmp_path / "shift.json").read_text(encoding="utf-8"))
    assert not content["fid"]
    pairs = {(pair["first"], pair["second"]): pair for pair in content["pairs"]}
    assert len(pairs) == 3
    assert content["sets"] == {"noto": 60, "twemoji": 60, "noise": 12}
    assert pairs["noto", "noise"]["value"] > pairs["noto", "noise"]["expected_by_chance"]
    assert pairs["noto", "noise"]["p"] == 0.05
    assert pairs["noto", "twemoji"]["value"] < pairs["noto", "noise"]["value"]


def test_without_draws_nothing_is_kept_and_the_distance_is_the_same(
    folder: Path, tiny_vit: Path, fairlora: Run
) -> None:
    options = ("probe", "shift", NOTO, folder, "--model", tiny_vit, "--rows", 40, "--json")
    plain = json.loads(fairlora(*options, "--bootstrap", 0, "--permutations", 0).out)
    drawn = json.loads(fairlora(*options, "--permutations", 5).out)
    assert plain["pairs"][0]["p"] is None
    assert plain["pairs"][0]["value"] == pytest.approx(drawn["pairs"][0]["value"], rel=1e-4)
    # What few pictures do to a distance is said either way.
    assert plain["pairs"][0]["warnings"] == drawn["pairs"][0]["warnings"]
    assert "no more than the 16 features" in plain["pairs"][0]["warnings"][0]


def test_a_fine_tuned_run_has_features_of_its_own(
    finished: dict[str, Path], folder: Path, fairlora: Run
) -> None:
    done = fairlora(
        *("probe", "shift", NOTO, folder, "--model", finished["full-0"], "--rows", 30),
        *("--permutations", 3, "--json"),
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["width"] == 16


def test_pictures_are_read_from_all_kinds_of_sets(folder: Path, tmp_path: Path) -> None:
    found = read_pictures(str(folder))
    assert len(found) == 12
    data = [Path(str(path)).read_bytes() for path in found.inputs]
    pq.write_table(pa.table({"image": data}), tmp_path / "plain.parquet")
    hub = pa.table({"image": [{"bytes": one, "path": "x"} for one in data]})
    pq.write_table(hub, tmp_path / "hub.parquet")
    for name in ("plain", "hub"):
        assert read_pictures(str(tmp_path / f"{name}.parquet")).inputs[3] == data[3]
    run = tmp_path / "run.yaml"
    run.write_text("data: {name: people-emoji, renderers: [noto], train_rows: 9}\n")
    assert len(read_pictures(str(run))) == len(read_pictures(NOTO)) == 994
    assert read_pictures(NOTO).family is not None


class Layers(torch.nn.Module):
    """Stands in for InceptionV3's layers: 2,048 sums of pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)).repeat(1, 683)[:, :2048].reshape(len(x), 2048, 1, 1)


class Network(torch.nn.Module):
    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(x)
        return found


def scripted(path: Path, layers: torch.nn.Module) -> Path:
    torch.jit.script(Network(layers)).save(str(path))  # type: ignore[no-untyped-call]
    return path


def test_inception_s_weights_make_it_an_fid(folder: Path, fairlora: Run, tmp_path: Path) -> None:
    weights = scripted(tmp_path / "inception.pt", Layers())
    done = fairlora(
        *("probe", "shift", folder, NOTO, "--rows", 12, "--inception", weights),
        *("--bootstrap", 0, "--permutations", 0, "--json"),
    )
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert content["fid"]
    assert content["distance"] == "FID"
    assert content["width"] == 2048


def test_pictures_go_in_as_clean_fid_has_them(tmp_path: Path) -> None:
    """Bicubic with antialiasing, channel by channel, as floating point; (x - 128) / 128."""
    rng = np.random.default_rng(0)
    for k in range(10):
        pixels = rng.integers(0, 256, (600, 500, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    examples = read_pictures(str(tmp_path))
    found = clean_resized(examples, 3)
    assert found.shape == (3, 299, 299)
    assert found.dtype == np.float32
    pixels = np.asarray(Image.open(tmp_path / "3.png"), dtype=np.float32)
    # Noise that is shrunk without antialiasing would keep its spread.
    assert found.std() < 0.7 * pixels.std()
    assert np.abs(found - found.round()).max() > 0.3
    weights = scripted(tmp_path / "inception.pt", Layers())
    features = next(iter(Inception(weights).batches(examples, 10)))
    assert features[3, 0] == pytest.approx((found[0].mean() - 128) / 128, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("{folder}",), "two or more"),
        (("{folder}", "nowhere"), "nowhere"),
        (("{folder}", "{empty}"), "no picture"),
        (("{folder}", "people-emoji:renderers"), "key=value"),
        (("{folder}", "people-emoji:colours=3"), "colours"),
        (("{folder}", "{folder}"), "one name a set"),
        (("{folder}", NOTO, "--inception", "nowhere.pt"), "no such file"),
        (("{folder}", NOTO, "--inception", "{photo}"), "TorchScript"),
        (("{folder}", NOTO, "--out", "x.docx"), ".docx"),
        (("{folder}", "{photo}.parquet"), "no such file"),
    ],
)
def test_bad_input_is_one_line(
    options: tuple[str, ...], said: str, folder: Path, fairlora: Run, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    photo = folder / "deep" / "p0.jpg"
    words = [word.format(folder=folder, empty=empty, photo=photo) for word in options]
    done = fairlora("probe", "shift", *words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_texts_are_no_pictures(tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text,label,sex\na,0,f\nb,1,m\n", encoding="utf-8")
    with pytest.raises(InputError, match="texts"):
        read_pictures(f"text-table:path={table},text=text,target=label,groups=[sex]")
    assert len(read_pictures("people-emoji:renderers=[noto,twemoji]")) > 994


@pytest.mark.real_data
def test_faces_drawings_and_objects_in_a_real_tower(shared: Path, fairlora: Run) -> None:
    """People drawn as emoji lie nearer to other emoji than photographs of faces do."""
    emoji = shared / "data" / "people-emoji"
    done = fairlora(
        *("probe", "shift", shared / "data" / "utkface", emoji / "people.parquet"),
        *(emoji / "objects.parquet", "--rows", 24, "--image-size", 112, "--permutations", 19),
        *("--model", shared / "models" / "clip-vit-base-patch16-vision", "--json"),
    )
    assert done.code == 0, done.err
    pairs = {(p["first"], p["second"]): p for p in json.loads(done.out)["pairs"]}
    drawn = pairs["people", "objects"]["value"]
    assert drawn < pairs["utkface", "people"]["value"]
    assert drawn < pairs["utkface", "objects"]["value"]
    assert all(pair["p"] == 0.05 for pair in pairs.values())
