"""Score continuations with a language model, and let it write its own.

Both work on token numbers, in batches of alike lengths, padded on the left. Greedy, no sampling:
the same question has the same answer. Nothing is learnt and no gradient kept. torch is imported
where it is used: reports read what was asked and need none of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from fairlora.models import LanguageModel

Watch = Callable[[int, int], None]
# Prompts whose first written tokens are compared with the logits, and how near is the same.
_TRIED = 4
_NEAR = 0.02


def score_options(
    language: LanguageModel,
    contexts: Sequence[Sequence[int]],
    options: Sequence[Sequence[Sequence[int]]],
    *,
    batch_size: int = 16,
    watch: Watch | None = None,
) -> list[NDArray[np.float64]]:
    """Log-likelihood of each option as the continuation of its context.

    The context is computed once for all of its options, and an option of one token needs no further
    pass at all.

    Parameters
    ----------
    contexts : n prompts as tokens, each of one at least.
    options : of each context its continuations as tokens, each of one at least.
    batch_size : contexts at a time.
    watch : called with (contexts done, all).

    Returns
    -------
    n arrays of the natural logarithm of P(option | context), the product over the option's tokens.

    Raises
    ------
    InputError : an empty context or option, or one that goes beyond the model's context.
    """
    _check(language, contexts, options)

    def score(some: list[int]) -> list[NDArray[np.float64]]:
        return _score_batch(language, [contexts[k] for k in some], [options[k] for k in some])

    return _by_length(contexts, score, batch_size, watch)


def _by_length(
    rows: Sequence[Sequence[int]],
    answer: Callable[[list[int]], list[Any]],
    batch_size: int,
    watch: Watch | None,
) -> list[Any]:
    """Call `answer` on batches of rows of like length, the longest first."""
    import torch

    order = sorted(range(len(rows)), key=lambda k: -len(rows[k]))
    answers: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            for k, answered in zip(some, answer(some), strict=True):
                answers[k] = answered
            if watch is not None:
                watch(start + len(some), len(order))
    return answers


def score_whole(
    language: LanguageModel, contexts: Sequence[Sequence[int]], options: Sequence[Any]
) -> list[NDArray[np.float64]]:
    """Score options by a pass over every whole sequence: slow, the oracle of `score_options`.

    Parameters
    ----------
    language, contexts, options : as of `score_options`, which raises for the same.
    """
    import torch

    _check(language, contexts, options)
    scored = []
    with torch.inference_mode():
        for context, continuations in zip(contexts, options, strict=True):
            scores = []
            for option in continuations:
                ids = torch.tensor([[*context, *option]], device=language.device)
                logits = language.model(input_ids=ids).logits[0, len(context) - 1 : -1]
                logged = torch.log_softmax(logits.float(), -1)
                scores.append(float(logged.gather(1, ids[0, len(context) :, None]).double().sum()))
            scored.append(np.array(scores))
    return scored


def _check(language: LanguageModel, contexts: Sequence[Any], options: Sequence[Any]) -> None:
    limit = language.context
    for k, (context, several) in enumerate(zip(contexts, options, strict=True)):
        if not len(context) or not several or not all(len(option) for option in several):
            raise InputError("nothing to continue, or to continue with", where=f"prompt {k + 1}")
        longest = len(context) + max(len(option) for option in several)
        if limit is not None and longest > limit:
            raise InputError(
                "longer than the model's context",
                where=f"prompt {k + 1}",
                found=f"{longest} tokens",
                expected=f"at most {limit}",
            )


def _score_batch(
    language: LanguageModel, contexts: Sequence[Sequence[int]], options: Sequence[Any]
) -> list[NDArray[np.float64]]:
    import torch

    ids, mask = _padded(language, contexts)
    several = any(len(option) > 1 for some in options for option in some)
    output = language.model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=several,
        **_last_logits(language),
    )
    first = torch.log_softmax(output.logits[:, -1].float(), -1)
    scores = [
        np.array([float(first[k, option[0]]) for option in some], dtype=np.float64)
        for k, some in enumerate(options)
    ]
    if several:
        _add_rest(language, output.past_key_values, mask, options, scores)
    return scores


def _add_rest(
    language: LanguageModel,
    cache: Any,
    mask: Tensor,
    options: Sequence[Any],
    scores: list[NDArray[np.float64]],
) -> None:
    """Add the tokens of every option after its first, from the contexts' keys and values."""
    import torch

    longer = [
        (k, j, option)
        for k, some in enumerate(options)
        for j, option in enumerate(some)
        if len(option) > 1
    ]
    rows = torch.tensor([k for k, _, _ in longer], device=mask.device)
    cache.batch_select_indices(rows)
    longest = max(len(option) for _, _, option in longer)
    shape = (len(longer), longest - 1)
    # What stands after a token is not seen by it: padding on the right needs no mask of its own.
    inputs = torch.full(shape, int(language.tokenizer.pad_token_id), device=mask.device)
    for row, (_, _, option) in enumerate(longer):
        inputs[row, : len(option) - 1] = torch.tensor(option[:-1])
    before = mask[rows]
    places = before.sum(1, keepdim=True) + torch.arange(longest - 1, device=mask.device)
    output = language.model(
        input_ids=inputs,
        attention_mask=torch.cat([before, torch.ones_like(inputs)], 1),
        position_ids=places,
        **{_cache_name(language.model): cache},
        use_cache=True,
    )
    logged = torch.log_softmax(output.logits.float(), -1)
    for row, (k, j, option) in enumerate(longer):
        targets = torch.tensor(option[1:], device=mask.device)
        parts = logged[row, : len(targets)].gather(1, targets[:, None])
        scores[k][j] += float(parts.double().sum())


