"""Vision-language models as classifiers of pictures: SmolVLM, LLaVA, Qwen2-VL, PaliGemma, ...

A model with no new head: each class has an answer, and the answers' likelihoods after picture and
prompt are its logits (`fairlora.models.answers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles, read_adapter
from fairlora.models.adapter_loading import put_on
from fairlora.models.answers import Score, ask, next_token_logits
from fairlora.models.card import read_card
from fairlora.models.classifier import ImageTextClassifier
from fairlora.models.heads import Head, record_of
from fairlora.models.image_classification import classifies_images
from fairlora.models.load_checks import LoadRecord, check_generator, check_options, check_values
from fairlora.models.merging import fold_in
from fairlora.models.prompting import (
    Prompt,
    answers_of,
    check_prompt_end,
    place_picture,
    prepared,
    read_processor,
    sample_picture,
)
from fairlora.models.quantization import quantization_of
from fairlora.models.source import (
    ADAPTER_CONFIG,
    Source,
    base_name,
    model_errors,
    quiet_libraries,
    read_config,
    resolve_source,
    weights_source,
)
from fairlora.models.texts import loading_arguments, set_padding

PREPARED = "a vision-language model's own processor says how large pictures are"
EXPECTED = "a vision-language model such as SmolVLM, LLaVA, Qwen2-VL or PaliGemma"


def answers_about_pictures(config: Any) -> bool:
    """Whether a checkpoint with this config writes texts about pictures, token by token."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not bool(
        getattr(config, "is_encoder_decoder", False)
    )


def image_text_class(source: Source) -> tuple[Any, Any]:
    """The class to build and its config; `InputError` for another kind of model."""
    from transformers import AutoModelForImageTextToText

    config = read_config(source)
    if not answers_about_pictures(config):
        hint = ", which classifies pictures without a prompt" * classifies_images(config)
        raise InputError(
            "not a model that answers a prompt about a picture",
            where="model.id",
            found=f"{source.id}, model type {config.model_type}{hint}",
            expected=EXPECTED,
        )
    return AutoModelForImageTextToText, config


def load_image_text(
    model_id: str,
    classes: Sequence[str] | None = None,
    *,
    prompt: str | None = None,
    answers: Mapping[str, str] | None = None,
    score: Score | None = None,
    max_length: int | None = None,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    base: str | None = None,
    merged: bool = False,
) -> ImageTextClassifier:
    """Load a vision-language model to classify pictures by the answer to a prompt.

    Parameters
    ----------
    model_id : hub id, folder, a run's folder or an adapter's.
    classes : their names, in the order of the logits; None is what a run was trained for.
    prompt : the question put with each picture; None is what a run was trained with.
    answers : class -> the answer that stands for it; a class without one is its own answer. None is
        what a run was trained with.
    score : that of `Answers`; None is what a run was trained with, or "sum".
    max_length : the most tokens of picture, prompt and answer. Nothing is cut: more are refused.
    dtype : the type to compute in.
    quantize : "4bit" or "8bit" stores the pretrained weights so (QLoRA); "none" never; None is as
        it was trained, where this machine can.
    base : overrides where an adapter's base model lies.
    merged : fold an adapter into the weights, to train on from there.

    Raises
    ------
    InputError : the model is not there or of another kind; it has no processor, no chat template
        and no token for the picture; no prompt; answers that cannot be told apart.
    """
    source = weights_source(resolve_source(model_id))
    card = read_card(source.folder)
    if card and card["kind"] != "image-text":
        raise InputError(
            "this run is of a classifier with a head, which answers no prompt",
            where="model.id",
            found=source.id,
            expected=EXPECTED,
        )
    kept, notes = quantization_of(quantize, card)
    question = prompt if prompt is not None else card.get("prompt")
    names = tuple(classes if classes is not None else card.get("classes", ()))
    if question is None or not names:
        raise InputError(
            "a vision-language model classifies by the answer to a prompt",
            where="model.prompt",
            found=None,
            expected="a question about the picture; fairlora train with adapter.kind base asks a "
            "model as it is",
        )
    known = dict(zip(card.get("classes", ()), card.get("answers", ()), strict=True))
    texts = _answer_texts(names, known if answers is None else answers)
    loaded = _load(source, card, base, dtype=dtype, quantize=kept, merged=merged)
    asked = place_picture(loaded.processor, question, source.id)
    how: Score = score or card.get("score", "sum")
    said = answers_of(loaded.processor, asked, texts, how, source.id)
    length = max_length if max_length is not None else card.get("max_length")
    limit = _positions(loaded.model)
    limits = [one for one in (length, limit) if one is not None]
    classifier = ImageTextClassifier(
        model=loaded.model,
        classes=names,
        base=model_id,
        head=(),
        processor=loaded.processor,
        question=question,
        prompt=asked.text,
        answers=said,
        answer_texts=texts,
        max_length=min(limits) if limits else None,
        notes=(*loaded.notes, *asked.notes, *notes),
        quantize=kept,
        record=loaded.record,
    )
    _network(classifier).eval()
    _try(classifier, asked)
    wrote = {**classifier.record.written_by, **card.get("written_by", {})}
    classifier.record = replace(classifier.record, written_by=wrote)
    ask(_network(classifier), said)
    classifier.model.eval()
    return classifier


