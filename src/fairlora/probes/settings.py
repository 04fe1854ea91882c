"""Settings of the probes of language models, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from fairlora.errors import InputError
from fairlora.settings import SettingsModel

Split = Literal["train", "validation", "test", "all"]
SYMBOLS = ("letters", "numbers", "signs", "yes-no")  # of fairlora's own file


class ProbeSettings(SettingsModel):
    """The settings that every probe has: which rows, how many, and the batch size."""

    section = "probe"

    split: Split = Field(default="test", description="rows to ask about")
    rows: int | None = Field(default=None, ge=1, description="at most so many; None is all")
    seed: int = Field(default=0, ge=0, description="of the draw of rows")
    batch_size: int = Field(default=16, ge=1, description="prompts at a time")


class TranslationSettings(ProbeSettings):
    """Translation: greedy decoding up to `max_new_tokens`, cut at the first line's end."""

    max_new_tokens: int = Field(default=64, ge=1)


class TextSettings(ProbeSettings):
    """Probes that put a text into a template; texts are cut at `text_tokens` tokens."""

    split: Split = Field(default="train", description="rows to ask about")
    rows: int | None = Field(default=200, ge=1, description="at most so many; None is all")
    part: Literal["text", "answer"] | None = Field(
        default=None, description="of prompts with answers: which is the text; None is the answer"
    )
    text_tokens: int = Field(default=256, ge=1, description="texts are cut there")
    templates: Path | None = Field(default=None, description="a YAML file of one's own")
    neutral: bool = Field(default=False, description="with a neutral third option")
    only: tuple[str, ...] | None = Field(default=None, description="templates by name; None is all")


class ClozeSettings(TextSettings):
    """Cloze: the likelihood of each option at the template's slot."""


class SymbolSettings(TextSettings):
    """Probes that offer options: by which symbols they are called."""

    symbols: tuple[str, ...] = Field(default=("letters",), min_length=1)

    @field_validator("symbols")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # A file of one's own has symbols of one's own: it says so itself when it is read.
        for name in value:
            if info.data.get("templates") is None and name not in SYMBOLS:
                raise ValueError(f"no such set of symbols, expected some of {', '.join(SYMBOLS)}")
        if len(set(value)) < len(value):
            raise ValueError("a set of symbols twice")
        return value


class ChoiceSettings(SymbolSettings):
    """Choice: symbols with meanings in every order; with `generate` free answers too."""

    rows: int | None = Field(default=50, ge=1, description="at most so many; None is all")
    symbols: tuple[str, ...] = Field(default=("letters", "numbers", "yes-no"), min_length=1)
    generate: bool = Field(default=False, description="free answers too, parsed")
    max_new_tokens: int = Field(default=8, ge=1, description="of a free answer")


class TokenBiasSettings(SymbolSettings):
    """Token bias: symbol, position, meaning and wording crossed."""

    rows: int | None = Field(default=40, ge=2, description="at most so many; None is all")
    symbols: tuple[str, ...] = Field(default=("letters", "signs", "yes-no"), min_length=1)
    response: Literal["probabilities", "choices"] = Field(
        default="probabilities",
        description="what is fitted: probabilities, or likeliest options",
    )


# Settings that do not change what is asked.
UNASKED = ("batch_size",)


def alike(first: ProbeSettings, second: ProbeSettings) -> bool:
    """Whether two probes ask the same."""
    left_out = set(UNASKED)
    return first.model_dump(exclude=left_out) == second.model_dump(exclude=left_out)


SETTINGS: dict[str, type[ProbeSettings]] = {
    "translation": TranslationSettings,
    "cloze": ClozeSettings,
    "choice": ChoiceSettings,
    "token-bias": TokenBiasSettings,
}


def parse_probe(name: str, values: Mapping[str, Any], *, where: str = "probe") -> Any:
    """A probe's settings from plain values; `InputError` names the key at fault.

    Parameters
    ----------
    name : of the probe, a key of `SETTINGS`.
    values : key -> value; what is left out has its default.
    where : what an error's keys begin with.

    >>> parse_probe("cloze", {"rows": 10}).rows
    10
    >>> parse_probe("cloze", {"row": 10})
    Traceback (most recent call last):
    ...
    fairlora.errors.InputError: probe.row: unknown key (expected 'rows'?)
    """
    if name not in SETTINGS:
        raise InputError(
            "no such probe", where=where, found=repr(name), expected="one of " + ", ".join(SETTINGS)
        )
    return SETTINGS[name].parse(values, section=where)
