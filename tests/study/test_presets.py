"""The studies that come with fairlora: each parses, has its paper's axes, runs in smoke form."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlora.data import parse_options
from fairlora.data.fgvc_aircraft import CLASSES
from fairlora.data.geode import OBJECTS
from fairlora.data.tiny import write_tiny
from fairlora.errors import InputError
from fairlora.models import Adapter, count_of
from fairlora.models.tiny import ARCHITECTURES, architecture_of
from fairlora.study.report.figures import FIGURES
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import RunFolder, result_settings
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.tuning import count_trials
from fairlora.study.spec.expand import Arm, expand
from fairlora.study.spec.presets import preset_path, presets
from fairlora.study.spec.smoke import BATCH, MAX_LENGTH, smoke_study
from fairlora.study.spec.study import StudySpec, parse_study, read_study

LORA_FULL = ("LoRA", "full")
FAIR = ("LoRA", "FairLoRA", "full", "fair full")
VIT_SWIN = ("ViT-Base", "Swin-v2-Large")
LLAMA_MISTRAL = ("Llama-2 7B", "Mistral 7B")
CLIP_DINO_VIT = ("CLIP ViT-B/32", "DINO ViT-B/16", "ViT-B/16")
RANKS_TO_768 = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768)
RANKS_TO_128 = (1, 2, 4, 8, 16, 32, 64, 128)


class Grid(NamedTuple):
    """A preset's axes: what its file must come to."""

    data: tuple[str, ...]
    groups: tuple[str, ...]  # audited
    models: tuple[str, ...]
    methods: tuple[str, ...]
    arms: int
    seeds: int
    trials: int  # of all searches
    smoke_arms: int
    ranks: tuple[int, ...] = (8,)


GRIDS = {
    "utkface-gender": Grid(("utkface",), ("race",), VIT_SWIN, LORA_FULL, 4, 5, 88, 4),
    "utkface-age": Grid(("utkface",), ("race",), VIT_SWIN, LORA_FULL, 4, 5, 88, 2),
    "subgroup-size": Grid(("utkface",), ("race",), VIT_SWIN, LORA_FULL, 4, 5, 88, 2),
    "calibration": Grid(("utkface",), ("race",), VIT_SWIN, LORA_FULL, 4, 5, 88, 2),
    "rank-utkface": Grid(
        ("utkface",), ("race",), VIT_SWIN[:1], ("linear", *LORA_FULL), 13, 5, 64, 4, RANKS_TO_768
    ),
    **{
        f"dlab-{subset}": Grid(
            ("dlab-hatespeech",), (subset,), LLAMA_MISTRAL, LORA_FULL, 4, 5, 88, 2
        )
        for subset in ("gender", "race", "religion", "sexuality")
    },
    "calibration-dlab": Grid(
        ("dlab-hatespeech",), ("religion",), LLAMA_MISTRAL, LORA_FULL, 4, 5, 88, 2
    ),
    "geode": Grid(("geode",), ("region",), CLIP_DINO_VIT, FAIR, 12, 3, 792, 4),
    "waterbirds": Grid(("waterbirds",), ("place",), CLIP_DINO_VIT, FAIR, 12, 3, 792, 4),
    "aircraft": Grid(("fgvc-aircraft",), ("manufacturer",), CLIP_DINO_VIT, FAIR, 12, 3, 792, 4),
    "fair-rank": Grid(
        ("geode", "waterbirds", "fgvc-aircraft"), ("place",), CLIP_DINO_VIT, FAIR,
        162, 3, 2376, 6, RANKS_TO_128,
    ),
    "waterbirds-sensitive": Grid(
        ("waterbirds",), ("place",), CLIP_DINO_VIT, FAIR, 12, 3, 792, 4
    ),
    **{name: Grid(("utkface",), ("race",), VIT_SWIN, LORA_FULL, 4, 3, 88, 2)
       for name in ("mia-lira", "mia-loss")},
    **{name: Grid(("dlab-hatespeech",), ("religion",), LLAMA_MISTRAL, LORA_FULL, 4, 3, 88, 2)
       for name in ("mia-lira-dlab", "mia-loss-dlab")},
    "shift": Grid(
        ("geode", "waterbirds", "fgvc-aircraft"), (), CLIP_DINO_VIT, ("LoRA",), 9, 1, 0, 1
    ),
    "parameters": Grid(
        ("geode", "fgvc-aircraft"), (), CLIP_DINO_VIT[1:2], LORA_FULL,
        12, 1, 0, 6, (8, 16, 32, 64, 128),
    ),
}  # fmt: skip


