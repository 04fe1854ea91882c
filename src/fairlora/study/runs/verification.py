"""Verify loads and runs: by the model's own library, and by the run's folder alone.

`check_with_library` sends a few rows through the model's own path (its image processor or its
tokenizer, transformers' loader, PEFT) and compares. `prove_run` predicts a few rows from the folder
that a run has just written and compares them with the run's table.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from fairlora.data import Examples, open_image
from fairlora.errors import InputError, WorkError
from fairlora.models import (
    Classifier,
    ImageClassifier,
    ImageTextClassifier,
    LanguageModel,
    TextClassifier,
    keep_logits_exact,
    load_finetuned,
    load_language,
)
from fairlora.models.adapter_files import find_adapter, read_adapter
from fairlora.models.answers import ask
from fairlora.models.heads import in_head
from fairlora.models.image_input import processor_settings
from fairlora.models.renames import PREFIX
from fairlora.models.source import (
    CARD,
    Source,
    base_name,
    file_of,
    first_line,
    quiet_libraries,
    resolve_source,
    weights_source,
)
from fairlora.predictions import Predictions
from fairlora.training.datasets import inputs_of_rows, logits_of, rows_of

Loaded = TypeVar("Loaded", Classifier, LanguageModel)
# As parts of the largest number compared: rounding, and the order of sums, alone.
PIXELS = 1e-4
LOGITS = 1e-4
# Probabilities of one row in batches of other rows; of numbers with three digits.
PROBABILITIES = 1e-3
PROBABILITIES_HALF = 5e-2
# Of a larger model a second copy beside the first is not made without being asked for.
LARGEST = 1_000_000_000


@dataclass(frozen=True)
class LibraryCheck:
    """What a comparison with the model's own library found.

    Attributes
    ----------
    rows : how many rows were compared.
    compared : of "pixels", "tokens", "logits" those that were.
    largest : the largest difference of logits; None where they were not compared.
    reason : why they were not.
    """

    rows: int
    compared: tuple[str, ...]
    largest: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def made_elsewhere(model_id: str) -> bool:
    """Whether a model was saved by others than fairlora, whose runs prove themselves."""
    folder = weights_source(resolve_source(model_id)).folder
    return folder is None or not (folder / CARD).is_file()


def default_rows(classifier: Classifier, model_id: str) -> int:
    """How many rows are compared unless it is said: 4 of models made elsewhere."""
    count = sum(weight.numel() for weight in classifier.model.parameters())
    return 4 if made_elsewhere(model_id) and count <= LARGEST else 0


def check_with_library(
    classifier: Classifier,
    model_id: str,
    examples: Examples,
    rows: int,
    *,
    base: str | None = None,
    resized: bool = False,
) -> LibraryCheck:
    """Compare inputs and logits of a few rows with those of the model's own library.

    Parameters
    ----------
    classifier : what `load_finetuned` made of `model_id`.
    base : where an adapter's base model lies, if it has moved.
    resized : the caller chose another size of pictures than the model's own.

    Raises `InputError` that says which part differs: pixels, tokens, head or weights.
    """
    source = weights_source(resolve_source(model_id))
    adapter = None if source.gguf is not None else find_adapter(source)
    below = source
    if adapter is not None:
        below = weights_source(resolve_source(base_name(source, base or _base_of(source, adapter))))
    chosen = examples.take(_spread(examples, rows))
    compared: list[str] = []
    if isinstance(classifier, ImageClassifier):
        if not resized and _check_pixels(classifier, chosen, source, below, model_id):
            compared.append("pixels")
    elif isinstance(classifier, TextClassifier) and _check_tokens(
        classifier, chosen, source, below, model_id
    ):
        compared.append("tokens")
    library, reason = _library_model(classifier, source, below, adapter)
    if library is None:
        return LibraryCheck(len(chosen), tuple(compared), None, reason)
    batch = inputs_of_rows(classifier, chosen)
    theirs = logits_of(replace(classifier, model=library), batch)
    ours = logits_of(classifier, batch)
    off = _largest(ours, theirs)
    if not off <= LOGITS * (1 + float(theirs.abs().max())):
        raise InputError(
            f"the model answers otherwise than by its own library: {_cause(classifier, library)}",
            where=model_id,
            found=f"logits off by {off:.3g}",
            expected="the same logits; --check 0 leaves this comparison out",
        )
    return LibraryCheck(len(chosen), (*compared, "logits"), off)


def _base_of(source: Source, adapter: Any) -> str | None:
    from fairlora.models.source import base_of

    said = None if source.folder is None else base_of(source.folder)
    return said or adapter.base_model_name_or_path


def _spread(examples: Examples, rows: int) -> Any:
    """Rows from the first to the last; of texts the longest is one of them."""
    index = np.unique(np.linspace(0, len(examples) - 1, min(rows, len(examples))).astype(np.int64))
    if examples.kind == "text" and len(index):
        index[-1] = int(np.argmax([len(text) for text in examples.inputs]))
    return np.unique(index)


def _largest(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape:
        return math.inf
    off = float((one - other).abs().max())
    return off if math.isfinite(off) else math.inf


def _check_pixels(
    classifier: ImageClassifier, chosen: Examples, source: Source, below: Source, model_id: str
) -> bool:
    """Compare pictures with those of the model's image processor; False where it has none."""
    from transformers import AutoImageProcessor

    own = source if processor_settings(source) else below
    if not processor_settings(own):
        return False
    with quiet_libraries():
        try:
            processor = AutoImageProcessor.from_pretrained(own.location, trust_remote_code=False)
        except Exception:  # what is missing depends on the class: there is nothing to compare with
            return False
    pictures = [
        open_image(image, name=str(chosen.ids[row])) for row, image in enumerate(chosen.inputs)
    ]
    ours = inputs_of_rows(classifier, chosen)["pixel_values"]
    for row, picture in enumerate(pictures):
        theirs = processor(images=[picture], return_tensors="pt")["pixel_values"]
        off = _largest(ours[row : row + 1], theirs)
        if not off <= PIXELS * (1 + float(theirs.abs().max())):
            raise InputError(
                "the pixels differ from those of the model's own image processor",
                where=model_id,
                found=f"picture {chosen.ids[row]}: {tuple(ours.shape[1:])} and "
                f"{tuple(theirs.shape[1:])}, off by {off:.3g}",
                expected=f"what {type(processor).__name__} makes of it",
            )
    return True


