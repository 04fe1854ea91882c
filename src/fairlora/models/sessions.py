"""Exported files of ONNX and OpenVINO, called as the network that they were made from.

A session computes on the CPU, in float32 unless its file says otherwise, with torch's number of
threads. So whatever predicts with a classifier predicts with an exported one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fairlora.errors import InputError, optional_module
from fairlora.models.source import first_line

Arrays = Mapping[str, NDArray[Any]]
# How far the sum of a row's probabilities may be from 1, by rounding.
ROUNDED = 1e-3
# Operations that leave numbers what they are.
_SAME_NUMBERS = ("Identity", "Cast", "Reshape", "Squeeze", "Flatten")


class Port(NamedTuple):
    """An input or output of an exported file: its name, NumPy's type, sides (None: any)."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(nn.Module):
    """An exported file as a network: ``session(pixel_values=...).logits`` (N, classes).

    An output whose rows are all probabilities is taken as such: its logarithms are logits of the
    same probabilities, and `probabilities` says so.

    Attributes
    ----------
    inputs : what the batch calls an input -> what the file calls it.
    output : the file's name of the logits.
    classes : how many it has; None where the file does not say.
    probabilities : whether the file gives probabilities; None until it is asked.
    """

    def __init__(
        self,
        path: Path,
        run: Callable[[Arrays, str], NDArray[Any]],
        ports: tuple[tuple[Port, ...], tuple[Port, ...]],
        *,
        inputs: Mapping[str, str],
        output: str | None,
        wanted: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.path = path
        self.probabilities: bool | None = None
        self._run = run
        self._given = {port.name: port for port in ports[0]}
        self.output = _output(path, ports[1], output)
        self.inputs = _inputs(path, tuple(self._given.values()), inputs, wanted)
        sides = {port.name: port.shape for port in ports[1]}[self.output]
        self.classes = sides[1] if len(sides) == 2 else None
        # Where a network computes, its callers ask its weights.
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)

    @property
    def side(self) -> int | None:
        """Pixels of a side of its pictures; None where the file takes any, or takes texts."""
        shape = self._given[next(iter(self.inputs.values()))].shape
        return shape[2] if len(shape) == 4 else None

    @property
    def rows(self) -> int | None:
        """The one number of rows that it takes at a time; None where it takes any."""
        shape = self._given[next(iter(self.inputs.values()))].shape
        return shape[0] if shape else None

    def get_input_embeddings(self) -> None:
        """None: how many tokens an exported model knows is in no place that all have."""
        return

    def forward(self, **batch: Tensor) -> Any:
        """The logits of a batch.

        Parameters
        ----------
        batch : name -> tensor; what the file has no input for must be of no account to it.
        """
        from transformers.modeling_outputs import SequenceClassifierOutput

        first = next(iter(batch.values()))
        feed = {}
        for ours, theirs in self.inputs.items():
            # Parts of a text are told apart by the tokenizers that mean it; of others all are 0.
            value = batch[ours] if ours in batch else torch.zeros_like(first)
            feed[theirs] = value.cpu().numpy().astype(self._given[theirs].dtype, copy=False)
        try:
            found = self._run(feed, self.output)
        except Exception as error:  # each library raises its own
            raise InputError(
                "the exported model does not take these rows",
                where=self.path,
                found=first_line(error),
            ) from error
        logits = torch.from_numpy(np.array(found, dtype=np.float32))
        return SequenceClassifierOutput(logits=self._logits(logits, len(first)))

    def _logits(self, found: Tensor, rows: int) -> Tensor:
        if found.ndim != 2 or len(found) != rows or found.shape[1] < 2:
            raise InputError(
                "not the output of a classifier",
                where=self.path,
                found=f"{self.output} of {tuple(found.shape)}",
                expected=f"({rows}, classes), of two classes or more",
            )
        if not torch.isfinite(found).all():
            raise InputError("a logit is not a number", where=self.path, found=self.output)
        if rows == 0:
            return found
        off = (found.sum(1) - 1).abs().max()
        looks = bool(found.min() >= 0) and bool(off < ROUNDED)
        if self.probabilities is None:
            self.probabilities = looks
        if self.probabilities is not looks:
            raise InputError(
                "some rows are probabilities and others are not",
                where=self.path,
                found=self.output,
                expected="logits of all rows, or probabilities of all",
            )
        if not looks:
            return found
        return found.clamp_min(torch.finfo(torch.float32).tiny).log()


def _output(path: Path, ports: tuple[Port, ...], wanted: str | None) -> str:
    """The output with the logits: the one there is, the one called so, or the one asked for."""
    names = [port.name for port in ports]
    if wanted is None:
        wanted = names[0] if len(names) == 1 else "logits"
    if wanted not in names:
        raise InputError(
            "which output has the logits is not said",
            where=path,
            found=", ".join(names),
            expected="--output with one of them",
        )
    port = ports[names.index(wanted)]
    if not port.dtype.startswith("float"):
        raise InputError(
            "an output that is no numbers",
            where=path,
            found=f"{wanted} of {port.dtype}",
            expected="logits or probabilities; --output names another",
        )
    return wanted


