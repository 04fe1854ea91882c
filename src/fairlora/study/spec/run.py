"""The settings of a run: the file that `fairlora train` reads, as pydantic models.

Room `study`. The spec on disk is the API: a run's folder holds it as ``spec.yaml``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, model_validator

from fairlora.data.membership import MembershipPlan
from fairlora.data.splits import SplitPlan
from fairlora.errors import InputError
from fairlora.io import parse_yaml
from fairlora.metrics.settings import AuditSettings
from fairlora.models.adapter_spec import Adapter
from fairlora.settings import SettingsModel
from fairlora.study.spec.dp import DPSpec, check_dp

_OBJECTIVE_SETTINGS: dict[str, tuple[str, ...]] = {
    "loss-variance": ("strength", "reduction"),
    "group-dro": ("step_size", "adjustment"),
    "loss-gap": ("strength",),
}
# Objectives that add a penalty on the groups' losses to the mean loss.
PENALISED = tuple(name for name, keys in _OBJECTIVE_SETTINGS.items() if "strength" in keys)
# Adapters whose names people write another way than in lower case.
_SPELLED = {
    "lora": "LoRA",
    "dora": "DoRA",
    "rslora": "rsLoRA",
    "pissa": "PiSSA",
    "adalora": "AdaLoRA",
    "ia3": "IA3",
    "vera": "VeRA",
    "loha": "LoHa",
    "lokr": "LoKr",
    "oft": "OFT",
    "boft": "BOFT",
    "hra": "HRA",
}


# Training rows whose loss is told at the end: enough to three digits.
TRAINING_ROWS = 1000
# Objectives that people call otherwise than by their names.
_CALLED = {"group-dro": "group DRO", "reweight": "reweighting", "loss-gap": "loss gap"}
# Probes of language models that a run may end with.
ProbeName = Literal["translation", "cloze", "choice", "token-bias"]
# What a trained classifier is shipped as; see `fairlora.study.export.deployed`.
Deploy = Literal["float32", "bfloat16", "onnx", "onnx-int8", "onnx-int8-static", "nf4"]


class DataSpec(SettingsModel):
    """The data set by name; its own options (``path``, ``target``, ...) stand beside.

    `split` has the shares of all rows; or it is the data set's option of that name, the column of a
    table that says which split a row is in. `intersect` crosses group columns, or ``label``, into
    one more: ``[[place, label]]`` makes ``place&label``, with groups like ``water & landbird``.
    `membership` makes the run a shadow model's; a study's ``privacy`` section writes it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = "people-emoji"
    split: SplitPlan | str = SplitPlan()
    intersect: tuple[tuple[str, ...], ...] = ()
    scarcity: dict[str, dict[str, float]] = Field(default_factory=dict)
    train_rows: int | None = Field(default=None, ge=1)
    membership: MembershipPlan | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The data set's own options."""
        own = {"split": self.split} if isinstance(self.split, str) else {}
        return {**(self.model_extra or {}), **own}

    @property
    def shares(self) -> SplitPlan:
        """How rows are divided that the data set does not divide itself."""
        return SplitPlan() if isinstance(self.split, str) else self.split


class ModelSpec(SettingsModel):
    """A pretrained model: hub id, folder, GGUF file, a run's folder, or "embedded".

    `chat` puts a language model's prompts as a user's message, by its tokenizer's chat template.

    `prompt` makes a vision-language model a classifier of pictures: it is put with each picture,
    and a class is as likely as its answer (`answers`; by default its name). `answer_score` "mean"
    divides an answer's log-likelihood by its number of tokens; "sum" is that of the whole answer.
    """

    id: str = "embedded"
    image_size: int | None = Field(default=None, ge=1)
    max_length: int | None = Field(default=None, ge=1)
    quantize: Literal["4bit", "8bit"] | None = None
    chat: bool = Field(default=False, description="of language models: the chat template")
    prompt: str | None = Field(default=None, description="of vision-language models: the question")
    answers: dict[str, str] = Field(
        default_factory=dict, description="class -> the answer that stands for it"
    )
    answer_score: Literal["sum", "mean"] = "sum"

    def kind_of(self, data: Literal["image", "text"]) -> Literal["image", "text", "image-text"]:
        """What the model classifies, of data that are pictures or texts."""
        return data if self.prompt is None else "image-text"

    def __hash__(self) -> int:
        # Equal models have equal hashes; the mapping of answers has none.
        return hash((self.id, self.image_size, self.max_length, self.quantize, self.prompt))


