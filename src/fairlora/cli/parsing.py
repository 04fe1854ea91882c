"""Read a command's options; an option that takes one value may be given once."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import typer
from typer.core import TyperCommand

from fairlora.cli.panels import PANELS, grouped
from fairlora.errors import InputError

# What to use instead, where somebody who gives the option twice wants something else.
_INSTEAD = {"--pred": "one; a second model's predictions are --against-pred"}


class Command(TyperCommand):
    """A command that refuses an option given twice, unless the option is repeatable."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, which by itself would take the last value in silence."""
        given = self.make_parser(ctx).parse_args(args=list(args))[2]
        if not ctx.resilient_parsing and not any(option.is_eager for option in given):
            for option in given:
                many = getattr(option, "multiple", True) or getattr(option, "count", False)
                if not many and given.count(option) > 1:
                    name = option.opts[0]
                    raise InputError(
                        "given more than once",
                        where=name,
                        found=f"{given.count(option)} times",
                        expected=_INSTEAD.get(name, "once"),
                    )
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; a command with many options has them in groups."""
        if self.name not in PANELS:
            return super().format_help(ctx, formatter)
        with grouped(self, ctx) as lines:
            super().format_help(ctx, formatter)
        if lines:
            print(" More, explained by --help-all:")
            for line in lines:
                print(fill(line, 78, initial_indent="  ", subsequent_indent="    "))
        return None


def refuse_repeated(app: typer.Typer) -> typer.Typer:
    """Let every command of `app`, and of the groups within it, be a `Command`."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            refuse_repeated(group.typer_instance)
    return app