def _inputs(
    path: Path, ports: tuple[Port, ...], said: Mapping[str, str], wanted: tuple[str, ...]
) -> dict[str, str]:
    """What the batch calls an input -> what the file calls it, for every input of the file."""
    names = [port.name for port in ports]
    for ours, theirs in said.items():
        if ours not in wanted or theirs not in names:
            raise InputError(
                "no such input",
                where="--input",
                found=f"{ours}={theirs}",
                expected=f"one of {', '.join(wanted)} = one of {', '.join(names)}",
            )
    known = {**{name: name for name in wanted if name in names}, **said}
    lost = [name for name in names if name not in known.values()]
    if lost or not known:
        raise InputError(
            "an input of the file is not named",
            where=path,
            found=", ".join(lost or names),
            expected=f"--input NAME={(lost or names)[0]}, NAME one of {', '.join(wanted)}",
        )
    if wanted == ("pixel_values",):
        shape = ports[names.index(known["pixel_values"])].shape
        square = len(shape) == 4 and shape[1] in (3, None) and shape[2] == shape[3]
        if not square:
            sides = " x ".join("any" if side is None else str(side) for side in shape)
            raise InputError(
                "not an input of square pictures of three channels",
                where=path,
                found=f"{known['pixel_values']} of {sides}",
                expected="rows x 3 x side x side",
            )
    return known


def named_inputs(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=INPUT`` texts as NAME -> INPUT; `InputError` for another text, or a name twice.

    >>> named_inputs(["pixel_values=images"])
    {'pixel_values': 'images'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, theirs = text.partition("=")
        if not (name and equals and theirs) or name in found:
            raise InputError(
                "not a name of an input, or one twice",
                where="--input",
                found=text,
                expected="NAME=INPUT, such as pixel_values=images",
            )
        found[name] = theirs
    return found


def open_session(
    path: Path,
    wanted: tuple[str, ...],
    *,
    inputs: Mapping[str, str] | None = None,
    output: str | None = None,
) -> Session:
    """Open an ``.onnx`` file, or the ``.xml`` file of OpenVINO.

    Parameters
    ----------
    path : the file.
    wanted : names of what a batch has (``pixel_values``, or ``input_ids`` and others).
    inputs : the file's names of them, where they are others.
    output : the file's name of the logits; None takes the only one, or the one called so.

    Raises
    ------
    InputError : its library is not installed, it cannot be read, or its inputs and outputs are not
        a classifier's.
    """
    xml = path.suffix == ".xml"
    opened = _open_openvino(path) if xml else _open_onnx(path)
    session = Session(path, *opened, inputs=inputs or {}, output=output, wanted=wanted)
    if not xml and _ends_in(path, session.output) in ("Sigmoid", "HardSigmoid"):
        raise InputError(
            "a file that scores each class for itself",
            where=path,
            found=f"{session.output} out of a sigmoid",
            expected="a classifier of which exactly one class is right: logits or a softmax",
        )
    return session


def _open_onnx(path: Path) -> tuple[Any, tuple[tuple[Port, ...], tuple[Port, ...]]]:
    onnxruntime = optional_module("onnxruntime", where=path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise InputError("cannot be read as ONNX", where=path, found=first_line(error)) from error

    def run(feed: Arrays, output: str) -> NDArray[Any]:
        return np.asarray(session.run([output], feed)[0])

    return run, (
        tuple(_onnx_port(one) for one in session.get_inputs()),
        tuple(_onnx_port(one) for one in session.get_outputs()),
    )


def _ends_in(path: Path, output: str) -> str:
    """The operation that an output of an ONNX file comes out of."""
    onnx = optional_module("onnx", where=path)
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    made_by = {name: node for node in nodes for name in node.output}
    node = made_by.get(output)
    while node is not None and node.op_type in _SAME_NUMBERS:
        node = made_by.get(node.input[0])
    return "" if node is None else str(node.op_type)


def _onnx_port(given: Any) -> Port:
    kind = str(given.type).removeprefix("tensor(").removesuffix(")")
    named = {"float": "float32", "double": "float64"}
    shape = tuple(side if isinstance(side, int) else None for side in given.shape or ())
    return Port(given.name, named.get(kind, kind), shape)


def _open_openvino(path: Path) -> tuple[Any, tuple[tuple[Port, ...], tuple[Port, ...]]]:
    openvino = optional_module("openvino", where=path)
    try:
        core = openvino.Core()
        # Unless told, the plugin computes in bfloat16 or float16 where the processor has them.
        compiled = core.compile_model(
            core.read_model(str(path)),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            },
        )
    except Exception as error:
        raise InputError(
            "cannot be read as OpenVINO's", where=path, found=first_line(error)
        ) from error

    def run(feed: Arrays, output: str) -> NDArray[Any]:
        return np.asarray(compiled(dict(feed))[output])

    return run, (
        tuple(_openvino_port(one) for one in compiled.inputs),
        tuple(_openvino_port(one) for one in compiled.outputs),
    )


def _openvino_port(given: Any) -> Port:
    shape = tuple(
        None if side.is_dynamic else side.get_length() for side in given.get_partial_shape()
    )
    return Port(given.get_any_name(), given.get_element_type().to_dtype().name, shape)
