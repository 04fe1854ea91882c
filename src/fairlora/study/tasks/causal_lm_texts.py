"""The texts of a language model's run: every token scored under the model and under its base.

The base is the model that training began from. Most adapters leave its weights as they were: it is
the same model with the adapter off. Some start from what they take off them (PiSSA, OLoRA): without
the adapter such a model is another one. Which it is, is tried: a few logits that the model gave
before anything was attached are asked again with the adapter off.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import LanguageModel, keep_logits_exact, load_language
from fairlora.predictions.texts import Base, Ragged, Texts, TextsRecord, write_texts
from fairlora.study.spec.run import RunSpec
from fairlora.training import LanguageCollator, derive_seed, language_rows
from fairlora.training.matched_loss import sample_rows
from fairlora.training.token_scores import TokenScores, score_tokens

# Texts and tokens that tell whether a model without its adapter is the base.
_TRIED, _TOKENS = 2, 32
# How far its logits may be off, relative to the largest; another device rounds otherwise, and
# bfloat16 has three digits.
_NEAR, _NEAR_ELSEWHERE = 1e-3, 2e-2
_NO_BASE = "nothing was trained: this model is its own base"
Item = dict[str, Any]


class BaseLogits:
    """A few logits of a model before anything is attached to it.

    Parameters
    ----------
    language : as it was loaded.
    rows : a data set of texts.
    bf16 : whether the run computes in bfloat16.
    """

    def __init__(self, language: LanguageModel, rows: Any, *, bf16: bool) -> None:
        self.bf16 = bf16
        ids = [rows[k]["input_ids"][:_TOKENS] for k in range(min(_TRIED, len(rows)))]
        self.ids = [torch.tensor([own]) for own in ids if own]
        self.device = language.device.type
        self.logits = [self._of(language.model, one) for one in self.ids]

    def _of(self, model: Any, ids: Tensor) -> Tensor:
        training, device = model.training, next(model.parameters()).device
        model.eval()
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=self.bf16),
        ):
            logits = model(input_ids=ids.to(device)).logits
        model.train(training)
        kept: Tensor = logits.float().cpu()
        return kept

    def are_of(self, model: Any) -> bool:
        """Whether a model gives these logits."""
        here = next(model.parameters()).device.type
        near = _NEAR if here == self.device and not self.bf16 else _NEAR_ELSEWHERE
        return all(
            float((self._of(model, ids) - logits).abs().max())
            <= near * (1 + float(logits.abs().max()))
            for ids, logits in zip(self.ids, self.logits, strict=True)
        )


class Scorer:
    """Scores a run's texts, and writes them.

    Parameters
    ----------
    spec, examples : the run, and its rows in their splits.
    language : the model's tokenizer and settings.
    before : the base's logits; None where no adapter is attached.
    batch_size : texts a batch.
    bf16 : whether the run computes in bfloat16.
    tell : gets (batches done, all).
    """

    def __init__(
        self,
        spec: RunSpec,
        examples: Examples,
        language: LanguageModel,
        before: BaseLogits | None,
        batch_size: int,
        bf16: bool,
        tell: Callable[[int, int], None],
    ) -> None:
        self.spec, self.language, self.before = spec, language, before
        self.batch_size, self.bf16, self.tell = batch_size, bf16, tell
        self.splits: dict[str, tuple[Examples, Any, list[Item]]] = {}
        self.without: dict[str, int] = {}
        self.cut: dict[str, int] = {}
        self.of: dict[str, int] = {}
        for split in ("train", "validation", "test"):
            part = examples.part(split)
            if not len(part):
                continue
            self.of[split] = len(part)
            if split == "train":
                seed = derive_seed(spec.chance, "until_loss rows")
                part = part.take(
                    np.array(sample_rows(len(part), spec.told_rows(len(part)), seed), dtype=np.intp)
                )
            rows = language_rows(part, language, pack=False)
            items = [rows[k] for k in range(len(rows))]
            asked = np.array([any(label >= 0 for label in item["labels"][1:]) for item in items])
            self.without[split] = int((~asked).sum())
            self.cut[split] = len(rows.longer)
            kept = np.flatnonzero(asked)
            longer = np.isin(kept, rows.longer)
            chosen = [items[k] for k in kept.tolist()]
            if len(kept):
                self.splits[split] = (part.take(kept), longer, chosen)

    def write(self, path: Path, model: Any) -> TextsRecord:
        """Score every text under the model and its base into one table; what stands beside it.

        Parameters
        ----------
        path : the table.
        model : the run's, with its adapter.

        Raises `WorkError` for a log-probability that is not a number.
        """
        self.passes = 1
        how, reason = self._how(model)
        self.passes += how is not None
        own = self._scored(model, 0, spread=True)
        base: list[TokenScores] | None = None
        if how is not None:
            try:
                with self._base(model, how) as other:
                    base = self._scored(other, 1, spread=False)
            except (InputError, MemoryError, torch.OutOfMemoryError) as error:
                # The run is trained and measured: it is not lost for this.
                how, reason = None, f"the base could not be loaded again: {error}"[:300]
        parts = [
            self._part(split, own[k], None if base is None else base[k])
            for k, split in enumerate(self.splits)
        ]
        record = TextsRecord(
            groups=list(next(iter(self.splits.values()))[0].groups) if self.splits else [],
            max_length=self.language.max_length,
            cut=self.cut,
            without_tokens=self.without,
            base=how,
            no_base=reason,
            of=self.of,
        )
        if parts:
            write_texts(path, parts, record)
        return record

    def _how(self, model: Any) -> tuple[Base | None, str | None]:
        if self.spec.adapter.kind == "base":
            return None, _NO_BASE
        if self.spec.training.score_texts == "model":
            return None, "training.score_texts: model"
        if self.before is not None:
            with model.disable_adapter():
                if self.before.are_of(model):
                    return "adapter off", None
        return "loaded anew", None

    @contextmanager
    def _base(self, model: Any, how: Base) -> Iterator[Any]:
        if how == "adapter off":
            with model.disable_adapter():
                yield model
            return
        asked = self.spec.model
        loaded = load_language(
            asked.id,
            max_length=asked.max_length,
            chat=asked.chat,
            quantize=asked.quantize,
            merged=True,
        )
        if loaded.quantize is None:
            loaded.model.to(next(model.parameters()).device)
        keep_logits_exact(loaded.model, ("lm_head",))
        yield loaded.model

    def _scored(self, model: Any, passed: int, *, spread: bool) -> list[TokenScores]:
        batches = {s: -(-len(items) // self.batch_size) for s, (_, _, items) in self.splits.items()}
        total = sum(batches.values())
        device = next(model.parameters()).device.type
        out, before = [], passed * total
        for split, (_, _, items) in self.splits.items():
            out.append(
                score_tokens(
                    model,
                    items,
                    LanguageCollator(self.language.tokenizer),
                    batch_size=self.batch_size,
                    spread=spread,
                    autocast=partial(
                        torch.autocast, device, dtype=torch.bfloat16, enabled=self.bf16
                    ),
                    tell=partial(self._tell, before, self.passes * total),
                )
            )
            before += batches[split]
        return out

    def _tell(self, before: int, total: int, done: int) -> None:
        self.tell(before + done, total)

    def _part(self, split: str, own: TokenScores, base: TokenScores | None) -> Texts:
        part, longer, items = self.splits[split]
        assert own.means is not None
        assert own.sds is not None
        assert own.top is not None
        texts = list(part.inputs if part.answers is None else part.answers)
        for k in np.flatnonzero(longer).tolist():
            # What was cut off was not scored either.
            kept = [label for label in items[k]["labels"] if label >= 0]
            texts[k] = self.language.tokenizer.decode(kept, skip_special_tokens=True)
        return Texts(
            ids=part.ids,
            split=np.full(len(part), split),
            groups=dict(part.groups),
            cut=longer,
            compressed=np.array([len(zlib.compress(text.encode(), 9)) for text in texts]),
            log_probs=Ragged.of(own.log_probs, np.float32),
            means=Ragged.of(own.means, np.float32),
            sds=Ragged.of(own.sds, np.float32),
            top=Ragged.of(own.top, np.bool_),
            base_log_probs=None if base is None else Ragged.of(base.log_probs, np.float32),
        )


def notes_of(record: TextsRecord) -> list[str]:
    """What a reader of a run should know of its texts: those without a token, and no base."""
    without = sum(record.without_tokens.values())
    notes = []
    if without:
        notes.append(
            f"{without:,} texts have no token that another stands before: they have no "
            "log-probability, and are left out of texts.parquet"
        )
    if record.no_base is not None and record.no_base != _NO_BASE:
        notes.append(f"texts.parquet has no numbers of the base: {record.no_base}")
    return notes
