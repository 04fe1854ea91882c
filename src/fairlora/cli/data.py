"""`fairlora data`: what data sets there are, and whether a folder is a good copy of one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

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
        print(json.dumps(rows, indent=1))
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

    Examples:

        fairlora data check people-emoji

        fairlora data check utkface --set data.path=UTKFace --set data.target=age
    """
    from fairlora.data import data_set, open_image, parse_options
    from fairlora.errors import InputError
    from fairlora.study.spec import apply_overrides

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
    rows = chosen.check(options)
    examples = chosen.load(options)
    from rich.progress import track

    if examples.kind == "image":
        # A broken picture would stop a run in its middle: better now.
        numbers = range(len(examples))
        from fairlora.cli.common import stderr_console

        console = stderr_console()
        for k in track(numbers, "pictures", console=console, disable=not console.is_terminal):
            source = examples.inputs[k]
            label = examples.ids[k] if isinstance(source, bytes) else source
            open_image(source, name=str(label))
        rows.append(("pictures", f"all {len(examples):,} open"))
    if json_:
        print(json.dumps([{"what": a, "finding": b} for a, b in rows], ensure_ascii=False))
        return
    width = max(len(a) for a, _ in rows)
    for what, finding in rows:
        print(f"{what:<{width}}  {finding}")
