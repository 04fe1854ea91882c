"""Write a classifier as a file that runs without torch: ONNX, its int8 forms, and OpenVINO."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fairlora.errors import InputError, no_room, optional_module
from fairlora.models.classifier import Classifier
from fairlora.models.source import first_line, quiet_libraries

Int8 = Literal["dynamic", "static"]
# Layers of weights times activations, which is where a transformer's time and size are.
QUANTISED = ["MatMul", "Gemm"]
TWO_GIB = 2 << 30


class _Logits(nn.Module):
    """A network of tensors in order and logits out, as exporters want it."""

    def __init__(self, classifier: Classifier, names: Sequence[str]) -> None:
        super().__init__()
        self.model = classifier.model
        self.names = tuple(names)
        self.arguments = dict(classifier.forward_arguments)

    def forward(self, *tensors: Tensor) -> Tensor:
        batch = dict(zip(self.names, tensors, strict=True))
        logits: Tensor = self.model(**batch, **self.arguments).logits
        return logits


def write_onnx(classifier: Classifier, batch: Mapping[str, Tensor], path: Path) -> None:
    """Write a classifier without an adapter as ONNX; rows, and of texts tokens, are of any number.

    The traced graph shares its weights with the live network: what is to be folded in must be
    folded in before.

    Parameters
    ----------
    classifier : computes in float32; put into eval mode.
    batch : two rows or more of the model's input (`inputs_of_rows`).
    path : where it goes. Above 2 GiB the weights lie beside it.

    Raises
    ------
    InputError : the exporter has no words for a layer; the line says what it found.
    """
    optional_module("onnxruntime", where="--to onnx")
    optional_module("onnxscript", where="--to onnx")
    sides = {0: "rows", 1: "tokens"} if classifier.kind == "text" else {0: "rows"}
    try:
        with torch.no_grad(), _silence():
            program = torch.onnx.export(
                _Logits(classifier, list(batch)).eval(),
                tuple(batch.values()),
                dynamic_shapes=(tuple(dict(sides) for _ in batch),),
                input_names=list(batch),
                output_names=["logits"],
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            "torch cannot export this model to ONNX",
            where=classifier.base,
            found=f"{type(classifier.model).__name__}: {_cause(error)}",
            expected="--to merged, or a model of layers that ONNX has",
        ) from error


def quantise_onnx(
    source: Path, target: Path, how: Int8, calibration: Sequence[Mapping[str, Tensor]] = ()
) -> None:
    """Write an ONNX file with the weights of its linear layers in int8.

    Weights have seven bits, a scale a channel: with eight, processors without int8 products of
    their own (VNNI) overflow in silence, and the answers would hang on the machine.

    Parameters
    ----------
    source : the float32 file.
    target : the file to write.
    how : "dynamic" measures the range of activations at every call, "static" once, by
        `calibration`.
    calibration : batches of the model's input.

    Raises
    ------
    InputError : no layer can be quantised, or onnxruntime cannot do it.
    """
    quantization = optional_module("onnxruntime.quantization", where="--int8")
    onnx = optional_module("onnx", where="--int8")
    shared: dict[str, Any] = {
        "op_types_to_quantize": QUANTISED,
        "per_channel": True,
        "reduce_range": True,
        "weight_type": quantization.QuantType.QInt8,
        "use_external_data_format": sum(p.stat().st_size for p in source.parent.iterdir())
        > TWO_GIB,
    }
    try:
        with _silence():
            if how == "dynamic":
                quantization.quantize_dynamic(str(source), str(target), **shared)
            else:
                quantization.quantize_static(
                    str(source),
                    str(target),
                    _reader(quantization, calibration),
                    quant_format=quantization.QuantFormat.QDQ,
                    activation_type=quantization.QuantType.QUInt8,
                    **shared,
                )
    except Exception as error:
        if no_room(error) is not None:
            raise
        raise InputError(
            "onnxruntime cannot quantise this model", where="--int8", found=_cause(error)
        ) from error
    made = onnx.load(str(target), load_external_data=False).graph.node
    if not any(node.op_type in ("MatMulInteger", "QuantizeLinear") for node in made):
        raise InputError(
            "no layer of this model can be quantised",
            where="--int8",
            found=f"none of {', '.join(QUANTISED)} with weights",
        )


def _reader(quantization: Any, batches: Sequence[Mapping[str, Tensor]]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(batches)

        def get_next(self) -> Any:
            batch = next(self.left, None)
            return None if batch is None else {k: v.numpy() for k, v in batch.items()}

    return Reader()


def write_openvino(source: Path, target: Path) -> None:
    """Write an ONNX file as OpenVINO's ``.xml`` and ``.bin``, its weights as they are.

    Parameters
    ----------
    source : the ONNX file.
    target : the ``.xml`` file to write; the weights lie beside it.

    Raises
    ------
    InputError : OpenVINO is not installed, or does not know an operation.
    """
    openvino = optional_module("openvino", where="--to openvino")
    try:
        model = openvino.Core().read_model(str(source))
        # Its default is float16, which no comparison of a few rows would always show.
        openvino.save_model(model, str(target), compress_to_fp16=False)
    except Exception as error:
        if no_room(error) is not None:
            raise
        raise InputError(
            "OpenVINO cannot read this model's ONNX file",
            where="--to openvino",
            found=_cause(error),
            expected="--to onnx",
        ) from error


def _cause(error: BaseException) -> str:
    """The first line of the error that began it: exporters wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {first_line(error)}"


@contextmanager
def _silence() -> Iterator[None]:
    """No progress, advice or warnings of the exporters, which print them where they like."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), quiet_libraries():
            warnings.simplefilter("ignore")
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                yield
    finally:
        logging.disable(before)
