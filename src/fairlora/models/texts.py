"""Load tokenizers, and arguments shared by text classifiers and language models."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.quantization import quantization_arguments
from fairlora.models.source import Source, file_of, model_errors, quiet_libraries

# Tokens of a language model's examples and blocks, where nothing else is said.
MAX_LENGTH = 256
NO_END = 1 << 20  # the length of models that have none
# What SentencePiece's model is called beside Llama's weights, T5's and XLM-RoBERTa's.
SENTENCEPIECE = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")


def loading_arguments(
    source: Source, dtype: torch.dtype, quantize: str | None, **whole: tuple[str, ...]
) -> dict[str, Any]:
    """What `from_pretrained` takes of a folder, a hub id or a GGUF file.

    A GGUF file's few-bit weights become numbers of `dtype`, to be trained.

    Parameters
    ----------
    source : where the checkpoint lies.
    dtype : the type to compute in.
    quantize : "4bit", "8bit" or None.
    whole : that of `quantization_arguments`, by its name.

    Raises
    ------
    InputError : as `quantization_arguments` and `check_gguf` do.
    """
    arguments: dict[str, Any] = {
        "dtype": dtype,
        **quantization_arguments(quantize, gguf=source.gguf is not None, **whole),
        **source.arguments,
    }
    if source.gguf is not None:
        from transformers import GgufConfig

        check_gguf(source)

        arguments["quantization_config"] = GgufConfig(dequantize=True)
    return arguments


def check_gguf(source: Source) -> None:
    """Raise `InputError` for a GGUF file whose positions transformers would read as plain ones."""
    from gguf import GGUFReader

    assert source.folder is not None
    assert source.gguf is not None
    path = source.folder / source.gguf
    with model_errors(source):
        reader = GGUFReader(str(path))
    scaling = [
        str(field.contents())
        for name, field in reader.fields.items()
        if name.endswith("rope.scaling.type")
    ]
    # Before there was a type, a scale stood alone.
    linear = [
        float(field.contents())
        for name, field in reader.fields.items()
        if name.endswith(("rope.scale_linear", "rope.scaling.factor"))
    ]
    odd = [kind for kind in scaling if kind != "none"]
    odd += [f"scale {factor:g}" for factor in linear if factor not in (0.0, 1.0) and not odd]
    odd += [tensor.name for tensor in reader.tensors if tensor.name.startswith("rope_f")]
    if odd:
        raise InputError(
            "a GGUF file with scaled positions, which transformers drops",
            where=path,
            found=", ".join(odd[:3]),
            expected="the model's Hugging Face folder",
        )


def read_tokenizer(source: Source) -> Any:
    """The checkpoint's tokenizer, as its ``tokenizer.json`` stands; `InputError` if it has none.

    Of some classes transformers builds the tokenizer anew out of its vocabulary, and forgets what
    else the file says: normalisers, and what becomes of spaces before a text.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(source.location, **source.arguments)
    except Exception as error:  # what a missing tokenizer raises depends on the model's type
        raise InputError(
            "cannot load this model's tokenizer",
            where=source.location,
            found=str(error).strip().split("\n")[0][:160] or type(error).__name__,
            expected=_needed(source),
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # Without files, some architectures' tokenizers come with their special tokens alone.
        raise InputError(
            "this model has no tokenizer",
            where=source.location,
            expected="tokenizer.json, or a vocabulary, beside the weights",
        )
    return _as_it_stands(tokenizer, source)


def _needed(source: Source) -> str:
    """What a tokenizer that cannot be read is in want of."""
    alone = source.folder is not None and not (source.folder / "tokenizer.json").is_file()
    if alone and (source.folder / "tokenizer.model").is_file():  # type: ignore[operator]
        missing = [name for name in ("sentencepiece", "google.protobuf") if not _installed(name)]
        if missing:
            return "pip install 'fairlora[sentencepiece]', or tokenizer.json beside the weights"
    return "tokenizer.json, or a vocabulary, beside the weights"


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _as_it_stands(tokenizer: Any, source: Source) -> Any:
    """The tokenizer, read from its file once more if transformers rebuilt another."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    rebuilt = getattr(tokenizer, "backend_tokenizer", None)
    path = None if source.gguf is not None else file_of(source, "tokenizer.json")
    if path is None and source.gguf is None:
        return _as_sentencepiece_reads(tokenizer, source)
    if path is None or not isinstance(rebuilt, Tokenizer):
        return tokenizer
    with model_errors(source), quiet_libraries():
        if _steps(rebuilt) == _steps(Tokenizer.from_file(str(path))):
            return tokenizer
        plain = PreTrainedTokenizerFast.from_pretrained(source.location, **source.arguments)
    if not getattr(plain, "chat_template", None):
        plain.chat_template = getattr(tokenizer, "chat_template", None)
    return plain


def _as_sentencepiece_reads(tokenizer: Any, source: Source) -> Any:
    """A tokenizer without ``tokenizer.json``, with spaces as SentencePiece's model has them.

    transformers makes a tokenizer of the pieces alone: a space before a text may be lost, and what
    the model does to spaces and letters before it cuts is not looked at. `InputError` where the
    two cut texts of the model's own words otherwise.
    """
    path = next((p for name in SENTENCEPIECE if (p := file_of(source, name))), None)
    if path is None or not _installed("sentencepiece"):
        return tokenizer
    from sentencepiece import SentencePieceProcessor
    from tokenizers import Tokenizer, normalizers

    with model_errors(source):
        own = SentencePieceProcessor(model_file=str(path))
    pieces = (own.id_to_piece(k) for k in range(own.get_piece_size()))
    words = [piece[1:] for piece in pieces if piece[0] == "▁" and piece[1:].isalpha()]
    a, b, c = (sorted(words, key=len)[-3:] * 3)[:3] if words else ("a", "a", "a")
    texts = [f"{a} {b}", f" {a}", f"  {b} {c}", f"{c}  {a}", f"{b} "]

    def first_other() -> str | None:
        """The first text that is cut otherwise."""
        cut = (text for text in texts if tokenizer.tokenize(text) != own.encode(text, out_type=str))
        return next(cut, None)

    made = getattr(tokenizer, "backend_tokenizer", None)
    if first_other() is not None and isinstance(made, Tokenizer):
        made.pre_tokenizer = None
        made.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    other = first_other()
    if other is not None:
        raise InputError(
            f"transformers cuts texts otherwise than {path.name} does",
            where=source.location,
            found=f"{other!r} as {tokenizer.tokenize(other)}, "
            f"not {own.encode(other, out_type=str)}",
            expected="tokenizer.json beside the weights, saved where the model was trained",
        )
    return tokenizer


def _steps(tokenizer: Any) -> dict[str, Any]:
    """What a tokenizer does, without how long texts are cut and padded, which every call says."""
    steps = json.loads(tokenizer.to_str())
    return {k: v for k, v in steps.items() if k not in ("truncation", "padding", "version")}


def set_padding(tokenizer: Any, model: Any, name: str) -> tuple[str, ...]:
    """Pad on the right, with a token that the model has; returns what a user should know.

    A model that reads the last position, whatever stands there (XLNet), is padded on the left.

    A tokenizer without a pad token takes the unknown or the end token: a new one would need a new
    row in the embeddings. Attention never sees padding, and Llama's kind of head reads the last
    token that is not it.

    Parameters
    ----------
    tokenizer : changed in place.
    model : its config is told the pad token.
    name : of the model, for the messages.

    Raises
    ------
    InputError : the tokenizer has none of the three tokens, or the model no embedding of them.
    """
    tokenizer.padding_side = "left" if _reads_last_position(model) else "right"
    tokenizer.truncation_side = "right"
    rows = model.get_input_embeddings().num_embeddings
    notes: tuple[str, ...] = ()
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        for token in (tokenizer.unk_token, tokenizer.eos_token):
            known = None if token is None else tokenizer.convert_tokens_to_ids(token)
            if known is not None and known < rows:
                tokenizer.pad_token = token
                notes = (f"{name} has no pad token: padded with {token!r}, which is not attended",)
                break
        else:
            raise InputError(
                "the tokenizer has no pad token, and no unknown or end token to take its place",
                where=name,
                expected="a tokenizer with one of the three",
            )
    model.config.pad_token_id = tokenizer.pad_token_id
    return notes


def check_tokens(largest: int, model: Any, name: str) -> None:
    """Raise `InputError` where a text has a token that the model has no embedding of.

    Parameters
    ----------
    largest : the largest token number of all texts.
    model : the model that is to read them.
    name : of the model, for the message.
    """
    embeddings = model.get_input_embeddings()
    if embeddings is None:
        return  # an exported model, which refuses such a row itself
    rows = embeddings.num_embeddings
    if largest >= rows:
        raise InputError(
            "a text has a token that the weights have no embedding of",
            where=name,
            found=f"token {largest} of {rows}",
            expected="the model's own tokenizer, or weights saved with new embeddings",
        )


def _reads_last_position(model: nn.Module) -> bool:
    summaries = (m for m in model.modules() if type(m).__name__.endswith("SequenceSummary"))
    return any(getattr(m, "summary_type", None) == "last" for m in summaries)


def fit_length(
    wanted: int | None, tokenizer: Any, model: Any, name: str, *, default: int | None = None
) -> tuple[int, tuple[str, ...]]:
    """How many tokens a text may have; cut to the model's positions with a note.

    Raises `InputError` for a length that leaves no room beside the special tokens.

    Parameters
    ----------
    wanted : the tokens asked for; None takes `default`.
    tokenizer, model : their own lengths and special tokens are looked at.
    name : of the model, for the note.
    default : where nothing is wanted; None is the model's and tokenizer's own length.
    """
    limit = positions(model)
    own = min(limit or NO_END, int(getattr(tokenizer, "model_max_length", None) or NO_END))
    length = (own if default is None else default) if wanted is None else wanted
    special = tokenizer.num_special_tokens_to_add()
    if length <= special:
        raise InputError(
            "no room for a text",
            where="model.max_length",
            found=length,
            expected=f"more than the {special} special tokens",
        )
    if limit is None or length <= limit:
        return length, ()
    return limit, (f"{name} takes {limit} tokens: texts are cut there, not at {length}",)


def positions(model: nn.Module) -> int | None:
    """How many tokens a model has positions for; None if they have no end."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa's kind counts from behind its padding row.
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