def _network(classifier: ImageTextClassifier) -> Any:
    """The model of transformers, below an adapter if there is one."""
    model = classifier.model
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _answer_texts(names: Sequence[str], answers: Mapping[str, str]) -> tuple[str, ...]:
    unknown = [name for name in answers if name not in names]
    if unknown:
        raise InputError(
            "an answer for a class that the data do not have",
            where="model.answers",
            found=repr(unknown[0]),
            expected=", ".join(names),
        )
    return tuple(answers.get(name, name) for name in names)


def _positions(model: Any) -> int | None:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None


def _try(classifier: ImageTextClassifier, asked: Prompt) -> None:
    """Ask about a drawn picture: that the prompt ends as was thought, and fits, and that what
    follows it does not change what was asked before."""
    network, processor = _network(classifier), classifier.processor
    try:
        batch = prepared(processor, [sample_picture()], classifier.prompt)
    except Exception as error:  # processors raise anything
        raise InputError(
            "the model's processor does not take a picture with this prompt",
            where=classifier.base,
            found=str(error).strip().split("\n")[0][:160],
        ) from error
    check_prompt_end(processor, asked, batch, classifier.base)
    check_tokens_fit(classifier, batch)
    contexts = [one.context for one in classifier.answers.passes if one.context]
    if not contexts:
        return
    device = next(network.parameters()).device
    moved = {k: v.to(device) for k, v in batch.items() if isinstance(v, torch.Tensor)}
    with torch.no_grad():
        alone = next_token_logits(network, moved, ())
        followed = next_token_logits(network, moved, contexts[-1])
    off = float((alone - followed).abs().max())
    if not off <= 1e-2 * (1 + float(alone.abs().max())):
        raise InputError(
            "this model reads its prompt with a view to what follows it: the likelihood of an "
            "answer of several tokens cannot be had in one pass",
            where=classifier.base,
            found=f"logits off by {off:.3g}",
            expected="answers of one token each",
        )


def check_tokens_fit(
    classifier: ImageTextClassifier, batch: Mapping[str, Any], names: Sequence[str] = ()
) -> None:
    """Raise `InputError` where picture, prompt and answer are more tokens than the model takes.

    Parameters
    ----------
    classifier : its `max_length` and answers.
    batch : as of `prepared`.
    names : of the rows, for the message.
    """
    if classifier.max_length is None:
        return
    lengths = batch["attention_mask"].sum(1)
    most = int(lengths.max()) + classifier.answers.longest
    if most > classifier.max_length:
        row = int(lengths.argmax())
        raise InputError(
            "a picture with its prompt and answer does not fit, and is never cut",
            where=f"row {names[row]}" if names else "model.max_length",
            found=f"{most:,} tokens",
            expected=f"at most {classifier.max_length:,}: a shorter prompt or smaller pictures",
        )


@dataclass
class _Loaded:
    """A network with its processor."""

    model: Any
    processor: Any
    notes: tuple[str, ...]
    record: LoadRecord


def _load(
    source: Source,
    card: dict[str, Any],
    base: str | None,
    *,
    dtype: torch.dtype,
    quantize: str | None,
    merged: bool,
) -> _Loaded:
    folder = source.folder
    if folder is not None and (folder / "config.json").is_file():
        return _from_pretrained(source, dtype, quantize)
    peft = folder is not None and (folder / ADAPTER_CONFIG).is_file()
    if folder is None or not (peft or card):
        return _from_pretrained(source, dtype, quantize)
    files: AdapterFiles | None = read_adapter(source) if peft else None
    said = None if files is None else files.config.base_model_name_or_path
    below = weights_source(resolve_source(base_name(source, base or card.get("base") or said)))
    # An adapter on what another run made: that one's adapter is part of its weights.
    loaded = _load(
        below, read_card(below.folder), None, dtype=dtype, quantize=quantize, merged=True
    )
    if (folder / "processor_config.json").is_file():
        loaded.processor = read_processor(Source(str(folder), folder))
        loaded.notes += set_padding(loaded.processor.tokenizer, loaded.model, source.id)
    if files is None:
        return loaded
    loaded.notes += files.notes
    loaded.model, loaded.record = put_on(loaded.model, files, loaded.record)
    if merged:
        if quantize is not None:
            raise InputError(
                "an adapter cannot be folded into quantised weights",
                where="model.quantize",
                found=repr(quantize),
                expected="no quantisation",
            )
        loaded.model = fold_in(loaded.model, source.location)
        loaded.model.requires_grad_(True)
    return loaded


def _from_pretrained(source: Source, dtype: torch.dtype, quantize: str | None) -> _Loaded:
    build, config = image_text_class(source)
    processor = read_processor(source)
    check_options(config, source.location)
    arguments = loading_arguments(source, dtype, quantize, whole=("lm_head",))
    arguments["ignore_mismatched_sizes"] = True  # `check_generator` names them
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        model, info = build.from_pretrained(source.location, output_loading_info=True, **arguments)
    left_out = check_generator(model, info, source.location, EXPECTED)
    check_values(model, source.location)
    notes = set_padding(processor.tokenizer, model, source.id)
    head = Head((), left_out=left_out)
    record = record_of(
        model, config, head, processor=source.location, tokenizer=processor.tokenizer
    )
    return _Loaded(model, processor, notes, record)
