"""Score the tokens of texts under a language model: log-probabilities, a batch of logits at a time.

Rows go through the model by length, so that little is padding. What is kept of a batch's logits is
four numbers a token; no more than one batch's are ever there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairlora.errors import WorkError
from fairlora.training.losses import IGNORED

# Places whose distributions are worked on at a time: a processor's cache holds them, and an
# accelerator is busy with them.
_PLACES, _PLACES_THERE = 16, 4096


class TokenScores(NamedTuple):
    """Numbers of each text's tokens, an array a text; all but the first None where not asked.

    `log_probs` (nats), the vocabulary's `means` and `sds` of them, and whether the token is the
    likeliest one (`top`).
    """

    log_probs: list[NDArray[np.float32]]
    means: list[NDArray[np.float32]] | None
    sds: list[NDArray[np.float32]] | None
    top: list[NDArray[np.bool_]] | None


def score_tokens(
    model: Any,
    items: Sequence[dict[str, Any]],
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]],
    *,
    batch_size: int,
    spread: bool = True,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    tell: Callable[[int], None] = lambda batches: None,
) -> TokenScores:
    """Score the tokens that each item's labels ask for, under a causal model.

    Parameters
    ----------
    model : gives ``.logits`` (N, T, V); it is put into evaluation mode.
    items : each with ``input_ids`` and ``labels``, `IGNORED` where nothing is to be scored; the
        first token of a text never is.
    collate : makes a batch of them.
    batch_size : texts a batch.
    spread : whether means, standard deviations and the likeliest token are wanted too.
    autocast : made for each batch, what it is computed under.
    tell : gets the batches done.

    Raises
    ------
    WorkError : a log-probability is not a finite number.
    """
    model.eval()
    device = next(model.parameters()).device
    kinds = 4 if spread else 1
    found: list[list[Any]] = [[None] * len(items) for _ in range(kinds)]
    order = sorted(range(len(items)), key=lambda k: -len(items[k]["input_ids"]))
    with torch.inference_mode():
        for done, start in enumerate(range(0, len(order), batch_size)):
            some = order[start : start + batch_size]
            batch = collate([items[k] for k in some])
            labels = batch["labels"][:, 1:]
            asked = labels != IGNORED
            inputs = {k: batch[k].to(device) for k in ("input_ids", "attention_mask")}
            with autocast():
                logits = model(**inputs, use_cache=False).logits
            columns = _statistics(logits, asked.to(device), labels[asked].to(device), spread)
            del logits
            if not bool(torch.isfinite(columns[0]).all()):
                raise WorkError("a log-probability is not a finite number")
            counts = asked.sum(1).tolist()
            for kind, column in enumerate(columns):
                values = np.split(column.cpu().numpy(), np.cumsum(counts)[:-1])
                for k, own in zip(some, values, strict=True):
                    found[kind][k] = own.copy()
            tell(done + 1)
    return TokenScores(*found) if spread else TokenScores(found[0], None, None, None)


def _statistics(logits: Tensor, asked: Tensor, targets: Tensor, spread: bool) -> list[Tensor]:
    """Of logits (N, T, V) at the places `asked` (N, T - 1): log-probability of the targets (P,),
    mean and standard deviation over the vocabulary, and whether they are the largest."""
    kept: list[list[Tensor]] = []
    text, place = asked.nonzero(as_tuple=True)
    size = _PLACES if logits.device.type == "cpu" else _PLACES_THERE
    for start in range(0, len(targets), size):
        here = slice(start, start + size)
        own = logits[text[here], place[here]].float()
        token = targets[here, None]
        if not spread:
            kept.append([own.gather(1, token)[:, 0] - own.logsumexp(-1)])
            continue
        most = own.amax(-1, keepdim=True)
        chosen = own.gather(1, token)
        own.sub_(most)
        share = own.exp()
        total = share.sum(-1)
        mean = torch.linalg.vecdot(share, own) / total
        # About the mean: the square of a mean taken from the mean of squares loses its digits.
        own.sub_(mean[:, None])
        variance = torch.linalg.vecdot(share.mul_(own), own) / total
        whole = total.log()
        columns = [(chosen - most)[:, 0] - whole, mean - whole, variance.sqrt()]
        columns.append((chosen >= most)[:, 0])
        kept.append(columns)
    if not kept:
        nothing = torch.zeros(0)
        return [nothing, nothing, nothing, nothing.bool()] if spread else [nothing]
    return [torch.cat(parts) for parts in zip(*kept, strict=True)]
