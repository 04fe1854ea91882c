"""Small models, adapters and data sets by the libraries alone, whatever their version is.

    python scripts/compatibility_library.py write INPUTS FOLDER
    python scripts/compatibility_library.py read INPUTS TASKS.json

Run by ``scripts/compatibility.py`` in an environment of each version, without fairlora. ``write``
saves a model of every architecture and an adapter of every method, and the logits of each in
``expected.json``. ``read`` loads what is named in a file and prints its logits. ``INPUTS`` holds
``pictures/``, ``texts.json`` and ``words.json``.
"""

import hashlib
import json
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import peft  # noqa: E402  (after the settings above)
import torch  # noqa: E402
import transformers as t  # noqa: E402
from PIL import Image  # noqa: E402

SIDE, POSITIONS = 32, 64
WIDE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
SEEN = {"initializer_range": 0.2}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
PICTURES = {"image_size": SIDE, "patch_size": 8, **WIDE}
CLASSES = ("neg", "neu", "pos")

# What the queries and values of attention are called, in one version or another.
ATTENTION = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin")
# Name -> (kind, a bare model by the number of words, modules of the head).
ARCHITECTURES = {
    "ViT, DINO": (
        "image",
        lambda n: t.ViTModel(t.ViTConfig(**PICTURES, **SEEN)),
        "classifier",
    ),
    "DeiT": (
        "image",
        lambda n: t.DeiTModel(t.DeiTConfig(**PICTURES, **SEEN)),
        "classifier",
    ),
    "DINOv2": (
        "image",
        lambda n: t.Dinov2Model(t.Dinov2Config(**PICTURES, mlp_ratio=2, **SEEN)),
        "classifier",
    ),
    "BEiT": (
        "image",
        lambda n: t.BeitModel(t.BeitConfig(**PICTURES, use_mask_token=False, **SEEN)),
        "classifier",
    ),
    "CLIP": (
        "image",
        lambda n: t.CLIPModel(
            t.CLIPConfig(
                vision_config=dict(PICTURES),
                text_config=dict(
                    vocab_size=n,
                    max_position_embeddings=POSITIONS,
                    pad_token_id=0,
                    bos_token_id=1,
                    eos_token_id=2,
                    **WIDE,
                ),
                projection_dim=8,
            )
        ),
        "classifier",
    ),
    "Swin-v2": (
        "image",
        lambda n: t.Swinv2Model(
            t.Swinv2Config(
                image_size=SIDE,
                patch_size=4,
                embed_dim=16,
                depths=[1, 1],
                num_heads=[2, 2],
                window_size=4,
                mlp_ratio=2.0,
                drop_path_rate=0.0,
                **STILL,
                **SEEN,
            )
        ),
        "classifier",
    ),
    "BERT, MiniLM": (
        "text",
        lambda n: t.BertModel(
            t.BertConfig(vocab_size=n, max_position_embeddings=POSITIONS, **WIDE, **STILL, **SEEN)
        ),
        "classifier",
    ),
    "DistilBERT": (
        "text",
        lambda n: t.DistilBertModel(
            t.DistilBertConfig(
                vocab_size=n,
                max_position_embeddings=POSITIONS,
                dim=32,
                n_layers=2,
                n_heads=2,
                hidden_dim=64,
                dropout=0.0,
                attention_dropout=0.0,
                seq_classif_dropout=0.0,
                **SEEN,
            )
        ),
        ["pre_classifier", "classifier"],
    ),
    "RoBERTa": (
        "text",
        lambda n: t.RobertaModel(
            t.RobertaConfig(
                vocab_size=n,
                max_position_embeddings=POSITIONS + 1,
                pad_token_id=0,
                bos_token_id=2,
                eos_token_id=3,
                **WIDE,
                **STILL,
                **SEEN,
            ),
            add_pooling_layer=False,
        ),
        "classifier",
    ),
    "Llama": (
        "language",
        lambda n: t.LlamaForCausalLM(
            t.LlamaConfig(
                vocab_size=n, max_position_embeddings=POSITIONS, rope_theta=500.0, **WIDE, **SEEN
            )
        ),
        None,
    ),
    "Mistral": (
        "language",
        lambda n: t.MistralForCausalLM(
            t.MistralConfig(
                vocab_size=n,
                max_position_embeddings=POSITIONS,
                num_key_value_heads=1,
                **WIDE,
                **SEEN,
            )
        ),
        None,
    ),
}