class ObjectiveSpec(SettingsModel):
    """What is minimised. `groups` is "label" (the classes) or a group column.

    `strength` is of loss-variance and loss-gap, `reduction` of loss-variance, `step_size` and
    `adjustment` of group-dro.
    """

    name: Literal["erm", "loss-variance", "group-dro", "reweight", "loss-gap"] = "erm"
    strength: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    reduction: Literal["sum", "mean"] = "sum"
    step_size: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    adjustment: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    groups: str = "label"

    @model_validator(mode="after")
    def _own_settings(self) -> ObjectiveSpec:
        own = _OBJECTIVE_SETTINGS.get(self.name, ())
        for name, keys in _OBJECTIVE_SETTINGS.items():
            for key in keys:
                # A run's own spec.yaml says every key: what differs from the default was meant.
                meant = getattr(self, key) != type(self).model_fields[key].default
                if key not in own and self.name != "erm" and meant:
                    raise ValueError(f"{self.name} has no {key}; it is a setting of {name}")
        return self

    @property
    def fair(self) -> bool:
        """Whether groups enter the loss at all: strength 0 is plain training."""
        return self.name != "erm" and not (self.penalised and self.strength == 0)

    @property
    def penalised(self) -> bool:
        """Whether a penalty on the groups' losses is added, by `strength`."""
        return self.name in PENALISED

    @property
    def settings(self) -> dict[str, Any]:
        """What this objective is made with."""
        return {key: getattr(self, key) for key in _OBJECTIVE_SETTINGS.get(self.name, ())}


class TrainingSpec(SettingsModel):
    """How it is trained. `arguments` goes to Hugging Face's TrainingArguments as it is.

    `until_loss` ends training at the first evaluation whose training loss is at most this: the mean
    cross-entropy, without dropout and augmentation, of `until_loss_rows` training rows that are
    drawn once. The weights kept are those of that evaluation, and `select` is ignored. The schedule
    of the learning rate stays that of all `epochs`. Where they end before, the run says so.

    `pack` is of language models and texts without answers: one after another in blocks of
    ``model.max_length`` tokens, or one text a row. Their "accuracy" is the share of tokens right.

    `predict_train` is which training rows are predicted afterwards: "some" are at most 1,000, drawn
    once, for the training loss; "all" are for attacks, and those of a ``privacy`` section set it.

    `score_texts` is of language models: keep the log-probabilities of the texts' tokens, under the
    model and under its base, in ``texts.parquet``: for audits of the loss, and for attacks. "model"
    leaves out the base, which of full fine-tuning is loaded beside it; "no" keeps nothing.

    `precision` is what products are computed in; weights stay float32. "auto" is the faster of the
    two on the machine, measured before training (`fairlora.study.runs.precision`). ``bf16: true``
    is an older way to write "bfloat16".
    """

    epochs: float = Field(default=4, gt=0, allow_inf_nan=False)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.001, ge=0, allow_inf_nan=False)
    schedule: str = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1)
    exact_accumulation: bool = False
    flip: bool = True
    bucket: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    pack: bool = True
    select: Literal["accuracy", "loss", "accuracy_worst", "last"] = "accuracy"
    until_loss: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    until_loss_rows: int = Field(default=1000, ge=1)
    predict_train: Literal["some", "all"] = "some"
    score_texts: Literal["both", "model", "no"] = "both"
    workers: int = Field(default=0, ge=0)
    report_to: tuple[str, ...] = ()
    resume: Literal["beginning", "checkpoint"] = "beginning"
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or "bf16" not in content:
            return content
        values = dict(content)
        named = values.pop("bf16")
        if not isinstance(named, bool):
            raise ValueError("bf16 is true or false; its newer name is precision")
        precision = "bfloat16" if named else "float32"
        if values.setdefault("precision", precision) not in (precision, "auto"):
            raise ValueError("bf16 and precision say different things; precision alone is enough")
        return {**values, "precision": precision}

    @property
    def bf16(self) -> bool:
        """Whether products are computed in bfloat16."""
        return self.precision == "bfloat16"


