"""Exports of runs and adapters: proved, sealed, read again, or refused with nothing left behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairlora.data import Examples, load_examples
from fairlora.errors import InputError, WorkError
from fairlora.metrics import Settings
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.models import Adapter, attach, load_text_classifier, save_finetuned, write_tiny_model
from fairlora.predictions import Predictions, read_predictions
from fairlora.study import RunFolder
from fairlora.study.export import writing
from fairlora.study.export.comparing import flip_table
from fairlora.study.export.manifest import MANIFEST, BrokenExport, read_manifest
from fairlora.study.export.proof import CALIBRATED, LEAST, compare, drawn_evenly, proof_rows
from fairlora.study.export.writing import default_folder, export_model
from fairlora.study.runs.predict import known_run, predict_with, rows_to_predict

EMOJI = ("data.target=gender", "data.renderers=[noto]", "data.groups=[skin_tone]")


@pytest.fixture(scope="module")
def exported(
    finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One run as ONNX in float32 and in static int8, and merged (never to be written in)."""
    root = tmp_path_factory.mktemp("exported")
    ways: dict[str, dict[str, Any]] = {
        "onnx": {"to": "onnx"},
        "static": {"to": "onnx", "int8": "static"},
        "merged": {"to": "merged"},
    }
    for name, way in ways.items():
        export_model(str(finished["lora-0"]), root / name, **way)
    return {name: root / name for name in ways}


@pytest.mark.parametrize("way", ["onnx", "merged"])
def test_an_export_predicts_the_table_that_the_run_was_audited_by(
    exported: dict[str, Path], finished: dict[str, Path], tmp_path: Path, way: str
) -> None:
    predict_with(str(exported[way]), tmp_path / "p.parquet")
    own = read_predictions(finished["lora-0"] / "predictions.parquet")
    new = read_predictions(tmp_path / "p.parquet")
    order = {row: k for k, row in enumerate(new.ids.tolist())}
    index = np.array([order[row] for row in own.ids.tolist()])
    assert len(new) == len(own)
    assert (new.split[index] == own.split).all()
    assert list(new.groups) == list(own.groups)
    assert new.probs is not None
    assert own.probs is not None
    np.testing.assert_allclose(new.probs[index], own.probs, atol=1e-5)


def test_a_manifest_says_what_was_exported_and_how_it_was_proved(
    exported: dict[str, Path], finished: dict[str, Path]
) -> None:
    run = finished["lora-0"]
    manifest = read_manifest(exported["onnx"])
    assert manifest is not None
    status = RunFolder(run).status()
    assert status is not None
    assert manifest.origin.identity == status.identity
    assert manifest.run_spec() == RunFolder(run).spec()
    assert (manifest.model_file, manifest.inputs) == ("model.onnx", ["pixel_values"])
    assert set(manifest.files) == {
        "model.onnx", "config.json", "fairlora.json", "preprocessor_config.json"
    }  # fmt: skip
    proof = manifest.proof
    assert proof.overall.rows >= LEAST
    assert proof.splits == {"test": proof.overall.rows}
    assert set(proof.by_group) == {"skin_tone", "renderer"}
    assert sum(one.rows for one in proof.by_group["skin_tone"].values()) == proof.overall.rows
    assert proof.overall.largest < 1e-5
    assert proof.table is not None
    assert (proof.table.rows, proof.table.flips) == (proof.overall.rows, 0)


def test_static_int8_is_calibrated_on_training_rows_of_every_group(
    exported: dict[str, Path], finished: dict[str, Path]
) -> None:
    manifest = read_manifest(exported["static"])
    assert manifest is not None
    calibration, proof = manifest.calibration, manifest.proof
    assert calibration is not None
    assert (calibration.split, calibration.rows) == ("train", 96)
    assert "calibrated on 96 training rows drawn evenly over the groups" in manifest.notes
    assert proof.limit is None
    assert proof.splits == {"test": proof.overall.rows}
    assert 0 < proof.overall.mean < proof.overall.largest
    # What moved is what its own answers say.
    run = known_run(str(finished["lora-0"]))
    examples = rows_to_predict(run, None, ())
    assert examples.split is not None
    chosen, split = writing.calibration_rows(examples)
    assert split == "train"
    assert set(examples.split[chosen]) == {"train"}
    assert len(chosen) == min(CALIBRATED, int((examples.split == "train").sum()))


def test_rows_are_drawn_evenly_over_groups_however_rare() -> None:
    groups = {"g": np.array(["rare"] * 5 + ["common"] * 995)}
    n = len(groups["g"])
    examples = Examples(
        name="e", ids=np.arange(n).astype(str), labels=np.zeros(n, dtype=np.int64),
        classes=("a",), groups=groups, fingerprint="f", texts=[""] * n,
    )  # fmt: skip
    for rows, rare in ((8, 4), (20, 5)):
        chosen = drawn_evenly(examples, rows)
        assert len(set(chosen.tolist())) == rows
        assert (chosen < 5).sum() == rare


