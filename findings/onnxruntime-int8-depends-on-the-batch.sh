#!/bin/sh
# onnxruntime 1.32.0: of a dynamically quantised model a row's answer depends on the rows beside it.
#
# Expected: batching changes a row's logits by rounding of float32 at most, as it does for the model before; "dynamic"
# was taken to mean a range of activations a row.
# Seen: one range is taken over the whole batch. Beside one row of large numbers the same rows' logits move by a third of
# their spread and a predicted class is another; a statically quantised model answers each row the same.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static

logging.disable(logging.WARNING)
ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
rows = rng.normal(size=(64, 32)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "linear",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
    [numpy_helper.from_array(rng.normal(size=(32, 4)).astype(np.float32), "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.save(model, "float.onnx")


class Rows(CalibrationDataReader):
    def __init__(self) -> None:
        self.left = iter([{"x": rows}])

    def get_next(self):
        return next(self.left, None)


quantize_dynamic("float.onnx", "dynamic.onnx")
quantize_static("float.onnx", "static.onnx", Rows())
large = np.full((1, 32), 30, dtype=np.float32)
for name in ("float", "dynamic", "static"):
    session = ort.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    alone = session.run(None, {"x": rows})[0]
    beside = session.run(None, {"x": np.concatenate([rows, large])})[0][:-1]
    moved = float(np.abs(alone - beside).max() / alone.std())
    flips = int((alone.argmax(1) != beside.argmax(1)).sum())
    print(f"{name}: logits move by {moved:.4f} of their spread, {flips} of 64 classes are others")
    assert (moved > 0.05 and flips > 0) if name == "dynamic" else (moved < 1e-5 and flips == 0)
PYTHON