def generate(
    language: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int = 16,
    watch: Watch | None = None,
) -> list[str]:
    """Generate greedily after each prompt; returns the first line that is not blank.

    A model that does not end by itself goes on with text of its own; in these probes an answer is
    one line.

    Parameters
    ----------
    language : the model.
    prompts : as tokens.
    max_new_tokens : how many it may write after each.
    batch_size : prompts at a time.
    watch : called with (prompts done, all); None for no calls.

    Raises
    ------
    InputError : a prompt that leaves no room for an answer; what is generated is not what the
        logits say.
    """
    limit = language.context
    for k, prompt in enumerate(prompts):
        if limit is not None and len(prompt) + max_new_tokens > limit:
            raise InputError(
                "the prompt leaves no room for an answer",
                where=f"prompt {k + 1}",
                found=f"{len(prompt)} tokens, {max_new_tokens} to write",
                expected=f"at most {limit} together",
            )

    _check_generation(language, prompts[:_TRIED], max_new_tokens)

    def write(some: list[int]) -> list[str]:
        return _generate_batch(language, [prompts[k] for k in some], max_new_tokens)

    return _by_length(prompts, write, batch_size, watch)


def _check_generation(
    language: LanguageModel, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> None:
    """Raise `InputError` where the first tokens that are generated are not the likeliest ones.

    PEFT hands virtual tokens to `generate` in its own way, which some versions of transformers do
    not understand: then the base model alone writes, without a word.
    """
    import torch

    few = min(4, max_new_tokens)
    for k, prompt in enumerate(prompts):
        ids = torch.tensor([list(prompt)], device=language.device)
        with torch.inference_mode():
            written = _greedy(language, ids, torch.ones_like(ids), few)
            logits = language.model(input_ids=written, attention_mask=torch.ones_like(written))
        last = logits.logits[0, -written.shape[1] :].float()
        for place in range(len(prompt), written.shape[1]):
            scores, token = last[place - 1], int(written[0, place])
            best = float(scores.max())
            # Of half precision two tokens may be as likely as each other.
            if not float(scores[token]) >= best - _NEAR * (1 + abs(best)):
                raise InputError(
                    "what this model generates is not what its logits say",
                    where=f"prompt {k + 1}",
                    found=f"token {token} of transformers {version('transformers')} and peft "
                    f"{version('peft')}",
                    expected=f"token {int(scores.argmax())}; versions that understand each other, "
                    "as in constraints.txt",
                )


def _generate_batch(
    language: LanguageModel, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> list[str]:
    ids, mask = _padded(language, prompts)
    written = _greedy(language, ids, mask, max_new_tokens)
    texts = language.tokenizer.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
    return [first_line(text) for text in texts]


def _greedy(language: LanguageModel, ids: Tensor, mask: Tensor, max_new_tokens: int) -> Tensor:
    """The prompts with what is written after them, token numbers (N, T)."""
    from transformers import GenerationConfig, StoppingCriteriaList

    tokenizer = language.tokenizer
    config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        pad_token_id=int(tokenizer.pad_token_id),
        eos_token_id=_ends(language),
    )
    with _without_own_settings(language.model):
        written: Tensor = language.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([_LineEnds(tokenizer, ids.shape[1])]),
        )
    return written