def dense(model):
    """Names of the linear layers but the head and the output layer: what all-linear adapts."""
    names = {
        name.split(".")[-1]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not any(part in name for part in ("classifier", "lm_head", "score"))
    }
    # A layer that is only numbered shares its name with other modules.
    return sorted(name for name in names if not name.isdigit())


# Method -> its settings, by the model, the modules of its attention, the task and the head.
METHODS = {
    "full": None,
    "LoRA": lambda m, q, **o: peft.LoraConfig(r=2, lora_alpha=6, target_modules=q, **o),
    "LoRA, all linear": lambda m, q, **o: peft.LoraConfig(r=2, target_modules=dense(m), **o),
    "rsLoRA": lambda m, q, **o: peft.LoraConfig(r=4, use_rslora=True, target_modules=q, **o),
    "DoRA": lambda m, q, **o: peft.LoraConfig(r=2, use_dora=True, target_modules=q, **o),
    "AdaLoRA": lambda m, q, **o: peft.AdaLoraConfig(
        init_r=2, target_r=1, target_modules=q, **({"total_step": 20} if newer("0.14") else {}), **o
    ),
    "IA3": lambda m, q, **o: peft.IA3Config(target_modules=q, feedforward_modules=[], **o),
    "VeRA": lambda m, q, **o: peft.VeraConfig(r=2, target_modules=q, **o),
    "LoHa": lambda m, q, **o: peft.LoHaConfig(r=2, target_modules=q, **o),
    "OFT": lambda m, q, **o: peft.OFTConfig(
        r=4, **({"oft_block_size": 0} if newer("0.16") else {}), target_modules=q, **o
    ),
    "BOFT": lambda m, q, **o: peft.BOFTConfig(boft_block_size=4, target_modules=q, **o),
}


def newer(version):
    return tuple(map(int, peft.__version__.split(".")[:2])) >= tuple(map(int, version.split(".")))


def tokenizer(words, kind):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = (
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        if kind == "language"
        else {
            "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]",
            "sep_token": "[SEP]", "mask_token": "[MASK]",
        }
    )  # fmt: skip
    numbers = {word: k for k, word in enumerate([*special.values(), *words])}
    made = Tokenizer(models.WordLevel(numbers, unk_token=special["unk_token"]))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    single, around = (
        ("<s> $A", ["<s>"]) if kind == "language" else ("[CLS] $A [SEP]", ["[CLS]", "[SEP]"])
    )
    made.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(token, numbers[token]) for token in around]
    )
    return len(numbers), t.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def processor(name):
    size = {"height": SIDE, "width": SIDE}
    if name == "CLIP":
        crop = {"size": {"shortest_edge": SIDE}, "crop_size": size}
        return t.CLIPImageProcessor(**crop)
    return t.ViTImageProcessor(size=size, image_mean=[0.4, 0.5, 0.6], image_std=[0.3, 0.25, 0.2])


def auto(kind):
    return {
        "image": t.AutoModelForImageClassification,
        "text": t.AutoModelForSequenceClassification,
        "language": t.AutoModelForCausalLM,
    }[kind]


def answers(model, kind, folder, inputs):
    """The logits of each picture or text; of a language model those of the last three tokens."""
    model.eval()
    found = []
    if kind == "image":
        prepare = t.AutoImageProcessor.from_pretrained(folder)
        for path in sorted((inputs / "pictures").iterdir()):
            batch = prepare(images=Image.open(path).convert("RGB"), return_tensors="pt")
            with torch.no_grad():
                found.append(model(pixel_values=batch["pixel_values"]).logits[0].tolist())
    else:
        prepare = t.AutoTokenizer.from_pretrained(folder)
        for text in json.loads((inputs / "texts.json").read_text()):
            batch = prepare(text, return_tensors="pt", return_token_type_ids=False)
            with torch.no_grad():
                logits = model(**batch).logits[0]
            found.append(logits[-3:].tolist() if kind == "language" else logits.tolist())
    return found


