"""Print docs/commands.md: every command and every option, from the code.

python scripts/commands_page.py > docs/commands.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from fairlora.cli import app
from fairlora.cli.panels import PANELS

INTRODUCTION = """# Commands

Printed by `python scripts/commands_page.py` from the code; a test holds that it is current. The
same is in the terminal: `fairlora COMMAND --help` (`fairlora audit --help-all`). An option marked
\\* may be given several times. Exit codes, JSON and shell completion: [for programs](programs.md).
"""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be run, with its whole name, in order."""
    if hasattr(command, "commands"):
        for part, child in command.commands.items():
            yield from commands(child, f"{name} {part}")
    else:
        yield name, command


def cell(text: str) -> str:
    """A text inside a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def default(param: Any) -> str:
    """What holds without the option, where that says something."""
    if param.required:
        return "required"
    value = param.default
    if value is None or value is False or value == () or callable(value):
        return ""
    value = getattr(value, "value", value)
    if isinstance(value, list | tuple):
        value = " ".join(str(one) for one in value)
    return f"`{value}`"


def rows(command: Any) -> list[tuple[str, list[str]]]:
    """Panel and cells of each argument and option."""
    panels = PANELS.get(command.name, {})
    by_name = {option: panel for panel, options in panels.items() for option in options}
    found = []
    for param in command.params:
        if param.name == "help" or param.opts == ["--help"]:
            continue
        argument = param.param_type_name == "argument"
        names = (
            [param.metavar or str(param.name).upper()]
            if argument
            else [*param.opts, *param.secondary_opts]
        )
        shown = " ".join(f"`{name}`" for name in names)
        if getattr(param, "multiple", False) or param.nargs == -1:
            shown += " \\*"
        panel = next((by_name[name] for name in param.opts if name in by_name), "")
        found.append((panel, [shown, default(param), cell(param.help or "")]))
    return sorted(found, key=lambda one: ["", *panels].index(one[0]))


def table(lines: list[list[str]]) -> str:
    """Options as a Markdown table."""
    heads = [["option", "default", "what it does"], ["---"] * 3]
    return "\n".join("| " + " | ".join(line) + " |" for line in heads + lines)


def described(command: Any) -> str:
    """The command's own help, its examples as code."""
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    blocks = re.split(r"\n\n+", text)
    return "\n\n".join(block.rstrip() for block in blocks)


def section(name: str, command: Any) -> str:
    """One command: what it does, and its options by panel."""
    parts = [f"## {name}", described(command)]
    panels: dict[str, list[list[str]]] = {}
    for panel, cells in rows(command):
        panels.setdefault(panel, []).append(cells)
    for panel, lines in panels.items():
        parts += [*([f"**{panel}**"] if panel else []), table(lines)]
    return "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    parts = [section(name, command) for name, command in commands(root, "fairlora")]
    return INTRODUCTION + "\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page(), end="")
