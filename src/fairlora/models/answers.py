"""Class logits out of a model that writes: the log-likelihood of each class's answer.

A vision-language model gives a probability to every next token, and so to every answer after a
picture and a prompt. `ask` makes its `forward` return those of the classes' answers, exactly, in as
few passes as they need. It stays the model that it is: it is saved, adapted and loaded as such.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MethodType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from fairlora.errors import InputError

Score = Literal["sum", "mean"]
# Inputs with a number a token, beside the tokens themselves; answers are texts in each of them.
_PER_TOKEN = ("token_type_ids", "mm_token_type_ids")


class Term(NamedTuple):
    """One token of a class's answer: its place after the prompt, the class, the token."""

    place: int
    label: int
    token: int


class Pass(NamedTuple):
    """One pass of the model: the tokens after the prompt, and what is read of it."""

    context: tuple[int, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Answers:
    """The classes' answers as tokens, and how they are scored.

    Attributes
    ----------
    texts : of each class, as they follow the prompt.
    tokens : the same as token numbers; none begins another.
    score : "sum" is the log-likelihood of the whole answer. Since none begins another, no two
        answers can both be given, and the softmax over classes is the probability of each, given
        that it is one of them. "mean" divides by the answer's number of tokens, which takes from
        long answers what their length costs them; it is no probability of the model's.
    """

    texts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    score: Score = "sum"

    def __post_init__(self) -> None:
        check_answers(self.texts, self.tokens)

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """As few passes as tell the probability of every token of every answer.

        A pass over the prompt and some tokens of an answer tells the next token at each place on
        its way: answers that part at their last token need one pass, whatever their number.
        """
        before = {answer[:-1] for answer in self.tokens}
        contexts = [one for one in before if not any(_begins(one, other) for other in before)]
        contexts.sort(key=lambda one: (len(one), one))
        terms: dict[tuple[int, ...], list[Term]] = {one: [] for one in contexts}
        for label, answer in enumerate(self.tokens):
            for place, token in enumerate(answer):
                known = answer[:place]
                home = next(c for c in contexts if c == known or _begins(known, c))
                terms[home].append(Term(place, label, token))
        return tuple(Pass(one, tuple(terms[one])) for one in contexts)

    @property
    def longest(self) -> int:
        """Tokens after the prompt that the longest pass has."""
        return max(len(one.context) for one in self.passes)


def check_answers(texts: Sequence[str], tokens: Sequence[tuple[int, ...]]) -> None:
    """Raise `InputError` for answers that cannot be told apart, or are none.

    Parameters
    ----------
    texts, tokens : of each class.
    """
    for k, (text, own) in enumerate(zip(texts, tokens, strict=True)):
        if not own:
            raise InputError("an answer of no tokens", where="model.answers", found=repr(text))
        for other, (words, theirs) in enumerate(zip(texts, tokens, strict=True)):
            if k < other and own == theirs:
                raise InputError(
                    "two classes have the same answer",
                    where="model.answers",
                    found=f"{text!r} and {words!r}",
                    expected="an answer of its own for each class",
                )
            if _begins(own, theirs):
                raise InputError(
                    "one answer begins another, and is then never less likely than it",
                    where="model.answers",
                    found=f"{text!r} and {words!r}",
                    expected="answers of which none begins another, such as with a full stop",
                )


def _begins(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether the tokens are the first of others, and not all of them."""
    return len(one) < len(other) and other[: len(one)] == one


def ask(model: Any, answers: Answers) -> None:
    """Have the model's ``forward`` return (N, classes) log-likelihoods of answers as ``.logits``.

    It takes the batch of the model's processor, padded on the right. The training loss of these
    logits is the cross-entropy over the answers: of one of them being given, the right one.

    Parameters
    ----------
    model : of transformers, from pictures and texts to texts; changed in place.
    answers : of the classes.
    """
    model.answers = answers
    # A method, not a closure: a copy of the model gets one of its own.
    model.forward = MethodType(_forward, model)


def _forward(
    self: Any, input_ids: Tensor, attention_mask: Tensor, **inputs: Any
) -> SequenceClassifierOutput:
    answers: Answers = self.answers
    inputs = {name: value for name, value in inputs.items() if value is not None}
    lengths = attention_mask.sum(1)
    parts: list[list[Tensor]] = [[] for _ in answers.tokens]
    with _pictures_once(self, len(answers.passes)):
        for one in answers.passes:
            logits, first = _asked(self, input_ids, attention_mask, inputs, one.context)
            places = (
                lengths[:, None]
                - 1
                - first
                + torch.arange(len(one.context) + 1, device=lengths.device)
            )
            there = logits[torch.arange(len(logits), device=logits.device)[:, None], places]
            log_p = torch.log_softmax(there.float(), dim=-1)
            for place, label, token in one.terms:
                parts[label].append(log_p[:, place, token])
    scores = [torch.stack(each).sum(0) for each in parts]
    if answers.score == "mean":
        scores = [s / len(own) for s, own in zip(scores, answers.tokens, strict=True)]
    return SequenceClassifierOutput(logits=torch.stack(scores, dim=1))


def next_token_logits(model: Any, batch: dict[str, Tensor], context: tuple[int, ...]) -> Tensor:
    """(N, vocabulary) what a model says behind its prompts, with some tokens further on.

    Parameters
    ----------
    model : of transformers, as of `ask`.
    batch : its processor's.
    context : the tokens further on.
    """
    inputs = dict(batch)
    ids, mask = inputs.pop("input_ids"), inputs.pop("attention_mask")
    logits, first = _asked(model, ids, mask, inputs, context)
    rows = torch.arange(len(logits), device=logits.device)
    return logits[rows, mask.sum(1) - 1 - first].float()


def _asked(
    self: Any, input_ids: Tensor, mask: Tensor, inputs: dict[str, Any], context: tuple[int, ...]
) -> tuple[Tensor, int]:
    """The model's own logits of prompts and context, from the first place that is read on.

    Returns (N, places, vocabulary), and the number of the first of these places.
    """
    several = len(context)
    lengths = mask.sum(1)
    shape = (len(input_ids), several)
    added = torch.tensor(context, dtype=torch.long, device=input_ids.device).expand(shape)
    inputs = dict(inputs)
    said: dict[str, Any] = {
        "input_ids": _behind(input_ids, added, lengths),
        "attention_mask": _behind(mask, torch.ones_like(added), lengths),
    }
    for name in _PER_TOKEN:
        if name in inputs:
            # PaliGemma reads its prompt in both directions, and what follows in one.
            kind = int(name == "token_type_ids" and self.config.model_type == "paligemma")
            said[name] = _behind(inputs.pop(name), torch.full_like(added, kind), lengths)
    width = said["input_ids"].shape[1]
    plain = type(self).forward
    keep = width - int(lengths.min()) + 1
    if "logits_to_keep" in inspect.signature(plain).parameters:
        inputs["logits_to_keep"] = keep
    logits: Tensor = plain(self, **said, **inputs, use_cache=False).logits
    return logits, width - logits.shape[1]


def _behind(rows: Tensor, added: Tensor, lengths: Tensor) -> Tensor:
    """Rows (N, T) padded on the right with numbers (N, C) put behind each one's own end."""
    if not added.shape[1]:
        return rows
    # The last column is padding, but of the longest rows, where what is added takes its place.
    longer = torch.cat([rows, rows[:, -1:].expand(added.shape)], dim=1)
    places = lengths[:, None] + torch.arange(added.shape[1], device=rows.device)
    return longer.scatter(1, places, added.to(longer.dtype))


@contextmanager
def _pictures_once(model: nn.Module, passes: int) -> Iterator[None]:
    """Compute the features of a batch's pictures in the first of several passes alone."""
    holders: list[Any] = []
    if passes > 1:
        holders = [m for m in model.modules() if hasattr(type(m), "get_image_features")]
    for holder in holders:
        known: list[Any] = []

        def remembered(self: Any, *args: Any, _known: list[Any] = known, **kwargs: Any) -> Any:
            if not _known:
                _known.append(type(self).get_image_features(self, *args, **kwargs))
            return _known[0]

        holder.get_image_features = MethodType(remembered, holder)
    try:
        yield
    finally:
        for holder in holders:
            del holder.get_image_features


def language_part(model: nn.Module) -> str | None:
    """The name of the module that reads and writes text in a model that is asked; else None.

    An adapter's usual targets are below it: what sees the pictures stays as it was pretrained.
    """
    if not isinstance(getattr(model, "answers", None), Answers):
        return None
    decoder = model.get_decoder()  # type: ignore[operator]
    return next((name for name, module in model.named_modules() if module is decoder), None)
