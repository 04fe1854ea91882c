"""An adapter or its base with something broken in it, beside what PEFT itself answers with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from forked import fairlora, start
from mutate import mutate
from outcome import Outcome, keeps_its_word

from study import Truth

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "very", "not", "film", "man"]
SETTINGS: dict[str, list[Any]] = {
    "r": [8, 1, 0, -2, "4", None, 10**9],
    "lora_alpha": [16, 1, 0, -8, None, "x"],
    "target_modules": [["query"], ["value"], "all-linear", [], ["nothing"], None, ".*"],
    "peft_type": ["IA3", "VERA", "lora", None, 3],
    "use_rslora": [True, None, "yes"],
    "use_dora": [True],
    "fan_in_fan_out": [True],
    "modules_to_save": [None, [], ["classifier"], ["nothing"]],
    "bias": ["all", "lora_only", "x"],
    "task_type": [None, "CAUSAL_LM", "SEQ_CLS", "x"],
    "rank_pattern": [{"query": 2}, [], {"x": 1}],
    "alpha_pattern": [{"query": 1}, {".*": 2}],
    "layers_to_transform": [[0], 1, [7]],
    "base_model_name_or_path": ["", None, "nowhere", "/dev/null"],
    "init_lora_weights": ["pissa", False, "loftq"],
    "inference_mode": [False],
    "hidden_size": [16, 0, None, "x"],
    "num_hidden_layers": [1, 3, 0, -1],
    "num_attention_heads": [1, 3],
    "hidden_act": ["relu", "nothing"],
    "layer_norm_eps": [0.5, "x"],
    "id2label": [{"0": "b", "1": "a"}, {"0": "a"}, {"0": "a", "1": "a"}, {}],
    "architectures": [None, ["BertModel"], ["Nothing"], []],
    "model_type": ["roberta", None, "nothing"],
    "problem_type": ["regression", "multi_label_classification"],
    "max_position_embeddings": [8, 64],
    "vocab_size": [5, 500],
}


def _made(root: Path) -> Path:
    """A text classifier, a LoRA on it by PEFT, and texts; made once."""
    if (root / "done").is_file():
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if start(lambda: _make(root)).wait().code != 0:
        raise SystemExit("the adapter was not made")
    (root / "done").touch()
    return root


def _make(root: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=32, initializer_range=0.3,
        id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(root / "base")
    tokenizer = BertTokenizer(vocab={word: k for k, word in enumerate(WORDS)})
    tokenizer.save_pretrained(root / "base")
    model = BertForSequenceClassification.from_pretrained(root / "base")
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"], task_type="SEQ_CLS")
    tuned = get_peft_model(model, lora)
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.3)
    tuned.save_pretrained(root / "adapter")
    draw = Random(0)
    texts = [" ".join(draw.choices(WORDS[5:], k=draw.randint(2, 7))) for _ in range(24)]
    rows = [f"{text},{'no' if k % 2 else 'yes'},{'fm'[k % 3 > 0]}" for k, text in enumerate(texts)]
    (root / "texts.csv").write_text("\n".join(["text,label,sex", *rows]) + "\n")


def _answers(folder: Path) -> str:
    """What transformers and PEFT answer, as JSON: a row of probabilities a text."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base = AutoModelForSequenceClassification.from_pretrained(folder / "base")
    model = PeftModel.from_pretrained(base, folder / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    lines = (folder / "texts.csv").read_text().splitlines()[1:]
    with torch.no_grad():
        logits = [
            model(**tokenizer(line.split(",")[0], return_tensors="pt")).logits[0] for line in lines
        ]
    names = [model.config.id2label[k] for k in range(len(logits[0]))]
    return "ANSWERS" + json.dumps([names, torch.stack(logits).softmax(1).tolist()])


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """One file of the adapter or its base changed, then predicted with by both."""
    folder = place / "model"
    shutil.copytree(_made(truth.root / "models"), folder)
    settings = folder / "adapter" / "adapter_config.json"
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({**content, "base_model_name_or_path": str(folder / "base")}))
    name = draw.choice(
        ["adapter/adapter_model.safetensors", "adapter/adapter_config.json"] * 2
        + ["base/config.json", "base/model.safetensors", "base/tokenizer.json"]
    )
    path = folder / name
    if name.endswith("config.json") and draw.random() < 0.8:
        told = _setting(draw, path)
    elif name.endswith(".safetensors") and draw.random() < 0.6:
        told = _tensors(draw, path)
    else:
        changed, told = mutate(draw, path.read_bytes())
        path.write_bytes(changed)
    what = f"{name}: {told}"
    out = place / "p.parquet"
    done = fairlora(
        "predict", folder / "adapter", "--data", "text-table", "--base", folder / "base",
        "--set", f"data.path={folder / 'texts.csv'}", "--set", "data.groups=[sex]", "--out", out,
    )  # fmt: skip
    if keeps_its_word(done):
        return Outcome("refused", what, done.err.strip().splitlines()[-1][:300])
    theirs = start(lambda: _answers(folder)).wait()
    if "ANSWERS" not in theirs.out:
        said = " ".join(done.err.split())[-300:]
        return Outcome("wrong", what, f"read, though PEFT does not: {theirs.err[-200:]}; {said}")
    names, expected = json.loads(theirs.out.split("ANSWERS")[1])
    table = pq.read_table(out)
    classes = json.loads(table.schema.metadata[b"fairlora"])["classes"]
    if sorted(classes) != sorted(names):
        return Outcome("wrong", what, f"classes {classes}, by PEFT {names}")
    found = np.array(table["probs"].to_pylist())
    order = [names.index(name) for name in classes]
    difference = np.abs(found - np.array(expected)[:, order]).max()
    if not difference < 1e-3:
        said = " ".join(done.err.split())[-300:]
        return Outcome("wrong", what, f"probabilities differ by {difference:.3g}; said: {said}")
    return Outcome("survived", what)


def _setting(draw: Random, path: Path) -> str:
    content = json.loads(path.read_text())
    key = draw.choice([key for key in SETTINGS if key in content])
    if draw.random() < 0.15:
        content.pop(key)
        path.write_text(json.dumps(content))
        return f"no {key}"
    content[key] = draw.choice(SETTINGS[key])
    path.write_text(json.dumps(content))
    return f"{key} is {content[key]!r}"


def _tensors(draw: Random, path: Path) -> str:
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    name = draw.choice(sorted(weights))
    how = draw.choice(["removed", "renamed", "transposed", "half", "NaN", "zeros", "twice"])
    value = weights.pop(name)
    if how == "renamed":
        weights[name.replace("0", "1") + "_x"] = value
    elif how == "transposed":
        weights[name] = value.mT.contiguous() if value.ndim > 1 else value[:-1].clone()
    elif how == "half":
        weights[name] = value[: max(len(value) // 2, 1)].clone()
    elif how == "NaN":
        weights[name] = torch.full_like(value, float("nan"))
    elif how == "zeros":
        weights[name] = torch.zeros_like(value)
    elif how == "twice":
        weights[name] = value * 2
    save_file(weights, path, {"format": "pt"})
    return f"{name} {how}"
