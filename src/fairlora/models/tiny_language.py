"""A tiny language model in the place of a published one, for smoke runs and tests.

Of the same class and with the same files, some fifty thousand random parameters. Its tokenizer is a
byte-level BPE as Llama 3's and SmolLM's is, so that every text can be put in and read out; it is
trained on the made-up sentences of `fairlora.data.tiny_language`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fairlora.data.tiny_language import DEEDS, OCCUPATIONS, OPINIONS, PRONOUNS, REASONS, REVIEWS
from fairlora.errors import InputError
from fairlora.models.source import quiet_libraries
from fairlora.models.tiny import architecture_of

TOKENS = 420  # 256 of them are the bytes
POSITIONS = 1024
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.2,
    "pad_token_id": None,
}
_CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "mistral": ("MistralConfig", "MistralForCausalLM"),
}


def write_tiny_language_model(
    like: str, folder: Path, *, seed: int = 0, chat: bool | None = None
) -> Path:
    """Write a small causal language model with random weights, of another model's architecture.

    Parameters
    ----------
    like : a hub id (known by its name), or a folder, run or .gguf file on this machine.
    folder : made if it is not there; files in it are overwritten.
    seed : of the weights. The same seed writes the same files.
    chat : whether its tokenizer has a chat template; None is by the name (chat, instruct).

    Returns the folder. Raises `InputError` for an architecture other than Llama's and Mistral's.
    """
    name = architecture_of(like)
    if name not in _CLASSES:
        raise InputError(
            "no tiny language model is known to be of this one's architecture",
            where="model.id",
            found=like,
            expected="a Llama or a Mistral",
        )
    import transformers

    config_name, model_name = _CLASSES[name]
    tokenizer = tiny_tokenizer()
    word = like.rsplit("/", 1)[-1].lower()
    if chat if chat is not None else ("chat" in word or "instruct" in word):
        tokenizer.chat_template = CHAT_TEMPLATE
    config = getattr(transformers, config_name)(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **_SIZES,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, model_name)(config)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer() -> Any:
    """A byte-level BPE tokenizer with a begin token, as Llama's has; it has no pad token."""
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as ByteDecoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(BPE(unk_token=None))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteDecoder()
    trainer = BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", start)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def _sentences() -> list[str]:
    words = [*OCCUPATIONS, *DEEDS, *REASONS, *PRONOUNS.values(), *REVIEWS, *OPINIONS]
    words += [word for _, word in OCCUPATIONS.values()] + [*DEEDS.values(), *REASONS.values()]
    words += ["Turkish: English:", "The", "because", "the", "was", "and", "a woman", "a man"]
    words += ["female", "male", "yes", "no", "author", "review", "wrote"]
    return [f"The {word} and the {word}." for word in words] + [f" {word}" for word in words]
