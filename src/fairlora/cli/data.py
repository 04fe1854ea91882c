"""`fairlora data`: what data sets there are, and whether a folder is a good copy of one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairlora.cli.common import reading_bar, say, say_json

app = typer.Typer(help="Data sets: list them, check a copy.", no_args_is_help=True)


@app.command("list")
def list_(
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """The data sets that fairlora reads, and their options.

    Example:

        fairlora data list
    """
    from fairlora.data import DATA_SETS, DataOptions

    common = set(DataOptions.model_fields)
    rows = [
        {
            "name": name,
            "summary": data.summary,
            "options": {
                key: field.description
                for key, field in data.options.model_fields.items()
                if key not in common
            },
        }
        for name, data in DATA_SETS.items()
    ]
    if json_:
        say_json(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for row in rows:
        console.print(f"[bold]{row['name']}[/]  {escape(str(row['summary']))}")
        options = row["options"]
        assert isinstance(options, dict)
        for key, text in options.items():
            console.print(f"    data.{key}: {escape(str(text))}", highlight=False)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A name that `fairlora data list` prints.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="data.KEY=VALUE", help="An option of the data set."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Read a copy of a data set as training would, and print what is there.

    Counts stand beside the published ones where there are any, and every picture is opened. A
    copy that lacks something is looked at to its end: what is missing is named.

    The exit code is 0 if nothing differs from what is published and nothing listed is missing,
    empty or unreadable; 1 if something is; 2 if there is nothing to check (no such folder, no such
    column, a label that is none). A folder of UTKFace may hold a part of the published faces: they
    come without a list, so fewer of them is no fault. Any other count must be as published.

    Examples:

        fairlora data check people-emoji

        fairlora data check utkface --set data.path=UTKFace --set data.target=age

        fairlora data check waterbirds --set data.path=waterbird_complete95_forest2water2 --json
    """
    from fairlora.data import data_set, parse_options
    from fairlora.errors import InputError
    from fairlora.study.spec.run import apply_overrides

    chosen = data_set(name)
    for override in set_ or []:
        if not override.startswith("data."):
            raise InputError(
                "not an option of the data",
                where="--set",
                found=repr(override),
                expected="data.KEY=VALUE",
            )
    values = apply_overrides({"data": {}}, set_ or []).get("data", {})
    options = parse_options(name, values)
    with reading_bar("pictures") as watch:
        rows = chosen.check(options, watch)
    good = all(row.ok is not False for row in rows)
    if json_:
        findings = [{"what": r.what, "finding": r.finding, "ok": r.ok} for r in rows]
        say_json(json.dumps({"data": name, "ok": good, "findings": findings}, ensure_ascii=False))
    else:
        from fairlora.report.text import one_line

        width = max(len(row.what) for row in rows)
        for row in rows:
            mark = " (!)" if row.ok is False else ""
            say(f"{one_line(row.what):<{width}}  {one_line(row.finding)}{mark}")
    if not good:
        raise typer.Exit(1)
