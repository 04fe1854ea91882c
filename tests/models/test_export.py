"""Exported files: the answers of the network they were made from, or one line that says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    Classifier,
    attach,
    load_image_classifier,
    load_text_classifier,
    merge,
    write_tiny_model,
)
from fairlora.models.export_files import quantise_onnx, write_onnx, write_openvino
from fairlora.models.exported import find_exported, load_exported
from fairlora.models.sessions import named_inputs, open_session

CLASSES = ("a", "b", "c")
TOLERANCE = 1e-5


def tuned(like: str, folder: Path, **adapter: Any) -> Classifier:
    """A tiny classifier with an adapter that changes its answers."""
    write_tiny_model(like, folder)
    text = (folder / "tokenizer.json").is_file()
    load: Any = load_text_classifier if text else load_image_classifier
    classifier: Classifier = load(str(folder), CLASSES)
    model: Any = attach(
        classifier.model,
        Adapter(**{"kind": "lora", "rank": 2, **adapter}),
        classifier.head,
        task=classifier.kind,
    )
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.2)
    classifier.model = model.eval()
    return classifier


def batch_of(classifier: Classifier, rows: int, tokens: int = 8) -> dict[str, Tensor]:
    """Drawn input; the first text ends before the others."""
    generator = torch.Generator().manual_seed(rows)
    if classifier.kind == "image":
        return {"pixel_values": torch.randn((rows, 3, 32, 32), generator=generator)}
    ids = torch.randint(5, 20, (rows, tokens), generator=generator)
    mask = torch.ones_like(ids)
    ids[0, tokens // 2 :] = classifier.model.config.pad_token_id
    mask[0, tokens // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def answer(model: Any, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(**batch).logits
    return logits


@pytest.mark.parametrize(
    "like", ["google/vit-base", "bert-base", "meta-llama/llama-2-7b"], ids=["vit", "bert", "llama"]
)
def test_an_export_answers_as_the_adapter_did_for_any_rows_and_lengths(
    like: str, tmp_path: Path
) -> None:
    classifier = tuned(like, tmp_path / "base")
    batches = [batch_of(classifier, 1), batch_of(classifier, 5, 24)]
    expected = [answer(classifier.model, batch) for batch in batches]
    with classifier.model.disable_adapter():
        assert (answer(classifier.model, batches[1]) - expected[1]).abs().max() > 100 * TOLERANCE
    files = [tmp_path / "model.onnx", tmp_path / "ov" / "model.xml"]
    write_onnx(merge(classifier), batch_of(classifier, 2), files[0])
    files[1].parent.mkdir()
    write_openvino(files[0], files[1])
    assert 'element_type="f16"' not in files[1].read_text()
    for file in files:
        session = open_session(file, tuple(batches[0]))
        assert (session.rows, session.classes) == (None, len(CLASSES))
        for batch, own in zip(batches, expected, strict=True):
            torch.testing.assert_close(answer(session, batch), own, atol=TOLERANCE, rtol=0)
    if like != "google/vit-base":
        return
    # The same weights in int8: smaller, and calibrated on what they are given.
    whole, batch, off = files[0], batches[1], {}
    for name, scale in (("dynamic", 1.0), ("static", 1.0), ("static-wrong", 1e-3)):
        path = tmp_path / f"{name}.onnx"
        calibration = [{"pixel_values": scale * batch["pixel_values"]}]
        quantise_onnx(whole, path, "dynamic" if name == "dynamic" else "static", calibration)
        off[name] = float(
            (answer(open_session(path, tuple(batch)), batch) - expected[1]).abs().max()
        )
        assert path.stat().st_size < whole.stat().st_size
    assert 0 < off["dynamic"] < 0.1
    assert 0 < off["static"] < off["static-wrong"]


class _Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def test_a_layer_that_the_exporter_does_not_know_is_named_in_one_line(tmp_path: Path) -> None:
    classifier = merge(tuned("google/vit-base", tmp_path / "base"))
    classifier.model.classifier = nn.Sequential(classifier.model.classifier, _Unknown())
    with pytest.raises(InputError, match=r"torch cannot export.*ViT.*bessel_j0"):
        write_onnx(classifier, batch_of(classifier, 2), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_tied_layers_under_lora_are_refused_where_they_cannot_be_told_apart(tmp_path: Path) -> None:
    classifier = tuned("google/vit-base", tmp_path / "base")
    layers = classifier.model.get_base_model().vit.layers
    queries = [layer.attention.q_proj.base_layer for layer in layers]
    queries[0].weight = queries[1].weight
    with pytest.raises(InputError, match="folds this adapter in wrongly"):
        merge(classifier)


def test_batch_norms_under_lora_and_full_keep_their_running_means(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic",
        num_labels=3, downsample_in_first_stage=True,
    )  # fmt: skip
    ResNetModel(config).save_pretrained(tmp_path / "base")
    for kind in ("lora", "full"):
        classifier = load_image_classifier(str(tmp_path / "base"), CLASSES, image_size=32)
        model: Any = classifier.model
        if kind == "lora":
            model = get_peft_model(model, LoraConfig(target_modules=["convolution"]))
        batch = {"pixel_values": 3 + torch.randn((4, 3, 32, 32))}
        model.train()
        for _ in range(3):
            answer(model, batch)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.1)
        classifier.model = model.eval()
        expected = answer(model, batch)
        path = tmp_path / f"{kind}.onnx"
        write_onnx(merge(classifier), batch, path)
        torch.testing.assert_close(
            answer(open_session(path, ("pixel_values",)), batch), expected, atol=1e-4, rtol=0
        )


# --- files made elsewhere -------------------------------------------------------------------------

Foreign = Callable[..., Path]


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    """Writes a linear classifier of pictures of 4 x 4 as ONNX; end and outputs are to choose."""

    def make(
        end: str = "Identity",
        outputs: tuple[str, ...] = ("logits",),
        rows: Any = "n",
        *,
        channels_last: bool = False,
    ) -> Path:
        weights = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
        shape = [rows, 4, 4, 3] if channels_last else [rows, 3, 4, 4]
        kind = TensorProto.INT64 if end == "ArgMax" else TensorProto.FLOAT
        options = {"axis": 1, "keepdims": 1} if end == "ArgMax" else {}
        nodes = [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["z"]),
            *(helper.make_node(end, ["z"], [name], **options) for name in outputs),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(n, kind, [rows, 3]) for n in outputs],
            [onnx.numpy_helper.from_array(weights, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 10
        path = tmp_path / f"{end}.onnx"
        onnx.save(model, path)
        return path

    return make


PICTURES = {"pixel_values": "images"}
BATCH = {"pixel_values": torch.randn((5, 3, 4, 4), generator=torch.Generator().manual_seed(0))}


@pytest.mark.parametrize("end", ["Softmax", "LogSoftmax"])
def test_a_softmax_inside_is_understood(foreign: Foreign, end: str) -> None:
    plain = open_session(foreign(), ("pixel_values",), inputs=PICTURES)
    probabilities = open_session(foreign(end), ("pixel_values",), inputs=PICTURES)
    own = answer(plain, BATCH).softmax(1)
    torch.testing.assert_close(answer(probabilities, BATCH).softmax(1), own, atol=1e-6, rtol=0)
    assert plain.probabilities is False
    assert probabilities.probabilities is (end == "Softmax")


@pytest.mark.parametrize(
    ("made", "said", "message"),
    [
        ({}, {}, r"an input of the file is not named \(found images; expected --input NAME=images"),
        ({}, {"inputs": {"pixels": "images"}}, r"--input: no such input \(found pixels=images"),
        ({"outputs": ("a", "b")}, {"inputs": PICTURES}, r"which output .* \(found a, b; "),
        ({}, {"inputs": PICTURES, "output": "b"}, r"which output .* \(found logits"),
        ({"end": "ArgMax"}, {"inputs": PICTURES}, r"no numbers \(found logits of int64"),
        ({"channels_last": True}, {"inputs": PICTURES}, r"channels \(found images of any x 4 x"),
        ({"end": "Sigmoid"}, {"inputs": PICTURES}, "each class for itself"),
    ],
    ids=["unnamed", "unknown", "two-outputs", "no-output", "argmax", "channels-last", "sigmoid"],
)  # fmt: skip
def test_a_foreign_file_that_is_not_understood_is_refused_in_one_line(
    foreign: Foreign, made: dict[str, Any], said: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_session(foreign(**made), ("pixel_values",), **said)


def test_of_two_outputs_the_named_one_is_read_or_the_one_called_logits(foreign: Foreign) -> None:
    expected = answer(open_session(foreign(), ("pixel_values",), inputs=PICTURES), BATCH)
    for outputs, output in ((("a", "b"), "b"), (("hidden", "logits"), None)):
        path = foreign(outputs=outputs)
        session = open_session(path, ("pixel_values",), inputs=PICTURES, output=output)
        assert session.output == (output or "logits")
        torch.testing.assert_close(answer(session, BATCH), expected)


def test_a_foreign_folder_needs_a_processor_and_any_number_of_rows(
    foreign: Foreign, tmp_path: Path
) -> None:
    path = foreign()
    with pytest.raises(InputError, match="how pictures are prepared is not said"):
        load_exported(path, "image", inputs=PICTURES)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true, '
        '"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5], "size": 4, "do_resize": true}'
    )
    loaded: Any = load_exported(path, "image", inputs=PICTURES)
    assert loaded.classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert (loaded.preprocessing.size, loaded.preprocessing.mean) == (4, (0.1, 0.2, 0.3))
    (tmp_path / "config.json").write_text(
        '{"model_type": "resnet", "id2label": {"0": "x", "1": "y", "2": "z"}}'
    )
    assert load_exported(path, "image", inputs=PICTURES).classes == ("x", "y", "z")
    fixed = foreign("Relu", rows=2)
    with pytest.raises(InputError, match="one number of rows alone"):
        load_exported(fixed, "image", inputs=PICTURES)
    assert find_exported(str(fixed)) == fixed
    with pytest.raises(InputError, match=r"several exported models.*Identity.onnx, Relu.onnx"):
        find_exported(str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    assert find_exported(str(tmp_path)) is None


@pytest.mark.parametrize("name", ["broken.onnx", "broken.xml"])
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as"):
        open_session(tmp_path / name, ("pixel_values",))


def test_inputs_are_named_in_pairs() -> None:
    for texts in (["images"], ["pixel_values="], ["a=b", "a=c"]):
        with pytest.raises(InputError, match="not a name of an input"):
            named_inputs(texts)
