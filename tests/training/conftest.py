"""What the tests of training share: several processes, a linear classifier, a tiny Llama."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.training import FairTrainer

HERE = Path(__file__).parent
SPECIAL = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
WORDS = [*SPECIAL.values(), "what", "is", "the", "capital", "of", "north", "south", "town", "name"]


@pytest.fixture(scope="session")
def worker() -> Callable[[str], ModuleType]:
    """Imports a script that several processes run, to compute the same with one."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., str]:
    """Runs a script of this folder in several processes; returns its standard error."""

    def run(name: str, *arguments: object, processes: int = 2) -> str:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", str(HERE / f"{name}.py")]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    return run


class Linear(nn.Module):
    """A linear classifier of four numbers in float64, with the manners of a transformers model."""

    def __init__(self, dropout: float = 0.0, classes: int = 2) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        self.linear = nn.Linear(4, classes).double()
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-0.3, 0.5, 4 * classes).view(classes, 4))
            self.linear.bias.zero_()

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        assert not kwargs, f"the model was given {sorted(kwargs)}"
        x = self.dropout(pixel_values.to(self.linear.weight.dtype))
        return ImageClassifierOutput(logits=self.linear(x))


def numbers(n: int) -> Tensor:
    """(n, 4) what the classifier sees."""
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)).double()


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A torch data set of dicts: the numbers, label k % 2, and columns."""

    def __init__(self, n: int, **columns: list[Any]) -> None:
        self.x = numbers(n)
        self.columns = columns

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> dict[str, Any]:
        own = {name: values[k] for name, values in self.columns.items()}
        return {"pixel_values": self.x[k], "labels": k % 2, **own}


def as_table(rows: Rows) -> datasets.Dataset:
    """The same rows as a `datasets.Dataset` of torch tensors."""
    labels = [k % 2 for k in range(len(rows))]
    table = datasets.Dataset.from_dict(
        {"pixel_values": rows.x.tolist(), "labels": labels, **rows.columns}
    )
    # The format "torch" makes float32 of numbers.
    return table.with_format("numpy", columns=["pixel_values", "labels"], output_all_columns=True)


class Toy:
    """Makes trainers of the linear classifier; every batch in the order of the rows."""

    rows = Rows
    table = staticmethod(as_table)
    model = Linear

    def __init__(self, out: Path) -> None:
        self.out = out

    def arguments(self, **changed: Any) -> TrainingArguments:
        values: dict[str, Any] = {
            "output_dir": str(self.out),
            "num_train_epochs": 1,
            "per_device_train_batch_size": 8,
            "train_sampling_strategy": "sequential",
            "optim": "sgd",
            "learning_rate": 0.5,
            "lr_scheduler_type": "constant",
            "max_grad_norm": 0.0,
            "save_strategy": "no",
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            **changed,
        }
        return TrainingArguments(**values)

    def trainer(
        self,
        dataset: Any,
        *,
        arguments: dict[str, Any] | None = None,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> FairTrainer:
        kwargs.setdefault("group_column", "region")
        return FairTrainer(
            model=Linear() if model is None else model,
            args=self.arguments(**(arguments or {})),
            train_dataset=dataset,
            **kwargs,
        )

    @staticmethod
    def weights(trainer: FairTrainer) -> Tensor:
        """All weights after training."""
        trainer.train()
        parameters: Any = trainer.model.parameters()  # type: ignore[union-attr]
        return torch.cat([p.detach().flatten() for p in parameters])


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """Trainers of a linear classifier."""
    return Toy(tmp_path / "out")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model of some thousand parameters, with a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-llama")
    words = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, **SPECIAL).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