def _ends(language: LanguageModel) -> list[int] | None:
    """The tokens that end a text: the one that was trained with, and those of the checkpoint."""
    own = getattr(getattr(language.model, "generation_config", None), "eos_token_id", None)
    found = own if isinstance(own, list) else [own]
    ends = {int(end) for end in (*found, language.tokenizer.eos_token_id) if end is not None}
    return sorted(ends) or None


@contextmanager
def _without_own_settings(model: Any) -> Iterator[None]:
    """Greedy and nothing else: `generate` fills what is not set from the checkpoint's own settings,
    among them penalties of words that were said before, such as a pronoun of the prompt."""
    from transformers import GenerationConfig

    holders = [model]
    while hasattr(holders[-1], "get_base_model"):  # PEFT hands its settings to the model below
        holders.append(holders[-1].get_base_model())
    kept = [getattr(holder, "generation_config", None) for holder in holders]
    for holder in holders:
        holder.generation_config = GenerationConfig()
    try:
        yield
    finally:
        for holder, own in zip(holders, kept, strict=True):
            holder.generation_config = own


def first_line(text: str) -> str:
    """The first line that is not blank, without the spaces around it.

    >>> first_line("\\n The nurse left. \\nTurkish:"), first_line("  ")
    ('The nurse left.', '')
    """
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


class _LineEnds:
    """Stops a text at the end of its first line that is not blank."""

    def __init__(self, tokenizer: Any, start: int) -> None:
        self.tokenizer = tokenizer
        self.start = start

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        import torch

        texts = self.tokenizer.batch_decode(input_ids[:, self.start :], skip_special_tokens=True)
        ended = ["\n" in text.lstrip() for text in texts]
        return torch.tensor(ended, dtype=torch.bool, device=input_ids.device)


def _padded(language: LanguageModel, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token numbers and mask (N, T), padded on the left."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), int(language.tokenizer.pad_token_id))
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for k, row in enumerate(rows):
        ids[k, longest - len(row) :] = torch.tensor(list(row))
        mask[k, longest - len(row) :] = 1
    return ids.to(language.device), mask.to(language.device)


def _base(model: Any) -> Any:
    while hasattr(model, "get_base_model"):
        model = model.get_base_model()
    return model


def _cache_name(model: Any) -> str:
    """What the model calls keys and values of earlier tokens; transformers 5.24 renamed it."""
    known = inspect.signature(_base(model).forward).parameters
    return "past_key_values" if "past_key_values" in known or "cache" not in known else "cache"


def _last_logits(language: LanguageModel) -> dict[str, int]:
    """The argument that computes logits of the last place alone, where the model has it."""
    known = inspect.signature(_base(language.model).forward).parameters
    return {"logits_to_keep": 1} if "logits_to_keep" in known else {}
