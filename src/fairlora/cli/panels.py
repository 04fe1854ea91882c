"""The help of a command with many options: the usual ones, and the rest by name in groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

# Command -> group of options -> their names, in order. What is in no group is shown in full.
PANELS: dict[str, dict[str, Sequence[str]]] = {
    "audit": {
        "Classes and rows": (
            *("--classes", "--map", "--positive", "--missing-label", "--ignore-label", "--split"),
            *("--cluster", "--weight"),
        ),
        "Groups": (
            *("--intersect", "--bin", "--missing-group", "--min-group", "--max-groups"),
            *("--subgroups", "--subgroup-size", "--subgroup-metric", "--suggests", "--power"),
        ),
        "Scores, logs, other files": ("--score", "--filter", "--join", "--on"),
        "Measurements and curves": ("--numeric", "--quantile", "--curves", "--at"),
        "No labels": ("--count", "--selected", "--standard", "--unknown", "--four-fifths"),
        "Thresholds": ("--threshold", "--sensitivity", "--specificity", "--thresholds"),
        "Several targets": ("--target", "--uncertain", "--blank"),
        "Two models": ("--against", "--against-pred", "--against-probs", "--id", "--margin"),
        "Numbers": (
            "--bins",
            "--confidence",
            "--bootstrap",
            "--seed",
            "--level",
            "--show-examples",
        ),
    }
}


def _show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta["fairlora.help-all"] = True
        print(ctx.get_help())
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all", is_eager=True, callback=_show_all, help="Show every option and exit."
    ),
]


@contextmanager
def grouped(command: Any, ctx: Any) -> Iterator[list[str]]:
    """Options in the panels of their groups; in the short help groups are lines, yielded."""
    panels = PANELS[command.name]
    by_name = {name: panel for panel, names in panels.items() for name in names}
    short = "fairlora.help-all" not in ctx.meta
    listed: dict[str, list[str]] = {panel: [] for panel in panels}
    hidden = []
    for param in command.params:
        panel = next((by_name[name] for name in param.opts if name in by_name), None)
        if panel is None:
            continue
        param.rich_help_panel = panel
        listed[panel] += param.opts[:1]
        if short and not param.hidden:
            param.hidden = True
            hidden.append(param)
    try:
        yield [f"{panel}: {' '.join(names)}" for panel, names in listed.items()] if short else []
    finally:
        for param in hidden:
            param.hidden = False
