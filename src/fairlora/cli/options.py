"""Options of a command, made from the fields of a settings model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar, get_args

import typer

from fairlora.settings import SettingsModel

Command = TypeVar("Command", bound=Callable[..., None])


def options_of(
    model: type[SettingsModel], *, leave: Sequence[str] = ()
) -> Callable[[Command], Command]:
    """Give a command an option for every setting of a model, in place of its `**settings`.

    Help text, default and least whole number are the field's. In ``--help`` the options stand
    before the command's keyword-only ones; what they are given arrives as `settings`, unchecked:
    the command makes the model of it.

    Parameters
    ----------
    model : whose fields become options.
    leave : fields that do not.
    """

    def add(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        last = [p for p in own if p.kind is p.KEYWORD_ONLY]
        options = [_option(model, name) for name in model.model_fields if name not in leave]
        parameters = [*own[: len(own) - len(last)], *options, *last]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return add


def _option(model: type[SettingsModel], name: str) -> inspect.Parameter:
    field = model.model_fields[name]
    kind: Any = field.annotation
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    bounds = [bound.ge for bound in field.metadata if hasattr(bound, "ge")]
    text = field.description or ""
    # A truth value is a flag, without a second one for "not".
    flag = [f"--{name.replace('_', '-')}"] if kind is bool else []
    option = typer.Option(
        *flag,
        help=text[:1].upper() + text[1:] + ".",
        # What else a value must be, the model says, as it does everywhere else.
        min=next((bound for bound in bounds if isinstance(bound, int)), None),
        metavar="|".join(choices) if 0 < len(choices) < 4 else None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[str if choices else kind, option],
    )
