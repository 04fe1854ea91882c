"""What a process of its own runs for test_memory_plan: plans of memory beside what steps then take.

python memory_plan_worker.py FOLDER        # prints JSON: case -> planned, measured, parts
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from fairlora.models.libraries import load_libraries
from fairlora.study.runs.environment import forget_peak_memory, peak_memory_mb
from fairlora.study.runs.memory_plan import _held, _settle, plan_memory
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import parse_spec

WORDS = ["<pad>", "</s>", "<unk>", *(f"word{k}" for k in range(200))]
# Name: model, adapter, whether gradients are checkpointed.
CASES = {
    "bert": ("bert", "lora", True),
    "llama": ("llama", "full", False),
}


def make_texts(folder: Path) -> None:
    """A BERT and a Llama of two layers, and 96 texts of 20 to 115 words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    sizes: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    for name, model in (
        ("bert", transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))),
        (
            "llama",
            transformers.LlamaForSequenceClassification(
                transformers.LlamaConfig(eos_token_id=1, **sizes)
            ),
        ),
    ):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    lines = ["text,label,place"]
    for k in range(96):
        text = " ".join(WORDS[3 + (7 * k + 11 * j) % 200] for j in range(20 + k))
        lines.append(f"{text},{('no', 'yes')[k % 2]},{('north', 'south')[k // 2 % 2]}")
    (folder / "texts.csv").write_text("\n".join(lines) + "\n")


def steps(prepared: Any, folder: Path) -> int:
    """The peak of three steps of a run's trainer, with its own batches, in bytes."""
    from fairlora.study.tasks import make_task

    _settle()
    forget_peak_memory()
    trainer = make_task(prepared.spec, prepared.examples, folder).trainer
    trainer.train()
    return int(peak_memory_mb() * 2**20)


def main() -> None:
    warnings.simplefilter("ignore")
    load_libraries()
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    make_texts(folder)
    found = {}
    for case, (model, adapter, checkpointing) in CASES.items():
        texts = {"name": "text-table", "path": str(folder / "texts.csv"), "groups": ["place"]}
        training = {"max_steps": 3, "batch_size": 32, "precision": "float32", "select": "last"}
        arguments = {"gradient_checkpointing": checkpointing, "eval_strategy": "no"}
        spec = parse_spec(
            {
                "data": texts,
                "model": {"id": str(folder / model)},
                "adapter": {"kind": adapter},
                "training": {**training, "arguments": arguments},
            }
        )
        prepared = prepare(spec)
        plan = plan_memory(prepared)
        _settle()
        before = _held("cpu")
        measured = steps(prepared, folder / "checkpoints") - before
        found[case] = {**plan.to_dict(), "lines": plan.lines(), "measured": measured}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