class LastLayerSpec(SettingsModel):
    """Last-layer retraining after training; see `fairlora.training.retrain_last_layer`.

    `groups` are balanced together with the labels: group columns, or none for the labels alone.
    """

    split: Literal["train", "validation"] = "train"
    groups: tuple[str, ...] = ()
    subsets: int = Field(default=10, ge=1)
    penalty: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class RunSpec(SettingsModel):
    """One fine-tuning run.

    `queries` are further views of each example that are predicted, for attacks: "flip", the mirror
    image, writes ``predictions-flip.parquet`` beside the predictions. `probes` ask a language model
    once it is trained, by name with their settings (`fairlora.probes.settings`). `dp` trains with
    differential privacy. `deploy` is of a study's cells that train nothing: the same run without
    it, as it is shipped.
    """

    name: str = "run"
    data: DataSpec = DataSpec()
    model: ModelSpec = ModelSpec()
    adapter: Adapter = Adapter()
    objective: ObjectiveSpec = ObjectiveSpec()
    training: TrainingSpec = TrainingSpec()
    dp: DPSpec | None = None
    last_layer: LastLayerSpec | None = None
    audit: AuditSettings = AuditSettings()
    queries: tuple[Literal["flip"], ...] = ()
    probes: dict[ProbeName, dict[str, Any]] = Field(default_factory=dict)
    deploy: Deploy | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _private(self) -> RunSpec:
        if self.dp is not None:
            check_dp(self)
        return self

    @property
    def trained(self) -> RunSpec:
        """The run that trains what this one ships; itself where it ships nothing."""
        return self if self.deploy is None else self.model_copy(update={"deploy": None})

    @property
    def chance(self) -> int:
        """What head, adapter, order and mirroring are drawn from: the seed, and for a shadow model
        its number as well, since an outsider does not know the target's."""
        shadow = self.data.membership
        if shadow is None:
            return self.seed
        text = f"{self.seed}/{shadow.design}/{shadow.model}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")

    def told_rows(self, rows: int) -> int:
        """How many of so many training rows are predicted: of what is attacked all of them."""
        attacked = self.queries or self.data.membership is not None
        everything = attacked or self.training.predict_train == "all"
        return rows if everything else min(rows, TRAINING_ROWS)

    @property
    def method(self) -> str:
        """The method's name as people say it: LoRA, FairLoRA, full, fair full, LoRA + group DRO."""
        adapter = self.adapter.kind
        if adapter == "lora" and self.adapter.rank == 0:
            adapter = "linear"
        name = _SPELLED.get(adapter, adapter)
        objective = self.objective
        if objective.fair and objective.name == "loss-variance":
            name = "FairLoRA" if adapter == "lora" else f"fair {name}"
        elif objective.fair:
            name += f" + {_CALLED.get(objective.name, objective.name)}"
        return name + (" + last layer" if self.last_layer is not None else "")

    def to_yaml(self) -> str:
        """The spec as a file that `read_spec` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_spec(path: Path, overrides: Sequence[str] = ()) -> RunSpec:
    """Read a run file; `overrides` are ``key.path=value`` with the value in YAML.

    Raises `InputError` that names the file and the key at fault.
    """
    return parse_spec(read_yaml(path), overrides, where=str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping from a file; `InputError` if it is missing or is not one."""
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot read this file", where=path, found=type(error).__name__) from error
    if not isinstance(content, dict):
        # An empty file would be a run of all defaults, which nobody asked for.
        problem = "no settings in this file" if content is None else "not a mapping"
        found = None if content is None else type(content).__name__
        raise InputError(problem, where=path, found=found, expected="key: value lines")
    return content


def parse_spec(
    content: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "settings"
) -> RunSpec:
    """A `RunSpec` from plain values, with overrides applied.

    Parameters
    ----------
    content : the values, nested as in a run file.
    overrides : ``key.path=value`` each, with the value in YAML.
    where : where the values come from, for errors.

    Raises
    ------
    InputError : an override that is none, a key that is unknown, or a value that it cannot have.
    """
    return RunSpec.parse(apply_overrides(content, overrides), where)


def apply_overrides(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `content` with ``key.path=value`` strings applied.

    >>> apply_overrides({"a": {"b": 1}}, ["a.b=2", "a.c=[x, y]"])
    {'a': {'b': 2, 'c': ['x', 'y']}}
    """
    values: dict[str, Any] = yaml.safe_load(yaml.safe_dump(dict(content)))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise InputError(
                "not an override", where="--set", found=repr(override), expected="key.path=value"
            )
        try:
            value = parse_yaml(text, f"--set {key}")
        except InputError as error:
            if not isinstance(error.__cause__, yaml.YAMLError):
                raise
            value = text
        if isinstance(value, str):
            # YAML reads 3e-4 as a word, for want of a point.
            with contextlib.suppress(ValueError):
                value = float(value) if value.lower().count("e") == 1 else value
        *parents, last = key.strip().split(".")
        section: Any = values
        for parent in parents:
            section = _inside(section, parent, key, {})
        if isinstance(section, list):
            _inside(section, last, key, None)
            section[int(last)] = value
        else:
            section[last] = value
    return values


def _inside(section: Any, name: str, key: str, new: Any) -> Any:
    """A section's part by its name, or a list's by its number; `InputError` for neither."""
    if isinstance(section, list):
        if not name.isdigit() or int(name) >= len(section):
            raise InputError(
                "not a place in a list",
                where=f"--set {key}",
                found=repr(name),
                expected=f"0 to {len(section) - 1}",
            )
        inner = section[int(name)]
    else:
        inner = section.setdefault(name, new)
    if new is not None and not isinstance(inner, dict | list):
        raise InputError("not a section", where=f"--set {key}", found=repr(name))
    return inner
