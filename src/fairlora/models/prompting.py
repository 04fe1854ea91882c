"""What a vision-language model is asked: its prompt with the picture, and the answers' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fairlora.errors import InputError
from fairlora.models.answers import Answers, Score
from fairlora.models.source import Source, first_line, quiet_libraries


class Prompt(NamedTuple):
    """The text put to the model, what stands before an answer, and what a user should know.

    `read` is the text as the tokenizer reads its end, which some processors add to.
    """

    text: str
    read: str
    lead: str
    notes: tuple[str, ...] = ()


def read_processor(source: Source) -> Any:
    """The checkpoint's processor: tokenizer and image processor; `InputError` if it has none."""
    from transformers import AutoProcessor

    try:
        with quiet_libraries():
            processor = AutoProcessor.from_pretrained(source.location, **source.arguments)
    except Exception as error:  # what is missing depends on the model's type
        # Without it, classes that read videos too cannot be made.
        lacking = " (and torchvision, which is not installed)" * (find_spec("torchvision") is None)
        raise InputError(
            "cannot load this model's processor",
            where=source.location,
            found=first_line(error),
            expected=f"processor_config.json, tokenizer and preprocessor_config.json{lacking}",
        ) from error
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise InputError(
                f"this model has no processor with {part.replace('_', ' ')}",
                where=source.location,
                found=type(processor).__name__,
                expected="processor_config.json, a tokenizer and preprocessor_config.json",
            )
    return processor


def place_picture(processor: Any, question: str, name: str) -> Prompt:
    """The question as the model is to be asked it.

    Where the model has a chat template, the question is a user's message with the picture, and the
    answer is the assistant's. Otherwise the picture's token stands where the question has it, or
    before it.

    Parameters
    ----------
    processor : of the model.
    question : may hold the picture's token (``<image>``, say) once.
    name : of the model, for messages.

    Raises
    ------
    InputError : an empty question, or the picture's token in it twice; a model with neither a chat
        template nor a picture's token; a template that cannot be used so.
    """
    token = getattr(processor, "image_token", None)
    token = None if token is None else str(token)
    if not question.strip():
        raise InputError("an empty prompt", where="model.prompt", expected="a question")
    if token is not None and question.count(token) > 1:
        raise InputError(
            "a prompt with several pictures, and a row has one",
            where="model.prompt",
            found=f"{question.count(token)} times {token}",
        )
    if getattr(processor, "chat_template", None):
        return _in_chat(processor, question, token, name)
    if token is None:
        raise InputError(
            "this model has neither a chat template nor a token for the picture",
            where=name,
            found=type(processor).__name__,
            expected="a processor with chat_template.jinja, or with an image token",
        )
    notes: tuple[str, ...] = ()
    text = question
    if token not in question:
        text = f"{token}{question}"
        notes = (f"the prompt has no place for the picture: {token} stands before it",)
    # PaliGemma's processor ends every prompt with a line, and the answer begins the next.
    ends = type(processor).__name__ == "PaliGemmaProcessor"
    read = f"{text}\n" if ends else text
    return Prompt(text, read, "" if read[-1].isspace() else " ", notes)


_MARK = "fairloraanswer"


def _in_chat(processor: Any, question: str, token: str | None, name: str) -> Prompt:
    before, found, after = question.partition(token) if token else ("", "", question)
    if not found:
        before, after = "", question
    picture: list[dict[str, str]] = [{"type": "image"}]
    content = [
        *([{"type": "text", "text": before}] if before.strip() else []),
        *picture,
        *([{"type": "text", "text": after}] if after.strip() else []),
    ]
    asked = [{"role": "user", "content": content}]
    said = [*asked, {"role": "assistant", "content": [{"type": "text", "text": _MARK}]}]
    try:
        text = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        whole = processor.apply_chat_template(said, tokenize=False)
    except Exception as error:  # templates raise anything
        raise InputError(
            "the model's chat template does not take a picture with a question",
            where=name,
            found=first_line(error),
        ) from error
    if question.strip() and (after or before).strip() not in text:
        raise InputError("the model's chat template leaves the prompt out", where=name)
    if token is not None and token not in text:
        raise InputError(
            "the model's chat template has no place for the picture", where=name, found=token
        )
    lead = whole[len(text) :].partition(_MARK)[0] if whole.startswith(text) else None
    if lead is None or _MARK not in whole or lead.strip():
        # The template writes an answer otherwise than it asks for one: as it is asked for, then.
        lead = "" if text[-1:].isspace() or text.endswith(">") else " "
    return Prompt(text, text, lead)