UNTRAINED = ("parameters", "shift")
# Those of language models: test_presets_language.py.
LANGUAGE = {
    "translation", "yelp-cloze", "yelp-choice", "token-bias", "rank-translation", "rank-yelp",
}  # fmt: skip


def full(name: str) -> StudySpec:
    return read_study(preset_path(name))


def seen(values: Any) -> set[Any]:
    return {value for value in values if value is not None}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny models and data of this file lie: the presets share them."""
    return tmp_path_factory.mktemp("tiny")


def test_every_preset_stands_in_the_table_and_says_what_it_repeats() -> None:
    found = presets()
    assert found.pop("demo").startswith("The demo")
    assert set(found) == set(GRIDS) | LANGUAGE
    for name, line in found.items():
        assert "Figure" in line or "Table" in line or "section" in line, name
        assert "et al" in line, name
        study = full(name)
        assert study.name == name
        assert study.title
        assert "Repeats" in study.lead
        assert "What differs" in study.lead


@pytest.mark.parametrize("name", GRIDS)
def test_a_preset_has_the_axes_of_its_experiment(name: str) -> None:
    grid, study = GRIDS[name], full(name)
    arms = expand(study)
    assert len(arms) == grid.arms
    assert tuple(data.name for data in study.data) == grid.data
    assert seen(arm.model for arm in arms) == set(grid.models)
    assert seen(arm.method for arm in arms) == set(grid.methods)
    assert seen(arm.rank for arm in arms) == set(grid.ranks)
    assert study.seeds == tuple(range(grid.seeds))
    assert study.train is (name not in UNTRAINED)
    for data in study.data:
        parse_options(data.name, data.options)
        path = Path(data.options["path"])
        assert not path.is_absolute()
        assert len(path.parts) == 1
    for model in study.models:
        assert architecture_of(model.id) in ARCHITECTURES
    assert set(study.report.figures or ()) <= {*FIGURES, "parameters"}
    assert count_trials(study, arms)[0] == grid.trials if study.search else grid.trials == 0


@pytest.mark.parametrize("name", [name for name in GRIDS if name not in UNTRAINED])
def test_a_preset_trains_as_the_papers_did(name: str) -> None:
    study = full(name)
    for arm in expand(study):
        training = arm.spec.training
        assert (training.batch_size, training.schedule, training.warmup) == (32, "cosine", 0.01)
        assert training.weight_decay == 0.001
        # The papers' bfloat16, where the machine is faster in it.
        assert training.precision == "auto"
        assert training.flip
        assert training.until_loss is None
        assert training.select == "accuracy"
        assert arm.spec.objective.groups == "label"
        assert arm.spec.data.split.mode == "fixed"
        if "Swin" in arm.model:
            assert arm.spec.model.image_size == 192
        elif arm.data.startswith("dlab"):
            assert arm.spec.model.max_length == 256
        else:
            assert arm.spec.model.image_size == 224
        adapter = arm.spec.adapter
        if adapter.kind == "lora":
            alpha = Adapter(**adapter.model_dump()).describe()
            assert f"rank {adapter.rank}, alpha {2 * adapter.rank}, on the query" in alpha
            assert adapter.dropout == 0
        own = study.search.for_method(arm.method, arm.spec.method, adapter.kind).space
        epochs = (1, 2, 3, 4, 6, 8) if adapter.kind == "full" else (2, 4, 6, 8, 12)
        assert own["training.epochs"] == epochs
        assert own["training.learning_rate"] == (1e-5, 5e-5, 1e-4, 3e-4)
        strengths = (0.01, 0.1, 1, 10, 100) if arm.spec.objective.fair else None
        assert own.get("objective.strength") == strengths


def settings_of(study: StudySpec, **places: Any) -> list[dict[str, Any]]:
    """What identifies the runs of the arms at these places."""

    def there(arm: Arm) -> bool:
        return all(getattr(arm, key) == value for key, value in places.items())

    return [result_settings(arm.spec) for arm in expand(study) if there(arm)]


@pytest.mark.parametrize(
    ("name", "other", "places"),
    [
        ("rank-utkface", "utkface-gender", {"rank": 8, "model": "ViT-Base"}),
        ("rank-utkface", "utkface-gender", {"method": "full", "model": "ViT-Base"}),
        ("subgroup-size", "utkface-gender", {}),
        ("calibration", "utkface-gender", {}),
        ("calibration-dlab", "dlab-religion", {}),
        ("mia-lira", "utkface-gender", {}),
        ("mia-loss", "utkface-gender", {}),
        ("mia-lira-dlab", "dlab-religion", {}),
        ("mia-loss-dlab", "dlab-religion", {}),
        ("waterbirds-sensitive", "waterbirds", {}),
        ("fair-rank", "geode", {"rank": 8, "data": "GeoDE"}),
        ("fair-rank", "aircraft", {"method": "fair full", "data": "Aircraft"}),
    ],
)
def test_a_study_that_reuses_another_has_its_cells(
    name: str, other: str, places: dict[str, Any]
) -> None:
    study = full(name)
    assert other in study.reuse
    own = settings_of(study, **places)
    elsewhere = {key: value for key, value in places.items() if key != "data"}
    assert own
    assert own == settings_of(full(other), **elsewhere)
    assert study.search == full(other).search


@pytest.mark.parametrize("name", GRIDS)
def test_the_smoke_form_of_a_preset_runs(name: str, tiny: Path, tmp_path: Path) -> None:
    grid = GRIDS[name]
    study = smoke_study(read_study(preset_path(name), smoke=True), tiny)
    arms = expand(study)
    assert len(arms) == grid.smoke_arms
    assert seen(arm.method for arm in arms) == set(grid.methods)
    assert seen(arm.model for arm in arms) <= set(grid.models)
    if not study.train:
        for arm in arms:
            adapter = Adapter(**arm.spec.adapter.model_dump())
            assert count_of(arm.spec.model.id, 40, kind="image", adapter=adapter).encoder
        return
    assert len(study.seeds) == 2
    # The search is walked too: some method has a choice.
    trials, searches = count_trials(study, arms)
    assert searches < trials <= 8
    arm = arms[-1]
    assert arm.spec.training.max_steps in (2, 3)
    folder = RunFolder(tmp_path / "cell")
    assert run_cell(prepare(arm.at(1)), folder)
    metrics = folder.metrics()
    assert metrics["audit"]["overall"]["accuracy"]["value"] is not None
    assert tuple(metrics["audit"]["by_group"]) == grid.groups
    spread = metrics["audit"]["disparities"][grid.groups[0]]["accuracy_gap"]
    assert spread["value"] is not None


def test_the_parameters_preset_counts_the_five_rows_of_the_papers_table(tmp_path: Path) -> None:
    from transformers import ViTConfig

    ViTConfig().save_pretrained(tmp_path)  # DINO ViT-B/16 is one
    found = set()
    for arm in expand(full("parameters")):
        classes = {"GeoDE": OBJECTS, "Aircraft": CLASSES["variant"]}[arm.data]
        adapter = Adapter(**arm.spec.adapter.model_dump())
        count = count_of(str(tmp_path), classes, kind="image", adapter=adapter).parameters
        found.add((arm.data, arm.rank, count.trainable))
    assert found >= {
        ("GeoDE", 8, 325_672),
        ("Aircraft", 16, 666_724),
        ("Aircraft", 32, 1_256_548),
        ("Aircraft", 64, 2_436_196),
        ("Aircraft", 128, 4_795_492),
    }


def test_a_preset_is_found_by_its_name_and_a_users_file_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert preset_path("geode").name == "geode.yaml"
    assert preset_path("geode.yaml") == preset_path("geode")
    (tmp_path / "geode").mkdir()  # the data may well lie here
    assert preset_path("geode").parent.name == "studies"
    (tmp_path / "geode.yaml").write_text("name: mine\n")
    assert read_study(preset_path("geode.yaml")).name == "mine"
    assert preset_path("geode").parent.name == "studies"
    assert preset_path(str(tmp_path / "geode.yaml")) == tmp_path / "geode.yaml"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("waterbird", ["'waterbirds'?", "aircraft"]),
        ("UTKFace-Gender", ["'utkface-gender'?"]),
        ("studies-of-mine/geode.yaml", ["no such study file", "'geode'?"]),
        ("qqq", ["one of aircraft", "waterbirds"]),
        (".", ["a folder, not a study file"]),
    ],
)
def test_an_unknown_preset_names_those_there_are(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        preset_path(name)
    assert str(error.value).startswith(f"{name}: ")
    for word in words:
        assert word in str(error.value)


def test_the_presets_travel_with_the_package() -> None:
    root = Path(__file__).resolve().parents[2]
    hatch = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert hatch["targets"]["wheel"]["force-include"]["studies"] == "fairlora/studies"
    assert "/studies" in hatch["targets"]["sdist"]["include"]


def smoke_of(folder: Path, **content: Any) -> StudySpec:
    return smoke_study(parse_study({"name": "mine", **content}), folder)


def test_a_smoke_study_swaps_models_data_and_what_needs_a_large_machine(tiny: Path) -> None:
    study = smoke_of(
        tiny,
        data={"name": "dlab-hatespeech", "path": "nowhere", "subset": "race"},
        models=[{"id": "meta-llama/Llama-2-7b-hf", "max_length": 256, "quantize": "4bit"}],
        methods=[
            "lora",
            {"adapter": "full", "training": {"bf16": True, "learning_rate": 0.01}, "label": "all"},
        ],
        training={"bf16": True, "batch_size": 64, "epochs": 1, "arguments": {"optim": "sgd"}},
        reuse=["theirs"],
    )
    assert (study.name, study.reuse) == ("mine-smoke", ("theirs-smoke",))
    assert study.title == "Smoke test: mine"
    assert study.lead.endswith("its numbers say nothing about them.")
    first, second = expand(study)
    assert first.model == "Llama-2-7b-hf"
    assert second.method == "all"
    for arm in (first, second):
        spec = arm.spec
        assert Path(spec.model.id).is_absolute()
        assert (spec.model.max_length, spec.model.quantize) == (MAX_LENGTH, None)
        assert (spec.training.bf16, spec.training.batch_size) == (False, BATCH)
        assert spec.training.arguments == {}
        assert spec.training.epochs == 1
        assert spec.data.options["subset"] == "race"
        assert spec.audit.min_group == 1
    assert second.spec.training.learning_rate == 0.01


def test_what_was_written_for_a_smoke_study_is_used_again(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "data": {"name": "waterbirds", "path": "nowhere"},
        "models": ["facebook/dino-vitb16", "google/vit-base-patch16-224-in21k"],
    }
    first = smoke_of(tmp_path, **content)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert smoke_of(tmp_path, **content) == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == files
    assert not any("partial" in p.name for p in files)
    # Two models of one architecture do not share their cells.
    one, other = (prepare(arm.spec) for arm in expand(first))
    assert one.identity != other.identity


def test_data_that_no_tiny_copy_can_stand_for_stay(tmp_path: Path) -> None:
    options = write_tiny("text-table", tmp_path / "own")
    table = smoke_of(
        tmp_path,
        data={"name": "text-table", **options, "train_rows": 1000},
        models="sentence-transformers/all-MiniLM-L6-v2",
    )
    assert table.data[0].options == options
    assert table.data[0].train_rows == 96
    emoji = smoke_of(tmp_path, data={"name": "people-emoji", "target": "gender"})
    assert emoji.data[0].options == {"target": "gender", "renderers": ["noto"]}
    assert emoji.models[0].id == "embedded"
    assert prepare(expand(emoji)[0].spec).examples.classes == ("female", "male")


def test_a_smoke_study_needs_an_architecture_and_a_data_set_that_it_knows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="microsoft/deberta-v3-base"):
        smoke_of(tmp_path, models="microsoft/deberta-v3-base")
    with pytest.raises(InputError, match="'imagenet'"):
        smoke_of(tmp_path, data={"name": "imagenet", "path": "nowhere"})
    assert not list(tmp_path.rglob("*.partial*"))


def test_a_smoke_study_runs_in_this_process_and_draws_once_unless_it_says_otherwise(
    tiny: Path,
) -> None:
    quick = smoke_of(tiny, data={"name": "people-emoji"}, models="embedded")
    assert (quick.engine.kind, quick.report.formats) == ("inline", ("svg",))
    asked = smoke_of(
        tiny,
        data={"name": "people-emoji"},
        models="embedded",
        engine={"processes": 2},
        report={"formats": ["pdf"]},
    )
    assert (asked.engine.kind, asked.report.formats) == ("local", ("pdf",))
