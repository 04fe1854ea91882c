"""Load an exported classifier: an ONNX or OpenVINO file, and what prepares its input beside it.

A folder of fairlora's has its card. One made elsewhere has what Hugging Face folders have: classes
in ``config.json``, and an image processor or a tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.models.card import Kind, read_card
from fairlora.models.classifier import Classifier, ImageClassifier, TextClassifier
from fairlora.models.image_input import image_input
from fairlora.models.load_checks import LoadRecord
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.sessions import Session, open_session
from fairlora.models.source import CARD, Source, read_config, resolve_source
from fairlora.models.texts import MAX_LENGTH, read_tokenizer

ONNX_FILE, OPENVINO_FILE = "model.onnx", "model.xml"
TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def find_exported(model_id: str) -> Path | None:
    """The ONNX or OpenVINO file that a path is or holds; None of another model.

    A folder that holds weights of torch's too is that model.

    Raises
    ------
    InputError : a folder of several such files, none of which has the usual name.
    """
    path = Path(model_id).expanduser()
    if path.is_file() and path.suffix in (".onnx", ".xml"):
        return path
    weights = ("*.safetensors", "pytorch_model*.bin")
    if not path.is_dir() or any(found for one in weights for found in path.glob(one)):
        return None
    for name in (ONNX_FILE, OPENVINO_FILE):
        if (path / name).is_file():
            return path / name
    found = sorted([*path.glob("*.onnx"), *path.glob("*.xml")])
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise InputError("several exported models", where=path, found=names, expected="one of them")
    return found[0] if found else None


def load_exported(
    path: Path,
    kind: Kind,
    *,
    inputs: Mapping[str, str] | None = None,
    output: str | None = None,
    processor: str | None = None,
) -> Classifier:
    """A classifier whose network is an exported file.

    Parameters
    ----------
    path : the ``.onnx`` or ``.xml`` file.
    kind : what the data are.
    inputs, output : as of `open_session`.
    processor : folder or hub id of the image processor or tokenizer; None is beside the file.

    Raises
    ------
    InputError : the file, or what prepares its input, is missing or cannot be read.
    """
    folder = path.parent
    beside = Source(str(folder), folder) if processor is None else resolve_source(processor)
    card = read_card(folder, kind) if processor is None and (folder / CARD).is_file() else {}
    wanted = ("pixel_values",) if kind == "image" else TEXT_INPUTS
    session = open_session(path, wanted, inputs=inputs, output=output)
    if session.rows is not None:
        raise InputError(
            "the file takes one number of rows alone",
            where=path,
            found=session.rows,
            expected="a model exported with a dynamic batch",
        )
    library = "openvino" if path.suffix == ".xml" else "onnxruntime"
    shared: dict[str, Any] = {
        "model": session,
        "classes": tuple(card["classes"]) if card else _classes(folder, session),
        "base": str(path),
        "head": (),
        "record": LoadRecord(written_by=card.get("written_by", {}), dtype=library),
    }
    if kind == "image":
        return ImageClassifier(**shared, preprocessing=_preprocessing(card, beside, session, path))
    tokenizer = read_tokenizer(beside)
    if tokenizer.pad_token is None:
        raise InputError("the tokenizer has no pad token", where=beside.location)
    longest = card.get("max_length") or min(tokenizer.model_max_length, MAX_LENGTH)
    return TextClassifier(**shared, tokenizer=tokenizer, max_length=int(longest))


def _classes(folder: Path, session: Session) -> tuple[str, ...]:
    """The classes of a file made elsewhere: its config's, or as many as it has, without names."""
    if (folder / "config.json").is_file():
        config = read_config(Source(str(folder), folder))
        return tuple(str(config.id2label[k]) for k in range(len(config.id2label)))
    if session.classes is None:
        raise InputError(
            "how many classes the file has is not said",
            where=session.path,
            expected="config.json with id2label beside it",
        )
    return tuple(f"LABEL_{k}" for k in range(session.classes))


def _preprocessing(
    card: dict[str, Any], beside: Source, session: Session, path: Path
) -> Preprocessing:
    if card:
        settings = dict(card["preprocessing"])
        settings |= {name: tuple(settings[name]) for name in ("mean", "std")}
        return Preprocessing(**settings)
    there = beside.folder is None or (beside.folder / "preprocessor_config.json").is_file()
    if not there:
        raise InputError(
            "how pictures are prepared is not said",
            where=path,
            expected="preprocessor_config.json beside the file, or --processor with a folder or id",
        )
    config = _Plain(image_size=session.side)
    return image_input(beside, config, session.side, tuned=True, processor=beside).preprocessing


class _Plain:
    """What `image_input` asks of a config, of a file that is no architecture of transformers'."""

    model_type = "exported"
    patch_size = 1

    def __init__(self, image_size: int | None) -> None:
        self.image_size = image_size