def one_line(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"


def draw(model):
    """Weights of the adapter and the head as training could have left them."""
    generator = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            if "classifier" in name:  # transformers 4.40 leaves that of CLIP as memory was
                weight.data.zero_()
            step = 0.2 * torch.randn(weight.shape, generator=generator)
            weight.data.add_(step if weight.dim() > 1 else 0.3 * step)


def write_models(inputs, folder):
    words = json.loads((inputs / "words.json").read_text())
    found = {}
    for name, (kind, build, head) in ARCHITECTURES.items():
        place = "".join(c for c in name.lower() if c.isalnum())
        base = folder / place / "base"
        count, tokens = tokenizer(words, kind)
        torch.manual_seed(0)
        try:
            build(count).save_pretrained(base)
        except Exception as error:
            found[f"{name}/full"] = {"kind": kind, "error": one_line(error)}
            continue
        beside = processor(name) if kind == "image" else tokens
        beside.save_pretrained(base)
        extra = {}
        if kind != "language":
            labels = dict(enumerate(CLASSES))
            extra = {"num_labels": 3, "id2label": labels}
            extra["label2id"] = {label: k for k, label in labels.items()}
        for method, settings in METHODS.items():
            where = folder / place / "".join(c for c in method.lower() if c.isalnum())
            row = {"kind": kind, "folder": str(where), "base": None}
            found[f"{name}/{method}"] = row
            try:
                torch.manual_seed(2)
                model = auto(kind).from_pretrained(base, **extra)
                if settings is not None:
                    o = {} if head is None else {"modules_to_save": head}
                    if isinstance(head, str):
                        o = {"modules_to_save": [head]}
                    # No task_type for pictures: PEFT has none.
                    task = {"text": "SEQ_CLS", "language": "CAUSAL_LM"}.get(kind)
                    ends = {module.split(".")[-1] for module, _ in model.named_modules()}
                    attention = [one for one in ATTENTION if one in ends]
                    made = settings(model, attention, task_type=task, **o)
                    model = peft.get_peft_model(model, made)
                    row["base"] = str(base)
                draw(model)
                model.save_pretrained(where)
                beside.save_pretrained(where)
                row["logits"] = answers(model, kind, where, inputs)
            except Exception as error:
                row["error"] = one_line(error)
    return found


def write_data(inputs, folder):
    """A data set with pictures, class labels, a group of each type, saved in each way."""
    import datasets

    version = tuple(map(int, datasets.__version__.split(".")[:1]))
    of_many = datasets.Sequence if version < (4,) else datasets.List
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(CLASSES)),
            "region": datasets.ClassLabel(names=["south", "north"]),
            "age": datasets.Value("string"),
            "about": of_many(datasets.Value("string")),
        }
    )
    rows = {name: [] for name in features}
    for k, path in enumerate(sorted((inputs / "pictures").iterdir())):
        rows["image"].append({"bytes": path.read_bytes(), "path": None})
        rows["text"].append(f"text {k}")
        rows["label"].append(k % 3)
        rows["region"].append(k % 2)
        rows["age"].append("old" if k < 3 else None)
        rows["about"].append([["a"], ["a", "b"], []][k % 3])
    saved = datasets.Dataset.from_dict(rows, features=features)
    found = {
        "label": [CLASSES[k] for k in rows["label"]],
        "region": [("south", "north")[k] for k in rows["region"]],
        "age": rows["age"],
        "about": rows["about"],
        "pixels": [
            hashlib.sha256(Image.open(path).convert("RGB").tobytes()).hexdigest()
            for path in sorted((inputs / "pictures").iterdir())
        ],
    }
    parts = datasets.DatasetDict({"train": saved, "test": saved})
    parts.save_to_disk(str(folder / "splits"))
    saved.save_to_disk(str(folder / "one"))
    saved.to_parquet(str(folder / "rows.parquet"))
    saved.remove_columns("image").to_json(str(folder / "rows.jsonl"))
    return found


def read(inputs, tasks):
    """The logits of each model of `tasks`, or why there are none."""
    found = {}
    for name, task in tasks.items():
        try:
            where = task["folder"]
            if task["base"] is None:
                model = auto(task["kind"]).from_pretrained(where)
            else:
                extra = {} if task["kind"] == "language" else {"num_labels": 3}
                base = auto(task["kind"]).from_pretrained(task["base"], **extra)
                model = peft.PeftModel.from_pretrained(base, where)
            found[name] = {"logits": answers(model, task["kind"], where, inputs)}
        except Exception as error:
            found[name] = {"error": one_line(error)}
    return found


def main():
    command, inputs, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if command == "read":
        # The libraries print, too: the answers are in a file of their own.
        found = read(inputs, json.loads(target.read_text()))
        target.with_suffix(".answers.json").write_text(json.dumps(found))
        return
    target.mkdir(parents=True, exist_ok=True)
    found = write_models(inputs, target)
    (target / "expected.json").write_text(json.dumps(found))
    data = write_data(inputs, target / "data")
    (target / "data" / "expected.json").write_text(json.dumps(data))


if __name__ == "__main__":
    main()