def _check_tokens(
    classifier: Classifier, chosen: Examples, source: Source, below: Source, model_id: str
) -> bool:
    """Compare tokens with those of ``tokenizer.json``; False where there is none."""
    from tokenizers import Tokenizer

    assert isinstance(classifier, TextClassifier)
    path = (
        None
        if source.gguf is not None
        else (file_of(source, "tokenizer.json") or file_of(below, "tokenizer.json"))
    )
    if path is None:
        return False
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(classifier.max_length)
    rows = rows_of(classifier, chosen)
    for row, text in enumerate(chosen.inputs):
        ours, theirs = rows[row]["input_ids"], tokenizer.encode(text).ids
        if list(ours) != list(theirs):
            raise InputError(
                "the tokens differ from those of the model's own tokenizer.json",
                where=model_id,
                found=f"text {chosen.ids[row]}: {list(ours)[:8]}",
                expected=f"{list(theirs)[:8]}",
            )
    return True


def _library_model(
    classifier: Classifier, source: Source, below: Source, adapter: Any
) -> tuple[Any, str | None]:
    """The model as transformers and PEFT load it, or why they do not."""
    from peft import PeftModel
    from transformers import (
        AutoModelForImageClassification,
        AutoModelForImageTextToText,
        AutoModelForSequenceClassification,
    )

    if classifier.quantize is not None or source.gguf is not None or below.gguf is not None:
        return None, "the weights are quantised, or in a GGUF file"
    if source is not below and find_adapter(below) is not None:
        return None, "the adapter's base model is an adapter itself"
    model = classifier.model.get_base_model() if adapter is not None else classifier.model
    if not type(model).__module__.startswith("transformers."):
        return None, "the head on CLIP's image tower is fairlora's own"
    autos: dict[str, Any] = {
        "image": AutoModelForImageClassification,
        "text": AutoModelForSequenceClassification,
        "image-text": AutoModelForImageTextToText,
    }
    auto = autos[classifier.kind]
    arguments: dict[str, Any] = {"dtype": torch.float32, "config": model.config}
    where = next(classifier.model.parameters()).device
    if classifier.record.translated:
        weights = _added_in_old_names(source, below) if adapter is not None else None
        if weights is not None:
            with quiet_libraries():
                whole, info = type(model).from_pretrained(
                    None, state_dict=weights, output_loading_info=True, **arguments
                )
            if not info["missing_keys"]:
                return whole.to(where).eval(), None
        said = ", ".join(classifier.record.translated)
        return None, f"PEFT alone does not read this adapter as it was written ({said})"
    if adapter is not None:
        arguments["ignore_mismatched_sizes"] = True  # of the head, which the adapter brings
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            library = auto.from_pretrained(below.location, **arguments, **below.arguments)
            network = library
            if adapter is not None:
                library = PeftModel.from_pretrained(library, source.location)
            if isinstance(classifier, ImageTextClassifier):
                ask(network, classifier.answers)
        except Exception as error:
            return None, f"transformers and PEFT alone do not load it: {first_line(error)}"
    return library.to(where), None


