"""The base of every group of settings: a pydantic model whose errors are one line.

A setting has its default, bounds and description in one field of one model, in the lowest room that
uses it. Models of upper rooms embed that model, and commands take their options from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from types import NoneType, SimpleNamespace
from typing import Any, ClassVar, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from fairlora.errors import InputError

# Bounds as pydantic names them.
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
# Pydantic's words for what a YAML file's author would call by another name.
_KINDS = {
    "tuple_type": "not a list",
    "list_type": "not a list",
    "string_type": "not a text",
    "dict_type": "not a mapping of keys",
    "model_type": "not a mapping of keys",
    "bool_type": "neither true nor false",
    "bool_parsing": "neither true nor false",
}


class SettingsModel(BaseModel):
    """Settings that are checked when they are made, and do not change afterwards.

    Attributes
    ----------
    section : where the settings stand in a run file; errors of a model made in Python begin with
        it.

    Raises `InputError` for a value that a setting cannot have, and for an unknown setting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise input_error(error, type(self)) from None

    # As of pydantic's own: a model inside another is validated in place, so that the error of a
    # file has the key's whole path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """NumPy's scalars become Python's; a truth value is no number, though Python adds it up."""
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            value = value.item()
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and set(get_args(kind) or (kind,)) <= {int, float, NoneType}:
            raise ValueError("not a number")
        return value

    @classmethod
    def parse(cls, content: Mapping[str, Any], where: str = "", section: str | None = None) -> Self:
        """The settings from plain values; `InputError` names the file `where` and the key in it.

        Parameters
        ----------
        content : key -> value; what is left out has its default.
        where : the file.
        section : what the key begins with; None is the model's own.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise input_error(error, cls, where, section) from None


def input_error(
    error: ValidationError, root: type[SettingsModel], where: str = "", section: str | None = None
) -> InputError:
    """The first thing wrong with some settings, as one line: the key's path, and what it may be.

    Parameters
    ----------
    error : what pydantic found.
    root : the model that was read: an unknown key is compared with its keys.
    where : the file that was read.
    section : what the key begins with; None is the model's own.
    """
    first = error.errors()[0]
    # Pydantic names the alternative of a union that it tried, which is no key of the file.
    path = [str(part) for part in first["loc"] if not _is_tag(str(part))]
    section = root.section if section is None else section
    key = ".".join([section, *path] if section else path)
    where = ": ".join(word for word in (where, key) if word)
    model = model_at(path[:-1], root)
    fields = {} if model is None else model.model_fields
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(path[-1], fields, n=1)
        guess = f"{close[0]!r}?" if close else "one of " + ", ".join(fields)
        return InputError("unknown key", where=where or None, expected=guess)
    message, expected = first["msg"].removeprefix("Value error, "), None
    if first["type"].startswith(("int_", "float_")):
        message = "not a whole number" if first["type"].startswith("int_") else "not a number"
    elif first["type"] in _KINDS:
        message = _KINDS[first["type"]]
    elif first["type"] == "literal_error":
        message, expected = "unknown value", first["ctx"]["expected"]
    elif set(first.get("ctx", {})) & set(_BOUNDS):
        message = "out of range"
        field = fields.get(path[-1])
        metadata = [SimpleNamespace(**first["ctx"])] if field is None else field.metadata
        expected = " and ".join(
            f"{sign} {getattr(bound, name):g}"
            for bound in metadata
            for name, sign in _BOUNDS.items()
            if hasattr(bound, name)
        )
    # What is wrong between sections is in the message: the whole file would not say it.
    found = repr(first["input"])[:80] if path else None
    return InputError(message, where=where or None, found=found, expected=expected)


def _is_tag(part: str) -> bool:
    return part[:1].isupper() or "[" in part


def model_at(path: Sequence[str], root: type[BaseModel]) -> type[BaseModel] | None:
    """The model of a section, by its key path; None where the path leads to no section."""
    model: type[BaseModel] | None = root
    named = False
    for part in path:
        if part.isdigit() or named:
            named = False
            continue  # a place in a list or mapping: its items are of the model that it holds
        field = None if model is None else model.model_fields.get(part)
        if field is None:
            return None
        model = model_within(field.annotation)
        named = get_origin(field.annotation) is dict
    return model


def model_within(kind: Any) -> type[BaseModel] | None:
    """The model within an annotation such as ``Model | None`` or ``tuple[Model, ...]``."""
    if hasattr(kind, "model_fields"):
        return kind  # type: ignore[no-any-return]
    models = (model_within(inner) for inner in get_args(kind))
    return next((model for model in models if model is not None), None)
