"""`fairlora probe translation|cloze|choice|token-bias`: ask language models, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlora.cli.common import note, reading_bar, say, say_json
from fairlora.cli.output import FullOption, show_page

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Runs' folders, model folders, .gguf files, adapters or hub ids.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help="A data set's name, or a run file; default: each run's own data."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A setting of the probe, or data.KEY=VALUE of the data."
    ),
]
Rows = Annotated[int | None, typer.Option(help="Ask about so many rows at most.")]
Split = Annotated[
    str | None, typer.Option(help="Rows to ask about: train, validation, test or all.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the results; default: a run's own folder, else probes/NAME."),
]
Chat = Annotated[
    bool | None,
    typer.Option("--chat/--no-chat", help="Use the chat template; default: as it was trained."),
]
Base = Annotated[str | None, typer.Option(help="Where an adapter's base model lies now.")]
Again = Annotated[bool, typer.Option("--again", help="Ask anew what was asked before.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print summaries and verdicts as JSON on standard output.")
]


_TRANSLATION = """Translate; class the pronouns by the stereotype of the occupation; BLEU, chrF.

With several models, verdicts: each against the base model, each adapter against full.

Examples:

    fairlora probe translation runs/winomt/*

    fairlora probe translation SmolLM2.gguf --data winomt --set data.path=winomt --rows 200
"""
_CLOZE = """Which word does the model expect for a text's author? P(female), P(male) over templates.

Example:

    fairlora probe cloze runs/yelp/* --split train --rows 500 --set neutral=true
"""
_CHOICE = """Lettered, numbered, signed or yes-no options, in every order of their meanings.

Example:

    fairlora probe choice runs/yelp/* --set symbols=[letters,yes-no] --set generate=true
"""
_TOKEN_BIAS = """How much of a preference is for the symbol, the place, the meaning and the wording?

Example:

    fairlora probe token-bias runs/yelp/* --rows 60
"""


def _command(name: str, text: str, *, chat_template: bool = True) -> Callable[..., None]:
    """The command of a probe: all have the same options, but a cloze no chat template."""

    def ask(
        models: Models,
        data: Data = None,
        set_: Set = None,
        rows: Rows = None,
        split: Split = None,
        out: Out = None,
        chat: Chat = None,
        base: Base = None,
        again: Again = False,
        json_: Json = False,
        full: FullOption = False,
    ) -> None:
        _probe(
            name,
            models,
            out,
            json_,
            data=data,
            overrides=set_ or [],
            settings={"rows": rows, "split": split},
            chat=chat,
            base=base,
            again=again,
        )

    ask.__doc__ = text
    if not chat_template:
        import inspect  # which typer has loaded long since

        whole = inspect.signature(ask, eval_str=True)
        kept = [one for key, one in whole.parameters.items() if key != "chat"]
        ask.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    return ask


translation = _command("translation", _TRANSLATION)
cloze = _command("cloze", _CLOZE, chat_template=False)
choice = _command("choice", _CHOICE)
token_bias = _command("token-bias", _TOKEN_BIAS)


def _probe(name: str, models: list[str], out: Path | None, json_: bool, **how: Any) -> None:
    import json

    from fairlora.models.libraries import load_libraries

    load_libraries()
    from fairlora.probes.page import probe_page
    from fairlora.report.page import check_page
    from fairlora.study.tasks.causal_lm_probes import probe_models

    with reading_bar(f"asking ({name})") as bar:
        found = probe_models(
            name, models, out=out, watch=lambda model, done, total: bar(done, total), **how
        )
    kept = len(models) - found.asked
    if kept:
        note(f"{kept} of {len(models)} models were asked before (--again asks anew)")
    page = check_page(probe_page(name, found.answers, found.facts))
    written = _write(page, name, out if out is not None else found.folders[0])
    if json_:
        say_json(json.dumps(_as_json(name, found.answers, found.folders), ensure_ascii=False))
        return
    show_page(page, rest="--full prints the tables, the page has all")
    say("\n" + "\n".join(f"Written: {path}" for path in written))


def _write(page: Any, name: str, folder: Path) -> list[Path]:
    """The page, and every figure as a picture and as numbers."""
    from fairlora.io import write_text
    from fairlora.report import chart_csv, chart_figure
    from fairlora.report.html import write_html
    from fairlora.study.report.files import slug

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    write_html(page, path)
    written = [path]
    figures = folder / "figures"
    for chart in page.get("charts", []):
        figures.mkdir(exist_ok=True)
        stem = figures / slug(chart["title"])
        chart_figure(chart, stem.with_suffix(".png"))
        write_text(stem.with_suffix(".csv"), chart_csv(chart))
        written.append(stem.with_suffix(".png"))
    return written


def _as_json(name: str, answers: Any, folders: list[Path]) -> dict[str, Any]:
    from fairlora.probes.answers import check_alike, verdicts

    check_alike(answers)
    rows, notes = verdicts(answers) if len(answers) > 1 else ([], [])
    return {
        "probe": name,
        "models": {one.name: [asked.summary for asked in one.asked] for one in answers},
        "verdicts": [row.to_dict() for row in rows],
        "notes": notes,
        "folders": [str(folder) for folder in folders],
    }