def _added_in_old_names(source: Source, below: Source) -> dict[str, Tensor] | None:
    """A base model's weights with a LoRA added, both by the names that they were written under.

    transformers translates whole checkpoints by itself: so an adapter that had to be translated is
    compared with weights that were translated without it. None where it is more than plain LoRA of
    linear layers, or the base model's file has other names.
    """
    if below.folder is None or not (below.folder / "model.safetensors").is_file():
        return None
    files = read_adapter(source)
    config = files.config
    if files.kind != "LORA" or config.use_dora or config.bias != "none":
        return None
    if config.rank_pattern or config.alpha_pattern:
        return None
    weights: dict[str, Tensor] = dict(load_file(below.folder / "model.safetensors"))
    scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    for key, tensor in files.weights.items():
        name = key.removeprefix(PREFIX)
        if name.endswith(".lora_B.weight"):
            continue
        if not name.endswith(".lora_A.weight"):
            weights[name] = tensor  # a head that was saved whole
            continue
        module = name.removesuffix(".lora_A.weight")
        # A base model that was saved without a head lacks the first part of the names.
        short = module.partition(".")[2]
        own = next((n for n in (module, short) if f"{n}.weight" in weights), None)
        if own is None or weights[f"{own}.weight"].ndim != 2:
            return None
        up = files.weights[key.replace(".lora_A.", ".lora_B.")]
        weights[f"{own}.weight"] = weights[f"{own}.weight"] + scale * up @ tensor
    return weights


def _cause(classifier: Classifier, library: Any) -> str:
    """Which weights differ: the head's, others, or none."""
    theirs = library.state_dict()
    for name, tensor in classifier.model.state_dict().items():
        if name not in theirs or not torch.equal(tensor, theirs[name]):
            part = "the head differs" if in_head(name, classifier.head) else "the weights differ"
            return f"{part} ({name})"
    return "its weights are the same, and the computation differs"


def prove_run(
    path: Path, predictions: Predictions, examples: Examples, trained: Any, *, bf16: bool = False
) -> dict[str, Any]:
    """Predict a few rows from a run's folder alone, and compare them with the run's table.

    Parameters
    ----------
    path : the run's folder; its weights are saved, its table is `predictions`.
    examples : rows of the table that are predicted again.
    trained : the network that predicted the table, to tell what differs.

    Raises `WorkError` with the cause where the folder answers otherwise.
    """
    classifier = _reloaded(partial(load_finetuned, kind=examples.kind), path, trained)
    keep_logits_exact(classifier.model, classifier.output)
    again = torch.softmax(logits_of(classifier, inputs_of_rows(classifier, examples), bf16=bf16), 1)
    places = {row: k for k, row in enumerate(predictions.ids.tolist())}
    index = np.array([places[row] for row in examples.ids.tolist()])
    assert predictions.probs is not None
    off = _largest(again, torch.tensor(predictions.probs[index]))
    loose = bf16 or classifier.quantize is not None
    if not off <= (PROBABILITIES_HALF if loose else PROBABILITIES):
        raise WorkError(
            "the saved run answers otherwise than the model that was trained: probabilities are "
            f"off by {off:.3g}; {_lost(trained, classifier.model)}"
        )
    return {"rows": len(examples), "largest": off}


def _reloaded(load: Callable[[str], Loaded], path: Path, trained: Any) -> Loaded:
    """What lies in a run's folder, where the trained network is."""
    try:
        loaded = load(str(path))
    except InputError as error:
        raise WorkError(f"the run was saved and cannot be loaded: {error}") from error
    if loaded.quantize is None:
        try:
            loaded.model.to(next(trained.parameters()).device)
        except torch.OutOfMemoryError:  # beside the trained model there may be no room
            loaded.model.to("cpu")
    return loaded


def prove_language(
    path: Path, trained: Any, batch: Mapping[str, Tensor], *, bf16: bool = False
) -> dict[str, Any]:
    """Compare the logits of a few texts with those of a language model's run's folder alone.

    Parameters
    ----------
    batch : ``input_ids`` and ``attention_mask`` (N, T).
    bf16 : whether both are computed in bfloat16, as the run is.

    Raises `WorkError` with the cause where it answers otherwise.
    """
    loaded = _reloaded(load_language, path, trained)
    keep_logits_exact(loaded.model, ("lm_head",))
    seen = batch["attention_mask"].bool()
    logits = []
    for model in (trained.eval(), loaded.model.eval()):
        here = next(model.parameters()).device
        inputs = {k: batch[k].to(here) for k in ("input_ids", "attention_mask")}
        with torch.no_grad(), torch.autocast(here.type, torch.bfloat16, enabled=bf16):
            logits.append(model(**inputs).logits.float().cpu()[seen])
    off = _largest(*logits)
    loose = bf16 or loaded.quantize is not None or next(trained.parameters()).dtype != torch.float32
    near = PROBABILITIES_HALF if loose else PROBABILITIES
    if not off <= near * (1 + float(logits[0].abs().max())):
        raise WorkError(
            "the saved run answers otherwise than the model that was trained: logits are "
            f"off by {off:.3g}; {_lost(trained, loaded.model)}"
        )
    return {"rows": len(seen), "largest": off}


def _lost(trained: Any, loaded: Any) -> str:
    """What of a trained network was not saved, or not loaded."""
    theirs: Mapping[str, Tensor] = loaded.state_dict()
    for name, tensor in trained.state_dict().items():
        if ".original_module." in name:  # what a trained head replaces: no answer reads it
            continue
        other = theirs.get(name)
        if other is None or not torch.equal(tensor.cpu(), other.cpu().to(tensor.dtype)):
            kind = "running statistics are" if "running_" in name else "a weight is"
            return f"{kind} not what was trained ({name})"
    return "its weights are the same: the inputs differ"