def answers_of(
    processor: Any, prompt: Prompt, texts: Sequence[str], score: Score, name: str
) -> Answers:
    """The answers as the tokenizer cuts them behind the prompt.

    Parameters
    ----------
    processor : of the model.
    prompt : what they follow.
    texts : of each class.
    score : that of `Answers`.
    name : of the model, for messages.

    Raises
    ------
    InputError : an answer of no tokens, of tokens that the tokenizer does not know, that joins the
        prompt's last token, or that cannot be told from another.
    """
    tokenizer = processor.tokenizer
    found: list[tuple[int, ...]] = []
    base = _tokens(tokenizer, prompt.read)
    for text in texts:
        if not text.strip():
            raise InputError("an answer of no tokens", where="model.answers", found=repr(text))
        whole = _tokens(tokenizer, prompt.read + prompt.lead + text)
        if whole[: len(base)] != base:
            raise InputError(
                "the tokenizer joins the end of the prompt with the answer",
                where="model.prompt",
                found=f"{prompt.read[-12:]!r} and {text!r}",
                expected="a prompt that ends in a mark or a line, and not in a space",
            )
        own = tuple(whole[len(base) :])
        unknown = tokenizer.unk_token_id
        if unknown is not None and unknown in own:
            raise InputError(
                "the model's tokenizer has no tokens for an answer",
                where="model.answers",
                found=repr(text),
                expected=f"words that {name} knows",
            )
        found.append(own)
    return Answers(tuple(texts), tuple(found), score)


def _tokens(tokenizer: Any, text: str) -> list[int]:
    with quiet_libraries():
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def prepared(processor: Any, pictures: Sequence[Image.Image], prompt: str) -> dict[str, Any]:
    """A batch of pictures with the prompt as the model takes it, padded on the right.

    Parameters
    ----------
    processor : of the model.
    pictures : RGB, of any size.
    prompt : with the place of the picture.

    Returns
    -------
    name -> tensor; ``input_ids`` (N, T) and ``attention_mask`` (N, T) first.
    """
    batch = dict(
        processor(
            images=list(pictures),
            text=[prompt] * len(pictures),
            padding=True,
            return_tensors="pt",
        )
    )
    first = {name: batch.pop(name) for name in ("input_ids", "attention_mask")}
    return {**first, **{name: value for name, value in batch.items() if name != "labels"}}


def sample_picture() -> Image.Image:
    """A drawn picture to try a processor with, of no even colour."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def check_prompt_end(processor: Any, prompt: Prompt, batch: dict[str, Any], name: str) -> None:
    """Raise `InputError` unless a processed prompt ends as the answers' tokens take it to.

    Parameters
    ----------
    processor : of the model.
    prompt : what was processed.
    batch : of one row, as of `prepared`.
    name : of the model, for the message.
    """
    tokenizer = processor.tokenizer
    token = getattr(processor, "image_token", None)
    wanted = _tokens(tokenizer, prompt.read)
    if token is not None and (place := tokenizer.convert_tokens_to_ids(str(token))) in wanted:
        wanted = wanted[len(wanted) - wanted[::-1].index(place) :]
    wanted = wanted[-4:]
    row = batch["input_ids"][0][batch["attention_mask"][0].bool()].tolist()
    if wanted and row[-len(wanted) :] != wanted:
        raise InputError(
            "the model's processor ends a prompt otherwise than its tokenizer reads it",
            where=name,
            found=repr(tokenizer.decode(row[-4:])),
            expected=repr(tokenizer.decode(wanted)),
        )
