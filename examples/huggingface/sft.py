"""Fine-tune a language model on prompts and completions, fairly to groups: TRL's SFTTrainer.

    python sft.py --model HuggingFaceTB/SmolLM2-135M --train train.csv --out OUT

The table has the columns prompt, completion and group. The loss is that of the completion alone, an
example's the mean over its tokens. Packing stays off: it puts several examples into one row, and a
row must be of known groups.
"""

import argparse

import datasets
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

from fairlora.training import FairTrainer, LossVariance


class FairSFTTrainer(FairTrainer, SFTTrainer):
    """SFTTrainer's preparation of the data, FairTrainer's objective."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--cpu", action="store_true")
    asked = parser.parse_args()

    trainer = FairSFTTrainer(
        objective=LossVariance(strength=asked.strength),
        group_column="group",
        model=asked.model,
        args=SFTConfig(
            asked.out,
            num_train_epochs=asked.epochs,
            per_device_train_batch_size=16,
            learning_rate=asked.learning_rate,
            logging_steps=1,
            report_to="none",
            use_cpu=asked.cpu,
            bf16=False if asked.cpu else None,
        ),
        train_dataset=datasets.load_dataset("csv", data_files=asked.train, split="train"),
        peft_config=LoraConfig(target_modules="all-linear", r=16, lora_alpha=32),
    )
    trainer.train()
    trainer.save_model(asked.out)


if __name__ == "__main__":
    main()