def test_a_float_export_that_answers_otherwise_is_refused_and_nothing_is_left(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = writing.save_merged

    def wrong(classifier: Any, folder: Path) -> Path:
        """As where a traced network shares its weights with the live one: folded in again."""
        base = classifier.model.get_base_model()
        for layer in base.vit.layers:
            query = layer.attention.q_proj
            query.base_layer.weight.data += 100 * query.get_delta_weight("default")
        return plain(classifier, folder)

    monkeypatch.setattr(writing, "save_merged", wrong)
    with pytest.raises(WorkError, match=r"logits are off by .*, most of .* \(at most 0.001\)"):
        export_model(str(finished["lora-0"]), tmp_path / "out" / "x", to="merged")
    assert not list((tmp_path / "out").iterdir())


def test_flips_and_differences_are_counted_by_group() -> None:
    before = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    after = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.5]])
    examples = Examples(
        name="e", ids=np.array(["1", "2", "3"]), labels=np.zeros(3, dtype=np.int64),
        classes=("a", "b"), groups={"g": np.array(["x", "y", "y"])}, fingerprint="f",
        texts=[""] * 3, split=np.array(["test"] * 3),
    )  # fmt: skip
    proof = compare(before, after, examples, None)
    assert proof.by_group["g"]["x"].model_dump() == {
        "rows": 1, "mean": 1.0, "largest": 1.0, "flips": 1
    }  # fmt: skip
    assert proof.by_group["g"]["y"].model_dump() == {
        "rows": 2, "mean": 0.125, "largest": 0.5, "flips": 0
    }  # fmt: skip
    with pytest.raises(WorkError, match="logits are off by 1, most of g x"):
        compare(before, after, examples, 1e-3)
    after[2, 0] = torch.nan
    with pytest.raises(WorkError, match="not numbers"):
        compare(before, after, examples, None)


def test_a_run_beside_its_exports_shows_flips_by_group_and_direction(
    exported: dict[str, Path], finished: dict[str, Path], fairlora: Callable[..., Any]
) -> None:
    run = finished["lora-0"]
    done = fairlora("compare", run, exported["onnx"], exported["static"], "--json")
    assert done.code == 0, done.err
    page = json.loads(done.out)
    tables = {t["topic"]: t for t in page["tables"] if t["title"] == "Predictions that flip"}
    assert list(tables) == ["onnx: Flips", "static: Flips"]
    own = read_predictions(run / "predictions.parquet").select("test")
    for topic, table in tables.items():
        cells = {
            row["cells"][0]["text"]: [c["text"] for c in row["cells"]] for row in table["rows"]
        }
        every = cells["all rows"]
        assert every[1] == str(len(own))
        proof = read_manifest(exported[topic.split(":")[0]])
        assert proof is not None
        assert proof.proof.overall.rows == len(own)  # every test row was proved
        assert every[2] == str(proof.proof.overall.flips)
        tones = [int(row[2]) for name, row in cells.items() if name.startswith("skin_tone: ")]
        assert sum(tones) == int(every[2])
        # Of two classes a flip is right to wrong or back, and to the positive class or from it.
        assert int(every[4]) + int(every[5]) == int(every[6]) + int(every[7]) == int(every[2])
    done = fairlora("compare", finished["full-0"], exported["onnx"])
    assert (done.code, "not an export of this run" in done.err) == (2, True)


def test_flips_have_directions() -> None:
    made: dict[str, Any] = {
        "ids": np.arange(6).astype(str),
        "split": np.full(6, "test"),
        "labels": np.array([0, 0, 1, 1, 1, 0]),
        "classes": ("no", "yes"),
        "groups": {"g": np.array(["x", "x", "x", "x", "y", "y"])},
    }
    run = Predictions(**made, predictions=np.array([0, 0, 0, 1, 1, 0]))
    export = Predictions(**made, predictions=np.array([1, 0, 1, 0, 1, 0]))
    settings = Settings(positive="yes", min_group=1)
    content = compare_predictions(export, run, settings, names=("export", "run"))
    table = flip_table(export, run, content)
    found = [[cell["text"] for cell in row["cells"]] for row in table["rows"]]
    names = [column["name"] for column in table["columns"]]
    assert names[4:] == ["Right to wrong", "Wrong to right", "To yes", "From yes"]
    counts = {row[0]: (row[1], row[2], *row[4:]) for row in found}
    assert counts == {
        "all rows": ("6", "3", "2", "1", "2", "1"),
        "g: x": ("4", "3", "2", "1", "2", "1"),
        "g: y": ("2", "0", "0", "0", "0", "0"),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "model.onnx").write_bytes(b"x"), "model.onnx is not as it was exported"),
        (lambda f: (f / "config.json").unlink(), "config.json is missing"),
        (lambda f: (f / "a.onnx").touch(), "a.onnx was not written by the export"),
        (lambda f: edit(f, version=0), "written by another version"),
        (lambda f: edit(f, model_file="../model.onnx"), "does not seal the model's file"),
        (lambda f: edit(f, proof={}), "proof.data_fingerprint: missing"),
        (lambda f: (f / MANIFEST).write_text("{"), "EOF while parsing"),
    ],
    ids=["changed", "missing", "added", "version", "outside", "no-proof", "half"],
)
def test_an_export_that_no_longer_matches_its_manifest_is_refused(
    exported: dict[str, Path],
    tmp_path: Path,
    change: Callable[[Path], object],
    message: str,
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported["onnx"], folder)
    assert read_manifest(folder) is not None
    change(folder)
    for model in (folder, folder / "model.onnx"):
        with pytest.raises(InputError, match=message):
            predict_with(str(model), tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()


def edit(folder: Path, **values: Any) -> None:
    said = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**said, **values}))


