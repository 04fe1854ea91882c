"""Fill a template with a text, and find where the options begin in tokens.

An option is not tokenized by itself: many tokenizers merge it with the space before it. Context and
option are tokenized together, and the context ends where the options' tokens leave those of what
stands before the slot. The likelihoods then are of the same characters whatever the tokenizer does
at the border, and an option's is that of its whole token sequence: two that share a first token are
told apart by the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fairlora.errors import InputError

if TYPE_CHECKING:
    from fairlora.models import LanguageModel


class Filled(NamedTuple):
    """A context and its options, as tokens."""

    context: list[int]
    options: list[list[int]]


def encode_options(
    language: LanguageModel, before: str, options: Sequence[str], after: str = "", *, where: str
) -> Filled:
    """Encode what stands before a slot, and each option with what stands behind it.

    Parameters
    ----------
    language : with its `chat`, `before` is a user's message, and the options are the assistant's.
    before, after : what stands before the slot and behind it.
    options : what may stand in it.
    where : what an error calls the template.

    Raises
    ------
    InputError : one option's tokens are the beginning of another's (their probabilities would not
        be of separate events); nothing stands before the slot.
    """
    from fairlora.training.language import common_start, encode_prompts

    (context,) = encode_prompts(language, [before])
    if language.chat:
        tails = [
            list(language.tokenizer(option.strip() + after, add_special_tokens=False)["input_ids"])
            for option in options
        ]
    else:
        wholes = encode_prompts(language, [before + option + after for option in options])
        shared = min(common_start(context, whole) for whole in wholes)
        context, tails = context[:shared], [whole[shared:] for whole in wholes]
    if not context:
        raise InputError(
            "nothing stands before the options",
            where=where,
            expected="some words of the template before its slot",
        )
    for k, tail in enumerate(tails):
        for j, other in enumerate(tails):
            if k != j and other[: len(tail)] == tail:
                raise InputError(
                    "one option is the beginning of another, or the same, to this tokenizer",
                    where=where,
                    found=f"{options[k]!r} and {options[j]!r}",
                    expected="options of which none begins another",
                )
    return Filled(context, tails)


class Cutter:
    """Cuts texts to a number of tokens, and further where a template leaves less room."""

    def __init__(self, language: LanguageModel, text_tokens: int) -> None:
        self.language = language
        self.text_tokens = text_tokens
        self.cut: set[str] = set()

    def fitted(
        self, text: str, fill: Callable[[str], Filled], *, where: str, room: int = 0
    ) -> Filled:
        """The filled template with as much of the text's beginning as has room.

        Parameters
        ----------
        text : what is cut where it is too long.
        fill : part of the text -> the filled template.
        where : what an error calls the template.
        room : tokens kept free for what the model writes.

        Raises
        ------
        InputError : the template alone is longer than the model's context.
        """
        tokenizer = self.language.tokenizer
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        keep = min(len(ids), self.text_tokens)
        limit = self.language.context
        while True:
            if keep < len(ids):
                self.cut.add(text)
                part = tokenizer.decode(ids[:keep], skip_special_tokens=True).strip()
            else:
                part = text
            filled = fill(part)
            longest = len(filled.context) + max(len(option) for option in filled.options) + room
            if limit is None or longest <= limit:
                return filled
            if keep == 0:
                raise InputError(
                    "the template alone is longer than the model's context",
                    where=where,
                    found=f"{longest} tokens",
                    expected=f"at most {limit}",
                )
            keep = max(0, keep - (longest - limit))

    @property
    def notes(self) -> list[str]:
        """Notes on texts that were cut, for the report."""
        if not self.cut:
            return []
        return [f"{len(self.cut):,} texts are cut at {self.text_tokens} tokens, or where there is "
                "no more room"]  # fmt: skip
