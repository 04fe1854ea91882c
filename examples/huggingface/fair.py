"""Fine-tune a text classifier with LoRA: an ordinary Hugging Face script.

    python plain.py --model bert-base-uncased --train train.csv --test test.csv --out OUT

The tables have the columns text, label (0, 1, ...) and group. plain.py trains as everybody does,
fair.py with a fairness objective: two lines differ. Both run under torchrun and accelerate launch.
The adapter is on layers called query and value, as BERT, RoBERTa and ELECTRA call them; for another
architecture change target_modules (DistilBERT: q_lin, v_lin).
"""

import argparse

import datasets
import numpy as np
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    TrainingArguments,
)

from fairlora.training import FairTrainer, LossVariance  # isort: skip

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--train", required=True)
parser.add_argument("--test", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--epochs", type=float, default=3)
parser.add_argument("--cpu", action="store_true")
asked = parser.parse_args()

tokenizer = AutoTokenizer.from_pretrained(asked.model)
data = datasets.load_dataset("csv", data_files={"train": asked.train, "test": asked.test})
data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=128), batched=True)
classes = len(set(data["train"]["label"]))
model = AutoModelForSequenceClassification.from_pretrained(asked.model, num_labels=classes)
lora = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=8, lora_alpha=16)
model = get_peft_model(model, lora)


def compute_metrics(found):
    return {"accuracy": np.mean(found.predictions.argmax(axis=-1) == found.label_ids)}


trainer = FairTrainer(objective=LossVariance(strength=1.0), group_column="group",
    model=model,
    args=TrainingArguments(
        asked.out,
        num_train_epochs=asked.epochs,
        per_device_train_batch_size=32,
        learning_rate=3e-4,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        report_to="none",
        use_cpu=asked.cpu,
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=compute_metrics,
)  # fmt: skip
trainer.train()
trainer.save_model(asked.out)
