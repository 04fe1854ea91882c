"""Write a fine-tuned model: its weights, what prepares its input, and a card for a later call.

``model/`` (a Hugging Face folder, for ``full``) or ``adapter/`` (the head alone for ``linear``,
nothing but the card for ``base``, PEFT's layout for all others). Beside the weights lie the
tokenizer or the image processor's settings, and ``fairlora.json`` with base model, classes and
preprocessing.
"""

from __future__ import annotations

import json
import stat
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from fairlora.models.adapter_spec import Adapter
from fairlora.models.classifier import (
    Classifier,
    ImageClassifier,
    ImageTextClassifier,
    TextClassifier,
)
from fairlora.models.heads import in_head
from fairlora.models.image_input import processor_config
from fairlora.models.language_model import LanguageModel
from fairlora.models.methods import BASE
from fairlora.models.source import ADAPTER_CONFIG, CARD, EMBEDDED, quiet_libraries, read_json

HEAD_FILE = "head.safetensors"
CARD_VERSION = 1


def save_finetuned(
    classifier: Classifier | LanguageModel, model: Any, adapter: Adapter, run: Path
) -> Path:
    """Write the fine-tuned weights into the run's folder; returns the folder they lie in.

    Parameters
    ----------
    classifier : what was loaded; its `model` is the network without adapter.
    model : the same network with its adapter attached, trained.
    """
    whole = adapter.kind == "full"
    folder = run / ("model" if whole else "adapter")
    folder.mkdir(parents=True, exist_ok=True)
    if adapter.kind == BASE:
        pass  # the card names the base model, which is all there is to say
    elif adapter.trains_head_alone:
        state = model.state_dict()
        head = {k: v.contiguous() for k, v in state.items() if in_head(k, classifier.head)}
        save_file(head, folder / HEAD_FILE)
    else:
        # No embeddings are resized here; without saying so, PEFT asks the hub about the base.
        extra = {} if whole else {"save_embedding_layers": False}
        with quiet_libraries():
            model.save_pretrained(folder, **extra)
    settings_file = folder / ADAPTER_CONFIG
    if settings_file.exists() and classifier.base != EMBEDDED:
        # PEFT writes where the weights were read; what the user wrote travels better.
        settings = read_json(settings_file)
        settings["base_model_name_or_path"] = classifier.base
        settings_file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    write_beside(classifier, adapter, folder)
    return folder


def _keep_for_older(folder: Path) -> None:
    """Write what transformers before 5 would not find, or find under a name that it does not know.

    Newer versions keep a model's base frequency of positions in ``rope_parameters``: older ones
    would take their default without a word. They also gave a tokenizer without a class of its own
    another name; both versions know the earlier one.
    """
    path = folder / "tokenizer_config.json"
    if path.is_file():
        said = read_json(path)
        if said.get("tokenizer_class") == "TokenizersBackend":
            said["tokenizer_class"] = "PreTrainedTokenizerFast"
            path.write_text(json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    path = folder / "config.json"
    if not path.is_file():
        return
    config = read_json(path)
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope or "rope_theta" in config:
        return
    config["rope_theta"] = rope["rope_theta"]
    if rope.get("rope_type", "default") != "default":
        config["rope_scaling"] = {k: v for k, v in rope.items() if k != "rope_theta"}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_beside(classifier: Classifier | LanguageModel, adapter: Adapter, folder: Path) -> None:
    """Write what stands beside the weights: tokenizer or image processor, and the card.

    Parameters
    ----------
    classifier : what was fine-tuned.
    adapter : how, for the card.
    folder : where the weights lie.
    """
    card: dict[str, Any] = {
        "version": CARD_VERSION,
        "kind": classifier.kind,
        "base": classifier.base,
        "classes": list(classifier.classes),
        "head": list(classifier.head),
        "adapter": adapter.model_dump(),
        "written_by": {name: version(name) for name in ("fairlora", "transformers", "peft")},
    }
    if classifier.quantize is not None:
        card["quantize"] = classifier.quantize
    if isinstance(classifier, LanguageModel):
        card["chat"] = classifier.chat
    if isinstance(classifier, TextClassifier | LanguageModel):
        card["max_length"] = classifier.max_length
        classifier.tokenizer.save_pretrained(folder)
    elif isinstance(classifier, ImageTextClassifier):
        card["prompt"] = classifier.question
        card["answers"] = list(classifier.answer_texts)
        card["score"] = classifier.answers.score
        card["max_length"] = classifier.max_length
        classifier.processor.save_pretrained(folder)
    elif isinstance(classifier, ImageClassifier):
        card["preprocessing"] = asdict(classifier.preprocessing)
        settings = processor_config(classifier.preprocessing)
        text = json.dumps(settings, indent=2, sort_keys=True)
        (folder / "preprocessor_config.json").write_text(text + "\n")
    _keep_for_older(folder)
    (folder / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    # safetensors writes files that nobody but their owner can read, whatever the umask is.
    mode = stat.S_IMODE((folder / CARD).stat().st_mode)
    for path in folder.glob("*.safetensors"):
        path.chmod(mode)