def test_an_adapter_is_exported_with_rows_named_and_read_with_them(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    adapter = tmp_path / "mine"
    shutil.copytree(finished["lora-0"] / "adapter", adapter)
    with pytest.raises(InputError, match="--rows: no data named"):
        export_model(str(adapter), tmp_path / "x", to="merged")
    manifest = export_model(
        str(adapter), tmp_path / "x", to="merged", rows="people-emoji", overrides=EMOJI
    )
    assert (manifest.origin.kind, manifest.origin.identity) == ("model", None)
    assert manifest.proof.table is None
    predict_with(str(tmp_path / "x"), tmp_path / "p.parquet")
    rows = load_examples("people-emoji", {"target": "gender", "renderers": ["noto"]})
    assert len(read_predictions(tmp_path / "p.parquet")) == len(rows)
    with pytest.raises(InputError, match=r"too few rows .* \(found 63; expected at least 64\)"):
        proof_rows(rows.take(np.arange(LEAST - 1)), np.zeros(0, dtype=np.int64))


def test_virtual_tokens_are_refused_in_one_line(tmp_path: Path) -> None:
    write_tiny_model("bert-base", tmp_path / "base")
    classifier = load_text_classifier(str(tmp_path / "base"), ("a", "b"))
    for kind in ("prompt_tuning", "prefix_tuning"):
        adapter = Adapter(kind=kind)
        model = attach(classifier.model, adapter, classifier.head, task="text")
        folder = save_finetuned(classifier, model, adapter, tmp_path / kind)
        classifier = load_text_classifier(str(tmp_path / "base"), ("a", "b"))
        table = tmp_path / "texts.csv"
        lines = [f"the {k},{'ab'[k % 2]},g" for k in range(LEAST)]
        table.write_text("\n".join(["text,label,group", *lines]) + "\n")
        with pytest.raises(InputError, match="adds tokens and changes no weights"):
            export_model(
                str(folder), tmp_path / "x", to="onnx", rows="text-table",
                overrides=[f"data.path={table}", "data.groups=[group]"],
            )  # fmt: skip
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("package", "to", "extra"),
    [("onnxruntime", "onnx", "export"), ("openvino", "openvino", "openvino")],
)
def test_a_missing_package_is_named_with_its_extra(
    exported: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    to: Any,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"package '{package}' is not installed: .*fairlora\[{extra}\]"
    with pytest.raises(InputError, match=message):
        export_model("no-run", tmp_path / "x", to=to)
    if to == "onnx":
        with pytest.raises(InputError, match=message):
            predict_with(str(exported["onnx"]), tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 32}, "--image-size: an exported model is as it was exported"),
        ({"bf16": True}, "--bf16: an exported model"),
        ({"check": 4}, "--check: an exported model"),
        ({"inputs": {"pixel_values": "images"}}, "--input: no such input"),
    ],
    ids=["size", "bf16", "check", "input"],
)
def test_an_export_takes_no_options_that_it_has_no_use_for(
    exported: dict[str, Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        predict_with(str(exported["onnx"]), tmp_path / "p.parquet", **options)


def test_only_what_can_be_is_exported(
    finished: dict[str, Path], exported: dict[str, Path], tmp_path: Path
) -> None:
    run = str(finished["lora-0"])
    with pytest.raises(InputError, match="--int8: a merged model is float"):
        export_model(run, tmp_path / "x", to="merged", int8="static")
    with pytest.raises(InputError, match="something lies here already"):
        export_model(run, exported["onnx"], to="onnx")
    with pytest.raises(InputError, match="--output: an option of exported models alone"):
        predict_with(run, tmp_path / "p.parquet", output="logits")
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    weights = next((broken / "adapter").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match="is not as the run wrote it"):
        export_model(str(broken), tmp_path / "x", to="merged")
    assert issubclass(BrokenExport, InputError)
    assert default_folder("a/b", "openvino", None) == Path("exports/b-openvino")
